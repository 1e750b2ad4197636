/**
 * Which families of addresses a Service has: what its author left out follows from the cluster's families, and from the addresses
 * that were asked for (k/k pkg/registry/core/service/storage: initIPFamilyFields). What does not fit is left as it is, for
 * validation and allocation to refuse. Pure.
 */
import type { IpFamily } from '../families.ts';
import type { ServiceSpec } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { parseIp } from '../validation/addresses.ts';

const ONLY_IPV4: readonly IpFamily[] = ['IPv4'];
const other = (family: string): IpFamily => (family === 'IPv4' ? 'IPv6' : 'IPv4');
const isHeadless = (spec: ServiceSpec): boolean => spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None';

/** Fills in policy and families. `old` is what the Service was, `cluster` the cluster's families, the primary one first. */
export function defaultFamilies(spec: ServiceSpec, old: ServiceSpec | undefined, cluster = ONLY_IPV4): void {
  if (spec.type === 'ExternalName') return;
  // A Service that takes what the cluster has keeps what it got, also when the cluster has more now.
  if (old && isUntouched(spec, old)) return;
  const isOpen = isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0;
  spec.ipFamilyPolicy ??= isOpen && spec.ipFamilies?.length !== 1 ? 'RequireDualStack' : 'SingleStack';
  if (old && spec.ipFamilyPolicy === 'SingleStack') release(spec, old);
  // One that had two and now names one is told to say so by its policy.
  const gaveUp = (old?.ipFamilies?.length ?? 0) > 1 && old?.type !== 'ExternalName' && spec.ipFamilies?.length === 1;
  if (gaveUp && spec.ipFamilyPolicy !== 'SingleStack') return;
  const families = [...(spec.ipFamilies ?? [])];
  inferFromAddresses(spec, families, cluster);
  // An address of a family that the cluster does not have is told as such.
  const hasAddresses = !isHeadless(spec) && (spec.clusterIPs?.length ?? 0) > 0;
  if (families.length === 0 && !hasAddresses) families.push(cluster[0] ?? 'IPv4');
  const [first] = families;
  const wantsTwo = spec.ipFamilyPolicy !== 'SingleStack' && (isOpen || cluster.length > 1);
  if (wantsTwo && first !== undefined && families.length === 1) families.push(other(first));
  spec.ipFamilies = families;
}

function isUntouched(spec: ServiceSpec, old: ServiceSpec): boolean {
  return (
    spec.type === old.type &&
    spec.ipFamilyPolicy === 'PreferDualStack' &&
    (old.ipFamilyPolicy ?? 'PreferDualStack') === 'PreferDualStack' &&
    (spec.ipFamilies?.length ?? 0) > 0 &&
    isEqual(spec.clusterIPs, old.clusterIPs) &&
    isEqual(spec.ipFamilies, old.ipFamilies)
  );
}

/** To ask for one stack, and for nothing else, gives the second address back. */
function release(spec: ServiceSpec, old: ServiceSpec): void {
  if (isEqual(spec.clusterIPs, old.clusterIPs)) spec.clusterIPs &&= spec.clusterIPs.slice(0, 1);
  if (isEqual(spec.ipFamilies, old.ipFamilies)) spec.ipFamilies &&= spec.ipFamilies.slice(0, 1);
}

function inferFromAddresses(spec: ServiceSpec, families: string[], cluster: readonly IpFamily[]): void {
  if (isHeadless(spec)) return;
  for (const address of (spec.clusterIPs ?? []).slice(families.length)) {
    const family = parseIp(address)?.family;
    if (family === undefined || families.includes(family) || !cluster.includes(family)) return;
    families.push(family);
  }
}
