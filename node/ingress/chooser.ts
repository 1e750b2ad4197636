/**
 * Which endpoint gets the next request: one after the other, those that could not be connected to a moment ago last. With
 * `sessionAffinity: ClientIP` a client stays with its endpoint as long as that is there; its first one is chosen by a hash, so
 * that all nodes choose alike.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Backend, Endpoint } from './backends.ts';
import { AFFINITY_CLIENTS_MAX, ENDPOINT_REST_MS, RESTING_ENDPOINTS_MAX } from './limits.ts';

type Endpoints = Extract<Backend, { type: 'endpoints' }>;

export interface Choice {
  /** The backend's key. */
  readonly key: string;
  readonly backend: Endpoints;
  readonly clientAddress: string;
  /** Keys of endpoints that this request has tried. */
  readonly tried: ReadonlySet<string>;
}

export class Chooser {
  readonly #clock: Clock;
  /** The next turn of each backend. */
  readonly #turns = new Map<string, number>();
  readonly #restingUntilMs = new Map<string, number>();
  /** In the order in which clients were last seen. */
  readonly #clients = new Map<string, { readonly endpoint: string; readonly untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined if there is none that was not tried. */
  choose(choice: Choice): Endpoint | undefined {
    const { key, backend, tried, clientAddress } = choice;
    const left = tried.size === 0 ? backend.endpoints : backend.endpoints.filter(endpoint => !tried.has(endpoint.key));
    if (left.length === 0) return undefined;
    const awake = this.#restingUntilMs.size === 0 ? left : left.filter(endpoint => !this.#isResting(endpoint));
    const candidates = awake.length > 0 ? awake : left;
    if (backend.affinityMs > 0) return this.#stay(`${key} ${clientAddress}`, candidates, backend.affinityMs);
    const turn = this.#turns.get(key) ?? 0;
    this.#turns.set(key, (turn + 1) % Number.MAX_SAFE_INTEGER);
    return candidates[turn % candidates.length];
  }

  /** An endpoint that could not be connected to is tried last for a while. */
  rest({ key }: Endpoint): void {
    if (this.#restingUntilMs.size >= RESTING_ENDPOINTS_MAX) this.#restingUntilMs.clear();
    this.#restingUntilMs.set(key, this.#clock.now() + ENDPOINT_REST_MS);
  }

  /** Forgets backends that no Ingress names any more. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#turns.keys()) if (!keys.has(key)) this.#turns.delete(key);
  }

  #isResting({ key }: Endpoint): boolean {
    const untilMs = this.#restingUntilMs.get(key);
    if (untilMs === undefined) return false;
    if (untilMs > this.#clock.now()) return true;
    this.#restingUntilMs.delete(key);
    return false;
  }

  #stay(client: string, candidates: readonly Endpoint[], affinityMs: number): Endpoint | undefined {
    const now = this.#clock.now();
    const known = this.#clients.get(client);
    const kept = known && known.untilMs > now ? candidates.find(({ key }) => key === known.endpoint) : undefined;
    const endpoint = kept ?? byHash(client, candidates);
    this.#clients.delete(client);
    if (endpoint) this.#clients.set(client, { endpoint: endpoint.key, untilMs: now + affinityMs });
    if (this.#clients.size > AFFINITY_CLIENTS_MAX) {
      const [oldest] = this.#clients.keys();
      if (oldest !== undefined) this.#clients.delete(oldest);
    }
    return endpoint;
  }
}

/** The endpoint with the highest hash together with the client: when others come or go, few clients move. */
function byHash(client: string, candidates: readonly Endpoint[]): Endpoint | undefined {
  const weigh = ({ key }: Endpoint) => createHash('sha1').update(client).update('\0').update(key).digest('hex');
  let best: { readonly endpoint: Endpoint; readonly weight: string } | undefined;
  for (const endpoint of candidates) {
    const weight = weigh(endpoint);
    if (!best || weight > best.weight) best = { endpoint, weight };
  }
  return best?.endpoint;
}
