/** Validation of `status.loadBalancer` of Services and Ingresses. A write of status is all that can change it. */
import type { Ingress, Service } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { IP_MESSAGE, parseIp } from './addresses.ts';
import { byRule, forbiddenField, invalidValue, notSupported, required } from './errors.ts';
import { dns1123Subdomain } from './names.ts';

const FIELD = 'status.loadBalancer.ingress';
const IP_MODES = ['Proxy', 'VIP'];

interface Entry {
  readonly ip?: string;
  readonly ipMode?: string;
  readonly hostname?: string;
}

/** What is wrong with a Service's addresses in its status. */
export function validateServiceStatus({ spec, status }: Service, old: Service): FieldError[] {
  const entries = status?.loadBalancer?.ingress ?? [];
  if (entries.length > 0 && spec?.type !== 'LoadBalancer') {
    return [forbiddenField(FIELD, "may only be used when `spec.type` is 'LoadBalancer'")];
  }
  const before = old.status?.loadBalancer?.ingress;
  return entries.flatMap((entry, index) => {
    const field = `${FIELD}[${index}]`;
    return [...validateIp(entry, field, before), ...validateMode(entry, field), ...validateHostname(entry, field)];
  });
}

/** What is wrong with an Ingress's addresses in its status. */
export function validateIngressStatus({ status }: Ingress, old: Ingress): FieldError[] {
  const before = old.status?.loadBalancer?.ingress;
  return (status?.loadBalancer?.ingress ?? []).flatMap((entry, index) => {
    const field = `${FIELD}[${index}]`;
    return [...validateIp(entry, field, before), ...validateHostname(entry, field)];
  });
}

/** What was there before may stay, whatever it is. */
function validateIp({ ip }: Entry, field: string, before: readonly Entry[] = []): FieldError[] {
  if (!ip || parseIp(ip) || before.some(entry => entry.ip === ip)) return [];
  return [invalidValue(`${field}.ip`, ip, IP_MESSAGE)];
}

function validateMode({ ip, ipMode }: Entry, field: string): FieldError[] {
  if (ipMode === undefined) return ip ? [required(`${field}.ipMode`, 'must be specified when `ip` is set')] : [];
  if (!ip) return [forbiddenField(`${field}.ipMode`, 'may not be specified when `ip` is not set')];
  return IP_MODES.includes(ipMode) ? [] : [notSupported(`${field}.ipMode`, ipMode, IP_MODES)];
}

function validateHostname({ hostname }: Entry, field: string): FieldError[] {
  if (!hostname) return [];
  const errors = byRule(`${field}.hostname`, hostname, dns1123Subdomain(hostname));
  if (!parseIp(hostname)) return errors;
  return [...errors, invalidValue(`${field}.hostname`, hostname, 'must be a DNS name, not an IP address')];
}
