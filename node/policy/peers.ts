/**
 * Whom a rule speaks of: pods by selectors and ranges of addresses, as sets. The same peers give the same set, whichever
 * rule names them, and each selector is asked about each pod once. Pure.
 */
import { createHash } from 'node:crypto';
import { type LabelSelector, matchesLabelSelector, type NetworkPolicyPeer } from '../api.ts';
import {
  addressValue,
  type Family,
  familyOf,
  formatAddress,
  isWithin,
  mergeRanges,
  parseRange,
  type Range,
  subtractRanges,
} from './ranges.ts';
import type { PeerSet } from './ruleset.ts';
import type { PolicyPod, PolicyWorld } from './world.ts';

/** A named port of the other side, with the protocol it has to have there. */
export interface NamedTarget {
  readonly name: string;
  readonly protocol: string;
}

export class PeerBook {
  /** What was asked for so far, by name. */
  readonly sets = new Map<string, PeerSet>();
  /** Families that any pod has; rules for others would match nothing. */
  readonly families: readonly Family[];
  readonly #world: PolicyWorld;
  readonly #byNamespace: ReadonlyMap<string, readonly PolicyPod[]>;
  readonly #selected = new Map<string, readonly PolicyPod[]>();

  constructor(world: PolicyWorld) {
    this.#world = world;
    this.#byNamespace = Map.groupBy(world.pods, pod => pod.namespace);
    const hasSix = world.pods.some(pod => pod.addresses.some(address => familyOf(address) === 6));
    this.families = hasSix ? [4, 6] : [4];
  }

  /**
   * The sets that hold these peers' addresses of one family. `peers` come from a policy in `namespace`, and are not empty:
   * no peers means everybody.
   */
  setsOf(peers: readonly NetworkPolicyPeer[], namespace: string, family: Family): string[] {
    const selectors = peers.filter(({ ipBlock }) => !ipBlock);
    const ranges = blockRanges(peers, family);
    return [
      ...(selectors.length === 0 ? [] : [this.#addressSet(selectors, namespace, family)]),
      ...(ranges.length === 0 ? [] : [this.#rangeSet(ranges, family)]),
    ];
  }

  /** The set of these named ports on these peers; `undefined` peers are all pods. */
  targetSet(
    peers: readonly NetworkPolicyPeer[] | undefined,
    named: readonly NamedTarget[],
    { namespace, family }: { readonly namespace: string; readonly family: Family },
  ): string {
    const name = nameOf('t', family, [namespace, peers ?? '*', named]);
    if (!this.sets.has(name)) {
      const pods = peers === undefined ? this.#world.pods : this.#podsOf(peers, namespace);
      const ranges = peers === undefined ? [] : blockRanges(peers, family);
      const inBlocks = ranges.length === 0 ? [] : this.#world.pods;
      const elements = new Set([
        ...pods.flatMap(pod => targetsOf(pod, named, pod.addresses.filter(isOf(family)))),
        ...inBlocks.flatMap(pod =>
          targetsOf(
            pod,
            named,
            pod.addresses.filter(isOf(family)).filter(address => isWithin(ranges, addressValue(address, family))),
          ),
        ),
      ]);
      this.sets.set(name, { kind: 'targets', family, elements });
    }
    return name;
  }

  #addressSet(peers: readonly NetworkPolicyPeer[], namespace: string, family: Family): string {
    // A selector of namespaces means the same wherever the policy is.
    const scope = peers.every(peer => peer.namespaceSelector) ? '' : namespace;
    const name = nameOf('p', family, [scope, peers]);
    if (!this.sets.has(name)) {
      const addresses = this.#podsOf(peers, namespace).flatMap(pod => pod.addresses.filter(isOf(family)));
      this.sets.set(name, { kind: 'addresses', family, elements: new Set(addresses) });
    }
    return name;
  }

  #rangeSet(ranges: readonly Range[], family: Family): string {
    const texts = ranges.map(({ first, last }) => `${formatAddress(first, family)}-${formatAddress(last, family)}`);
    const name = nameOf('b', family, texts);
    this.sets.set(name, { kind: 'ranges', family, elements: new Set(texts) });
    return name;
  }

  #podsOf(peers: readonly NetworkPolicyPeer[], namespace: string): PolicyPod[] {
    return peers.filter(({ ipBlock }) => !ipBlock).flatMap(peer => this.#select(peer, namespace));
  }

  #select({ podSelector, namespaceSelector }: NetworkPolicyPeer, namespace: string): readonly PolicyPod[] {
    const key = JSON.stringify([namespaceSelector ?? namespace, podSelector ?? '*']);
    const known = this.#selected.get(key);
    if (known) return known;
    const found = this.#namespaces(namespaceSelector, namespace)
      .flatMap(name => this.#byNamespace.get(name) ?? [])
      .filter(({ labels }) => podSelector === undefined || matchesLabelSelector(podSelector, labels));
    this.#selected.set(key, found);
    return found;
  }

  #namespaces(selector: LabelSelector | undefined, own: string): string[] {
    if (selector === undefined) return [own];
    return [...this.#world.namespaces].flatMap(([name, labels]) =>
      matchesLabelSelector(selector, labels) ? [name] : [],
    );
  }
}

/** Short, because the kernel bounds it, and of the meaning, so that a change of meaning is a change of name. */
export function nameOf(prefix: string, family: Family | '', meaning: unknown): string {
  const hash = createHash('sha256').update(JSON.stringify(meaning)).digest('hex');
  return `${prefix}${family}-${hash.slice(0, 16)}`;
}

function blockRanges(peers: readonly NetworkPolicyPeer[], family: Family): Range[] {
  const ranges = peers.flatMap(({ ipBlock }) => {
    const outer = ipBlock && parseRange(ipBlock.cidr);
    if (!outer || outer.family !== family) return [];
    const holes = (ipBlock.except ?? []).map(parseRange);
    // An exception that cannot be read must not let through what it was to keep out.
    if (holes.some(hole => hole === undefined)) return [];
    const same = holes.filter(hole => hole !== undefined).filter(hole => hole.family === family);
    return subtractRanges(
      outer.range,
      same.map(({ range }) => range),
    );
  });
  return mergeRanges(ranges);
}

function targetsOf(pod: PolicyPod, named: readonly NamedTarget[], addresses: readonly string[]): string[] {
  const ports = pod.ports.filter(port =>
    named.some(({ name, protocol }) => name === port.name && protocol === port.protocol),
  );
  return addresses.flatMap(address =>
    ports.map(({ protocol, port }) => `${address} . ${protocol.toLowerCase()} . ${port}`),
  );
}

function isOf(family: Family): (address: string) => boolean {
  return address => familyOf(address) === family;
}
