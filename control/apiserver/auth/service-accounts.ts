/** Who a ServiceAccount token stands for, as long as the account and what the token is bound to still exist. */
import { nodes, pods, secrets, serviceaccounts } from '../../api/generated/kinds.ts';
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
  const claims = await options.tokens.read(token, audiences);
  if (!claims) return undefined;
  const isAlive = () => boundObjects(claims).every(bound => lives(bound, options));
  if (!isAlive()) {
    // Account, pod and token may have been made a moment ago through another master.
    await options.cache.freshen();
    if (!isAlive()) return undefined;
  }
  return {
    identity: identityOf(claims),
    audiences: claims.audiences.filter(audience => audiences.includes(audience)),
  };
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
  const { metadata } = cached({ cache }, kind, namespace, id.name)?.parse() ?? {};
  if (metadata?.uid !== id.uid) return false;
  const { deletionTimestamp } = metadata;
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
