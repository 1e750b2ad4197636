/** AdmissionReviews: how a question is put, and what an answer must be like (apiserver/pkg/admission/plugin/webhook/request). */
import type { Status } from '../../../api/generated/types.ts';
import type { KindDeclaration, KubernetesObject } from '../../../api/kind.ts';
import { isObject } from '../../../api/patch/json.ts';
import { ApiError } from '../../../api/status.ts';
import type { Identity } from '../../types.ts';
import type { AdmissionRequest } from '../admission.ts';
import type { GroupVersionKind, Subject } from './subject.ts';

/** The newest first. */
const REVIEW_VERSIONS = ['v1', 'v1beta1'] as const;
export type ReviewVersion = (typeof REVIEW_VERSIONS)[number];

/** The first of a webhook's versions that we speak; undefined if we speak none. */
export function reviewVersionOf(versions: readonly string[]): ReviewVersion | undefined {
  return versions.map(version => REVIEW_VERSIONS.find(known => known === version)).find(found => found !== undefined);
}

export interface Question {
  readonly uid: string;
  readonly request: AdmissionRequest;
  readonly subject: Subject;
  /** The version of the resource that is shown. */
  readonly shown: KindDeclaration;
  readonly object: KubernetesObject | undefined;
  readonly old: KubernetesObject | undefined;
}

export interface AdmissionReview {
  readonly kind: 'AdmissionReview';
  readonly apiVersion: string;
  readonly request: Readonly<Record<string, unknown>>;
}

const kindOf = ({ group, version, kind }: GroupVersionKind) => ({ group, version, kind });
const resourceOf = ({ group, version, plural }: KindDeclaration) => ({ group, version, resource: plural });

/** What the request is about, and who makes it. */
function requestOf({
  uid,
  request,
  subject,
  shown,
}: Omit<Question, 'object' | 'old'>): Readonly<Record<string, unknown>> {
  const { asked, name, resource, part } = subject;
  const subResource = asked.subresource;
  return {
    uid,
    kind: kindOf(part ?? shown),
    resource: resourceOf(shown),
    ...(subResource && { subResource }),
    requestKind: kindOf(part ?? resource),
    requestResource: resourceOf(resource),
    ...(subResource && { requestSubResource: subResource }),
    ...(name && { name }),
    ...(asked.namespace && { namespace: asked.namespace }),
    operation: asked.operation,
    userInfo: userInfo(request.identity),
  };
}

/** Puts the question. */
export function makeReview(version: ReviewVersion, question: Question): AdmissionReview {
  const { object = null, old = null, request } = question;
  return {
    kind: 'AdmissionReview',
    apiVersion: `admission.k8s.io/${version}`,
    request: {
      ...requestOf(question),
      object,
      oldObject: old,
      dryRun: request.isDryRun,
      options: optionsOf(request),
    },
  };
}

/** The request as conditions see it: without the objects, which they know by names of their own. */
export function requestForConditions(question: Question): Readonly<Record<string, unknown>> {
  const { request } = question;
  return { ...requestOf(question), dryRun: request.isDryRun, options: optionsOf(request) };
}

function userInfo({ user, uid, groups, extra }: Identity): object {
  return { username: user, ...(uid && { uid }), ...(groups.length > 0 && { groups }), ...(extra && { extra }) };
}

const OPTIONS: Readonly<Record<AdmissionRequest['operation'], string>> = {
  CREATE: 'CreateOptions',
  UPDATE: 'UpdateOptions',
  DELETE: 'DeleteOptions',
  CONNECT: '',
};

/** What the request asks besides, as meta.k8s.io writes it. A connection has no options but its object. */
function optionsOf({ operation, isDryRun, exchange, options }: AdmissionRequest): object | null {
  if (operation === 'CONNECT') return null;
  const fieldManager = exchange.query.get('fieldManager');
  const fieldValidation = exchange.query.get('fieldValidation');
  return {
    kind: OPTIONS[operation],
    apiVersion: 'meta.k8s.io/v1',
    ...options,
    ...(isDryRun && { dryRun: ['All'] }),
    ...(operation !== 'DELETE' && fieldManager && { fieldManager }),
    ...(operation !== 'DELETE' && fieldValidation && { fieldValidation }),
  };
}

