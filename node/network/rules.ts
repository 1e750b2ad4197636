/**
 * Packet rules of one node's pod network. Pure; `firewall.ts` applies them.
 *
 * Masquerading: what a pod sends out of the cluster carries the node's address. Redirects: pods send all traffic by way
 * of the node, also to their neighbours, so that a reply from a service's endpoint passes the translation; the kernel's
 * advice to take the direct way must not reach them. Forwarding: Docker sets the FORWARD policy to DROP, which no rule
 * in a table of our own can lift, so an accept for our bridge goes into that chain.
 */
import type { NetworkNames } from './names.ts';

export interface PodRanges {
  readonly podCIDR: string;
  readonly clusterCIDR: string;
  /** The same of IPv6, on a dual-stack cluster. */
  readonly ipv6?: { readonly podCIDR: string; readonly clusterCIDR: string };
}

/** A script for `nft -f -` that makes the table anew in one step. */
export function nftScript(names: NetworkNames, ranges: PodRanges): string {
  const { bridge, table } = names;
  return `table ip ${table}
delete table ip ${table}
table ip ${table} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${ranges.podCIDR} ip daddr != ${ranges.clusterCIDR} ip daddr != 224.0.0.0/4 oifname != "${bridge}" masquerade
  }
  chain output {
    type filter hook output priority filter; policy accept;
    oifname "${bridge}" icmp type redirect drop
  }
}
`;
}

/** The same for IPv6. */
export function nftScript6(names: NetworkNames, ranges: NonNullable<PodRanges['ipv6']>): string {
  const { bridge, table } = names;
  return `table ip6 ${table}
delete table ip6 ${table}
table ip6 ${table} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip6 saddr ${ranges.podCIDR} ip6 daddr != ${ranges.clusterCIDR} ip6 daddr != ff00::/8 oifname != "${bridge}" masquerade
  }
  chain output {
    type filter hook output priority filter; policy accept;
    oifname "${bridge}" icmpv6 type nd-redirect drop
  }
}
`;
}

/** One rule for iptables: where it goes and what it says. */
export interface IptablesRule {
  readonly table: 'filter' | 'nat';
  readonly chain: 'FORWARD' | 'OUTPUT' | 'POSTROUTING';
  readonly rule: readonly string[];
}

export function forwardRules(names: NetworkNames): IptablesRule[] {
  return ['-i', '-o'].map(direction => ({
    table: 'filter',
    chain: 'FORWARD',
    rule: [direction, names.bridge, ...comment(names), '-j', 'ACCEPT'],
  }));
}

/** The same as {@link nftScript}, for machines without nft. */
export function iptablesRules(names: NetworkNames, ranges: PodRanges): IptablesRule[] {
  return [
    {
      table: 'nat',
      chain: 'POSTROUTING',
      rule: [
        ...['-s', ranges.podCIDR, '!', '-d', ranges.clusterCIDR, '!', '-o', names.bridge],
        ...[...comment(names), '-j', 'MASQUERADE'],
      ],
    },
    {
      table: 'filter',
      chain: 'OUTPUT',
      rule: ['-o', names.bridge, '-p', 'icmp', '--icmp-type', 'redirect', ...comment(names), '-j', 'DROP'],
    },
  ];
}

/** By this our rules are found again, whatever else they say. */
function commentOf(names: NetworkNames): string {
  return `raftsman:${names.bridge}`;
}

function comment(names: NetworkNames): string[] {
  return ['-m', 'comment', '--comment', commentOf(names)];
}

/**
 * The rules of one chain, as `iptables -S` printed them, that are ours: each as arguments to delete it. iptables puts
 * quotes around a comment; ours has no blanks.
 */
export function ownRulesIn(listing: string, names: NetworkNames): string[][] {
  return listing
    .split('\n')
    .map(line =>
      line
        .trim()
        .split(/\s+/)
        .map(word => word.replace(/^"(.*)"$/, '$1')),
    )
    .filter(words => words[0] === '-A' && words.includes(commentOf(names)))
    .map(words => words.slice(1));
}
