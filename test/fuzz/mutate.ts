/** Ways to spoil a request. Each takes a source of randomness, so that a seed tells it all. */
import type { FuzzRequest } from './corpus.ts';
import { PATCH_TYPES } from './corpus.ts';

export type Random = () => number;

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T; // lists are never empty
const chance = (random: Random, share: number) => random() < share;

const ODD_TEXTS = [
  '',
  ' ',
  '\u0000',
  '..',
  '../../etc/passwd',
  '%2e%2e%2f',
  'a/b',
  'A',
  '-',
  '0',
  'null',
  'true',
  '1e999',
  '9223372036854775808',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '\ud800',
  '💥',
  'ä\u0308\u202e',
  '\r\nSet-Cookie: a=b',
  '<script>',
  '$(id)',
  '{{7*7}}',
  '(a+)+$',
  'a'.repeat(64),
  'a'.repeat(254),
  'x'.repeat(70_000),
] as const;
const ODD_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e21,
  -0,
  Number.MAX_SAFE_INTEGER,
  2_147_483_648,
  [],
  {},
  [[]],
  [null],
  { a: null },
  '1Gi',
  '-1m',
  '2020-01-01T00:00:00Z',
  '50%',
];

function oddValue(random: Random): unknown {
  return chance(random, 0.5) ? pick(random, ODD_TEXTS) : structuredClone(pick(random, ODD_VALUES));
}

interface Place {
  readonly holder: Record<string, unknown> | unknown[];
  readonly key: string;
}

/** Every place in a value, in order. */
function placesOf(value: unknown, found: Place[] = []): Place[] {
  if (typeof value !== 'object' || value === null) return found;
  const holder = value as Place['holder'];
  for (const key of Object.keys(holder)) {
    found.push({ holder, key });
    placesOf(valueAt({ holder, key }), found);
  }
  return found;
}
const valueAt = ({ holder, key }: Place): unknown => (holder as Record<string, unknown>)[key];
function put({ holder, key }: Place, value: unknown): void {
  Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
}

const JSON_MUTATIONS: readonly ((random: Random, place: Place, places: readonly Place[]) => void)[] = [
  (random, place) => put(place, oddValue(random)),
  (_random, { holder, key }) => {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
  },
  (random, { holder, key }) => {
    if (Array.isArray(holder)) holder.push(structuredClone(holder[Number(key)]));
    else put({ holder, key: pick(random, ODD_TEXTS) }, holder[key]);
  },
  (random, place, places) => put(place, structuredClone(valueAt(pick(random, places)))),
  (random, place) => {
    const value = valueAt(place);
    put(place, typeof value === 'string' ? spoilText(random, value) : [value]);
  },
  (random, { holder }) => {
    const text = JSON.parse(
      `{"${pick(random, ['__proto__', 'constructor', 'prototype'])}": {"polluted": true}}`,
    ) as object;
    // An array has no keys of its own to send; a changed `constructor` would only break the next mutation of it.
    if (Array.isArray(holder)) holder.push(text);
    else for (const [key, value] of Object.entries(text)) put({ holder, key }, value);
  },
  (random, place) => {
    let deep: unknown = valueAt(place);
    for (let level = Math.floor(random() * 60); level > 0; level--) deep = chance(random, 0.5) ? [deep] : { a: deep };
    put(place, deep);
  },
  (random, place) => {
    const value = valueAt(place);
    if (typeof value === 'number') put(place, value * pick(random, [-1, 0, 0.5, 1e10, 2 ** 31]));
    else
      put(
        place,
        Array.from({ length: 200 }, () => value),
      );
  },
];

function spoilText(random: Random, text: string): string {
  const at = Math.floor(random() * (text.length + 1));
  const end = at + Math.floor(random() * 4);
  const insert = pick(random, ['', ...ODD_TEXTS, '"', '\\', '{', '}', '[', ']', ':', ',', '\n', '/', '~', '&', '*']);
  return `${text.slice(0, at)}${insert}${text.slice(end)}`;
}

