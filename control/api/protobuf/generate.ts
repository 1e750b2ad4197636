/**
 * Makes `fields.json`: the field numbers of the Kubernetes v1.33 API's protobuf messages, with the JSON name of each field and what
 * Go does with its zero value. Facts come from `generated.proto` (numbers, types) and the structs' tags (JSON names,
 * pointers, omitempty) of kubernetes/api, apimachinery, apiextensions-apiserver and kube-aggregator at v0.33, from the API's
 * definitions which kinds there are. A development script: `node control/api/protobuf/generate.ts <definitions.json> <checkout>...`.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface ProtoField {
  readonly number: number;
  readonly type: string;
  readonly repeated: boolean;
  readonly map: boolean;
}
interface GoField {
  readonly json: string;
  readonly pointer: boolean;
  readonly inline: boolean;
  readonly omitsEmpty: boolean;
}

const [definitionsFile = '', ...roots] = process.argv.slice(2);
const protoFields = new Map<string, ProtoField[]>();
const goFields = new Map<string, Map<number, GoField>>();

const SCALARS = new Set(['string', 'bytes', 'bool', 'int32', 'int64', 'uint32', 'uint64', 'double', 'float']);
/** Go's packages have hyphens where protobuf cannot, and so have the definitions. */
const HYPHENATED = /apiextensions_apiserver|kube_aggregator/;
/** `.k8s.io.api.core.v1.Pod` and, in its own package, `Pod`, as the definitions name it: `io.k8s.api.core.v1.Pod`. */
function fullName(type: string, packageName: string): string {
  if (SCALARS.has(type)) return type;
  return (type.startsWith('.') ? type.slice(1) : `${packageName}.${type}`)
    .replace(/^k8s\.io\./, 'io.k8s.')
    .replace(HYPHENATED, name => name.replace('_', '-'));
}

