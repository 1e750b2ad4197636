/**
 * The servers of one etcd. All are asked how they are, the first that can answer consistently is used until it fails, then
 * they are asked again.
 */
import { InvalidRequestError, UnavailableError } from '../../client/client.ts';
import { retry } from '../../client/retry.ts';
import type { Clock } from '../../clock.ts';
import { CLIENT_TIMEOUT_MS } from '../../limits.ts';
import type { Method } from '../proto/services.ts';
import { Endpoint, type EtcdStatus, type EtcdTls, isHealthy } from './endpoint.ts';
import { type CallKind, isEndpointsFault, unavailable } from './errors.ts';
import { READ_ATTEMPT_MS } from './limits.ts';

export interface EndpointsOptions {
  /** `http://` or `https://` of each server that is known; at least one. */
  readonly urls: readonly string[];
  readonly tls?: EtcdTls;
  readonly clock: Clock;
  readonly random: () => number;
  /** How long a call tries to get an answer. */
  readonly timeoutMs?: number;
}
/** A server that was well when it was last asked. */
export interface Chosen {
  readonly endpoint: Endpoint;
  readonly status: EtcdStatus;
}

export class Endpoints {
  readonly #all: readonly Endpoint[];
  readonly #retryOptions: Parameters<typeof retry>[1];
  #current: Chosen | undefined;
  #choosing: Promise<Chosen> | undefined;
  #isClosed = false;

  constructor({ urls, tls, clock, random, timeoutMs = CLIENT_TIMEOUT_MS }: EndpointsOptions) {
    if (urls.length === 0) throw new InvalidRequestError('a client of etcd needs the address of a server');
    this.#all = urls.map(url => new Endpoint({ url, clock, ...(tls === undefined ? {} : { tls }) }));
    const isSafe = (error: unknown) => !this.#isClosed && error instanceof UnavailableError;
    this.#retryOptions = { clock, random, timeoutMs, isSafe };
  }

  /** Calls one server after the other until one answers. What may change something is repeated only if it did not. */
  call<Req, Res>(method: Method<Req, unknown, never, Res>, request: Req, kind: CallKind): Promise<Res> {
    return this.use((endpoint, leftMs) => {
      const timeoutMs = kind === 'read' ? Math.min(leftMs, READ_ATTEMPT_MS) : leftMs;
      return endpoint.call(method, request, { kind, timeoutMs });
    });
  }

  /** The same for what is more than a plain call; `action` throws UnavailableError only for what may be repeated. */
  use<Value>(action: (endpoint: Endpoint, leftMs: number) => Promise<Value>): Promise<Value> {
    return retry(async leftMs => {
      const { endpoint } = await this.chosen();
      try {
        return await action(endpoint, leftMs);
      } catch (error) {
        if (isEndpointsFault(error)) this.leave(endpoint);
        throw error;
      }
    }, this.#retryOptions);
  }

  /** The server in use. @throws {UnavailableError} if none answers */
  chosen(): Promise<Chosen> {
    if (this.#isClosed) return Promise.reject(unavailable('the store client is closed'));
    if (this.#current !== undefined) return Promise.resolve(this.#current);
    this.#choosing ??= this.#choose().finally(() => {
      this.#choosing = undefined;
    });
    return this.#choosing;
  }

  /** The same, waiting for one that can answer as long as a call would. */
  anyChosen(): Promise<Chosen> {
    return retry(() => this.chosen(), this.#retryOptions);
  }

  /** After a failure that another server may not have. */
  leave(endpoint: Endpoint): void {
    if (this.#current?.endpoint === endpoint) this.#current = undefined;
  }

  close(): void {
    this.#isClosed = true;
    for (const endpoint of this.#all) endpoint.close();
  }

  async #choose(): Promise<Chosen> {
    const probes = this.#all.map(async endpoint => ({ endpoint, status: await endpoint.status() }));
    const healthy = probes.map(async probe => {
      const chosen = await probe;
      if (!isHealthy(chosen.status)) throw unavailable(`${chosen.endpoint.url} knows no leader`);
      return chosen;
    });
    this.#current = await Promise.any(healthy).catch((failures: AggregateError) => {
      const reasons = failures.errors.map(error => (error instanceof Error ? error.message : String(error)));
      throw unavailable(`no etcd server can answer: ${reasons.join('; ')}`, failures);
    });
    return this.#current;
  }
}
