/**
 * Replays the recorded refusals of shared/api/invalid.json that decoding and validation of the declared kinds answer for:
 * creates, updates and patches. Message, code, reason and causes must be Kubernetes'. What other parts answer (admission,
 * allocation of addresses and ports, routing, headers, subresources with handlers) is left out by name in ELSEWHERE.
 */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { KubernetesObject, StrategyContext } from './kind.ts';
import { decodePatch } from './patch/patch.ts';
import { findResource, storedDeclaration } from './registry.ts';
import { decode, type FieldValidation } from './schema/decode.ts';
import { DecodeError } from './schema/walk.ts';
import { ApiError, invalid } from './status.ts';
import { SYSTEM_PRIORITY_CLASSES } from './validation/priority-class.ts';

const FACTS = new URL('../../../shared/api/invalid.json', import.meta.url);

interface StatusFacts {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly { field?: string; message?: string; reason?: string }[] };
}
interface Case {
  readonly area: string;
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly rawBody?: string;
  readonly contentType?: string;
  readonly auth?: string;
  readonly impersonate?: unknown;
  readonly goText?: boolean;
  readonly answer: {
    readonly code: number;
    readonly status?: StatusFacts;
    readonly warnings?: readonly string[];
    readonly accepted?: unknown;
    readonly goText?: boolean;
  };
}
interface Facts {
  readonly fixtures: readonly { readonly path: string; readonly body: KubernetesObject }[];
  readonly cases: readonly Case[];
}

const facts = existsSync(FACTS) ? (JSON.parse(readFileSync(FACTS, 'utf8')) as Facts) : undefined;
/** Cases that another part answers, with the part. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'selector/expression-in-without-values': 'decoding: an empty list is read as none, which only Go text tells apart',
  'crd/no-versions': 'decoding: an empty list is read as none, which only Go text tells apart',
  'immutable/crd-scope': 'API server: the definition has to be established',
  'immutable/crd-names-kind': 'API server: the definition has to be established',
  'metadata/resource-version-on-create': 'API server: create',
  'metadata/namespace-mismatch': 'API server: names and namespaces of the URL',
  'metadata/name-mismatch-put': 'API server: names and namespaces of the URL',
  'metadata/namespace-mismatch-put': 'API server: names and namespaces of the URL',
  'metadata/patch-changes-name': 'API server: names and namespaces of the URL',
  'metadata/patch-changes-namespace': 'API server: names and namespaces of the URL',
  'metadata/generate-name-bad': 'API server: the random suffix is in the message',
  'immutable/pod-remove-toleration': 'admission: default tolerations',
  'pod/service-account-missing': 'admission',
  'pod/service-account-name-bad': 'admission',
  'pod/priority-class-missing': 'admission',
  'pod/priority-given': 'admission',
  'pod/runtime-class-missing': 'admission',
  'service/cluster-ip-out-of-range': 'allocation',
  'service/cluster-ip-taken': 'allocation',
  'service/node-port-taken': 'allocation',
  'service/node-port-out-of-range': 'allocation',
  'service/node-port-duplicate': 'allocation',
  'service/dual-stack-required': 'allocation',
  'service/ipv6-family': 'allocation',
  'patch/merge-garbage': 'patches',
  'patch/merge-empty': 'patches',
  'patch/merge-array': 'patches',
  'patch/merge-kind': 'patches',
  'patch/merge-api-version': 'patches',
  'patch/strategic-list-as-map': 'patches',
  'http/protobuf-garbage': 'protobuf',
  'patch/strategic-garbage': 'patches',
  'patch/strategic-array': 'patches',
};
const AREAS_ELSEWHERE = new Set(['conflict', 'delete', 'query', 'lookup', 'apply', 'auth', 'review', 'rbac']);

const context = (subresource: string): StrategyContext => ({
  now: '2024-01-02T03:04:05Z',
  newUid: () => UID,
  user: { name: 'admin', groups: [] },
  subresource,
});
const UID = '00000000-0000-4000-8000-000000000001';
const PATH =
  /^\/(?:api|apis\/([^/]+))\/([^/]+)(?:\/namespaces\/([^/?]+))?\/([^/?]+)(?:\/([^/?]+))?(?:\/([^/?]+))?(?:\?(.*))?$/;

const store = new Map<string, KubernetesObject>();

interface Target {
  readonly kind: NonNullable<ReturnType<typeof findResource>>;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  readonly query: URLSearchParams;
}

function targetOf(path: string): Target | undefined {
  // A namespace itself looks like the place of other objects.
  const own = /^\/api\/v1\/namespaces(?:\/([^/?]+))?(?:\?(.*))?$/.exec(path);
  const match = PATH.exec(path);
  const [, group = '', version = '', namespace = '', plural = '', name = '', subresource = '', query = ''] = own
    ? ['', '', 'v1', '', 'namespaces', own[1] ?? '', '', own[2] ?? '']
    : (match ?? []);
  const kind = findResource(group, version, plural);
  if (!kind) return undefined;
  return { kind, namespace, name, subresource, query: new URLSearchParams(query) };
}

function expand(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expand);
  if (typeof value !== 'object' || value === null) return value;
  const { $repeat, $repeatItem } = value as { $repeat?: [string, number]; $repeatItem?: [unknown, number] };
  if ($repeat) return $repeat[0].repeat($repeat[1]);
  if ($repeatItem) return new Array<unknown>($repeatItem[1]).fill(expand($repeatItem[0]));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, expand(item)]));
}

/** JSON as the recorder sent it: with spaces, and in the usual order of an object's fields (the facts' keys are sorted). */
function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const usual = ['apiVersion', 'kind', 'metadata', 'spec', 'data'];
  const rank = (key: string) => (usual.includes(key) ? usual.indexOf(key) : usual.length);
  const entries = Object.entries(value).sort(([a], [b]) => rank(a) - rank(b));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}: ${spaced(item)}`).join(', ')}}`;
}

