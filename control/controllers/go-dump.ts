/**
 * Pod templates as Go prints them for hashing: `%#v` of go-spew with sorted map keys and without methods, addresses and
 * capacities (k/k pkg/util/hash DeepHashObject, apimachinery util/dump ForHash). Pure.
 */
import { POD_TEMPLATE_LAYOUT } from './pod-template-layout.ts';

interface Field {
  readonly name: string;
  readonly type: string;
  /** Undefined: its fields stand among those of the structure around it. */
  readonly json: string | undefined;
}

/** The text that Kubernetes hashes of a `v1.PodTemplateSpec`. */
export function dumpPodTemplate(template: unknown): string {
  return dump('PodTemplateSpec', template, true);
}

const LAYOUT: ReadonlyMap<string, readonly Field[]> = new Map(
  [...POD_TEMPLATE_LAYOUT.matchAll(/^(\w+):(.*(?:\n .*)*)/gm)].map(([, name = '', fields = '']) => [
    name,
    fields.split(',').map(readField),
  ]),
);

function readField(text: string): Field {
  const [name = '', type = '', json = `${name.charAt(0).toLowerCase()}${name.slice(1)}`] = text.trim().split(/\s+/);
  return { name, type, json: json === '-' ? undefined : json };
}

/** Elements of lists and maps, and what a pointer leads to, go without their type: it is that of the whole. */
function dump(type: string, value: unknown, isTyped: boolean): string {
  if (type.startsWith('*')) {
    const target = type.slice(1);
    if (value === undefined || value === null) return isTyped ? `(*${qualified(target)})<nil>` : '<nil>';
    return `${isTyped ? `(*${qualified(target)})` : '<*>'}${dump(target, value, false)}`;
  }
  return `${isTyped ? `(${qualified(type)})` : ''}${dumpBare(type, value)}`;
}

function dumpBare(type: string, value: unknown): string {
  if (type.startsWith('[]')) {
    const items = Array.isArray(value) ? value : [];
    // On the wire between Kubernetes' own components an empty list is none.
    return items.length > 0 ? `[${items.map(item => dump(type.slice(2), item, false)).join(' ')}]` : '<nil>';
  }
  if (type === 'ResourceList') return dumpMap('resource.Quantity', value);
  if (type.startsWith('map[')) return dumpMap(type.slice(type.indexOf(']') + 1), value);
  switch (type) {
    case 'bool':
      return String(value ?? false);
    case 'int32':
    case 'int64':
      return String(value ?? 0);
    case 'Time':
      return '{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}';
    case 'intstr.IntOrString':
      return dumpIntOrString(value);
    case 'resource.Quantity':
      return dumpQuantity(value);
  }
  const fields = LAYOUT.get(type);
  if (!fields) return String(value ?? '');
  const own = (value ?? {}) as Readonly<Record<string, unknown>>;
  const parts = fields.map(
    ({ name, type: of, json }) => `${name}:${dump(of, json === undefined ? own : own[json], true)}`,
  );
  return `{${parts.join(' ')}}`;
}

function dumpMap(type: string, value: unknown): string {
  const entries = Object.entries((value ?? {}) as Readonly<Record<string, unknown>>);
  if (entries.length === 0) return '<nil>';
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `map[${sorted.map(([key, inner]) => `${key}:${dump(type, inner, false)}`).join(' ')}]`;
}

const PLAIN: ReadonlySet<string> = new Set(['string', 'bool', 'int32', 'int64']);

/** The type as Go names it. */
function qualified(type: string): string {
  const [, prefix = '', name = ''] = /^((?:\[\]|map\[\w+\]|\*)*)(.*)$/.exec(type) ?? [];
  return PLAIN.has(name) || name.includes('.') ? type : `${prefix}v1.${name}`;
}

function dumpIntOrString(value: unknown): string {
  const [kind, number, text] = typeof value === 'string' ? [1, 0, value] : [0, value ?? 0, ''];
  return `{Type:(intstr.Type)${kind} IntVal:(int32)${number} StrVal:(string)${text}}`;
}

/** Exponents of ten, and of two, by suffix. */
const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };

/** A quantity keeps the text that it was read from, besides its value. */
function dumpQuantity(quantity: unknown): string {
  if (quantity === undefined) return quantityParts({ value: '0', scale: 0, text: '', format: '' });
  const text = String(quantity);
  if (text === '0') return quantityParts({ value: '0', scale: 0, text, format: '' });
  const [, number = text, suffix = ''] = /^([+-]?\d+)([a-zA-Z]*[\d+-]*)$/.exec(text) ?? [];
  const binary = BINARY[suffix];
  if (binary !== undefined) {
    return quantityParts({ value: String(BigInt(number) << BigInt(binary)), scale: 0, text, format: 'BinarySI' });
  }
  const decimal = DECIMAL[suffix];
  if (decimal !== undefined) return quantityParts({ value: number, scale: decimal, text, format: 'DecimalSI' });
  return quantityParts({ value: number, scale: Number(suffix.slice(1)) || 0, text, format: 'DecimalExponent' });
}

function quantityParts({ value, scale, text, format }: { value: string; scale: number; text: string; format: string }) {
  const amount = `i:(resource.int64Amount){value:(int64)${value} scale:(resource.Scale)${scale}}`;
  return `{${amount} d:(resource.infDecAmount){Dec:(*inf.Dec)<nil>} s:(string)${text} Format:(resource.Format)${format}}`;
}
