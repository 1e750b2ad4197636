/** Resource requests and limits of containers. */
import type { ResourceRequirements } from '../generated/types.ts';
import { compareQuantities, formatQuantity, isWhole, parseQuantity, type Quantity } from '../schema/quantity.ts';
import type { FieldError } from '../status.ts';
import { forbiddenField, goQuote, invalidText, invalidValue, NOT_NEGATIVE, required } from './errors.ts';
import { qualifiedName } from './names.ts';

const CONTAINER_RESOURCES = new Set(['cpu', 'memory', 'ephemeral-storage']);
const STANDARD_RESOURCES = new Set([
  ...CONTAINER_RESOURCES,
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'storage',
  'requests.cpu',
  'requests.memory',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'services.nodeports',
  'services.loadbalancers',
]);
const isHugePages = (name: string): boolean => name.startsWith('hugepages-');

/** True for a name with a domain of its own: a device, counted in whole numbers. */
const isExtended = (name: string): boolean =>
  name.includes('/') && !name.split('/')[0]?.endsWith('kubernetes.io') && !name.startsWith('requests.');

/** More may be promised than there is only of these. */
export const isOvercommittable = (name: string): boolean => !name.includes('/') && !isHugePages(name);

/** A quantity as Go's %#v shows it. */
export function goQuantity(quantity: Quantity): string {
  return `resource.Quantity{i:resource.int64Amount{value:${quantity.unscaled}, scale:${quantity.scale}}, d:resource.infDecAmount{Dec:(*inf.Dec)(nil)}, s:${goQuote(formatQuantity(quantity))}, Format:${goQuote(quantity.format)}}`;
}

/** The name of a resource of any kind: one of Kubernetes' own, or one with a domain. */
export function validateAnyResourceName(name: string, field: string): FieldError[] {
  const sentences = qualifiedName(name);
  if (sentences.length > 0) return sentences.map(sentence => invalidText(field, name, sentence));
  if (name.includes('/') || STANDARD_RESOURCES.has(name) || isHugePages(name)) return [];
  return [invalidText(field, name, 'must be a standard resource type or fully qualified')];
}

/** The name of a resource that containers can have. */
export function validateContainerResourceName(name: string, field: string): FieldError[] {
  const errors = validateAnyResourceName(name, field);
  const isUnqualified = qualifiedName(name).length === 0 && !name.includes('/');
  if (isUnqualified && !CONTAINER_RESOURCES.has(name) && !isHugePages(name)) {
    errors.push(invalidText(field, name, 'must be a standard resource for containers'));
  }
  return errors;
}

/** A quantity that must not be negative, and whole where the resource has no parts. */
export function validateResourceQuantity(name: string, quantity: Quantity, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (quantity.unscaled < 0n) errors.push(invalidValue(field, formatQuantity(quantity), NOT_NEGATIVE));
  const isCounted = isExtended(name) || ['pods', 'services', 'secrets', 'configmaps'].includes(name);
  if (isCounted && !isWhole(quantity)) errors.push(invalidText(field, goQuantity(quantity), 'must be an integer'));
  return errors;
}

/** Validates one container's resources. */
export function validateRequirements(resources: ResourceRequirements | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const limits = parseList(resources?.limits);
  const requests = parseList(resources?.requests);
  for (const [name, quantity] of limits) {
    const field = `${path}.limits[${name}]`;
    errors.push(...validateContainerResourceName(name, field), ...validateResourceQuantity(name, quantity, field));
  }
  for (const [name, quantity] of requests) {
    const field = `${path}.requests[${name}]`;
    errors.push(
      ...validateContainerResourceName(name, field),
      ...validateResourceQuantity(name, quantity, field),
      ...compareToLimit(name, quantity, limits.get(name), path),
    );
  }
  const names = new Set([...limits.keys(), ...requests.keys()]);
  if ([...names].some(isHugePages) && !names.has('cpu') && !names.has('memory')) {
    errors.push(forbiddenField(path, 'HugePages require cpu or memory'));
  }
  return errors;
}

function compareToLimit(name: string, request: Quantity, limit: Quantity | undefined, path: string): FieldError[] {
  if (!limit) {
    return isOvercommittable(name)
      ? []
      : [required(`${path}.limits`, 'Limit must be set for non overcommitable resources')];
  }
  const order = compareQuantities(request, limit);
  const refuse = (how: string) =>
    invalidValue(
      `${path}.requests`,
      formatQuantity(request),
      `must be ${how} ${name} limit of ${formatQuantity(limit)}`,
    );
  if (!isOvercommittable(name)) return order === 0 ? [] : [refuse('equal to')];
  return order > 0 ? [refuse('less than or equal to')] : [];
}

function parseList(list: Readonly<Record<string, string | number>> | undefined): Map<string, Quantity> {
  return new Map(Object.entries(list ?? {}).map(([name, text]) => [name, parseQuantity(String(text))]));
}
