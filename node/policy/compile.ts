/**
 * From NetworkPolicies, Pods and Namespaces to the rules of one node. Pure.
 *
 * A packet's cost: one look into a map by source, one by destination, and the rules of the policies that select that very
 * pod. How many other pods and policies there are only makes sets larger. Pods with the same rules share a chain.
 *
 * Semantics: networking.k8s.io/v1 NetworkPolicySpec. A pod is isolated in a direction if a policy of that type selects
 * it; what any such policy's rules let through passes; a connection needs the leave of both its ends.
 */
import { matchesLabelSelector, type NetworkPolicy, type NetworkPolicyPeer, type NetworkPolicyPort } from '../api.ts';
import { CHAINS_MAX, ELEMENTS_MAX, RULES_PER_CHAIN_MAX } from './limits.ts';
import { type NamedTarget, nameOf, PeerBook } from './peers.ts';
import { familyOf } from './ranges.ts';
import {
  type Chain,
  type Direction,
  PolicyLimitError,
  type PolicyRuleset,
  type PortRange,
  type Protocol,
  type Rule,
} from './ruleset.ts';
import { type PolicyPod, type PolicyWorld, protocolOf } from './world.ts';

/** Throws {@link PolicyLimitError}. */
export function compilePolicies(world: PolicyWorld): PolicyRuleset {
  const book = new PeerBook(world);
  const byNamespace = Map.groupBy(world.policies, ({ metadata }) => metadata?.namespace ?? '');
  const chains = new Map<string, Chain>();
  const isolated = { ingress: new Map<string, string>(), egress: new Map<string, string>() };
  const known = new Map<string, string | undefined>();
  for (const pod of world.pods) {
    if (!pod.isLocal) continue;
    const selecting = (byNamespace.get(pod.namespace) ?? []).filter(({ spec }) =>
      matchesLabelSelector(spec?.podSelector, pod.labels),
    );
    for (const direction of ['ingress', 'egress'] as const) {
      const policies = selecting.filter(policy => isolates(policy, direction));
      if (policies.length === 0) continue;
      const ports = direction === 'ingress' ? pod.ports : [];
      const key = JSON.stringify([direction, pod.namespace, policies.map(nameOfPolicy), ports]);
      if (!known.has(key))
        known.set(key, addChain(chains, { direction, rules: rulesOf(book, policies, direction, pod) }));
      const chain = known.get(key);
      if (chain !== undefined) for (const address of pod.addresses) isolated[direction].set(address, chain);
    }
  }
  const ruleset = { sets: usedSets(book, chains), chains, isolated };
  checkBounds(ruleset);
  return ruleset;
}

/** A policy that names no types is about ingress, and about egress if it has rules for it. */
function isolates({ spec }: NetworkPolicy, direction: Direction): boolean {
  const types = spec?.policyTypes ?? [];
  if (types.length > 0) return types.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
  return direction === 'ingress' || (spec?.egress ?? []).length > 0;
}

/** The chain's name; undefined if it lets everything through and so need not be. */
function addChain(chains: Map<string, Chain>, chain: Chain): string | undefined {
  if (chain.rules.some(rule => Object.keys(rule).length === 0)) return undefined;
  const name = nameOf(chain.direction === 'ingress' ? 'in' : 'eg', '', chain.rules);
  chains.set(name, chain);
  return name;
}

function rulesOf(book: PeerBook, policies: readonly NetworkPolicy[], direction: Direction, pod: PolicyPod): Rule[] {
  const rules = policies.flatMap(({ metadata, spec }) => {
    const namespace = metadata?.namespace ?? '';
    if (direction === 'ingress')
      return (spec?.ingress ?? []).flatMap(({ from, ports }) =>
        ingressRules(book, { peers: from, ports, namespace }, pod),
      );
    return (spec?.egress ?? []).flatMap(({ to, ports }) => egressRules(book, { peers: to, ports, namespace }));
  });
  return [...new Map(rules.map(rule => [JSON.stringify(rule), rule])).values()];
}

interface Clause {
  readonly peers: readonly NetworkPolicyPeer[] | undefined;
  readonly ports: readonly NetworkPolicyPort[] | undefined;
  readonly namespace: string;
}

/** A named port means the selected pod's own. */
function ingressRules(book: PeerBook, clause: Clause, pod: PolicyPod): Rule[] {
  const { numbered, named } = sortPorts(clause.ports);
  const own = pod.ports.filter(port => named.some(one => one.name === port.name && one.protocol === port.protocol));
  const all = [...numbered, ...own.map(({ protocol, port }) => ({ protocol, range: { first: port, last: port } }))];
  return combine(peerRules(book, clause), portRules(clause.ports, all));
}

