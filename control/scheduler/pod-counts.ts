/**
 * How many pods of a set run on each node and in each domain of a topology, and what pods in place want of those that come:
 * counted as pods come and go, so that affinity and spreading need not look at every pod, nor at every node, for every decision.
 */
import { COUNTED_SELECTORS_MAX } from './limits.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import { type AffinityTerm, asksNamespaces, type NamespaceLabels, type PodSelector, selects } from './pod-terms.ts';

type Labels = Readonly<Record<string, string>>;

/** Numbers by node name or by domain; what is 0 is absent. */
export type Counts = ReadonlyMap<string, number>;

/** Where nodes are looked up: a domain is the value of a label of theirs. */
export interface NodeLookup {
  node(name: string): NodeInfo | undefined;
}

/** Numbers by node, and by domain for the topologies that somebody asked for. */
class PlaceCounts {
  readonly #nodes: NodeLookup;
  readonly byNode = new Map<string, number>();
  /** By topology key. */
  readonly #byDomain = new Map<string, Map<string, number>>();

  constructor(nodes: NodeLookup) {
    this.#nodes = nodes;
  }

  change(nodeName: string, amount: number): void {
    bump(this.byNode, nodeName, amount);
    if (this.#byDomain.size === 0) return;
    const labels = this.#nodes.node(nodeName)?.labels;
    for (const [topologyKey, counts] of this.#byDomain) {
      const domain = labels?.[topologyKey];
      if (domain !== undefined) bump(counts, domain, amount);
    }
  }

  byDomain(topologyKey: string): Counts {
    const known = this.#byDomain.get(topologyKey);
    if (known) return known;
    const counts = new Map<string, number>();
    for (const [name, count] of this.byNode) {
      const domain = this.#nodes.node(name)?.labels[topologyKey];
      if (domain !== undefined) bump(counts, domain, count);
    }
    this.#byDomain.set(topologyKey, counts);
    return counts;
  }

  /** The node's labels are others now; undefined while it does not exist. */
  nodeMoved(nodeName: string, before: Labels | undefined, now: Labels | undefined): void {
    const count = this.byNode.get(nodeName);
    if (count === undefined) return;
    for (const [topologyKey, counts] of this.#byDomain) {
      const from = before?.[topologyKey];
      const to = now?.[topologyKey];
      if (from === to) continue;
      if (from !== undefined) bump(counts, from, -count);
      if (to !== undefined) bump(counts, to, count);
    }
  }
}

interface Counted {
  readonly selector: PodSelector;
  readonly places: PlaceCounts;
}

/** Counts of the pods that a selector means. What was asked for once is kept up to date, within a bound. */
export class SelectorCounts {
  readonly #cluster: NamespaceLabels & NodeLookup;
  /** Gives all pods with their nodes: needed when a selector is new here. */
  readonly #everything: () => Iterable<readonly [PodInfo, string]>;
  /** By the selectors' keys, least recently used first. */
  readonly #counted = new Map<string, Counted>();

  constructor(cluster: NamespaceLabels & NodeLookup, everything: () => Iterable<readonly [PodInfo, string]>) {
    this.#cluster = cluster;
    this.#everything = everything;
  }

  byNode(selector: PodSelector): Counts {
    return this.#of(selector).byNode;
  }

  byDomain(selector: PodSelector, topologyKey: string): Counts {
    return this.#of(selector).byDomain(topologyKey);
  }

  change(pod: PodInfo, nodeName: string, sign: 1 | -1): void {
    for (const counted of this.#counted.values()) this.#count(counted, { pod, nodeName, sign });
  }

  /** Namespaces have other labels now: what was chosen by them is counted anew when it is asked for. */
  namespacesChanged(): void {
    for (const [key, { selector }] of [...this.#counted]) if (asksNamespaces(selector)) this.#counted.delete(key);
  }

  nodeMoved(nodeName: string, before: Labels | undefined, now: Labels | undefined): void {
    for (const { places } of this.#counted.values()) places.nodeMoved(nodeName, before, now);
  }

  #of(selector: PodSelector): PlaceCounts {
    const known = this.#counted.get(selector.key);
    if (known) {
      this.#counted.delete(selector.key);
      this.#counted.set(selector.key, known);
      return known.places;
    }
    const counted = { selector, places: new PlaceCounts(this.#cluster) };
    for (const [pod, nodeName] of this.#everything()) this.#count(counted, { pod, nodeName, sign: 1 });
    this.#counted.set(selector.key, counted);
    for (const oldest of this.#counted.keys()) {
      if (this.#counted.size <= COUNTED_SELECTORS_MAX) break;
      this.#counted.delete(oldest);
    }
    return counted.places;
  }

  #count({ selector, places }: Counted, { pod, nodeName, sign }: PodChange): void {
    if (selector.isOfLiving && pod.isTerminating) return;
    if (selects(selector, pod, this.#cluster)) places.change(nodeName, sign);
  }
}

interface PodChange {
  readonly pod: PodInfo;
  readonly nodeName: string;
  readonly sign: 1 | -1;
}

/** The affinity terms of pods in place; equal terms are one, however many pods have them. */
export class HeldTerms {
  readonly #nodes: NodeLookup;
  readonly #terms = new Map<string, { readonly term: AffinityTerm; readonly places: PlaceCounts }>();

  constructor(nodes: NodeLookup) {
    this.#nodes = nodes;
  }

  get isEmpty(): boolean {
    return this.#terms.size === 0;
  }

  /** The terms that `isMeant` picks, each with how many pods hold it in each domain of its topology. */
  *meant(isMeant: (term: AffinityTerm) => boolean): Iterable<readonly [AffinityTerm, Counts]> {
    for (const { term, places } of this.#terms.values()) {
      if (isMeant(term)) yield [term, places.byDomain(term.topologyKey)];
    }
  }

  change(terms: readonly AffinityTerm[], nodeName: string, sign: 1 | -1): void {
    for (const term of terms) {
      const held = this.#terms.get(term.key) ?? { term, places: new PlaceCounts(this.#nodes) };
      this.#terms.set(term.key, held);
      held.places.change(nodeName, sign);
      if (held.places.byNode.size === 0) this.#terms.delete(term.key);
    }
  }

  nodeMoved(nodeName: string, before: Labels | undefined, now: Labels | undefined): void {
    for (const { places } of this.#terms.values()) places.nodeMoved(nodeName, before, now);
  }
}

/** Adds to a count; what comes to 0 leaves. */
export function bump<K>(counts: Map<K, number>, key: K, amount: number): void {
  const count = (counts.get(key) ?? 0) + amount;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
