/** Which endpoint a client gets. Clock and randomness are handed in. */
import type { Endpoint } from '../frontends.ts';
import { affinityClientsMax } from './limits.ts';

export interface BalancerDeps {
  readonly now: () => number;
  /** From 0, below 1. */
  readonly random: () => number;
}

export class Balancer {
  readonly #deps: BalancerDeps;
  /** In the order of use: the first was silent longest. */
  readonly #clients = new Map<string, { readonly key: string; readonly expiresAt: number }>();
  #endpointsFor: (client: string) => readonly Endpoint[] = () => [];
  #affinityMs = 0;
  #draining: ReadonlySet<string> = new Set();

  constructor(deps: BalancerDeps) {
    this.#deps = deps;
  }

  /**
   * @param endpointsFor those that a client may be sent to: the traffic policy looks at where it is
   * @param draining addresses that keep the clients they have
   */
  update(
    endpointsFor: (client: string) => readonly Endpoint[],
    affinitySeconds: number,
    draining: readonly string[] = [],
  ): void {
    this.#endpointsFor = endpointsFor;
    this.#draining = new Set(draining);
    this.#affinityMs = affinitySeconds * 1000;
    if (affinitySeconds === 0) this.#clients.clear();
  }

  /** Undefined when all endpoints are among those tried. */
  pick(client: string, tried: ReadonlySet<Endpoint>): Endpoint | undefined {
    const left = this.#endpointsFor(client).filter(endpoint => !tried.has(endpoint));
    const remembered = this.#remembered(client);
    const kept = left.find(endpoint => keyOf(endpoint) === remembered);
    return kept ?? left[Math.floor(this.#deps.random() * left.length)];
  }

  /** Whether a client may still be where it was sent before. */
  mayKeep(client: string, endpoint: Endpoint): boolean {
    if (this.#draining.has(endpoint.address)) return true;
    return this.#endpointsFor(client).some(one => keyOf(one) === keyOf(endpoint));
  }

  /** The client was served there and shall come back. */
  remember(client: string, endpoint: Endpoint): void {
    if (this.#affinityMs === 0) return;
    this.#clients.delete(client);
    this.#clients.set(client, { key: keyOf(endpoint), expiresAt: this.#deps.now() + this.#affinityMs });
    const [oldest] = this.#clients.keys();
    if (this.#clients.size > affinityClientsMax && oldest !== undefined) this.#clients.delete(oldest);
  }

  #remembered(client: string): string | undefined {
    const entry = this.#clients.get(client);
    return entry === undefined || entry.expiresAt <= this.#deps.now() ? undefined : entry.key;
  }
}

function keyOf(endpoint: Endpoint): string {
  return `${endpoint.address}:${endpoint.port}`;
}
