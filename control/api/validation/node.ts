/** Validation of nodes. */
import type { Node, Taint } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { parseQuantity } from '../schema/quantity.ts';
import type { FieldError } from '../status.ts';
import { parseCidr, validateCidr } from './addresses.ts';
import { byRule, forbiddenField, goQuote, invalidValue, oneOf, required } from './errors.ts';
import { labelValue, qualifiedName } from './names.ts';
import { validateResourceQuantity } from './resources.ts';

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
const POD_CIDRS_MAX = 2;

export function validateNode({ spec, status }: Node): FieldError[] {
  // Kubernetes speaks of taints as of metadata, where they once were.
  const errors = validateTaints(spec?.taints ?? [], 'metadata.taints');
  for (const list of ['capacity', 'allocatable'] as const) {
    for (const [name, text] of Object.entries(status?.[list] ?? {})) {
      errors.push(...validateResourceQuantity(name, parseQuantity(String(text)), `status.${list}[${name}]`));
    }
  }
  const cidrs = spec?.podCIDRs ?? [];
  for (const [index, cidr] of cidrs.entries()) errors.push(...validateCidr(`spec.podCIDRs[${index}]`, cidr));
  const families = cidrs.map(cidr => parseCidr(cidr)?.ip.family);
  const isDoubled = families.length > 1 && families.every(Boolean) && new Set(families).size < families.length;
  if (cidrs.length > POD_CIDRS_MAX || isDoubled) {
    errors.push(invalidValue('spec.podCIDRs', cidrs, 'may specify no more than one CIDR for each IP family'));
  }
  return errors;
}

function validateTaints(taints: readonly Taint[], path: string): FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, index) => {
    const field = `${path}[${index}]`;
    const { key, value = '', effect } = taint;
    const errors = [
      ...byRule(`${field}.key`, key, qualifiedName(key)),
      ...(labelValue(value).length > 0 ? [invalidValue(`${field}.value`, value, labelValue(value).join(';'))] : []),
      ...(effect === '' ? [required(`${field}.effect`)] : oneOf(`${field}.effect`, effect, EFFECTS)),
    ];
    const pair = `${effect}/${key}`;
    if (seen.has(pair)) {
      const shown = `core.Taint{Key:${goQuote(key)}, Value:${goQuote(value)}, Effect:${goQuote(effect)}, TimeAdded:<nil>}`;
      errors.push({
        type: 'FieldValueDuplicate',
        field,
        message: `Duplicate value: ${shown}: taints must be unique by key and effect pair`,
      });
    }
    seen.add(pair);
    return errors;
  });
}

/** What the server and the cloud gave a node stays. */
export function validateNodeUpdate(node: Node, old: Node): FieldError[] {
  const errors: FieldError[] = [];
  if ((old.spec?.podCIDRs ?? []).length > 0 && !isEqual(node.spec?.podCIDRs, old.spec?.podCIDRs)) {
    errors.push(forbiddenField('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
  }
  if (old.spec?.providerID && node.spec?.providerID !== old.spec.providerID) {
    errors.push(forbiddenField('spec.providerID', 'node updates may not change providerID except from "" to valid'));
  }
  return errors;
}

const DEPRECATED_FIELDS = [
  ['externalID', 'spec.externalID: this field is deprecated, and is unused by Kubernetes'],
] as const;

export function nodeWarnings({ spec }: Node): string[] {
  const found = DEPRECATED_FIELDS.filter(([field]) => spec?.[field]).map(([, sentence]) => sentence as string);
  if (spec?.configSource) found.push('spec.configSource: the feature is removed');
  return found;
}
