/** POST of a TokenRequest: a token for a service account, bound to a pod, a secret or a node if asked. */
import { nodes, pods, secrets } from '../../api/generated/kinds.ts';
import type { BoundObjectReference, Pod, TokenRequest } from '../../api/generated/types.ts';
import { declarationOf } from '../../api/registry.ts';
import { decodeAs } from '../../api/schema/decode.ts';
import { formatTime } from '../../api/schema/time.ts';
import { ApiError, badRequest, conflict, type FieldError, forbidden, invalid } from '../../api/status.ts';
import {
  MOUNTED_TOKEN_SECONDS,
  type ServiceAccountTokens,
  type TokenSubject,
  type TokenTerms,
} from '../auth/service-account-tokens.ts';
import { type Core, type ResourceRequest, timestamp } from '../core.ts';
import { jsonReply } from '../http/replies.ts';
import type { Identity } from '../types.ts';
import { readValue } from '../verbs/body.ts';
import { cached, readConsistent } from '../verbs/get.ts';
import { readWriteOptions } from '../verbs/options.ts';
import type { SubresourceHandler } from './subresources.ts';

const TOKEN_REQUEST = 'io.k8s.api.authentication.v1.TokenRequest';
const KIND = { group: 'authentication.k8s.io', kind: 'TokenRequest' } as const;
const POD = declarationOf(pods);
const SECRET = declarationOf(secrets);
const NODE = declarationOf(nodes);
const LIFE_SECONDS_DEFAULT = 3_600;
const LIFE_SECONDS_MIN = 600;
const LIFE_SECONDS_MAX = 2 ** 32;
const MOUNTED_TOKEN_LIFE_SECONDS = 365 * 24 * 3_600;
const NODE_USER = 'system:node:';

/** Without `tokens` the server has no key to sign with. */
export function tokenRequest(tokens: ServiceAccountTokens | undefined): SubresourceHandler {
  return async (core, request) => {
    const { exchange, info, identity, kind } = request;
    if (!tokens) throw new ApiError('', 'this server has no key to sign tokens with', { code: 501 });
    const asked = await readTokenRequest(request);
    const { isDryRun } = readWriteOptions(exchange.query, 'CreateOptions');
    const part = { ...KIND, version: 'v1' };
    await core.admission.admitPart({ ...request, operation: 'CREATE', isDryRun, part }, asked);
    const { namespace, name } = info;
    const account = (await readConsistent(core, kind, { namespace, name })).parse();
    const spec = {
      audiences: asked.spec.audiences?.length ? asked.spec.audiences : [tokens.issuer],
      boundObjectRef: asked.spec.boundObjectRef ?? null,
      expirationSeconds: asked.spec.expirationSeconds ?? LIFE_SECONDS_DEFAULT,
    };
    checkLife(spec.expirationSeconds);
    const serviceAccount = { name, uid: account.metadata?.uid ?? '' };
    const bound = spec.boundObjectRef ? await readBound(core, request, spec.boundObjectRef) : {};
    refuseForeignNode(identity, { request, reference: spec.boundObjectRef, bound });
    const nowMs = core.clock.now();
    const token = await tokens.sign({ namespace, serviceAccount, ...bound.subject }, termsOf(spec, bound, tokens));
    const answer = {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name, namespace, creationTimestamp: timestamp(core.clock) },
      spec,
      status: { token, expirationTimestamp: formatTime(nowMs + spec.expirationSeconds * 1000) },
    };
    return jsonReply(201, answer);
  };
}

async function readTokenRequest({ exchange, info }: ResourceRequest): Promise<TokenRequest> {
  const value = await readValue(exchange);
  const { kind, apiVersion } = (value ?? {}) as TokenRequest;
  if ((kind ?? KIND.kind) !== KIND.kind || !String(apiVersion ?? `${KIND.group}/v1`).startsWith(`${KIND.group}/`)) {
    throw badRequest(
      `the object provided is unrecognized (must be of type TokenRequest): ${apiVersion ?? ''}, Kind=${kind ?? ''}`,
    );
  }
  const asked = decodeAs<TokenRequest>(TOKEN_REQUEST, value, 'TokenRequest');
  for (const [field, wanted] of [
    ['name', info.name],
    ['namespace', info.namespace],
  ] as const) {
    const given = asked.metadata?.[field];
    if (!given || given === wanted) continue;
    const message = `Invalid value: ${JSON.stringify(given)}: must match the service account ${field} if specified`;
    throw invalid(KIND, info.name, [{ type: 'FieldValueInvalid', field: `metadata.${field}`, message }]);
  }
  return { ...asked, spec: asked.spec ?? { audiences: [] } };
}

