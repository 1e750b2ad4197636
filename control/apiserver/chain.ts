/**
 * The chain that every request passes, as one list to be read from top to bottom. Each filter either answers or hands on;
 * whatever is thrown anywhere becomes a Status at the top.
 */
import { FencedError } from '../../store/index.ts';
import { ApiError, badRequest } from '../api/status.ts';
import type { Auditor } from './audit/audit.ts';
import { attributesOf } from './auth/attributes.ts';
import { ANONYMOUS, type AuthenticationOptions, authenticate } from './auth/authentication.ts';
import { denial } from './auth/authorization.ts';
import type { Authorizer } from './auth/authorizer.ts';
import { impersonate, isImpersonating, lacksUser, refuseWithoutUser, wantedIdentity } from './auth/impersonation.ts';
import type { WatchCache } from './cache/watch-cache.ts';
import { findRoute, identityOf } from './exchange.ts';
import type { Fairness } from './fairness/fairness.ts';
import { fairnessFilter } from './fairness/filter.ts';
import { isForPeople, prettyReply } from './http/pretty.ts';
import { errorReply, toApiError } from './http/replies.ts';
import type { Limits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import type { Clock, Exchange, Handler, Logger, Reply, Route } from './types.ts';
import { readDuration } from './verbs/options.ts';

export type Filter = (exchange: Exchange, next: Handler) => Promise<Reply>;

export interface AuditRecord {
  readonly user: string;
  readonly verb: string;
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
  /** What admission said of the request. */
  readonly annotations: ReadonlyMap<string, string>;
}

export interface ChainOptions {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly authentication: AuthenticationOptions;
  readonly authorizer: Authorizer;
  readonly fairness: Fairness;
  readonly cache: WatchCache;
  /** The product's own paths say themselves who may use them. */
  readonly routes: readonly Route[];
  /** Called for every request that was answered. */
  readonly audit?: (record: AuditRecord) => void;
  /** Writes requests down as a policy says. */
  readonly auditor?: Auditor;
  readonly newUid: () => string;
}

/**
 * Puts the filters before `handler`. One that has nothing to do with a request gives what the next one gives: to wait for it
 * would cost each request a few promises and turns of the microtask queue a filter.
 */
export function makeChain(options: ChainOptions, handler: Handler): Handler {
  const filters: readonly Filter[] = [
    addHeaders,
    layOut,
    tellFailures(options),
    measure(options),
    limitTime(options),
    authenticateFilter(options),
    ...(options.audit ? [audit(options.audit, options.clock)] : []),
    ...(options.auditor ? [writeDown(options.auditor, options.newUid)] : []),
    impersonateFilter(options),
    fairnessFilter(options.fairness, { cache: options.cache, isExempt: isStream }),
    authorizeFilter(options),
  ];
  return filters.reduceRight<Handler>((next, filter) => exchange => filter(exchange, next), handler);
}

/** Streams and watches last; they have limits of their own. */
export function isLongRunning(exchange: Exchange): boolean {
  return (exchange.info.isResource && exchange.info.verb === 'watch') || isStream(exchange);
}

function isStream({ info }: Exchange): boolean {
  if (!info.isResource) return false;
  return (
    (info.resource === 'pods' && ['exec', 'attach', 'portforward', 'log'].includes(info.subresource)) ||
    info.subresource === 'proxy'
  );
}

/** Nothing is added to what callers in the process are answered. */
const addHeaders: Filter = (exchange, next) =>
  exchange.isInProcess ? next(exchange) : next(exchange).then(reply => withHeaders(reply, exchange.answerHeaders));

function withHeaders(reply: Reply, headers: Exchange['answerHeaders']): Reply {
  return headers && !('taken' in reply) ? { ...reply, headers: { ...reply.headers, ...headers } } : reply;
}

/** People get answers, and errors, that they can read. */
const layOut: Filter = (exchange, next) => (isForPeople(exchange) ? next(exchange).then(prettyReply) : next(exchange));

function tellFailures({ logger }: ChainOptions): Filter {
  return async (exchange, next) => {
    try {
      return await next(exchange);
    } catch (error) {
      const told = toApiError(error);
      if (told.code >= 500) {
        logger.warn({ path: exchange.info.path, verb: exchange.info.verb, error: describe(error) }, 'a request failed');
      }
      return errorReply(told);
    }
  };
}
const describe = (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error));

function measure({ metrics, clock }: ChainOptions): Filter {
  return async (exchange, next) => {
    const start = clock.now();
    let status = 500;
    try {
      const reply = await next(exchange);
      status = reply.status;
      return reply;
    } catch (error) {
      status = toApiError(error).code;
      if (error instanceof FencedError) metrics.fenced();
      throw error;
    } finally {
      metrics.observe(exchange, status, clock.now() - start);
    }
  };
}

