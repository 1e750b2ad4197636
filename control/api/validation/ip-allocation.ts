/** Validation of what says which service has which address: IPAddress, ServiceCIDR. */
import type { IPAddress, ServiceCIDR } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import { CIDR_MESSAGE, formatIp, IP_MESSAGE, isNetworkAddress, parseCidr, parseIp } from './addresses.ts';
import { byRule, IMMUTABLE, invalidText, invalidValue, required } from './errors.ts';
import { goStrings } from './go-text.ts';
import { dns1123Label, dns1123Subdomain, type NameRule, pathSegment } from './names.ts';

/** Both families have one range at most. */
const CIDRS_MAX = 2;

/** An address is its own name. */
export const addressName: NameRule = name => {
  const ip = parseIp(name);
  if (!ip) return [IP_MESSAGE];
  return formatIp(ip) === name ? [] : ['must be a canonical form IP address'];
};

export function validateIpAddress({ spec }: IPAddress): FieldError[] {
  const path = 'spec.parentRef';
  const { parentRef } = spec ?? {};
  if (!parentRef) return [required(path)];
  const { group = '', resource = '', name = '', namespace = '' } = parentRef;
  return [
    ...(group === '' ? [] : byRule(`${path}.group`, group, dns1123Subdomain(group))),
    ...(resource === '' ? [required(`${path}.resource`)] : byRule(`${path}.resource`, resource, pathSegment(resource))),
    ...(name === '' ? [required(`${path}.name`)] : byRule(`${path}.name`, name, pathSegment(name))),
    ...(namespace === '' ? [] : byRule(`${path}.namespace`, namespace, dns1123Label(namespace))),
  ];
}

export const validateIpAddressUpdate = (object: IPAddress, old: IPAddress): FieldError[] =>
  isEqual(object.spec?.parentRef, old.spec?.parentRef)
    ? []
    : [invalidValue('spec.parentRef', object.spec?.parentRef ?? null, IMMUTABLE)];

export function validateServiceCidr({ spec }: ServiceCIDR): FieldError[] {
  const path = 'spec.cidrs';
  const cidrs = spec?.cidrs ?? [];
  if (cidrs.length === 0) return [required(path, 'at least one CIDR required')];
  if (cidrs.length > CIDRS_MAX) {
    return [invalidText(path, goStrings(cidrs), 'may only hold up to 2 values')];
  }
  const ranges = cidrs.map(parseCidr);
  const [first, second] = ranges;
  if (first && second && first.ip.family === second.ip.family) {
    const why = 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64';
    return [invalidText(path, goStrings(cidrs), why)];
  }
  return cidrs.flatMap((cidr, index) => validateRange(`${path}[${index}]`, cidr));
}

function validateRange(field: string, cidr: string): FieldError[] {
  const range = parseCidr(cidr);
  if (!range) return [invalidValue(field, cidr, CIDR_MESSAGE)];
  if (!isNetworkAddress(range)) return [invalidValue(field, cidr, 'must not have bits set beyond the prefix length')];
  const canonical = `${formatIp(range.ip)}/${range.prefix}`;
  return canonical === cidr ? [] : [invalidValue(field, cidr, `must be in canonical form ("${canonical}")`)];
}

/** A range stays as it is; one of the other family may come to it. */
export function validateServiceCidrUpdate(object: ServiceCIDR, old: ServiceCIDR): FieldError[] {
  const before = old.spec?.cidrs ?? [];
  const now = object.spec?.cidrs ?? [];
  if (isEqual(before, now)) return [];
  if (before.length === 1 && now.length === 2 && before[0] === now[0]) return [];
  return [invalidText('spec.cidrs', goStrings(now), IMMUTABLE)];
}