/** A named port means that of each destination. */
function egressRules(book: PeerBook, clause: Clause): Rule[] {
  const { numbered, named } = sortPorts(clause.ports);
  const plain = combine(peerRules(book, clause), portRules(clause.ports, numbered));
  if (named.length === 0) return plain;
  const peers = isEverybody(clause.peers) ? undefined : clause.peers;
  const targets = book.families.map((family): Rule => {
    return { targets: { family, set: book.targetSet(peers, named, { namespace: clause.namespace, family }) } };
  });
  return [...plain, ...targets];
}

function peerRules(book: PeerBook, { peers, namespace }: Clause): Rule[] {
  if (isEverybody(peers)) return [{}];
  return book.families.flatMap(family =>
    book.setsOf(peers ?? [], namespace, family).map((set): Rule => ({ peers: { family, set } })),
  );
}

function isEverybody(peers: readonly NetworkPolicyPeer[] | undefined): boolean {
  return peers === undefined || peers.length === 0;
}

interface NumberedPort {
  readonly protocol: Protocol;
  /** Undefined for all of the protocol's ports. */
  readonly range: PortRange | undefined;
}

function sortPorts(ports: readonly NetworkPolicyPort[] | undefined): {
  numbered: NumberedPort[];
  named: NamedTarget[];
} {
  const numbered: NumberedPort[] = [];
  const named: NamedTarget[] = [];
  for (const { port, endPort, protocol: text } of ports ?? []) {
    const protocol = protocolOf(text);
    if (port === undefined) numbered.push({ protocol, range: undefined });
    else if (typeof port === 'string') named.push({ name: port, protocol });
    else numbered.push({ protocol, range: { first: port, last: Math.max(port, endPort ?? port) } });
  }
  return { numbered, named };
}

/** One rule a protocol. No ports in the policy means any traffic; ports that nobody has, none. */
function portRules(written: readonly NetworkPolicyPort[] | undefined, ports: readonly NumberedPort[]): Rule[] {
  if (written === undefined || written.length === 0) return [{}];
  return [...Map.groupBy(ports, ({ protocol }) => protocol)].map(([protocol, same]): Rule => {
    const ranges = same.map(({ range }) => range);
    if (ranges.includes(undefined)) return { protocol };
    return { protocol, ports: mergePorts(ranges.filter(range => range !== undefined)) };
  });
}

/** In order, without overlaps: the kernel takes no others. */
function mergePorts(ranges: readonly PortRange[]): PortRange[] {
  const merged: PortRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const last = merged.at(-1);
    if (!last || range.first > last.last + 1) merged.push(range);
    else merged[merged.length - 1] = { first: last.first, last: Math.max(last.last, range.last) };
  }
  return merged;
}

function combine(left: readonly Rule[], right: readonly Rule[]): Rule[] {
  return left.flatMap(one => right.map(other => ({ ...one, ...other })));
}

function nameOfPolicy({ metadata }: NetworkPolicy): string {
  return metadata?.name ?? '';
}

/** Without those of chains that turned out to let everything through. */
function usedSets(book: PeerBook, chains: ReadonlyMap<string, Chain>): PolicyRuleset['sets'] {
  const used = new Set(
    [...chains.values()].flatMap(({ rules }) => rules.flatMap(({ peers, targets }) => [peers?.set, targets?.set])),
  );
  return new Map([...book.sets].filter(([name]) => used.has(name)));
}

function checkBounds({ sets, chains, isolated }: PolicyRuleset): void {
  const elements = [...sets.values()].reduce((sum, set) => sum + set.elements.size, 0);
  const rules = Math.max(0, ...[...chains.values()].map(chain => chain.rules.length));
  const limits = [
    ['addresses in sets', elements, ELEMENTS_MAX],
    ['sets of rules', chains.size, CHAINS_MAX],
    ['rules for one pod', rules, RULES_PER_CHAIN_MAX],
  ] as const;
  for (const [what, count, max] of limits) {
    if (count > max) throw new PolicyLimitError(`network policies need ${count} ${what}; a node holds ${max}`);
  }
  for (const addresses of Object.values(isolated)) {
    for (const address of addresses.keys())
      if (familyOf(address) === undefined) throw new TypeError(`${address} is no address`);
  }
}