function spoilBody(random: Random, body: string): string {
  if (chance(random, 0.12)) return spoilText(random, body);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return spoilText(random, body);
  }
  for (let count = 1 + Math.floor(random() * 3); count > 0; count--) {
    const places = placesOf(value);
    if (places.length === 0) return JSON.stringify(oddValue(random)) ?? 'null';
    pick(random, JSON_MUTATIONS)(random, pick(random, places), places);
  }
  return JSON.stringify(value);
}

const QUERIES: Readonly<Record<string, readonly string[]>> = {
  limit: ['0', '1', '-1', '9223372036854775807', 'x', '1.5'],
  continue: ['x', '', 'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0', 'e30', 'bnVsbA', 'AAAA'],
  resourceVersion: ['0', '1', '-1', 'x', '999999999', '18446744073709551616', ''],
  resourceVersionMatch: ['Exact', 'NotOlderThan', 'x', ''],
  labelSelector: [
    'x=y',
    'x in (a,b)',
    '!x',
    'x notin ()',
    'x=y,,',
    '((',
    'x>1',
    'x<a',
    ',',
    'a==b=c',
    'x in (',
    '=',
    'é=1',
  ],
  fieldSelector: [
    'metadata.name=a',
    'spec.nodeName!=b',
    'x',
    'a=b=c',
    '\\',
    'metadata.name\\=a',
    ',,',
    'status.phase=Running',
  ],
  watch: ['1', 'true', 'x', '0'],
  timeoutSeconds: ['0', '1', '-1', 'x', '9223372036854775807'],
  timeout: ['1s', '0', '-1s', 'x', '1h', '1', '60s'],
  allowWatchBookmarks: ['true', 'x'],
  sendInitialEvents: ['true', 'false', 'x'],
  dryRun: ['All', 'x', ''],
  fieldManager: ['fuzz', '', 'x'.repeat(200), '\u0001'],
  fieldValidation: ['Strict', 'Warn', 'Ignore', 'x'],
  force: ['true', 'x', '0'],
  propagationPolicy: ['Orphan', 'Foreground', 'Background', 'x'],
  gracePeriodSeconds: ['0', '-1', 'x', '99999999999'],
  orphanDependents: ['true', 'x'],
  pretty: ['true', '0', 'x'],
  includeObject: ['None', 'Object', 'x'],
  container: ['c', '../x', ''],
  tailLines: ['-1', '5', 'x'],
  sinceSeconds: ['-1', 'x'],
  limitBytes: ['0', '-1'],
  previous: ['true', 'x'],
  __proto__x: ['1'],
};

function spoilQuery(random: Random, path: string): string {
  const [base = '', query = ''] = path.split('?');
  const parameters = new URLSearchParams(query);
  for (let count = 1 + Math.floor(random() * 3); count > 0; count--) {
    const name = pick(random, Object.keys(QUERIES));
    const values = QUERIES[name] ?? [''];
    const value = chance(random, 0.8) ? pick(random, values) : pick(random, ODD_TEXTS);
    if (chance(random, 0.8)) parameters.set(name, value);
    else parameters.append(name, value);
  }
  const text = parameters.toString();
  return `${base}?${chance(random, 0.1) ? spoilText(random, text) : text}`;
}

const SUBRESOURCES = [
  'status',
  'scale',
  'log',
  'eviction',
  'binding',
  'finalize',
  'token',
  'approval',
  'ephemeralcontainers',
  'resize',
  'proxy',
  'attach',
  'exec',
  'portforward',
  'x',
];

