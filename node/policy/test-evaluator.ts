/** For tests: two judges of a packet, one from the API's objects as Kubernetes words it, one from compiled rules. */
import { matchesLabelSelector, type NetworkPolicy, type NetworkPolicyPeer, type NetworkPolicyPort } from '../api.ts';
import { addressValue, familyOf, isWithin, parseRange, type Range } from './ranges.ts';
import type { Direction, PolicyRuleset, Protocol, Rule } from './ruleset.ts';
import type { PolicyPod, PolicyWorld } from './world.ts';

export interface Packet {
  readonly from: string;
  readonly to: string;
  /** Without ports: ICMP and the like. */
  readonly protocol: Protocol | 'ICMP';
  readonly port: number;
}

/** As the API documents NetworkPolicy, one sentence after the other, without thought of cost. */
export function isAllowedByPolicies(world: PolicyWorld, packet: Packet): boolean {
  if (packet.from === packet.to) return true;
  return (['egress', 'ingress'] as const).every(direction => {
    const subjects = podsAt(world, direction === 'egress' ? packet.from : packet.to).filter(pod => pod.isLocal);
    return subjects.every(subject => mayPass(world, { packet, direction, subject }));
  });
}

interface Question {
  readonly packet: Packet;
  readonly direction: Direction;
  readonly subject: PolicyPod;
}

function mayPass(world: PolicyWorld, question: Question): boolean {
  const { direction, subject } = question;
  const policies = world.policies.filter(
    ({ metadata, spec }) =>
      metadata?.namespace === subject.namespace &&
      matchesLabelSelector(spec?.podSelector, subject.labels) &&
      typesOf({ metadata, ...(spec && { spec }) }).includes(direction),
  );
  if (policies.length === 0) return true;
  return policies.some(({ metadata, spec }) => {
    const rules =
      direction === 'ingress'
        ? (spec?.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
        : (spec?.egress ?? []).map(({ to, ports }) => ({ peers: to, ports }));
    const namespace = metadata?.namespace ?? '';
    return rules.some(
      ({ peers = [], ports = [] }) =>
        (peers.length === 0 || peers.some(peer => isPeer(world, peer, { namespace, question }))) &&
        (ports.length === 0 || ports.some(port => isPort(world, port, question))),
    );
  });
}

function typesOf({ spec }: NetworkPolicy): Direction[] {
  if (spec?.policyTypes?.length) return spec.policyTypes.map(type => (type === 'Ingress' ? 'ingress' : 'egress'));
  return spec?.egress?.length ? ['ingress', 'egress'] : ['ingress'];
}

function isPeer(
  world: PolicyWorld,
  { ipBlock, podSelector, namespaceSelector }: NetworkPolicyPeer,
  { namespace, question }: { readonly namespace: string; readonly question: Question },
): boolean {
  const other = question.direction === 'ingress' ? question.packet.from : question.packet.to;
  if (ipBlock) return isInside(other, ipBlock.cidr) && !(ipBlock.except ?? []).some(hole => isInside(other, hole));
  return podsAt(world, other).some(pod => {
    const isInNamespace = namespaceSelector
      ? world.namespaces.has(pod.namespace) &&
        matchesLabelSelector(namespaceSelector, world.namespaces.get(pod.namespace))
      : pod.namespace === namespace;
    return isInNamespace && (podSelector === undefined || matchesLabelSelector(podSelector, pod.labels));
  });
}

function isPort(
  world: PolicyWorld,
  { protocol = 'TCP', port, endPort }: NetworkPolicyPort,
  question: Question,
): boolean {
  const { packet, direction, subject } = question;
  if (protocol !== packet.protocol) return false;
  if (port === undefined) return true;
  if (typeof port === 'number') return packet.port >= port && packet.port <= (endPort ?? port);
  const destinations = direction === 'ingress' ? [subject] : podsAt(world, packet.to);
  return destinations.some(pod =>
    pod.ports.some(one => one.name === port && one.protocol === protocol && one.port === packet.port),
  );
}

function podsAt(world: PolicyWorld, address: string): PolicyPod[] {
  return world.pods.filter(pod => pod.addresses.includes(address));
}

function isInside(address: string, cidr: string): boolean {
  const parsed = parseRange(cidr);
  const family = familyOf(address);
  return parsed !== undefined && parsed.family === family && isWithin([parsed.range], addressValue(address, family));
}

/** As the kernel goes through the table. */
export function isAllowedByRules(ruleset: PolicyRuleset, packet: Packet): boolean {
  const { ingress, egress } = ruleset.isolated;
  const isIsolated = ingress.has(packet.from) || egress.has(packet.from);
  if (packet.from === packet.to && isIsolated) return true;
  return [egress.get(packet.from), ingress.get(packet.to)].every(name => {
    if (name === undefined) return true;
    const chain = ruleset.chains.get(name);
    if (!chain) throw new Error(`no chain ${name}`);
    return chain.rules.some(rule => meets(ruleset, rule, { packet, direction: chain.direction }));
  });
}

function meets(
  { sets }: PolicyRuleset,
  { peers, protocol, ports, targets }: Rule,
  { packet, direction }: { readonly packet: Packet; readonly direction: Direction },
): boolean {
  const other = direction === 'ingress' ? packet.from : packet.to;
  const elements = (name: string) => {
    const set = sets.get(name);
    if (!set) throw new Error(`no set ${name}`);
    return set;
  };
  if (peers) {
    const set = elements(peers.set);
    if (familyOf(other) !== peers.family) return false;
    const isIn =
      set.kind === 'ranges'
        ? isWithin([...set.elements].map(toRange(peers.family)), addressValue(other, peers.family))
        : set.elements.has(other);
    if (!isIn) return false;
  }
  if (
    targets &&
    !elements(targets.set).elements.has(`${packet.to} . ${packet.protocol.toLowerCase()} . ${packet.port}`)
  )
    return false;
  if (protocol && protocol !== packet.protocol) return false;
  return ports === undefined || ports.some(({ first, last }) => packet.port >= first && packet.port <= last);
}

function toRange(family: 4 | 6): (text: string) => Range {
  return text => {
    const [first = '', last = ''] = text.split('-');
    return { first: addressValue(first, family), last: addressValue(last, family) };
  };
}
