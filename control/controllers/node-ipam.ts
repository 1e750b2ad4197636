/** Gives each node its own range of pod addresses out of the cluster's; one of each family on a dual-stack cluster. */
import assert from 'node:assert';
import { formatIpv6Range, parseIpv6Range, splitRanges } from '../api/families.ts';
import { nodes as nodesKind, servicecidrs as serviceRangesKind } from '../api/generated/kinds.ts';
import type { Node, ServiceCIDR } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { rangeCovers } from './cidr.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';

/** Each node gets 256 addresses. */
const NODE_PREFIX_LENGTH = 24;
/** A network of its own, as Kubernetes has it (--node-cidr-mask-size-ipv6). */
const NODE_PREFIX_LENGTH_6 = 64;

/**
 * The first range of the cluster's that shares no address with what is taken, which may be ranges of any size; undefined when
 * there is none. Pure.
 */
export function planPodCidr(clusterCidr: string, taken: ReadonlySet<string>): string | undefined {
  const { base, count } = parseClusterCidr(clusterCidr);
  const isTaken = takenBy(taken, NODE_PREFIX_LENGTH);
  for (let index = 0; index < count; index++) {
    const cidr = formatCidr(base + index * 2 ** (32 - NODE_PREFIX_LENGTH));
    if (!isTaken(cidr)) return cidr;
  }
  return undefined;
}

/** The same of an IPv6 range. Pure. */
export function planPodCidr6(clusterCidr: string, taken: ReadonlySet<string>): string | undefined {
  const { base, count } = parseClusterCidr6(clusterCidr);
  const isTaken = takenBy(taken, NODE_PREFIX_LENGTH_6);
  for (let index = 0n; index < count; index++) {
    const cidr = formatIpv6Range({
      base: base + (index << BigInt(128 - NODE_PREFIX_LENGTH_6)),
      prefixLength: NODE_PREFIX_LENGTH_6,
    });
    if (!isTaken(cidr)) return cidr;
  }
  return undefined;
}

/** Ranges of nodes are many and all of one size, so they are looked up; the few others are compared. */
function takenBy(taken: ReadonlySet<string>, prefixLength: number): (cidr: string) => boolean {
  const others = [...taken].filter(cidr => !cidr.endsWith(`/${prefixLength}`));
  return cidr => taken.has(cidr) || others.some(other => rangeCovers(other, cidr) || rangeCovers(cidr, other));
}

/** @throws AssertionError if it is no IPv6 range that holds at least one node's. */
export function parseClusterCidr6(cidr: string): { readonly base: bigint; readonly count: bigint } {
  const range = parseIpv6Range(cidr);
  assert(range, `${cidr} is no IPv6 range such as fd42::/56`);
  const { base, prefixLength } = range;
  assert(prefixLength <= NODE_PREFIX_LENGTH_6, `${cidr} is too small: each node needs a /${NODE_PREFIX_LENGTH_6}`);
  return { base, count: 1n << BigInt(NODE_PREFIX_LENGTH_6 - prefixLength) };
}

/** @throws AssertionError if it is no IPv4 range that holds at least one node's. */
export function parseClusterCidr(cidr: string): { readonly base: number; readonly count: number } {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr);
  assert(match, `${cidr} is no IPv4 range such as 10.42.0.0/16`);
  const [a = 0, b = 0, c = 0, d = 0, length = 0] = match.slice(1).map(Number);
  assert([a, b, c, d].every(part => part <= 255) && length >= 8, `${cidr} is no IPv4 range such as 10.42.0.0/16`);
  assert(length <= NODE_PREFIX_LENGTH, `${cidr} is too small: each node needs a /${NODE_PREFIX_LENGTH}`);
  const size = 2 ** (32 - length);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  return { base: address - (address % size), count: 2 ** (NODE_PREFIX_LENGTH - length) };
}

function formatCidr(base: number): string {
  return `${[24, 16, 8, 0].map(shift => Math.floor(base / 2 ** shift) % 256).join('.')}/${NODE_PREFIX_LENGTH}`;
}

/** Undefined where the cluster has no range: nodes then find addresses in another way. */
export function nodeIpamController(context: ControllerContext): Controller | undefined {
  const { client, informers, options } = context;
  const { clusterCidr } = options;
  if (!clusterCidr) return undefined;
  const { ipv4, ipv6 } = splitRanges(clusterCidr);
  parseClusterCidr(ipv4);
  if (ipv6 !== undefined) parseClusterCidr6(ipv6);
  const recorder = context.recorder('cidrAllocator');
  const queue = newQueue(context);
  const nodes = informers.for<Node>(nodesKind);
  const serviceRanges = informers.for<ServiceCIDR>(serviceRangesKind);
  /** Given away, but perhaps not in the cache yet. */
  const given = new Map<string, readonly string[]>();
  nodes.addHandler({
    added: ({ metadata, spec }) => {
      if (!spec?.podCIDR) queue.add(metadata?.name ?? '');
    },
    updated: ({ metadata, spec }) => {
      if (!spec?.podCIDR) queue.add(metadata?.name ?? '');
    },
    deleted: ({ metadata }) => {
      given.delete(metadata?.name ?? '');
      // What it had may be what another node is waiting for.
      for (const node of nodes.list()) if (!node.spec?.podCIDR) queue.add(node.metadata?.name ?? '');
    },
  });
  const reconcile = async (name: string) => {
    const node = nodes.get(name);
    if (!node || node.spec?.podCIDR) return undefined;
    const used = nodes.list().flatMap(({ spec }) => spec?.podCIDRs ?? spec?.podCIDR ?? []);
    const services = serviceRanges.list().flatMap(({ spec }) => spec?.cidrs ?? []);
    const taken = new Set([...[...given.values()].flat(), ...used, ...services]);
    const free = () => [planPodCidr(ipv4, taken), ...(ipv6 === undefined ? [] : [planPodCidr6(ipv6, taken)])];
    const podCIDRs = (given.get(name) ?? free()).filter(cidr => cidr !== undefined);
    const [podCIDR] = podCIDRs;
    // A node has all families or waits: pods of one family only would be surprising.
    if (podCIDR === undefined || podCIDRs.length < (ipv6 === undefined ? 1 : 2)) {
      recorder.record(node, {
        type: 'Normal',
        reason: 'CIDRNotAvailable',
        message: `Node ${name} status is now: CIDRNotAvailable`,
      });
      return undefined;
    }
    given.set(name, podCIDRs);
    const body = {
      metadata: { resourceVersion: node.metadata?.resourceVersion },
      spec: { podCIDR, podCIDRs },
    };
    try {
      await client.patch(nodesKind, { name }, { type: 'application/merge-patch+json', body });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
    return undefined;
  };
  // One worker: two could give the same range away.
  return queueController(context, { name: 'node-ipam-controller', queue, workers: 1, reconcile });
}