function spoilPath(random: Random, path: string): string {
  const [base = '', query] = path.split('?');
  const parts = base.split('/');
  const at = 1 + Math.floor(random() * (parts.length - 1));
  switch (Math.floor(random() * 6)) {
    case 0:
      parts[at] = encodeOrNot(random, pick(random, ODD_TEXTS));
      break;
    case 1:
      parts.splice(at, 1);
      break;
    case 2:
      parts.splice(at, 0, encodeOrNot(random, pick(random, ['watch', 'namespaces', 'default', '', ...ODD_TEXTS])));
      break;
    case 3:
      parts.push(pick(random, SUBRESOURCES));
      break;
    case 4:
      parts[at] = pick(random, [
        'v1',
        'v2',
        'apps',
        'apis',
        'api',
        'pods',
        'configmaps',
        'deployments',
        'namespaces',
        'a',
      ]);
      break;
    default:
      return spoilText(random, path).replaceAll(/[^\x21-\x7e]/g, '%ff') || '/';
  }
  return `${parts.join('/')}${query === undefined ? '' : `?${query}`}`;
}

/** What a client can put on the wire: everything else would have been refused by its HTTP library. */
function encodeOrNot(random: Random, text: string): string {
  const isPlain = /^[\x21-\x7e]*$/.test(text);
  if (isPlain && chance(random, 0.5)) return text;
  try {
    return encodeURIComponent(text);
  } catch {
    return '%ed%a0%80';
  }
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT', 'FOO'];
const CONTENT_TYPES = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'text/plain',
  'application/json;charset=utf-8',
  'application/JSON; x="',
  '',
  ';',
  ...PATCH_TYPES,
];
const ACCEPTS = [
  'application/json',
  'application/yaml',
  'application/json;as=Table;g=meta.k8s.io;v=v1',
  'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
  'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  'application/json;as=__proto__;g=meta.k8s.io;v=v1',
  'application/json;stream=watch',
  'application/vnd.kubernetes.protobuf',
  '*/*;q=x',
  'x',
  ',;=,',
];
const HEADERS: Readonly<Record<string, readonly string[]>> = {
  'impersonate-user': ['jane', '', 'system:serviceaccount:a:b', 'system:anonymous'],
  'impersonate-group': ['g', 'system:masters', ''],
  'impersonate-uid': ['1'],
  'impersonate-extra-a%2fb': ['c'],
  'user-agent': ['', 'x'.repeat(5_000), 'kubectl/1'],
  'accept-encoding': ['gzip', 'x'],
  'if-match': ['x'],
  'if-none-match': ['*'],
  range: ['bytes=0-1'],
  'x-remote-user': ['root'],
  'x-forwarded-for': ['1.2.3.4, x'],
  'audit-id': ['x', 'y'.repeat(3_000), '"\\'],
  authorization: ['Bearer x', 'Basic eA==', 'Bearer', ''],
};

function spoilHeaders(random: Random, headers: FuzzRequest['headers']): Record<string, string> {
  switch (Math.floor(random() * 3)) {
    case 0:
      return { ...headers, 'content-type': pick(random, CONTENT_TYPES) };
    case 1:
      return { ...headers, accept: pick(random, ACCEPTS) };
    default: {
      const name = pick(random, Object.keys(HEADERS));
      return { ...headers, [name]: pick(random, HEADERS[name] ?? ['']) };
    }
  }
}

/** One request, spoiled in one way or several. One in ten stays as it is, so that there is something to spoil. */
export function mutate(random: Random, request: FuzzRequest): FuzzRequest {
  if (chance(random, 0.1)) return request;
  let { method, path, headers, body } = request;
  if (body !== undefined && chance(random, 0.7)) body = spoilBody(random, body);
  if (chance(random, 0.3)) path = spoilQuery(random, path);
  if (chance(random, 0.15)) path = spoilPath(random, path);
  if (chance(random, 0.15)) headers = spoilHeaders(random, headers);
  if (chance(random, 0.05)) method = pick(random, METHODS);
  if (body?.startsWith('{') && chance(random, 0.05)) {
    headers = { ...headers, 'content-type': 'application/yaml' };
    if (chance(random, 0.5)) body = spoilText(random, body);
  }
  return { method, path, headers, ...(body !== undefined && { body }) };
}