export interface Verdict {
  readonly isAllowed: boolean;
  /** What a denial says. */
  readonly status: Status | undefined;
  /** A JSON patch, as text; '' for none. */
  readonly patch: string;
  readonly warnings: readonly string[];
  readonly auditAnnotations: Readonly<Record<string, string>>;
}

/** Reads an answer. Throws an Error that says what is wrong with it. */
export function readVerdict(
  review: Readonly<Record<string, unknown>>,
  { uid, version, isMutating }: { readonly uid: string; readonly version: ReviewVersion; readonly isMutating: boolean },
): Verdict {
  const { response } = review;
  if (!isObject(response)) throw new Error('webhook response was absent');
  if (version === 'v1') checkIdentity(review, response, uid);
  const patch = typeof response.patch === 'string' ? Buffer.from(response.patch, 'base64').toString() : '';
  const patchType = typeof response.patchType === 'string' ? response.patchType : undefined;
  if (version === 'v1') checkPatch(patch, patchType, isMutating);
  else if (patchType !== undefined && patchType !== 'JSONPatch')
    throw new Error(`unsupported patch type ${quote(patchType)}`);
  const { status, warnings, auditAnnotations } = response;
  return {
    isAllowed: response.allowed === true,
    status: isObject(status) ? (status as unknown as Status) : undefined, // each member is checked where it is used
    patch,
    warnings: Array.isArray(warnings) ? warnings.filter(text => typeof text === 'string') : [],
    auditAnnotations: isObject(auditAnnotations) ? textsOf(auditAnnotations) : {},
  };
}

const quote = (text: string) => JSON.stringify(text);

function checkIdentity(
  review: Readonly<Record<string, unknown>>,
  response: Readonly<Record<string, unknown>>,
  uid: string,
): void {
  const given = typeof response.uid === 'string' ? response.uid : '';
  if (given !== uid) throw new Error(`expected response.uid=${quote(uid)}, got ${quote(given)}`);
  const { apiVersion = '', kind = '' } = review;
  if (apiVersion === 'admission.k8s.io/v1' && kind === 'AdmissionReview') return;
  const shown = String(apiVersion).includes('/') ? apiVersion : `${apiVersion}/`;
  throw new Error(`expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${shown}, Kind=${kind}`);
}

function checkPatch(patch: string, patchType: string | undefined, isMutating: boolean): void {
  if (!isMutating) {
    if (patch !== '') throw new Error('validating webhook may not return response.patch');
    if (patchType !== undefined) throw new Error('validating webhook may not return response.patchType');
    return;
  }
  if (patch !== '' && patchType === undefined) {
    throw new Error('webhook returned response.patch but not response.patchType');
  }
  if (patch === '' && patchType !== undefined) {
    throw new Error('webhook returned response.patchType but not response.patch');
  }
  if (patchType !== undefined && patchType !== 'JSONPatch') {
    throw new Error(`webhook returned invalid response.patchType of ${quote(patchType)}`);
  }
}

function textsOf(map: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(map).flatMap(([key, value]) => (typeof value === 'string' ? [[key, value]] : [])),
  );
}

const CODE_MIN = 400;

/** A denial as the client is told it (apiserver/pkg/admission/plugin/webhook/errors). */
export function denialOf(webhookName: string, status: Status | undefined): ApiError {
  const deniedBy = `admission webhook ${quote(webhookName)} denied the request`;
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const [message, reason] = [text(status?.message), text(status?.reason)];
  const given = status?.code;
  return ApiError.fromStatus({
    kind: 'Status',
    apiVersion: 'v1',
    message: message || reason ? `${deniedBy}: ${message || reason}` : `${deniedBy} without explanation`,
    reason,
    ...(isObject(status?.details) && { details: status.details }),
    code: typeof given === 'number' && given >= CODE_MIN ? given : CODE_MIN,
  });
}
