/**
 * Speaking as somebody else (apiserver/pkg/endpoints/filters/impersonation.go): the headers say as whom, and each of user,
 * groups, uid and extra needs the verb `impersonate` on it.
 */
import { textReply } from '../http/replies.ts';
import type { Exchange, Identity, Reply } from '../types.ts';
import { type Attributes, resourceAttributes, type Verdict } from './attributes.ts';
import { denial } from './authorization.ts';

const PREFIX = 'impersonate-';
const USER = `${PREFIX}user`;
const GROUP = `${PREFIX}group`;
const UID = `${PREFIX}uid`;
const EXTRA = `${PREFIX}extra-`;
const ANONYMOUS_USER = 'system:anonymous';
const AUTHENTICATED = 'system:authenticated';
const UNAUTHENTICATED = 'system:unauthenticated';
const AUTHENTICATION_GROUP = 'authentication.k8s.io';
const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;

/** What the headers ask for. */
export interface Wanted {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid: string;
  /** Keys as they are meant, with their values in order. */
  readonly extra: ReadonlyMap<string, readonly string[]>;
}

/** Reads the headers; undefined if there are none. */
export function wantedIdentity(exchange: Pick<Exchange, 'headers' | 'headerValues'>): Wanted | undefined {
  const { headers } = exchange;
  const extra = new Map<string, readonly string[]>();
  for (const name of Object.keys(headers)) {
    if (!name.startsWith(EXTRA)) continue;
    extra.set(unescapeKey(name.slice(EXTRA.length)), valuesOf(exchange, name));
  }
  const groups = valuesOf(exchange, GROUP);
  const [user = ''] = valuesOf(exchange, USER, false);
  const [uid = ''] = valuesOf(exchange, UID, false);
  return user === '' && uid === '' && groups.length === 0 && extra.size === 0
    ? undefined
    : { user, groups, uid, extra };
}

/** True if a request wants to be somebody else's. */
export function isImpersonating(headers: Exchange['headers']): boolean {
  for (const name in headers) if (name.startsWith(PREFIX)) return true;
  return false;
}

/** Connections know each header as it came; callers in the process join several with commas. */
function valuesOf(exchange: Pick<Exchange, 'headers' | 'headerValues'>, name: string, isList = true) {
  if (exchange.headerValues) return exchange.headerValues(name);
  const value = exchange.headers[name];
  if (value === undefined) return [];
  return isList ? value.split(',').map(part => part.trim()) : [value];
}

/** Keys are percent-encoded where they hold what a header's name cannot. */
function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/** True if it says what somebody is, but not who: 500, as Kubernetes answers. */
export const lacksUser = ({ user }: Wanted): boolean => user === '';

export function refuseWithoutUser({ path }: { readonly path: string }, wanted: Wanted): Reply {
  const asked = [
    ...wanted.groups.map(group => `{Group  ${group}    }`),
    ...[...wanted.extra].flatMap(([key, values]) =>
      values.map(value => `{UserExtra  ${value}  ${AUTHENTICATION_GROUP}/v1  ${key}}`),
    ),
    ...(wanted.uid === '' ? [] : [`{UID  ${wanted.uid}  ${AUTHENTICATION_GROUP}/v1  }`]),
  ];
  return textReply(
    500,
    `Internal Server Error: ${JSON.stringify(path)}: requested [${asked.join(' ')}] without impersonating a user\n`,
  );
}

/** What the asker must be allowed, in the order in which Kubernetes asks. */
export function impersonationChecks(asker: Identity, { user, groups, uid, extra }: Wanted): Attributes[] {
  const verb = 'impersonate';
  const [, namespace, account] = SERVICE_ACCOUNT.exec(user) ?? [];
  const about =
    namespace !== undefined && account !== undefined
      ? { resource: 'serviceaccounts', namespace, name: account }
      : { resource: 'users', name: user };
  return [
    resourceAttributes(asker, { verb, ...about }),
    ...groups.map(name => resourceAttributes(asker, { verb, resource: 'groups', name })),
    ...[...extra].flatMap(([subresource, values]) =>
      values.map(name =>
        resourceAttributes(asker, { verb, group: AUTHENTICATION_GROUP, resource: 'userextras', subresource, name }),
      ),
    ),
    ...(uid === ''
      ? []
      : [resourceAttributes(asker, { verb, group: AUTHENTICATION_GROUP, resource: 'uids', name: uid })]),
  ];
}

/** Who one then is. */
export function impersonated({ user, groups: given, uid, extra }: Wanted): Identity {
  const [, namespace] = SERVICE_ACCOUNT.exec(user) ?? [];
  const groups = [...given];
  if (namespace !== undefined && groups.length === 0) {
    groups.push('system:serviceaccounts', `system:serviceaccounts:${namespace}`);
  }
  const isPlaced = groups.some(
    group => group === UNAUTHENTICATED || (group === AUTHENTICATED && user !== ANONYMOUS_USER),
  );
  if (!isPlaced) groups.push(user === ANONYMOUS_USER ? UNAUTHENTICATED : AUTHENTICATED);
  return {
    user,
    groups,
    ...(uid !== '' && { uid }),
    ...(extra.size > 0 && { extra: Object.fromEntries(extra) }),
  };
}

/** Gives the identity that is wanted. Throws 403 where one of it is not allowed. */
export async function impersonate(
  asker: Identity,
  wanted: Wanted,
  authorize: (asked: Attributes) => Promise<Verdict>,
): Promise<Identity> {
  for (const check of impersonationChecks(asker, wanted)) {
    const verdict = await authorize(check);
    if (!verdict.allowed) throw denial(check, verdict.reason);
  }
  return impersonated(wanted);
}
