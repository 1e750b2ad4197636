/** How nodes lie in zones and other topologies, kept as they come, go and change: nobody looks at all of them anew. */
import type { NodeInfo } from './node-info.ts';
import { bump } from './pod-counts.ts';

type Labels = Readonly<Record<string, string>>;

/** The domains of some topologies. */
export interface Topologies {
  /** True if each node is in all of them or in none. */
  readonly isUniform: boolean;
  /** How many domains each has, in the order of the keys. */
  readonly sizes: readonly number[];
}

/** Topology keys, and sets of them, whose domains are kept. */
const TOPOLOGIES_MAX = 100;

interface KeySet {
  readonly keys: readonly string[];
  /** Nodes that are in some of them and not in others. */
  straddling: number;
}

/** Nodes by the domains of the topologies that somebody asked for. */
export class NodeTopologies {
  readonly #nodes: () => readonly NodeInfo[];
  /** How many nodes are in each domain, by topology key. */
  readonly #domains = new Map<string, Map<string, number>>();
  readonly #sets = new Map<string, KeySet>();

  constructor(nodes: () => readonly NodeInfo[]) {
    this.#nodes = nodes;
  }

  of(keys: readonly string[]): Topologies {
    const sizes = keys.map(key => this.#domainsOf(key).size);
    return { isUniform: this.#setOf(keys).straddling === 0, sizes };
  }

  /** Labels of a node before and after; undefined while it does not exist. */
  changed(before: Labels | undefined, now: Labels | undefined): void {
    for (const [key, domains] of this.#domains) {
      const from = before?.[key];
      const to = now?.[key];
      if (from === to) continue;
      if (from !== undefined) bump(domains, from, -1);
      if (to !== undefined) bump(domains, to, 1);
    }
    for (const set of this.#sets.values()) {
      set.straddling += Number(isStraddling(set.keys, now)) - Number(isStraddling(set.keys, before));
    }
  }

  #domainsOf(key: string): ReadonlyMap<string, number> {
    const known = this.#domains.get(key);
    if (known) return known;
    const domains = new Map<string, number>();
    for (const { labels } of this.#nodes()) {
      const domain = labels[key];
      if (domain !== undefined) bump(domains, domain, 1);
    }
    if (this.#domains.size >= TOPOLOGIES_MAX) this.#domains.clear();
    this.#domains.set(key, domains);
    return domains;
  }

  #setOf(keys: readonly string[]): KeySet {
    const name = keys.join(' ');
    const known = this.#sets.get(name);
    if (known) return known;
    const straddling = this.#nodes().filter(({ labels }) => isStraddling(keys, labels)).length;
    if (this.#sets.size >= TOPOLOGIES_MAX) this.#sets.clear();
    const set = { keys, straddling };
    this.#sets.set(name, set);
    return set;
  }
}

function isStraddling(keys: readonly string[], labels: Labels | undefined): boolean {
  if (!labels) return false;
  const isIn = labels[keys[0] ?? ''] !== undefined;
  return keys.some(key => (labels[key] !== undefined) !== isIn);
}

/** The nodes in such an order that zones take turns (k/k nodeTree). */
export class NodeOrder {
  readonly #zones = new Map<string, NodeInfo[]>();
  #list: readonly NodeInfo[] | undefined;

  get list(): readonly NodeInfo[] {
    this.#list ??= byTurns([...this.#zones.values()]);
    return this.#list;
  }

  add(node: NodeInfo, labels: Labels): void {
    const zone = zoneOf(labels);
    const nodes = this.#zones.get(zone);
    if (nodes) nodes.push(node);
    else this.#zones.set(zone, [node]);
    this.#list = undefined;
  }

  /** `labels` are those that it was added with. */
  remove(node: NodeInfo, labels: Labels): void {
    const zone = zoneOf(labels);
    const nodes = this.#zones.get(zone) ?? [];
    const index = nodes.indexOf(node);
    if (index < 0) return;
    nodes.splice(index, 1);
    if (nodes.length === 0) this.#zones.delete(zone);
    this.#list = undefined;
  }

  /** The node's labels are others now. */
  move(node: NodeInfo, from: Labels, to: Labels): void {
    if (zoneOf(from) === zoneOf(to)) return;
    this.remove(node, from);
    this.add(node, to);
  }
}

const zoneOf = (labels: Labels) =>
  `${labels['topology.kubernetes.io/region'] ?? ''}/${labels['topology.kubernetes.io/zone'] ?? ''}`;

function byTurns(zones: readonly (readonly NodeInfo[])[]): readonly NodeInfo[] {
  const turns = Math.max(0, ...zones.map(({ length }) => length));
  const list: NodeInfo[] = [];
  for (let turn = 0; turn < turns; turn++) {
    for (const zone of zones) {
      const node = zone[turn];
      if (node) list.push(node);
    }
  }
  return list;
}
