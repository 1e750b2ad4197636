/**
 * Who asks. In this order: a proxy in front that says so in headers, a client certificate that our CA signed (CN is the user, O the groups), a bearer token (a
 * static one, a bootstrap token from kube-system, or a service account's), else anonymous. A token that is wrong is refused, never taken for
 * anonymous.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../api/generated/types.ts';
import { ApiError } from '../../api/status.ts';
import type { Clock, Exchange, Identity } from '../types.ts';
import type { ConfiguredAuthentication } from './configured-authentication.ts';
import type { TokenIdentifier } from './jwt-authenticator.ts';
import { proxiedIdentity, type RequestHeaderOptions } from './request-header.ts';
import {
  type ServiceAccountsOptions,
  serviceAccountHolder,
  type TokenHolder,
  type TokenPurpose,
} from './service-accounts.ts';

export interface StaticToken {
  readonly token: string;
  readonly identity: Identity;
}

export interface AuthenticationOptions {
  readonly clock: Clock;
  readonly staticTokens: readonly StaticToken[];
  /** Reads a Secret of kube-system; undefined if there is none. */
  readBootstrapSecret(name: string): Promise<Secret | undefined>;
  /** Proxies in front that authenticate users; undefined if there are none. */
  readonly requestHeader?: RequestHeaderOptions;
  /** True if whoever says nothing of himself is refused, instead of being anonymous. */
  readonly refusesAnonymous?: boolean;
  /** Undefined where service accounts have no tokens. */
  readonly serviceAccounts: ServiceAccountsOptions | undefined;
  /** A provider that vouches for users; undefined if there is none. */
  readonly oidc?: TokenIdentifier;
  /** What an AuthenticationConfiguration says of issuers and of who says nothing of himself. */
  readonly configured?: Pick<ConfiguredAuthentication, 'identify' | 'admitsAnonymous'>;
}

export const ANONYMOUS: Identity = { user: 'system:anonymous', groups: ['system:unauthenticated'] };
const EVERYONE = 'system:authenticated';
const BOOTSTRAP_TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const BOOTSTRAP_GROUP = 'system:bootstrappers';

/** Finds out who sent the request. Throws 401 for a token that does not hold. */
export async function authenticate(exchange: Exchange, options: AuthenticationOptions): Promise<Identity> {
  const { clientCertificate } = exchange;
  const proxied = options.requestHeader && proxiedIdentity(exchange, options.requestHeader);
  if (proxied) return known(proxied);
  if (clientCertificate?.isClient) {
    return known({ user: clientCertificate.commonName, groups: clientCertificate.organizations });
  }
  const again = holderShown(exchange);
  if (again) return again.identity;
  const token = bearerToken(exchange);
  if (token === undefined) {
    const isAdmitted = options.configured?.admitsAnonymous(exchange.info.path) ?? !options.refusesAnonymous;
    if (!isAdmitted) throw new ApiError('Unauthorized', 'Unauthorized');
    return ANONYMOUS;
  }
  const holder = await authenticateToken(token, { audiences: [], notes: exchange }, options);
  if (holder) {
    remember(exchange, holder);
    return holder.identity;
  }
  throw new ApiError('Unauthorized', 'Unauthorized');
}

interface Shown {
  readonly authorization: string;
  readonly holder: TokenHolder;
}

/**
 * What each connection showed last, and who that was: it mostly shows the same again, and to take a digest of it, look it up
 * and make its holder anew costs as much as a small get. One for each connection, and gone with it.
 */
const shownBy = new WeakMap<object, Shown>();

/** The holder of the token that this connection shows again, if it still holds. */
function holderShown({ connection, headers }: Exchange): TokenHolder | undefined {
  const shown = connection && shownBy.get(connection);
  return shown && shown.authorization === headers.authorization && shown.holder.stillHolds?.() === true
    ? shown.holder
    : undefined;
}

function remember({ connection, headers }: Exchange, holder: TokenHolder): void {
  const { authorization } = headers;
  // A token that came as a subprotocol is not what the Authorization header says.
  if (!connection || authorization === undefined || headers['sec-websocket-protocol'] !== undefined) return;
  if (holder.stillHolds) shownBy.set(connection, { authorization, holder });
}

/**
 * Finds out who holds a token that is good for one of the audiences of its purpose; none means this server's own. Tokens that name no
 * audience are for this server.
 */
export async function authenticateToken(
  token: string,
  { audiences, notes }: TokenPurpose,
  options: AuthenticationOptions,
): Promise<TokenHolder | undefined> {
  const { serviceAccounts, staticTokens } = options;
  const own = serviceAccounts ? [serviceAccounts.tokens.issuer] : [];
  const wanted = audiences.length > 0 ? audiences : own;
  if (serviceAccounts) {
    const holder = await serviceAccountHolder(token, { audiences: wanted, ...(notes && { notes }) }, serviceAccounts);
    if (holder) return { ...holder, identity: known(holder.identity) };
  }
  const met = wanted.filter(audience => own.includes(audience));
  if (met.length === 0 && wanted.length > 0) return undefined;
  const identity =
    staticTokens.find(candidate => isSame(candidate.token, token))?.identity ??
    (await bootstrapIdentity(token, options)) ??
    (await options.oidc?.identify(token)) ??
    (await options.configured?.identify(token));
  return identity && { identity: known(identity), audiences: met };
}

/** Everybody who is known is in one group; but not the anonymous one, should a proxy name him. */
function known(identity: Identity): Identity {
  if (identity.user === ANONYMOUS.user) return identity;
  return identity.groups.includes(EVERYONE) ? identity : { ...identity, groups: [...identity.groups, EVERYONE] };
}

/** The token of the Authorization header, or of a WebSocket subprotocol as browsers send it. */
function bearerToken({ headers }: Exchange): string | undefined {
  const match = /^bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? '');
  if (match) return match[1];
  const protocol = /(?:^|,)\s*base64url\.bearer\.authorization\.k8s\.io\.([\w-]+)/.exec(
    headers['sec-websocket-protocol'] ?? '',
  );
  return protocol?.[1] && Buffer.from(protocol[1], 'base64url').toString();
}

/** Bootstrap tokens are Secrets `bootstrap-token-ID` of kube-system, allowed for authentication, and not past their end. */
async function bootstrapIdentity(token: string, options: AuthenticationOptions): Promise<Identity | undefined> {
  const [, id, secret] = BOOTSTRAP_TOKEN.exec(token) ?? [];
  if (!id || !secret) return undefined;
  const object = await options.readBootstrapSecret(`bootstrap-token-${id}`);
  if (object?.type !== 'bootstrap.kubernetes.io/token' || object.metadata?.deletionTimestamp) return undefined;
  const field = (name: string) => Buffer.from(object.data?.[name] ?? '', 'base64').toString();
  if (field('token-id') !== id || !isSame(field('token-secret'), secret)) return undefined;
  if (field('usage-bootstrap-authentication') !== 'true') return undefined;
  const expiration = field('expiration');
  if (expiration !== '' && !(Date.parse(expiration) > options.clock.now())) return undefined;
  const extraGroups = field('auth-extra-groups')
    .split(',')
    .filter(group => group.startsWith(`${BOOTSTRAP_GROUP}:`));
  return { user: `system:bootstrap:${id}`, groups: [BOOTSTRAP_GROUP, ...extraGroups] };
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length > 0 && left.length === right.length && timingSafeEqual(left, right);
}