function readProto(file: string): void {
  const text = readFileSync(file, 'utf8')
    .replaceAll(/\/\/.*$/gm, '')
    .replaceAll(/\/\*.*?\*\//gs, '');
  const packageName = /^package (.*);/m.exec(text)?.[1] ?? '';
  for (const [, message = '', body = ''] of text.matchAll(/^message (\w+) \{(.*?)^\}/gms)) {
    const fields: ProtoField[] = [];
    for (const [, label, type = '', number] of body.matchAll(/^\s*(optional|repeated)\s+([\w.]+)\s+\w+ = (\d+)/gm)) {
      fields.push({
        number: Number(number),
        type: fullName(type, packageName),
        repeated: label === 'repeated',
        map: false,
      });
    }
    for (const [, type = '', number] of body.matchAll(/^\s*map<string, ([\w.]+)> \w+ = (\d+)/gm)) {
      fields.push({ number: Number(number), type: fullName(type, packageName), repeated: false, map: true });
    }
    protoFields.set(fullName(message, packageName), fields);
  }
  for (const source of globSync(join(dirname(file), '*.go'))) readGo(source, packageName);
}

function readGo(file: string, packageName: string): void {
  const text = readFileSync(file, 'utf8');
  for (const [, struct = '', body = ''] of text.matchAll(/^type (\w+) struct \{(.*?)^\}/gms)) {
    const fields = new Map<number, GoField>();
    for (const [, before = '', tags = ''] of body.matchAll(/^\s*([^\n`/]*?)\s*`([^`]*)`/gm)) {
      const number = /protobuf:"\w+,(\d+)/.exec(tags)?.[1];
      const [json = '', ...options] = (/json:"([^"]*)"/.exec(tags)?.[1] ?? '').split(',');
      if (number === undefined) continue;
      fields.set(Number(number), {
        json,
        pointer: before.includes('*') && !before.includes('[]'),
        inline: options.includes('inline'),
        omitsEmpty: options.includes('omitempty'),
      });
    }
    goFields.set(fullName(struct, packageName), fields);
  }
}

for (const root of roots) for (const file of globSync(join(root, '**/generated.proto'))) readProto(file);

interface Definition {
  readonly 'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[];
}
const definitions = JSON.parse(readFileSync(definitionsFile, 'utf8')) as Record<string, Definition>;

/** What is read by hand, in `decode.ts`. */
const SPECIAL =
  /\.(Time|MicroTime|Quantity|IntOrString|RawExtension|FieldsV1|JSON|JSONSchemaPropsOr(Array|Bool|StringArray))$/;

/** [JSON name, type, flags]; flags: r repeated, m map, i inline, p pointer, k kept though zero (no omitempty in Go). */
type Entry = [string, string, string?];
const messages: Record<string, Record<number, Entry>> = {};
const lists: Record<string, string> = {};

function collect(name: string): void {
  if (SCALARS.has(name) || SPECIAL.test(name) || messages[name] || lists[name]) return;
  const fields = protoFields.get(name);
  if (!fields) throw new Error(`no message ${name}`);
  const go = goFields.get(name);
  const [only] = fields;
  if (!go && fields.length === 1 && only?.repeated) {
    // A Go slice type of its own, such as ExtraValue: a message with one repeated field, an array in JSON.
    lists[name] = only.type;
    return;
  }
  const entries: Record<number, Entry> = {};
  messages[name] = entries;
  for (const field of fields) {
    const tag = go?.get(field.number);
    if (!tag || (tag.json === '' && !tag.inline)) throw new Error(`no tag of field ${field.number} of ${name}`);
    const keeps = !tag.omitsEmpty && !tag.pointer && !field.repeated && !field.map && !tag.inline;
    const flags = `${field.repeated ? 'r' : ''}${field.map ? 'm' : ''}${tag.inline ? 'i' : ''}${tag.pointer ? 'p' : ''}${keeps ? 'k' : ''}`;
    entries[field.number] = flags ? [tag.json, field.type, flags] : [tag.json, field.type];
    collect(field.type);
  }
}

const kinds: Record<string, string> = {};
for (const [name, definition] of Object.entries(definitions)) {
  if (!protoFields.has(name) || SPECIAL.test(name)) continue;
  for (const { group, version, kind } of definition['x-kubernetes-group-version-kind'] ?? []) {
    // The options of meta/v1 come under every group's name; they are looked up by kind.
    if (name.startsWith('io.k8s.apimachinery.')) kinds[`*/${kind}`] = name;
    else kinds[`${group ? `${group}/` : ''}${version}/${kind}`] = name;
    collect(name);
  }
}

/** Kinds that are read though the definitions of v1.33 do not name them, and the ones whose message they have. */
const SAME_MESSAGE = { 'policy/v1beta1/Eviction': 'policy/v1/Eviction' };
for (const [kind, other] of Object.entries(SAME_MESSAGE)) {
  const name = kinds[other];
  if (name === undefined) throw new Error(`no kind ${other}`);
  kinds[kind] = name;
}

const short = (name: string) => name.replace(/^io\.k8s\.api\./, '').replace(/^io\.k8s\.apimachinery\.pkg\./, '~');
const lines = [
  '{',
  '"kinds": {',
  Object.entries(kinds)
    .map(([kind, name]) => `${JSON.stringify(kind)}: ${JSON.stringify(short(name))}`)
    .join(',\n'),
  '},',
  '"lists": {',
  Object.entries(lists)
    .map(([name, type]) => `${JSON.stringify(short(name))}: ${JSON.stringify(short(type))}`)
    .join(',\n'),
  '},',
  '"messages": {',
  Object.keys(messages)
    .sort()
    .map(name => {
      const entries = Object.entries(messages[name] ?? {}).map(
        ([number, [json, type, flags]]) =>
          `"${number}": ${JSON.stringify(flags ? [json, short(type), flags] : [json, short(type)])}`,
      );
      return `${JSON.stringify(short(name))}: {${entries.join(', ')}}`;
    })
    .join(',\n'),
  '}',
  '}',
  '',
];
writeFileSync(new URL('./fields.json', import.meta.url), lines.join('\n'));