function checkLife(seconds: number): void {
  const errors: FieldError[] = [];
  const add = (why: string) =>
    errors.push({
      type: 'FieldValueInvalid',
      field: 'spec.expirationSeconds',
      message: `Invalid value: ${seconds}: ${why}`,
    });
  if (seconds < LIFE_SECONDS_MIN) add('may not specify a duration less than 10 minutes');
  if (seconds > LIFE_SECONDS_MAX) add('may not specify a duration larger than 2^32 seconds');
  if (errors.length > 0) throw invalid(KIND, '', errors);
}

interface Bound {
  readonly subject?: Pick<TokenSubject, 'pod' | 'secret' | 'node'>;
  readonly pod?: Pod;
}

/** The object that the token shall end with. Throws 400, 404, 409. */
async function readBound(core: Core, { info }: ResourceRequest, reference: BoundObjectReference): Promise<Bound> {
  const { apiVersion = '', kind = '', name = '', uid: wanted } = reference;
  const type = `${apiVersion === 'v1' ? '' : apiVersion}/${kind}`;
  const declaration = { '/Pod': POD, '/Secret': SECRET, '/Node': NODE }[type];
  if (!declaration) {
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
    throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${kind}`);
  }
  const namespace = declaration === NODE ? '' : info.namespace;
  const object = (await readConsistent(core, declaration, { namespace, name })).parse();
  const id = { name, uid: object.metadata?.uid ?? '' };
  const pod = declaration === POD ? (object as Pod) : undefined;
  if (pod && pod.spec?.serviceAccountName !== info.name) {
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(info.name)} to pod running with different serviceaccount name.`,
    );
  }
  if (wanted && wanted !== id.uid) {
    throw conflict(
      { group: '', resource: kind },
      name,
      `the UID in the bound object reference (${wanted}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (pod) return { pod, subject: { pod: id, node: nodeOf(core, pod) } };
  return { subject: declaration === SECRET ? { secret: id } : { node: id } };
}

function nodeOf(core: Core, pod: Pod): TokenSubject['node'] {
  const name = pod.spec?.nodeName;
  if (!name) return undefined;
  const uid = cached(core, NODE, '', name)?.parse().metadata?.uid;
  return { name, ...(uid && { uid }) };
}

function termsOf(
  spec: { readonly audiences: readonly string[]; readonly expirationSeconds: number },
  { pod }: Bound,
  { issuer }: ServiceAccountTokens,
): TokenTerms {
  const { audiences, expirationSeconds } = spec;
  const isMounted = pod && expirationSeconds === MOUNTED_TOKEN_SECONDS && audiences.every(name => name === issuer);
  return isMounted
    ? { audiences, lifeSeconds: MOUNTED_TOKEN_LIFE_SECONDS, warnAfterSeconds: expirationSeconds }
    : { audiences, lifeSeconds: expirationSeconds };
}

/** A node gets tokens for its own pods only (k/k:plugin/pkg/admission/noderestriction). */
function refuseForeignNode(
  { user, groups }: Identity,
  {
    request,
    reference,
    bound,
  }: {
    readonly request: ResourceRequest;
    readonly reference: BoundObjectReference | null;
    readonly bound: Bound;
  },
): void {
  if (!user.startsWith(NODE_USER) || !groups.includes('system:nodes')) return;
  const refuse = (why: string) =>
    forbidden({ group: '', resource: 'serviceaccounts' }, request.info.name, `node requested token ${why}`);
  if (!reference || !bound.pod) throw refuse('not bound to a pod');
  if (!reference.uid) throw refuse('with a pod binding without a uid');
  if (bound.pod.spec?.nodeName !== user.slice(NODE_USER.length)) {
    throw refuse('bound to a pod scheduled on a different node');
  }
}
