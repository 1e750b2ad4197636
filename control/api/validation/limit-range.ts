/** Validation of limit ranges. */
import type { LimitRange, LimitRangeItem } from '../generated/types.ts';
import { compareQuantities, formatQuantity, milliValue, parseQuantity, type Quantity } from '../schema/quantity.ts';
import type { FieldError } from '../status.ts';
import { byRule, duplicateValue, forbiddenField, invalidText, required } from './errors.ts';
import { qualifiedName } from './names.ts';
import {
  goQuantity,
  isOvercommittable,
  validateAnyResourceName,
  validateContainerResourceName,
  validateResourceQuantity,
} from './resources.ts';

const STANDARD_TYPES = ['Pod', 'Container', 'PersistentVolumeClaim'];
const ONE = parseQuantity('1');
const LISTS = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;
type List = (typeof LISTS)[number];

export function validateLimitRange({ spec }: LimitRange): FieldError[] {
  const types = new Set<string>();
  return (spec?.limits ?? []).flatMap((limit, index) => {
    const path = `spec.limits[${index}]`;
    const errors = validateType(limit.type, `${path}.type`);
    if (types.has(limit.type)) errors.push(duplicateValue(`${path}.type`, limit.type));
    types.add(limit.type);
    return [...errors, ...validateItem(limit, path)];
  });
}

function validateType(type: string, field: string): FieldError[] {
  const sentences = qualifiedName(type);
  if (sentences.length > 0) return byRule(field, type, sentences);
  if (type.includes('/') || STANDARD_TYPES.includes(type)) return [];
  return byRule(field, type, ['must be a standard limit type or fully qualified']);
}

function validateItem(limit: LimitRangeItem, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const nameRule =
    limit.type === 'Pod' || limit.type === 'Container' ? validateContainerResourceName : validateAnyResourceName;
  for (const list of LISTS) {
    const entries = Object.entries(limit[list] ?? {});
    if (limit.type === 'Pod' && (list === 'default' || list === 'defaultRequest')) {
      if (entries.length > 0) {
        errors.push(forbiddenField(`${path}.${list}`, "may not be specified when `type` is 'Pod'"));
      }
      continue;
    }
    for (const [name, text] of entries) {
      const field = `${path}.${list}[${name}]`;
      errors.push(...nameRule(name, field), ...validateResourceQuantity(name, parseQuantity(String(text)), field));
    }
  }
  if (limit.type === 'PersistentVolumeClaim' && !limit.min?.storage && !limit.max?.storage) {
    const why = 'either minimum or maximum storage value is required, but neither was provided';
    errors.push(required(`${path}.limits`, why));
  }
  const names = new Set(LISTS.flatMap(list => Object.keys(limit[list] ?? {})));
  return [...errors, ...[...names].flatMap(name => validateOrder(limit, name, path))];
}

/** What is said of one resource must not contradict itself. The values shown are Kubernetes', right or not. */
function validateOrder(limit: LimitRangeItem, name: string, path: string): FieldError[] {
  const read = (list: List): Quantity | undefined => {
    const text = limit[list]?.[name];
    return text === undefined ? undefined : parseQuantity(String(text));
  };
  const min = read('min');
  const max = read('max');
  const limitDefault = read('default');
  const requestDefault = read('defaultRequest');
  const ratio = read('maxLimitRequestRatio');
  const errors: FieldError[] = [];
  const refuse = (list: List, shown: Quantity, why: string) =>
    errors.push(invalidText(`${path}.${list}[${name}]`, goQuantity(shown), why));
  const isOver = (a: Quantity | undefined, b: Quantity | undefined): boolean =>
    a !== undefined && b !== undefined && compareQuantities(a, b) > 0;
  const text = (quantity: Quantity | undefined): string => (quantity ? formatQuantity(quantity) : '');
  if (min && isOver(min, max)) refuse('min', min, `min value ${text(min)} is greater than max value ${text(max)}`);
  if (requestDefault) {
    const shown = text(requestDefault);
    if (isOver(min, requestDefault)) {
      refuse('defaultRequest', requestDefault, `min value ${text(min)} is greater than default request value ${shown}`);
    }
    if (isOver(requestDefault, max)) {
      refuse('defaultRequest', requestDefault, `default request value ${shown} is greater than max value ${text(max)}`);
    }
    if (isOver(requestDefault, limitDefault)) {
      const why = `default request value ${shown} is greater than default limit value ${text(limitDefault)}`;
      refuse('defaultRequest', requestDefault, why);
    }
  }
  if (min && isOver(min, limitDefault)) {
    refuse('default', min, `min value ${text(min)} is greater than default value ${text(limitDefault)}`);
  }
  if (max && isOver(limitDefault, max)) {
    refuse('default', max, `default value ${text(limitDefault)} is greater than max value ${text(max)}`);
  }
  if (ratio && compareQuantities(ratio, ONE) < 0) {
    refuse('maxLimitRequestRatio', ratio, `ratio ${text(ratio)} is less than 1`);
  }
  if (ratio && min && max && milliValue(ratio) / 1_000 > milliValue(max) / milliValue(min)) {
    const most = (milliValue(max) / milliValue(min)).toFixed(6);
    refuse('maxLimitRequestRatio', ratio, `ratio ${text(ratio)} is greater than max/min = ${most}`);
  }
  if (!isOvercommittable(name) && limitDefault && requestDefault) {
    if (compareQuantities(limitDefault, requestDefault) !== 0) {
      const why = `default value ${text(limitDefault)} must equal to defaultRequest value ${text(requestDefault)} in ${name}`;
      refuse('defaultRequest', requestDefault, why);
    }
  }
  return errors;
}