/** Goes the way of a write as far as it is pure; gives the warnings. Throws what a client would be told. */
function write(request: Case, target: Target): { object: KubernetesObject; warnings: readonly string[] } {
  const { kind, namespace, query } = target;
  const text = request.rawBody ?? spaced(expand(request.body));
  const fieldValidation = (query.get('fieldValidation') ?? 'Warn') as FieldValidation;
  const stored = `${kind.group}/${kind.plural}/${namespace}/${target.name}`;
  const old = store.get(stored);
  const format = request.contentType === 'application/yaml' ? 'yaml' : 'json';
  let object: KubernetesObject;
  let warnings: readonly string[];
  if (request.method === 'PATCH') {
    if (!old) throw new Error(`cannot patch ${stored}`);
    const patched = decodePatch(request.contentType ?? '', text, kind.definition)({ ...structuredClone(old) });
    ({ object, warnings } = decodePatched(kind, patched, fieldValidation));
  } else ({ object, warnings } = decode<KubernetesObject>(kind, text, { fieldValidation, format }));
  if (kind.namespaced) object.metadata = { ...object.metadata, namespace: object.metadata?.namespace || namespace };
  kind.defaults(object);
  const name = object.metadata?.name ?? '';
  const refuse = (errors: ReturnType<typeof kind.validate>) => {
    if (errors.length > 0) throw invalid(storedDeclaration(kind), name, errors);
  };
  if (request.method === 'POST') {
    kind.prepareForCreate(object, context(''));
    refuse(kind.validate(object));
    return { object, warnings: [...warnings, ...kind.warnings(object, undefined)] };
  }
  if (!old) throw new Error(`no ${stored}`);
  kind.prepareForUpdate(object, old, context(target.subresource));
  refuse([...kind.validate(object), ...kind.validateUpdate(object, old)]);
  return { object, warnings: [...warnings, ...kind.warnings(object, old)] };
}

/** The API server refuses a patch whose result cannot be read as 422 of the patch. */
function decodePatched(kind: Target['kind'], patched: unknown, fieldValidation: FieldValidation) {
  try {
    return decode<KubernetesObject>(kind, { value: patched }, { fieldValidation });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const why = error.message.replace(/^.* cannot be handled as an? \w+: /, '');
    throw invalid({ group: '', kind: '' }, '', [
      { type: 'FieldValueInvalid', field: 'patch', message: `Invalid value: "<json>": ${why}` },
    ]);
  }
}

const NAMESPACE = {
  path: '/api/v1/namespaces',
  body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 't-invalid' } },
};

