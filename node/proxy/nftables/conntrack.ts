/**
 * Which UDP connections the kernel has to forget. It translates what it has seen go on to where that went first, and UDP has
 * no end by which it would see that nobody is there any more. What still serves keeps its clients whatever zone or node it
 * is meant for, as it would in TCP (kube-proxy v1.33, `pkg/proxy/conntrack`). Pure: each result is arguments for
 * `conntrack`, one list a run.
 */
import { canonicalIp } from '../../api.ts';
import type { Frontend } from '../frontends.ts';

/** What lists the connections of a family, for {@link planStaleDeletions}. */
export function listingOf(family: 4 | 6): string[] {
  return ['-L', ...familyFlags(family), '-p', 'udp'];
}

/** After a change of what a table leads to. */
export function planConntrackDeletions(
  before: readonly Frontend[],
  after: readonly Frontend[],
  family: 4 | 6 = 4,
): string[][] {
  const next = new Map(after.filter(isUdp).map(one => [one.id, one]));
  const deletions = new Deletions(family);
  for (const old of before.filter(isUdp)) {
    const kept = next.get(old.id);
    const draining = new Set(kept?.draining);
    const ports = new Set((kept?.endpoints ?? []).map(one => `${one.address}:${one.port}`));
    const addresses = new Set([...draining, ...(kept?.endpoints ?? []).map(({ address }) => address)]);
    for (const { address, port } of old.endpoints) {
      if (!ports.has(`${address}:${port}`) && !draining.has(address)) deletions.add('--dst-nat', address);
    }
    for (const address of old.draining ?? []) if (!addresses.has(address)) deletions.add('--dst-nat', address);
  }
  const hadEndpoints = new Set(before.filter(one => isUdp(one) && one.endpoints.length > 0).map(({ id }) => id));
  for (const one of next.values()) {
    if (one.endpoints.length === 0 || hadEndpoints.has(one.id)) continue;
    // Clients that sent before there was an endpoint are remembered as going nowhere.
    for (const address of [...one.clusterIPs, ...one.externalIPs]) {
      deletions.add('--orig-dst', address, '--orig-port-dst', String(one.port));
    }
    if (one.nodePort > 0) deletions.add('--orig-port-dst', String(one.nodePort));
  }
  return deletions.list();
}

/**
 * Where it is not known what the table led to before: of the connections that the kernel has, those to a service with
 * endpoints that go to none of them.
 *
 * @param listing what `conntrack` says to {@link listingOf}
 */
export function planStaleDeletions(listing: string, frontends: readonly Frontend[], family: 4 | 6 = 4): string[][] {
  const served = new Map<string, ReadonlySet<string>>();
  for (const one of frontends.filter(isUdp)) {
    if (one.endpoints.length === 0) continue;
    const addresses = new Set([...one.endpoints.map(({ address }) => canonicalIp(address)), ...(one.draining ?? [])]);
    for (const address of [...one.clusterIPs, ...one.externalIPs]) served.set(`${address} ${one.port}`, addresses);
    if (one.nodePort > 0) served.set(`* ${one.nodePort}`, addresses);
  }
  const deletions = new Deletions(family);
  for (const line of listing.split('\n')) {
    // The ends as they were sent, then those of the reply.
    const [, destination, replySource] = [...line.matchAll(/\b(?:src|dst)=(\S+)/g)].map(([, text]) => text);
    const port = /\bdport=(\d+)/.exec(line)?.[1];
    if (destination === undefined || replySource === undefined || port === undefined) continue;
    const isStale = (key: string) => served.get(key)?.has(canonicalIp(replySource)) === false;
    const [asked, reply] = [
      ['--orig-port-dst', port],
      ['--reply-src', replySource],
    ];
    if (isStale(`${canonicalIp(destination)} ${port}`)) deletions.add('--orig-dst', destination, ...asked, ...reply);
    else if (isStale(`* ${port}`)) deletions.add(...asked, ...reply);
  }
  return deletions.list();
}

/** Each once. */
class Deletions {
  readonly #family: 4 | 6;
  readonly #all = new Map<string, string[]>();

  constructor(family: 4 | 6) {
    this.#family = family;
  }

  add(...args: readonly string[]): void {
    this.#all.set(args.join(' '), ['-D', ...familyFlags(this.#family), '-p', 'udp', ...args]);
  }

  list(): string[][] {
    return [...this.#all.values()];
  }
}

function familyFlags(family: 4 | 6): string[] {
  return family === 4 ? [] : ['-f', 'ipv6'];
}

function isUdp({ protocol }: Frontend): boolean {
  return protocol === 'udp';
}
