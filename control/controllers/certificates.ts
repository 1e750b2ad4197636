/**
 * CertificateSigningRequests: nodes' own are approved where the requester may have them, what is approved is signed by the
 * cluster's signers, and old ones are removed. Others' signers are left to others.
 */
import { readCertificateRequest } from '../api/certificates/request.ts';
import {
  subjectaccessreviews as accessReviewsKind,
  certificatesigningrequests as requestsKind,
} from '../api/generated/kinds.ts';
import type { CertificateSigningRequest, SubjectAccessReview } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { ReconcileResult } from '../client/controller.ts';
import {
  approvalsOf,
  CLIENT_SIGNER,
  endOfRequest,
  hasCondition,
  NODE_CLIENT_SIGNER,
  NODE_SERVING_SIGNER,
  refuseToSign,
} from './certificate-rules.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { FailureBackoff } from './failure-backoff.ts';
import { APPROVAL_RETRY_MS_MAX, APPROVAL_RETRY_MS_MIN, APPROVALS_REFUSED_MAX, LOOK_AGAIN_MS_MAX } from './limits.ts';

const OWN_SIGNERS = new Set([CLIENT_SIGNER, NODE_CLIENT_SIGNER, NODE_SERVING_SIGNER]);

/** Approves what needs nobody's approval. */
export function certificateApprovingController(context: ControllerContext): Controller {
  const { client, clock } = context;
  const refusals = new FailureBackoff(clock, {
    minMs: APPROVAL_RETRY_MS_MIN,
    maxMs: APPROVAL_RETRY_MS_MAX,
    keysMax: APPROVALS_REFUSED_MAX,
  });
  return requestController(context, 'csr-approving-controller', async request => {
    if (hasCondition(request, 'Approved') || hasCondition(request, 'Denied')) return undefined;
    const approvals = approvalsOf(request, readCertificateRequest(pemOf(request)));
    for (const { permission, message } of approvals) {
      if (!(await isAllowed(context, request, permission))) continue;
      const condition = { type: 'Approved', status: 'True', reason: 'AutoApproved', message };
      const conditions = [...(request.status?.conditions ?? []), condition];
      const approved = { ...request, status: { ...request.status, conditions } };
      await client.update(requestsKind, approved, { subresource: 'approval' });
      return undefined;
    }
    if (approvals.length === 0) return undefined;
    // The right may yet be given, and nobody tells of that here.
    const uid = request.metadata?.uid ?? '';
    refusals.failed(uid);
    return { afterMs: refusals.remainingMs(uid) };
  });
}

/** Asks whether the requester may have such a certificate. */
async function isAllowed(
  { client }: ControllerContext,
  { spec }: CertificateSigningRequest,
  permission: string,
): Promise<boolean> {
  const review: SubjectAccessReview = {
    spec: {
      user: spec.username ?? '',
      groups: spec.groups ?? [],
      ...(spec.uid && { uid: spec.uid }),
      ...(spec.extra && { extra: spec.extra }),
      resourceAttributes: {
        group: 'certificates.k8s.io',
        resource: 'certificatesigningrequests',
        subresource: permission,
        verb: 'create',
      },
    },
  };
  return (await client.create(accessReviewsKind, review)).status?.allowed ?? false;
}

/** Undefined if nothing to sign with was handed in. */
export function certificateSigningController(context: ControllerContext): Controller | undefined {
  const { client, options } = context;
  const { signCertificate } = options;
  if (!signCertificate) return undefined;
  return requestController(context, 'csr-signing-controller', async request => {
    const { spec, status } = request;
    if (!OWN_SIGNERS.has(spec.signerName) || !hasCondition(request, 'Approved')) return undefined;
    if (status?.certificate || hasCondition(request, 'Denied') || hasCondition(request, 'Failed')) return undefined;
    const pem = pemOf(request);
    const refusal = refuseToSign(spec.signerName, readCertificateRequest(pem), spec.usages ?? []);
    if (refusal !== undefined) {
      const failed = { type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message: refusal };
      const conditions = [...(status?.conditions ?? []), failed];
      await client.update(requestsKind, { ...request, status: { ...status, conditions } }, { subresource: 'status' });
      return undefined;
    }
    const signed = await signCertificate({
      request: pem,
      usages: spec.usages ?? [],
      expirationSeconds: spec.expirationSeconds,
    });
    const certificate = Buffer.from(signed).toString('base64');
    await client.update(requestsKind, { ...request, status: { ...status, certificate } }, { subresource: 'status' });
    return undefined;
  });
}

/** Removes requests that nobody needs any more. */
export function certificateCleaningController(context: ControllerContext): Controller {
  const { client, clock } = context;
  return requestController(context, 'csr-cleaner-controller', async request => {
    const leftMs = endOfRequest(request) - clock.now();
    if (leftMs === Number.POSITIVE_INFINITY) return undefined;
    if (leftMs > 0) return { afterMs: Math.min(leftMs, LOOK_AGAIN_MS_MAX) };
    const { name = '', uid = '' } = request.metadata ?? {};
    try {
      await client.delete(requestsKind, { name }, { uid });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
    return undefined;
  });
}

function requestController(
  context: ControllerContext,
  name: string,
  reconcile: (request: CertificateSigningRequest) => Promise<ReconcileResult | undefined>,
): Controller {
  const queue = newQueue(context);
  const requests = context.informers.for<CertificateSigningRequest>(requestsKind);
  const enqueue = ({ metadata }: CertificateSigningRequest) => queue.add(metadata?.name ?? '');
  requests.addHandler({ added: enqueue, updated: enqueue });
  return queueController(context, {
    name,
    queue,
    async reconcile(key) {
      const request = requests.get(key);
      return request && !request.metadata?.deletionTimestamp ? reconcile(request) : undefined;
    },
  });
}

const pemOf = ({ spec }: CertificateSigningRequest): string => Buffer.from(spec.request, 'base64').toString();