/** What every cluster has. */
const CLASSES = SYSTEM_PRIORITY_CLASSES.map(body => ({
  path: '/apis/scheduling.k8s.io/v1/priorityclasses',
  body: { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', ...body },
}));

for (const { path, body } of facts ? [NAMESPACE, ...CLASSES, ...facts.fixtures] : []) {
  const target = targetOf(path);
  if (!target) continue;
  const { object } = write({ area: '', id: '', method: 'POST', path, body, answer: { code: 201 } }, target);
  if (object.kind === 'Service') allocate(object);
  store.set(`${target.kind.group}/${target.kind.plural}/${target.namespace}/${object.metadata?.name ?? ''}`, object);
}

/** What the API server would have allocated. */
function allocate(service: KubernetesObject): void {
  const { spec } = service as { spec?: { clusterIP?: string; clusterIPs?: string[] } };
  if (!spec || spec.clusterIP) return;
  spec.clusterIP = '10.96.0.9';
  spec.clusterIPs = ['10.96.0.9'];
}

/** Messages with what changes from run to run, and what is a dump of Go's, made equal. */
function normalized(text: string, isGo: boolean): string {
  const plain = text.replaceAll(UID, '<uid>').replaceAll(/"<uid>"/g, '"<uid>"');
  if (!isGo) return plain;
  return plain
    .replaceAll(
      /Invalid value: .*?: (minAvailable and|cannot set|field is immutable|Only one|requires indexed|strict decoding|json:|illegal|must have exactly one|must contain unique)/g,
      'Invalid value: <go value>: $1',
    )
    .replaceAll(/\n(?: {2}spec\.\w+\n?)+/g, '\n<go diff>');
}

let passed = 0;
let total = 0;
const skipped: string[] = [];

for (const request of facts?.cases ?? []) {
  const { area, id, method, path, answer } = request;
  if (!['POST', 'PUT', 'PATCH'].includes(method) || AREAS_ELSEWHERE.has(area)) continue;
  const target = targetOf(path);
  if (!target || request.auth || request.impersonate) continue;
  if (!['', 'status', 'resize', 'ephemeralcontainers'].includes(target.subresource)) continue;
  if (target.subresource !== '' && !target.kind.subresources.some(({ name }) => name === target.subresource)) continue;
  const isRefusal =
    answer.code === 422 ||
    (answer.code === 400 &&
      /cannot be handled|unrecognized|does not match the expected/.test(answer.status?.message ?? ''));
  if (!isRefusal && answer.code >= 300) continue;
  const key = `${area}/${id}`;
  const isPatchable = method !== 'PATCH' || /merge-patch|json-patch/.test(request.contentType ?? '');
  if (ELSEWHERE[key] !== undefined || !isPatchable || /fieldManager=|dryRun=[^A]|gzip/.test(path)) {
    skipped.push(key);
    continue;
  }
  total++;
  test(`answers ${key} as Kubernetes does`, t => {
    // The text of a patch's value is the API server's.
    const isGo = request.goText === true || answer.goText === true || method === 'PATCH';
    let given: { code: number; message?: string; causes?: unknown; warnings?: readonly string[] };
    try {
      const { warnings } = write(request, target);
      given = { code: method === 'POST' ? 201 : 200, warnings };
    } catch (error) {
      if (error instanceof DecodeError || !(error instanceof ApiError)) throw error;
      const causes = (error.details?.causes ?? []).map(cause => ({
        ...cause,
        message: normalized(cause.message ?? '', isGo),
      }));
      given = { code: error.code, message: normalized(error.message, isGo), ...(causes.length > 0 && { causes }) };
    }
    if (answer.code < 300) {
      t.is(given.message, undefined);
      t.deepEqual([...(given.warnings ?? [])], [...(answer.warnings ?? [])]);
    } else {
      t.is(given.message, normalized(answer.status?.message ?? '', isGo));
      t.is(given.code, answer.code);
      const causes = answer.status?.details?.causes;
      if (causes)
        t.deepEqual(
          given.causes,
          causes.map(cause => ({ ...cause, message: normalized(cause.message ?? '', isGo) })),
        );
    }
    passed++;
  });
}

test.after.always('score', t => {
  t.log(`${passed} of ${total} recorded answers; left to other parts: ${skipped.length}`);
});

(facts ? test : test.skip)('replays the recorded answers for the declared kinds', t => {
  t.true(total > 420, `${total} replayed`);
});
