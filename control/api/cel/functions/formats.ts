/** Named formats (Kubernetes' format library): `format.dns1123Label().validate(text)` gives what is wrong, or none. */
import * as names from '../../validation/names.ts';
import { Opaque } from '../opaque.ts';
import { ArrayList, EvaluationError, Optional, type Value } from '../values.ts';
import { define, type Overload } from './library.ts';

const TYPE = 'kubernetes.NamedFormat';
interface Format {
  readonly name: string;
  readonly complaints: (text: string) => readonly string[];
}
type Wrapped = Opaque<Format>;

/** Longer texts are of no format; they are not even looked at. */
const TEXT_MAX = 64 * 1024;
const PLAIN_TEXT_MAX = 1_024;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** A rule for names, which are short. */
const byName = (rule: (text: string) => readonly string[]) => (text: string) =>
  text.length > PLAIN_TEXT_MAX ? [names.tooLong(PLAIN_TEXT_MAX)] : rule(text);
const byPrefix = (rule: names.NameRule) => byName(text => rule(text, true));
const byTest = (test: (text: string) => boolean, complaint: string) => (text: string) =>
  test(text) ? [] : [complaint];

function isDate(text: string): boolean {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

function isDateTime(text: string): boolean {
  const match = /^(\d{4}-\d{2}-\d{2})[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/.exec(text);
  return match !== null && isDate(match[1] ?? '') && !Number.isNaN(Date.parse(text.replace(' ', 'T').toUpperCase()));
}

const isUri = (text: string): boolean => /^(?:[a-zA-Z][a-zA-Z0-9+.-]*:\S+|\/\S*)$/.test(text);

const ALL: Readonly<Record<string, (text: string) => readonly string[]>> = {
  dns1123Label: byName(names.dns1123Label),
  dns1123Subdomain: byName(names.dns1123Subdomain),
  dns1035Label: byName(names.dns1035Label),
  qualifiedName: byName(names.qualifiedName),
  dns1123LabelPrefix: byPrefix(names.labelName),
  dns1123SubdomainPrefix: byPrefix(names.subdomainName),
  dns1035LabelPrefix: byPrefix(names.serviceName),
  labelValue: byName(names.labelValue),
  uri: byTest(isUri, 'invalid URI for request'),
  uuid: byTest(text => UUID.test(text), 'does not match the UUID format'),
  byte: byTest(text => BASE64.test(text), 'invalid base64'),
  date: byTest(isDate, 'invalid date'),
  datetime: byTest(isDateTime, 'invalid datetime'),
};

const formats = new Map(
  Object.entries(ALL).map(([name, complaints]) => [
    name,
    new Opaque<Format>(TYPE, { name, complaints }, (a, b) => a.name === b.name),
  ]),
);

function known(name: string): Wrapped {
  const format = formats.get(name);
  if (!format) throw new EvaluationError(`unknown format ${name}`);
  return format;
}

function validate({ content }: Wrapped, text: string): Value {
  const complaints = text.length > TEXT_MAX ? [names.tooLong(TEXT_MAX)] : content.complaints(text);
  return complaints.length === 0 ? Optional.NONE : new Optional(new ArrayList(complaints));
}

export const FORMATS: readonly Overload[] = [
  define<[string]>(`format.named(string): optional(${TYPE})`, name =>
    formats.has(name) ? new Optional(known(name)) : Optional.NONE,
  ),
  ...Object.keys(ALL).map(name => define<[]>(`format.${name}(): ${TYPE}`, () => known(name))),
  define<[Wrapped, string]>(`${TYPE}->validate(string): optional(list(string))`, validate, 'scan'),
];
