/** Whether the ranges that a cluster is to be made with fit each other. Pure. */
import {
  familiesOf,
  type Ipv6Range,
  ipv6Contains,
  parseIpv6Range,
  rangeTrouble,
  splitRanges,
} from '../api/families.ts';

/** Each node gets a /64. */
const POD_PREFIX_MAX = 64;
/** More nodes than a cluster has (Kubernetes' bound: 16 bits between a cluster's range and a node's). */
const POD_PREFIX_MIN = 48;
/** Services need some addresses, and no more than a /64 makes sense (KEP-1880). */
const SERVICE_PREFIX_MAX = 120;
const SERVICE_PREFIX_MIN = 64;

/** A sentence on what is wrong; undefined if nothing is. The limits of IPv4 ranges are their users'. */
export function clusterRangeTrouble(ranges: {
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
}): string | undefined {
  const { clusterCIDR, serviceCIDR } = ranges;
  const pods = rangeTrouble(clusterCIDR);
  if (pods !== undefined) return `--cluster-cidr ${pods}`;
  const services = rangeTrouble(serviceCIDR);
  if (services !== undefined) return `--service-cidr ${services}`;
  if (familiesOf(clusterCIDR).length !== familiesOf(serviceCIDR).length) {
    return '--cluster-cidr and --service-cidr need the same families: a range of IPv4 and one of IPv6 each, or of IPv4 only';
  }
  const [podRange, serviceRange] = [clusterCIDR, serviceCIDR].map(text => parseIpv6Range(splitRanges(text).ipv6 ?? ''));
  if (!podRange || !serviceRange) return undefined;
  return (
    outside('--cluster-cidr', podRange, [POD_PREFIX_MIN, POD_PREFIX_MAX]) ??
    outside('--service-cidr', serviceRange, [SERVICE_PREFIX_MIN, SERVICE_PREFIX_MAX]) ??
    overlap(podRange, serviceRange)
  );
}

function outside(flag: string, { prefixLength }: Ipv6Range, [min, max]: readonly [number, number]): string | undefined {
  if (prefixLength >= min && prefixLength <= max) return undefined;
  return `${flag}: the IPv6 range has to be a /${min} to /${max}, not a /${prefixLength}`;
}

function overlap(a: Ipv6Range, b: Ipv6Range): string | undefined {
  if (!ipv6Contains(a, b.base) && !ipv6Contains(b, a.base)) return undefined;
  return '--cluster-cidr and --service-cidr: the IPv6 ranges overlap';
}
