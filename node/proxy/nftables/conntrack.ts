/** Which UDP connections the kernel has to forget after a change. Pure. */
import type { Frontend } from '../frontends.ts';

/** Arguments for `conntrack`, one list a run. */
export function planConntrackDeletions(
  before: readonly Frontend[],
  after: readonly Frontend[],
  family: 4 | 6 = 4,
): string[][] {
  const ofFamily = family === 4 ? [] : ['-f', 'ipv6'];
  const next = new Map(after.filter(one => one.protocol === 'udp').map(one => [one.id, one]));
  const deletions = new Map<string, string[]>();
  const forget = (...args: string[]) => deletions.set(args.join(' '), ['-D', ...ofFamily, '-p', 'udp', ...args]);
  for (const old of before) {
    if (old.protocol !== 'udp') continue;
    const kept = new Set((next.get(old.id)?.endpoints ?? []).map(one => `${one.address}:${one.port}`));
    for (const endpoint of old.endpoints) {
      if (!kept.has(`${endpoint.address}:${endpoint.port}`)) forget('--dst-nat', endpoint.address);
    }
  }
  const hadEndpoints = new Set(before.filter(one => one.endpoints.length > 0).map(one => `${one.protocol} ${one.id}`));
  for (const one of next.values()) {
    if (one.endpoints.length === 0 || hadEndpoints.has(`udp ${one.id}`)) continue;
    // Clients that sent before there was an endpoint are remembered as going nowhere.
    for (const address of [...one.clusterIPs, ...one.externalIPs]) {
      forget('--orig-dst', address, '--orig-port-dst', String(one.port));
    }
    if (one.nodePort > 0) forget('--orig-port-dst', String(one.nodePort));
  }
  return [...deletions.values()];
}
