/**
 * The way of a node's own pods to its own server, in nftables: what comes from the node's bridge for the cluster's DNS
 * address goes to the bridge's own address. Several nodes on one machine have each a bridge, so each serves its pods; the
 * service proxy, which knows no bridges, comes later and sees to everybody else (see `node-dns.ts`).
 */
import { formatAddress, parseAddress } from '../network/cidr.ts';
import { networkNames } from '../network/names.ts';
import { mustRun, type RunCommand, runCommand } from '../runtime/command.ts';
import { DNS_PORT } from './limits.ts';

export interface Redirection {
  readonly clusterId: string;
  readonly nodeName: string;
  /** The cluster's DNS address. */
  readonly from: string;
  readonly to: { readonly address: string; readonly port: number };
}

/** Before the service proxy's chains, after connection tracking. */
const PRIORITY = -110;

/** A script for `nft -f -` that makes the table anew in one step. Pure. */
function redirectScript({ clusterId, nodeName, from, to }: Redirection): string {
  const table = tableOf(clusterId, nodeName);
  const { bridge } = networkNames(clusterId, nodeName);
  const target = `${checked(to.address)}:${to.port}`;
  return `${removalScript(clusterId, nodeName)}table ip ${table} {
  chain prerouting {
    type nat hook prerouting priority ${PRIORITY}; policy accept;
    iifname "${bridge}" ip daddr ${checked(from)} meta l4proto { tcp, udp } th dport ${DNS_PORT} dnat to ${target}
  }
}
`;
}

/** Removes the table whether or not it is there. Pure. */
function removalScript(clusterId: string, nodeName: string): string {
  const table = tableOf(clusterId, nodeName);
  return `table ip ${table}\ndelete table ip ${table}\n`;
}

/** Throws if nft does not take it. */
export async function applyRedirection(redirection: Redirection, run: RunCommand = runCommand): Promise<void> {
  await mustRun(run, 'nft', ['-f', '-'], { input: redirectScript(redirection) });
}

/** Throws if there is no nft. */
export async function removeRedirection(
  { clusterId, nodeName }: Pick<Redirection, 'clusterId' | 'nodeName'>,
  run: RunCommand = runCommand,
): Promise<void> {
  await mustRun(run, 'nft', ['-f', '-'], { input: removalScript(clusterId, nodeName) });
}

function tableOf(clusterId: string, nodeName: string): string {
  return networkNames(clusterId, nodeName).table.replace('-net-', '-dns-');
}

/** Throws on what is no address: it goes into a script. */
function checked(address: string): string {
  return formatAddress(parseAddress(address));
}
