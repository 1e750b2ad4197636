/** Validation of APIServices (kube-aggregator pkg/apis/apiregistration/validation). */
import type { APIService } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { byRule, invalidValue, oneOf, required } from './errors.ts';
import { dns1035Label, dns1123Subdomain, pathSegment } from './names.ts';
import { validateServicePort } from './webhooks.ts';

const GROUP_PRIORITY_MAX = 20_000;
const VERSION_PRIORITY_MAX = 1_000;

export function validateApiService({ metadata, spec }: APIService): FieldError[] {
  const { group = '', version = '', groupPriorityMinimum = 0, versionPriority = 0 } = spec ?? {};
  const { service, caBundle = '', insecureSkipTLSVerify = false } = spec ?? {};
  const errors = validateName(metadata?.name ?? '', `${version}.${group}`);
  if (group === '' && version !== 'v1') {
    errors.push(required('spec.group', 'only v1 may have an empty group and it better be legacy kube'));
  }
  if (group !== '') errors.push(...byRule('spec.group', group, dns1123Subdomain(group)));
  errors.push(...byRule('spec.version', version, dns1035Label(version)));
  const priority = (field: string, value: number, valueMax: number) => {
    if (value > 0 && value <= valueMax) return;
    errors.push(invalidValue(`spec.${field}`, value, `must be positive and less than ${valueMax}`));
  };
  priority('groupPriorityMinimum', groupPriorityMinimum, GROUP_PRIORITY_MAX);
  priority('versionPriority', versionPriority, VERSION_PRIORITY_MAX);
  if (!service) {
    if (caBundle !== '') {
      const bytes = `${atobLength(caBundle)} bytes`;
      errors.push(invalidValue('spec.caBundle', bytes, 'local APIServices may not have a caBundle'));
    }
    if (insecureSkipTLSVerify) {
      const why = 'local APIServices may not have insecureSkipTLSVerify';
      errors.push(invalidValue('spec.insecureSkipTLSVerify', insecureSkipTLSVerify, why));
    }
    return errors;
  }
  if (!service.namespace) errors.push(required('spec.service.namespace'));
  if (!service.name) errors.push(required('spec.service.name'));
  errors.push(...validateServicePort(service.port, 'spec.service.port'));
  if (insecureSkipTLSVerify && caBundle !== '') {
    const why = 'may not be true if caBundle is present';
    errors.push(invalidValue('spec.insecureSkipTLSVerify', insecureSkipTLSVerify, why));
  }
  return errors;
}

/** Conditions are all that a status has. */
export function validateApiServiceStatus({ status }: APIService): FieldError[] {
  return (status?.conditions ?? []).flatMap((condition, index) =>
    oneOf(`status.conditions[${index}].status`, condition.status, ['True', 'False', 'Unknown']),
  );
}

/** The name follows from what the object is about. */
function validateName(name: string, wanted: string): FieldError[] {
  if (name === '' || pathSegment(name).length > 0 || name === wanted) return [];
  const why = `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(wanted)}`;
  return [invalidValue('metadata.name', name, why)];
}

/** How many bytes a base64 text stands for. */
function atobLength(text: string): number {
  return Math.floor((text.replaceAll('=', '').length * 3) / 4);
}
