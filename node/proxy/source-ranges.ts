/**
 * Whom a load balancer's addresses answer (`loadBalancerSourceRanges`), as kube-proxy has it (v1.33,
 * `pkg/proxy/nftables/proxier.go`, `pkg/proxy/util/utils.go`). Pure.
 */
import { canonicalIp, formatIpv6Range, parseIpv6Range, sizeOfIpv6 } from '../api.ts';
import { formatCidr, parseAddress } from '../network/cidr.ts';
import type { SourceLimit } from './proxy.ts';

interface Range {
  readonly family: 4 | 6;
  readonly base: bigint;
  readonly prefixLength: number;
}

const ipv4Bits = 32;

/**
 * The ranges of one family, each once, none within another. Undefined if everybody is let in: there is none of this family, or
 * one holds all addresses. Empty if nobody is, which only ranges that cannot be understood lead to: the API refuses them.
 */
export function rangesOfFamily(texts: readonly string[], family: 4 | 6): string[] | undefined {
  const own = texts.filter(text => text.includes(':') === (family === 6));
  if (own.length === 0) return undefined;
  const ranges = outermost(own.flatMap(text => parseRange(text) ?? []));
  return ranges.some(({ prefixLength }) => prefixLength === 0) ? undefined : ranges.map(formatRange);
}

/**
 * The ranges from which a node lets clients in. If its own address is in one, the load balancer's addresses are, too: where they
 * are the node's, it is from them that its own connections to them come.
 *
 * @param nodeAddress the node's first of the family; undefined if it has none
 */
export function sourcesLetIn({ addresses, sources }: SourceLimit, nodeAddress: string | undefined): string[] {
  if (nodeAddress === undefined || !admission(sources)(nodeAddress)) return [...sources];
  const own = addresses.map(address => `${address}/${address.includes(':') ? 128 : ipv4Bits}`);
  return outermost([...sources, ...own].flatMap(text => parseRange(text) ?? [])).map(formatRange);
}

/** Says of a client's address whether it is in one of the ranges. */
export function admission(sources: readonly string[]): (client: string) => boolean {
  const ranges = sources.flatMap(text => parseRange(text) ?? []);
  return client => {
    const address = parseRange(`${client}/${client.includes(':') ? 128 : ipv4Bits}`);
    return address !== undefined && ranges.some(range => holds(range, address));
  };
}

/** Without those that others hold: sets of nftables want none that overlap. */
function outermost(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort(
    (left, right) =>
      Number(left.base > right.base) - Number(left.base < right.base) || left.prefixLength - right.prefixLength,
  );
  const result: Range[] = [];
  for (const range of sorted) {
    // Two ranges are apart or one holds the other, so the last is the only one that may hold this.
    const last = result.at(-1);
    if (!last || !holds(last, range)) result.push(range);
  }
  return result;
}

function holds(outer: Range, inner: Range): boolean {
  if (outer.family !== inner.family || outer.prefixLength > inner.prefixLength) return false;
  return inner.base >= outer.base && inner.base < outer.base + sizeOf(outer);
}

function sizeOf({ family, prefixLength }: Range): bigint {
  return family === 6 ? sizeOfIpv6({ base: 0n, prefixLength }) : 1n << BigInt(ipv4Bits - prefixLength);
}

/** Bits of the host part and blanks around do not matter, as in Kubernetes. */
function parseRange(text: string): Range | undefined {
  const trimmed = text.trim();
  if (trimmed.includes(':')) {
    const range = parseIpv6Range(trimmed);
    return range && { family: 6, ...range };
  }
  const [, address, length] = /^([\d.]+)\/(\d{1,2})$/.exec(trimmed) ?? [];
  const prefixLength = Number(length);
  if (address === undefined || !(prefixLength <= ipv4Bits)) return undefined;
  const value = ipv4Of(address);
  const hostBits = BigInt(ipv4Bits - prefixLength);
  return value === undefined ? undefined : { family: 4, base: (value >> hostBits) << hostBits, prefixLength };
}

function ipv4Of(text: string): bigint | undefined {
  try {
    return BigInt(parseAddress(canonicalIp(text)));
  } catch {
    return undefined;
  }
}

function formatRange({ family, base, prefixLength }: Range): string {
  return family === 6 ? formatIpv6Range({ base, prefixLength }) : formatCidr({ base: Number(base), prefixLength });
}
