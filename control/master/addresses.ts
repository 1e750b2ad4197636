/** Where a master is reached: the names in its certificate and the address that it tells others. */
import { hostname, networkInterfaces } from 'node:os';

import type { MasterStore } from './datastore.ts';
import type { MasterOptions } from './options.ts';

const ANY = new Set(['0.0.0.0', '::', '']);

/** This machine's addresses that others can use, IPv4 first. */
function machineAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap(list => list ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80') && !address.startsWith('169.254.'))
    .sort((a, b) => (a.family < b.family ? -1 : a.family > b.family ? 1 : 0))
    .map(({ address }) => address);
}

/** The address to tell others for a listening address: itself, or the machine's first where it listens on all. */
export function advertised(host: string): string {
  return ANY.has(host) ? (machineAddresses()[0] ?? '127.0.0.1') : host;
}

/** `host:port`, with brackets where the host is an IPv6 address. */
export const hostPort = (host: string, port: number) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

/** All under which a client may reach a master on this machine. */
export function servingHosts(options: {
  readonly extra: readonly string[];
  readonly clusterDomain: string;
  readonly serviceAddress: string;
}): readonly string[] {
  return [
    ...new Set([
      'localhost',
      '127.0.0.1',
      '::1',
      hostname(),
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      `kubernetes.default.svc.${options.clusterDomain}`,
      options.serviceAddress,
      ...machineAddresses(),
      ...options.extra,
    ]),
  ];
}

/** The first usable address of a range: where the `kubernetes` Service is. */
export function firstAddress(cidr: string): string {
  const [base = '', prefix = '32'] = cidr.split('/');
  const value = base.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(prefix));
  const first = Math.floor(value / size) * size + 1;
  return [24, 16, 8, 0].map(shift => Math.floor(first / 2 ** shift) % 256).join('.');
}

/** Where clients reach this master. */
export const clientUrl = ({ listen }: Pick<MasterOptions, 'listen'>): string =>
  `https://${hostPort(advertised(listen.host), listen.port)}`;

/** Whom the `kubernetes` Service should lead to: an address for all if one was given, else every master that is heard of. */
export function livingMasters(
  store: Pick<MasterStore, 'living'>,
  options: Pick<MasterOptions, 'advertise'>,
  own: string,
): readonly string[] {
  if (options.advertise && !/^(127\.|::1$)/.test(own)) return [own];
  return (
    store
      .living()
      .map(member => new URL(member.clientUrl).hostname.replace(/^\[|\]$/g, ''))
      // A Service may not lead to loopback: on a machine without another address it leads nowhere.
      .filter(address => !/^(127\.|::1$)/.test(address))
  );
}