/** Whoever waits for others on the request's behalf learns by its signal that nobody waits for the answer any more. */
function limitTime({ limits, clock }: ChainOptions): Filter {
  return (exchange, next) => {
    if (isLongRunning(exchange)) return next(exchange);
    const timeoutMs = Math.min(readTimeout(exchange.query) ?? limits.requestMsMax, limits.requestMsMax);
    return new Promise<Reply>((resolve, reject) => {
      const cancel = clock.setTimeout(() => {
        const error = new ApiError('Timeout', 'Timeout: request did not complete within the allotted time', {
          details: { kind: exchange.info.resource },
        });
        exchange.end(error);
        reject(error);
      }, timeoutMs);
      next(exchange).then(
        reply => {
          cancel();
          resolve(reply);
        },
        error => {
          cancel();
          reject(error);
        },
      );
    });
  };
}

/** What `?timeout=` grants, in milliseconds; undefined where it says nothing. Throws 400. */
function readTimeout(query: URLSearchParams): number | undefined {
  const text = query.get('timeout') ?? '';
  if (text === '') return undefined;
  const seconds = readDuration(text);
  if (seconds === undefined && !/^[+-]?0$/.test(text)) {
    throw badRequest(`invalid timeout specified in the request URL - time: invalid duration ${JSON.stringify(text)}`);
  }
  // None is as much as there is.
  return seconds ? seconds * 1000 : undefined;
}

function authenticateFilter({ authentication, routes, auditor, newUid }: ChainOptions): Filter {
  const authenticated: Filter = async (exchange, next) => {
    exchange.answerHeaders = { 'audit-id': auditIdOf(exchange, newUid) };
    if (findRoute(routes, exchange)?.authenticate === false) exchange.identity ??= ANONYMOUS;
    try {
      exchange.identity ??= await authenticate(exchange, authentication);
    } catch (error) {
      const status = toApiError(error).toStatus();
      auditor?.refused(exchange, { auditId: exchange.answerHeaders['audit-id'] ?? newUid(), status });
      throw error;
    }
    return next(exchange);
  };
  // Callers in the process say themselves who they are.
  return (exchange, next) => (exchange.isInProcess ? next(exchange) : authenticated(exchange, next));
}

const AUDIT_ID_LENGTH_MAX = 64;

/** A client may give its request a name; what is no name is passed over. */
function auditIdOf({ headers }: Exchange, newUid: () => string): string {
  const given = headers['audit-id'] ?? '';
  return given !== '' && given.length <= AUDIT_ID_LENGTH_MAX && /^[\x21-\x7e]+$/.test(given) ? given : newUid();
}

function writeDown(auditor: Auditor, newUid: () => string): Filter {
  return async (exchange, next) => {
    const auditId = exchange.answerHeaders?.['audit-id'] ?? newUid();
    return auditor.run(exchange, next, { auditId, isLongRunning: isLongRunning(exchange) });
  };
}

function audit(record: (record: AuditRecord) => void, clock: Clock): Filter {
  return async (exchange, next) => {
    const start = clock.now();
    const tell = (status: number) => {
      const { verb, path } = exchange.info;
      record({
        user: exchange.identity?.user ?? '',
        verb,
        path,
        status,
        durationMs: clock.now() - start,
        annotations: exchange.auditAnnotations,
      });
    };
    try {
      const reply = await next(exchange);
      tell(reply.status);
      return reply;
    } catch (error) {
      tell(toApiError(error).code);
      throw error;
    }
  };
}

/** Behind this filter, whoever is impersonated is who asks. */
function impersonateFilter({ authorizer }: ChainOptions): Filter {
  const speakAsAnother: Filter = async (exchange, next) => {
    const wanted = wantedIdentity(exchange);
    if (!wanted) return next(exchange);
    if (lacksUser(wanted)) return refuseWithoutUser(exchange.info, wanted);
    exchange.identity = await impersonate(identityOf(exchange), wanted, asked => authorizer.authorize(asked));
    return next(exchange);
  };
  return (exchange, next) => (isImpersonating(exchange.headers) ? speakAsAnother(exchange, next) : next(exchange));
}

function authorizeFilter({ routes, authorizer, auditor }: ChainOptions): Filter {
  return async (exchange, next) => {
    const identity = identityOf(exchange);
    const route = findRoute(routes, exchange);
    if (route && (!route.authenticate || identity.user !== ANONYMOUS.user)) return next(exchange);
    const asked = attributesOf(identity, exchange.info, exchange.query);
    const verdict = await authorizer.authorize(asked);
    if (auditor) {
      exchange.auditAnnotations.set('authorization.k8s.io/decision', verdict.allowed ? 'allow' : 'forbid');
      exchange.auditAnnotations.set('authorization.k8s.io/reason', verdict.reason ?? '');
    }
    if (!verdict.allowed) throw denial(asked, verdict.reason);
    return next(exchange);
  };
}
