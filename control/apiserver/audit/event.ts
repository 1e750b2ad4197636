/** One line of the audit log: an Event of audit.k8s.io/v1, with its fields in Kubernetes' order. Pure. */
import type { Status } from '../../api/generated/types.ts';
import type { Exchange, Identity } from '../types.ts';
import type { AuditLevel, Stage } from './policy.ts';

export interface EventFacts {
  readonly level: AuditLevel;
  readonly stage: Stage;
  readonly auditId: string;
  readonly exchange: Pick<Exchange, 'url' | 'info' | 'headers' | 'remoteAddress' | 'auditAnnotations'>;
  readonly user: Identity | undefined;
  readonly impersonated: Identity | undefined;
  /** What the body says of the object, where the path does not. */
  readonly sent: SentObject | undefined;
  readonly responseStatus: { readonly code: number; readonly failure: Status | undefined } | undefined;
  readonly requestObject: unknown;
  readonly responseObject: unknown;
  readonly receivedMs: number;
  readonly nowMs: number;
}

/** The part of an object that tells which it is. */
export interface SentObject {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
  };
}

/** Values of bearer tokens stand in no header that is written, and these never in the address. */
export function eventOf(facts: EventFacts): object {
  const { exchange, responseStatus, user, impersonated } = facts;
  const addresses = sourcesOf(exchange);
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: facts.level,
    auditID: facts.auditId,
    stage: facts.stage,
    requestURI: exchange.url,
    verb: exchange.info.verb,
    user: user ? userOf(user) : {},
    ...(impersonated && { impersonatedUser: userOf(impersonated) }),
    ...(addresses.length > 0 && { sourceIPs: addresses }),
    ...(exchange.headers['user-agent'] && { userAgent: exchange.headers['user-agent'] }),
    ...(exchange.info.isResource && { objectRef: referenceOf(facts) }),
    ...(responseStatus && { responseStatus: statusOf(responseStatus) }),
    ...(facts.requestObject !== undefined && { requestObject: facts.requestObject }),
    ...(facts.responseObject !== undefined && { responseObject: facts.responseObject }),
    requestReceivedTimestamp: microTime(facts.receivedMs),
    stageTimestamp: microTime(facts.nowMs),
    ...(exchange.auditAnnotations.size > 0 && { annotations: Object.fromEntries(exchange.auditAnnotations) }),
  };
}

function userOf({ user, uid, groups, extra }: Identity): object {
  return {
    username: user,
    ...(uid && { uid }),
    groups,
    ...(extra && Object.keys(extra).length > 0 && { extra }),
  };
}

/** Who says so in headers is written first, as proxies append; then who is really there. */
function sourcesOf({ headers, remoteAddress }: EventFacts['exchange']): string[] {
  const told = (headers['x-forwarded-for'] ?? '')
    .split(',')
    .map(address => address.trim())
    .filter(address => /^[0-9a-fA-F.:]+$/.test(address));
  const own = remoteAddress.replace(/^::ffff:/, '');
  return own === '' || told.at(-1) === own ? told : [...told, own];
}

function referenceOf({ exchange: { info }, sent }: EventFacts): object {
  const { name, namespace, uid, resourceVersion } = sent?.metadata ?? {};
  const place = info.namespace || namespace;
  const called = info.name || name;
  return {
    resource: info.resource,
    ...(place && { namespace: place }),
    ...(called && { name: called }),
    ...(uid && { uid }),
    ...(info.group && { apiGroup: info.group }),
    apiVersion: info.version,
    ...(resourceVersion && { resourceVersion }),
    ...(info.subresource && { subresource: info.subresource }),
  };
}

function statusOf({ code, failure }: NonNullable<EventFacts['responseStatus']>): object {
  if (!failure) return { metadata: {}, code };
  const { status, message, reason, details } = failure;
  return {
    metadata: {},
    ...(status && { status }),
    ...(message && { message }),
    ...(reason && { reason }),
    ...(details && { details }),
    code,
  };
}

/** metav1.MicroTime. */
function microTime(ms: number): string {
  return `${new Date(Math.floor(ms)).toISOString().slice(0, 23)}000Z`;
}

/** An object without the book-keeping of who owns which field. */
export function withoutManagedFields(object: unknown): unknown {
  if (typeof object !== 'object' || object === null) return object;
  const { metadata, items } = object as { readonly metadata?: object; readonly items?: unknown };
  const { managedFields: _, ...rest } = (metadata ?? {}) as { readonly managedFields?: unknown };
  return {
    ...object,
    ...(metadata && { metadata: rest }),
    ...(Array.isArray(items) && { items: items.map(withoutManagedFields) }),
  };
}
