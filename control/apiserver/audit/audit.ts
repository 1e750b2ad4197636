/** Writes down requests as a policy says: when they come, when a stream begins, and when they are answered. */
import type { Status } from '../../api/generated/types.ts';
import { toApiError } from '../http/replies.ts';
import type { Clock, Exchange, Handler, Identity, Reply } from '../types.ts';
import { type EventFacts, eventOf, type SentObject, withoutManagedFields } from './event.ts';
import { type AuditPolicy, type Decision, decide, type Stage } from './policy.ts';

export interface AuditorOptions {
  readonly policy: AuditPolicy;
  readonly clock: Clock;
  /** Takes one line of JSON. Must neither throw nor wait. */
  readonly write: (line: string) => void;
}

const ANONYMOUS_IDENTITY: Identity = { user: '', groups: [] };

export class Auditor {
  readonly #options: AuditorOptions;

  constructor(options: AuditorOptions) {
    this.#options = options;
  }

  /** Runs a request of a known user, and writes down what the policy wants to have of it. */
  async run(
    exchange: Exchange,
    next: Handler,
    { auditId, isLongRunning }: { readonly auditId: string; readonly isLongRunning: boolean },
  ): Promise<Reply> {
    const decision = decide(this.#options.policy, {
      identity: exchange.identity ?? ANONYMOUS_IDENTITY,
      info: exchange.info,
    });
    if (decision.level === 'None') return next(exchange);
    const entry = new Entry(exchange, { ...this.#options, auditId, decision });
    entry.tell('RequestReceived');
    try {
      const reply = await next(exchange);
      if (isLongRunning) return entry.follow(reply);
      entry.answered(reply);
      return reply;
    } catch (error) {
      const told = toApiError(error);
      entry.failed(told.toStatus());
      throw error;
    }
  }

  /** Somebody who could not say who he is. */
  refused(exchange: Exchange, { auditId, status }: { readonly auditId: string; readonly status: Status }): void {
    const decision = decide(this.#options.policy, { identity: ANONYMOUS_IDENTITY, info: exchange.info });
    if (decision.level === 'None') return;
    new Entry(exchange, { ...this.#options, auditId, decision }).failed(status);
  }
}

/** What is known of one request. */
class Entry {
  readonly #exchange: Exchange;
  readonly #options: AuditorOptions & { readonly auditId: string; readonly decision: Decision };
  readonly #user: Identity | undefined;
  readonly #receivedMs: number;
  #body: Uint8Array | undefined;

  constructor(exchange: Exchange, options: AuditorOptions & { readonly auditId: string; readonly decision: Decision }) {
    this.#exchange = exchange;
    this.#options = options;
    this.#user = exchange.identity;
    this.#receivedMs = options.clock.now();
    const { readBody } = exchange;
    exchange.readBody = async () => {
      this.#body = await readBody.call(exchange);
      return this.#body;
    };
  }

  tell(stage: Stage, more: Pick<Partial<EventFacts>, 'responseStatus' | 'responseObject'> = {}): void {
    const { auditId, decision, clock, write } = this.#options;
    if (decision.omitStages.has(stage)) return;
    const exchange = this.#exchange;
    const impersonated = exchange.identity === this.#user ? undefined : exchange.identity;
    const sent = this.#sent();
    const hasObjects = decision.level === 'Request' || decision.level === 'RequestResponse';
    const shown = (object: unknown) => (decision.omitManagedFields ? withoutManagedFields(object) : object);
    write(
      JSON.stringify(
        eventOf({
          level: decision.level,
          stage,
          auditId,
          exchange,
          user: this.#user,
          impersonated,
          sent: sent as SentObject | undefined,
          responseStatus: more.responseStatus,
          requestObject: hasObjects ? shown(sent) : undefined,
          responseObject: decision.level === 'RequestResponse' ? shown(more.responseObject) : undefined,
          receivedMs: this.#receivedMs,
          nowMs: clock.now(),
        }),
      ),
    );
  }

  answered(reply: Reply): void {
    const isSmall = !('taken' in reply) && reply.body instanceof Uint8Array;
    // A list that goes out in slices is never whole in memory, and is not put together for the log.
    const object = isSmall && this.#options.decision.level === 'RequestResponse' ? parsed(reply.body) : undefined;
    const failure = reply.status >= 400 && isSmall ? (parsed(reply.body) as Status | undefined) : undefined;
    this.tell('ResponseComplete', { responseStatus: { code: reply.status, failure }, responseObject: object });
  }

  failed(failure: Status): void {
    this.tell('ResponseComplete', {
      responseStatus: { code: failure.code ?? 0, failure },
      responseObject: failure,
    });
  }

  /** A stream has begun; its end is told when it comes. */
  follow(reply: Reply): Reply {
    const responseStatus = { code: reply.status, failure: undefined };
    this.tell('ResponseStarted', { responseStatus });
    const done = () => this.tell('ResponseComplete', { responseStatus });
    if ('taken' in reply || reply.body instanceof Uint8Array) {
      done();
      return reply;
    }
    return { ...reply, body: untilEnd(reply.body, done) };
  }

  #sent(): unknown {
    const { verb } = this.#exchange.info;
    const isObject = ['create', 'update', 'patch', 'delete', 'deletecollection'].includes(verb);
    return isObject && this.#body && this.#body.length > 0 ? parsed(this.#body) : undefined;
  }
}

function parsed(bytes: Uint8Array | AsyncIterable<Uint8Array>): unknown {
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  } catch {
    return undefined;
  }
}

async function* untilEnd(body: AsyncIterable<Uint8Array>, done: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } finally {
    done();
  }
}
