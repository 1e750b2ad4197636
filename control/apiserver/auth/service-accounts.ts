/** Who a ServiceAccount token stands for, as long as the account and what the token is bound to still exist. */
import { nodes, pods, secrets, serviceaccounts } from '../../api/generated/kinds.ts';
import type { Secret } from '../../api/generated/types.ts';
import type { KindDeclaration } from '../../api/kind.ts';
import { declarationOf } from '../../api/registry.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import type { Clock, Identity } from '../types.ts';
import { cached } from '../verbs/get.ts';
import type { ObjectId, ServiceAccountTokens, TokenClaims } from './service-account-tokens.ts';

/** Somebody who showed a token. */
export interface TokenHolder {
  readonly identity: Identity;
  /** Those of the token's audiences that were asked for. */
  readonly audiences: readonly string[];
  /** True as long as nothing has changed in that, by this server's own view; undefined where only reading it anew tells. */
  readonly stillHolds?: () => boolean;
}
export interface ServiceAccountsOptions {
  readonly tokens: ServiceAccountTokens;
  readonly cache: WatchCache;
  readonly clock: Clock;
}

const SERVICE_ACCOUNT = declarationOf(serviceaccounts);
const POD = declarationOf(pods);
const SECRET = declarationOf(secrets);
const NODE = declarationOf(nodes);
/** An object that is being deleted is good for this long (k/k:pkg/serviceaccount/claims.go). */
const DELETION_LEEWAY_MS = 60_000;
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** Finds out whose token this is; undefined if it is not a token that holds for one of the `audiences`. */
export async function serviceAccountHolder(
  token: string,
  audiences: readonly string[],
  options: ServiceAccountsOptions,
): Promise<TokenHolder | undefined> {
  if (!JWT.test(token)) return undefined;
  const verified = await options.tokens.verify(token, audiences);
  if (!verified) return secretHolder(token, audiences, options);
  const { claims } = verified;
  const bound = boundObjects(claims);
  const isAlive = () => bound.every(one => lives(one, options));
  if (!isAlive()) {
    // Account, pod and token may have been made a moment ago through another master.
    await options.cache.freshen();
    if (!isAlive()) return undefined;
  }
  return {
    identity: identityOf(claims),
    audiences: claims.audiences.filter(audience => audiences.includes(audience)),
    stillHolds: () => options.tokens.holds(verified, audiences) && isAlive(),
  };
}

const INVALID_SINCE = 'kubernetes.io/legacy-token-invalid-since';

/** The holder of a token that lies in a Secret: it holds while the Secret has it, for whoever asks this API server. */
async function secretHolder(
  token: string,
  audiences: readonly string[],
  { tokens, cache, clock }: ServiceAccountsOptions,
): Promise<TokenHolder | undefined> {
  const asked = audiences.filter(audience => audience === tokens.issuer);
  const subject = asked.length > 0 ? await tokens.readForSecret(token) : undefined;
  if (!subject) return undefined;
  const { namespace, secret, serviceAccount } = subject;
  const isAlive = () => {
    const account = { kind: SERVICE_ACCOUNT, namespace, id: serviceAccount };
    const found = cached({ cache }, SECRET, namespace, secret)?.parse<Secret>();
    return (
      found !== undefined &&
      found.metadata?.deletionTimestamp === undefined &&
      found.metadata?.labels?.[INVALID_SINCE] === undefined &&
      found.data?.token === Buffer.from(token).toString('base64') &&
      lives(account, { tokens, cache, clock })
    );
  };
  if (!isAlive()) {
    await cache.freshen();
    if (!isAlive()) return undefined;
  }
  const claims = { namespace, serviceAccount, audiences: asked, id: undefined };
  return { identity: identityOf(claims), audiences: asked };
}

interface Bound {
  readonly kind: KindDeclaration;
  readonly namespace: string;
  readonly id: ObjectId;
}

function boundObjects({ namespace, serviceAccount, pod, secret, node }: TokenClaims): Bound[] {
  const bound: Bound[] = [{ kind: SERVICE_ACCOUNT, namespace, id: serviceAccount }];
  if (pod) bound.push({ kind: POD, namespace, id: pod });
  if (secret) bound.push({ kind: SECRET, namespace, id: secret });
  // A pod's token only tells its node.
  if (node?.uid && !pod && !secret) bound.push({ kind: NODE, namespace: '', id: { name: node.name, uid: node.uid } });
  return bound;
}

function lives({ kind, namespace, id }: Bound, { cache, clock }: ServiceAccountsOptions): boolean {
  const life = cached({ cache }, kind, namespace, id.name)?.life;
  if (life?.uid !== id.uid) return false;
  const { deletionTimestamp } = life;
  return deletionTimestamp === undefined || Date.parse(deletionTimestamp) + DELETION_LEEWAY_MS > clock.now();
}

function identityOf({ namespace, serviceAccount, pod, node, id }: TokenClaims): Identity {
  const told: [string, string | undefined][] = [
    ['credential-id', id && `JTI=${id}`],
    ['node-name', node?.name],
    ['node-uid', node?.uid],
    ['pod-name', pod?.name],
    ['pod-uid', pod?.uid],
  ];
  const extra: Record<string, readonly string[]> = {};
  for (const [name, value] of told) if (value) extra[`authentication.kubernetes.io/${name}`] = [value];
  return {
    user: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    uid: serviceAccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    extra,
  };
}
