/** Validation of endpoint slices. */
import type { DiscoveryV1EndpointPort, EndpointSlice } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { parseIp, validateOrdinaryIp } from './addresses.ts';
import { byRule, duplicateValue, IMMUTABLE, invalidValue, oneOf, required, tooManyValues } from './errors.ts';
import { dns1123Label, dns1123Subdomain } from './names.ts';

const ADDRESS_TYPES = ['FQDN', 'IPv4', 'IPv6'];
const ENDPOINTS_MAX = 1_000;
const ADDRESSES_MAX = 100;
const PORTS_MAX = 20_000;

export function validateEndpointSlice(slice: EndpointSlice): FieldError[] {
  const errors =
    slice.addressType === '' ? [required('addressType')] : oneOf('addressType', slice.addressType, ADDRESS_TYPES);
  const endpoints = slice.endpoints ?? [];
  if (endpoints.length > ENDPOINTS_MAX) return [...errors, tooManyValues('endpoints', endpoints.length, ENDPOINTS_MAX)];
  for (const [index, { addresses = [], hostname }] of endpoints.entries()) {
    const field = `endpoints[${index}]`;
    const count = addresses?.length ?? 0;
    if (count === 0) errors.push(required(`${field}.addresses`, 'must contain at least 1 address'));
    else if (count > ADDRESSES_MAX) errors.push(tooManyValues(`${field}.addresses`, count, ADDRESSES_MAX));
    for (const address of addresses ?? []) {
      errors.push(...validateAddress(address, slice.addressType, `${field}.addresses`));
    }
    if (hostname) errors.push(...byRule(`${field}.hostname`, hostname, dns1123Label(hostname)));
  }
  return [...errors, ...validatePorts(slice.ports ?? [])];
}

function validateAddress(address: string, type: string, field: string): FieldError[] {
  if (type === 'FQDN') return byRule(field, address, dns1123Subdomain(address));
  if (type !== 'IPv4' && type !== 'IPv6') return [];
  if (parseIp(address)?.family !== type) {
    return [invalidValue(field, address, `must be an ${type} address`)];
  }
  return validateOrdinaryIp(field, address);
}

function validatePorts(ports: readonly DiscoveryV1EndpointPort[]): FieldError[] {
  if (ports.length > PORTS_MAX) return [tooManyValues('ports', ports.length, PORTS_MAX)];
  const names = new Set<string>();
  return ports.flatMap(({ name = '', protocol = '' }, index) => {
    const field = `ports[${index}]`;
    const errors = name === '' ? [] : byRule(`${field}.name`, name, dns1123Label(name));
    if (names.has(name)) errors.push(duplicateValue(`${field}.name`, name));
    names.add(name);
    if (protocol === '') errors.push(required(`${field}.protocol`));
    else errors.push(...oneOf(`${field}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']));
    return errors;
  });
}

export const validateEndpointSliceUpdate = (slice: EndpointSlice, old: EndpointSlice): FieldError[] =>
  slice.addressType === old.addressType ? [] : [invalidValue('addressType', slice.addressType, IMMUTABLE)];
