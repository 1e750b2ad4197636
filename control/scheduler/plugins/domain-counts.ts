/** Numbers by the domains of topologies: what is counted of the cluster, and what is tried out on top of it. */
import type { NodeInfo } from '../node-info.ts';
import { bump, type Counts } from '../pod-counts.ts';

interface Part {
  readonly topologyKey: string;
  /** Somebody else's: it is only read. */
  readonly counts: Counts;
  readonly weight: number;
}

export class DomainCounts {
  readonly #parts: Part[] = [];
  /** By topology key and domain. */
  readonly #more = new Map<string, Map<string, number>>();

  /** Counts that the cluster keeps, as often as `weight` says. */
  include(topologyKey: string, counts: Counts, weight = 1): void {
    if (counts.size > 0) this.#parts.push({ topologyKey, counts, weight });
  }

  /** Nothing for a node that is in no domain of this key. */
  add(node: NodeInfo, topologyKey: string, amount: number): void {
    const domain = node.labels[topologyKey];
    if (domain === undefined) return;
    const more = this.#more.get(topologyKey) ?? new Map<string, number>();
    bump(more, domain, amount);
    if (more.size > 0) this.#more.set(topologyKey, more);
    else this.#more.delete(topologyKey);
  }

  at(node: NodeInfo, wanted: string): number {
    const domain = node.labels[wanted];
    if (domain === undefined) return 0;
    let sum = this.#more.size > 0 ? (this.#more.get(wanted)?.get(domain) ?? 0) : 0;
    for (const { topologyKey, counts, weight } of this.#parts) {
      if (topologyKey === wanted) sum += (counts.get(domain) ?? 0) * weight;
    }
    return sum;
  }

  /** The sum over all keys at a node. */
  sumAt(node: NodeInfo): number {
    let sum = 0;
    for (const { topologyKey, counts, weight } of this.#parts) {
      const domain = node.labels[topologyKey];
      if (domain !== undefined) sum += (counts.get(domain) ?? 0) * weight;
    }
    for (const [topologyKey, more] of this.#more) sum += more.get(node.labels[topologyKey] ?? '') ?? 0;
    return sum;
  }

  /** True if there is nothing anywhere. */
  get isEmpty(): boolean {
    if (this.#more.size === 0) return this.#parts.length === 0;
    return this.#parts.every(({ topologyKey, counts, weight }) =>
      [...counts].every(([domain, count]) => count * weight + (this.#more.get(topologyKey)?.get(domain) ?? 0) === 0),
    );
  }

  /** True unless something was counted or tried out. */
  get isUntouched(): boolean {
    return this.#parts.length === 0 && this.#more.size === 0;
  }
}
