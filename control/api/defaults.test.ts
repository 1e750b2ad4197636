/**
 * Replays the recorded creates of shared/api/defaults.json for the declared kinds: what is stored must be what Kubernetes
 * stored. Left out by name: what admission adds (service account volumes, default tolerations and the like), which is the
 * API server's, and addresses and ports that are allocated. The facts live outside the repository; without them the test
 * is skipped.
 */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { KubernetesObject, StrategyContext } from './kind.ts';
import { decodePatch } from './patch/patch.ts';
import { ALL_KINDS, findKind } from './registry.ts';
import { canonical, decode } from './schema/decode.ts';
import { canonicalResource } from './schema/quantity.ts';
import { canonicalMicroTime, canonicalTime } from './schema/time.ts';

const FACTS = new URL('../../../shared/api/defaults.json', import.meta.url);

interface Variant {
  readonly variant: string;
  readonly sent: KubernetesObject;
  readonly stored: KubernetesObject;
  readonly status: number;
  readonly warnings?: readonly string[];
  readonly context?: unknown;
}
interface Update {
  readonly name: string;
  readonly method: string;
  readonly subresource: string;
  readonly contentType?: string;
  readonly before: KubernetesObject;
  readonly sent: unknown;
  readonly after: KubernetesObject;
}
interface Facts {
  readonly updates: readonly Update[];
  readonly kinds: Readonly<Record<string, readonly Variant[]>>;
  readonly scalars: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const facts = existsSync(FACTS) ? (JSON.parse(readFileSync(FACTS, 'utf8')) as Facts) : undefined;
const whenFacts = facts ? test : test.skip;

const UID = '00000000-0000-4000-8000-000000000000';
const context: StrategyContext = {
  now: '2024-01-02T03:04:05Z',
  newUid: () => UID,
  user: { name: 'admin', groups: ['system:masters', 'system:authenticated'], uid: '1' },
  subresource: '',
};

type Tree = { [key: string]: unknown };

/** Takes away what admission and allocation did, from both sides. */
function withoutAdmission(object: KubernetesObject): KubernetesObject {
  const text = JSON.stringify(object)
    .replaceAll('"NS"', '"ns"')
    .replaceAll('<uid>', UID)
    .replaceAll('<time>', context.now);
  const copy = JSON.parse(text) as Tree & { metadata: Tree; spec?: Tree };
  for (const key of ['uid', 'creationTimestamp', 'namespace']) delete copy.metadata[key];
  // Names are generated where the object is stored.
  if (copy.metadata.generateName) delete copy.metadata.name;
  const { kind, spec } = copy as { kind?: string; spec?: Tree };
  if (!spec) return copy as KubernetesObject;
  if (kind === 'Pod') {
    for (const key of ['serviceAccount', 'serviceAccountName', 'priority', 'preemptionPolicy', 'tolerations'])
      delete spec[key];
    const volumes = ((spec.volumes ?? []) as Tree[]).filter(({ name }) => !String(name).startsWith('kube-api-access'));
    if (volumes.length > 0) spec.volumes = volumes;
    else delete spec.volumes;
    for (const container of [...((spec.containers ?? []) as Tree[]), ...((spec.initContainers ?? []) as Tree[])]) {
      const mounts = ((container.volumeMounts ?? []) as Tree[]).filter(
        ({ name }) => !String(name).startsWith('kube-api-access'),
      );
      if (mounts.length > 0) container.volumeMounts = mounts;
      else delete container.volumeMounts;
    }
  }
  if (kind === 'Service') {
    for (const key of ['clusterIP', 'clusterIPs', 'healthCheckNodePort']) delete spec[key];
    for (const port of (spec.ports ?? []) as Tree[]) delete port.nodePort;
  }
  if (kind === 'Node') {
    const taints = ((spec.taints ?? []) as Tree[]).filter(({ key }) => key !== 'node.kubernetes.io/not-ready');
    if (taints.length > 0) spec.taints = taints;
    else delete spec.taints;
    if (Object.keys(spec).length === 0) copy.spec = {};
  }
  return copy as KubernetesObject;
}

/** Goes the way of a create, as far as it is pure. */
function create(sent: KubernetesObject): { object: KubernetesObject; warnings: string[]; errors: string[] } {
  const declaration = findKind(sent.apiVersion ?? '', sent.kind ?? '');
  if (!declaration) throw new Error(`no such kind ${sent.kind}`);
  const { object } = decode<KubernetesObject>(declaration, JSON.stringify(sent).replaceAll('"NS"', '"ns"'));
  if (declaration.namespaced) object.metadata = { ...object.metadata, namespace: 'ns' };
  declaration.defaults(object);
  declaration.prepareForCreate(object, context);
  return {
    object,
    warnings: [
      ...(declaration.deprecation ? [declaration.deprecation] : []),
      ...declaration.warnings(object, undefined),
    ],
    errors: declaration.validate(object).map(({ field, message }) => `${field}: ${message}`),
  };
}

const declared = new Set(ALL_KINDS.map(({ group, version, kind }) => `${group ? `${group}/` : ''}${version}/${kind}`));
let replayed = 0;
/** Kinds with recorded defaults that are not declared: the list only shrinks. */
const ABSENT = [
  'authentication.k8s.io/v1/SelfSubjectReview',
  'authentication.k8s.io/v1/TokenReview',
  'authorization.k8s.io/v1/LocalSubjectAccessReview',
  'authorization.k8s.io/v1/SelfSubjectAccessReview',
  'authorization.k8s.io/v1/SelfSubjectRulesReview',
  'authorization.k8s.io/v1/SubjectAccessReview',
];
const absent: string[] = [];

for (const [name, variants] of Object.entries(facts?.kinds ?? {})) {
  if (!declared.has(name)) {
    absent.push(name);
    continue;
  }
  for (const { variant, sent, stored, status, warnings, context: needs } of variants) {
    // A context is other objects that admission or allocation looked at.
    if (needs !== undefined || status !== 201) continue;
    replayed++;
    whenFacts(`stores ${name} ${variant} as Kubernetes does`, t => {
      const { object, warnings: given, errors } = create(sent);
      t.deepEqual(errors, []);
      t.deepEqual(withoutAdmission(object), withoutAdmission(stored));
      t.deepEqual(given, [...(warnings ?? [])]);
      const declaration = findKind(sent.apiVersion ?? '', sent.kind ?? '');
      if (declaration) t.deepEqual(canonical<KubernetesObject>(declaration, object), object, 'stored form is stable');
    });
  }
}

whenFacts('replays the recorded creates of the declared kinds', t => {
  t.log(`${replayed} replayed`);
  t.true(replayed > 170, `${replayed} replayed`);
  t.deepEqual([...absent].sort(), ABSENT, 'kinds that are not declared yet');
});

whenFacts('quantities are stored as Kubernetes stores them', t => {
  for (const [text, expected] of Object.entries(facts?.scalars.quantity ?? {})) {
    if (typeof expected === 'string') t.is(canonicalResource(text), expected, text);
    else {
      const sentence = (expected as { message: string }).message.replace(/^.*LimitRange: /, '');
      t.throws(() => canonicalResource(text), { message: sentence }, text);
    }
  }
});

const readers: readonly (readonly [string, (text: string) => string])[] = [
  ['time', canonicalTime],
  ['microTime', canonicalMicroTime],
];
for (const [name, read] of readers) {
  whenFacts(`${name} is stored as Kubernetes stores it`, t => {
    for (const [json, expected] of Object.entries(facts?.scalars[name] ?? {})) {
      const value = JSON.parse(json) as unknown;
      if (typeof value !== 'string') continue;
      if (typeof expected === 'string') t.is(read(value), expected, json);
      else {
        const sentence = (expected as { message: string }).message.replace(/^.* cannot be handled as an? \w+: /, '');
        t.throws(() => read(value), { message: sentence }, json);
      }
    }
  });
}

/** The body into which a scalar's text goes, and where the stored value is found again. */
const BODIES: Readonly<Record<string, { body: (json: string) => string; read: (object: Tree) => unknown }>> = {
  'bytes(secret.data)': {
    body: json => `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"k":${json}}}`,
    read: object => object.data,
  },
  'stringMap(configMap.data)': {
    body: json => `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"s"},"data":{"k":${json}}}`,
    read: object => object.data,
  },
  'int32(replicas)': {
    body: json =>
      `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":${json},"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`,
    read: object => (object.spec as Tree).replicas,
  },
  'intOrString(maxUnavailable)': {
    body: json =>
      `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"strategy":{"rollingUpdate":{"maxUnavailable":${json}}},"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`,
    read: object => ((object.spec as Tree).strategy as { rollingUpdate: Tree }).rollingUpdate.maxUnavailable,
  },
  time: {
    body: json =>
      `{"apiVersion":"v1","kind":"Event","metadata":{"name":"e"},"involvedObject":{"namespace":"ns"},"firstTimestamp":${json}}`,
    read: object => object.firstTimestamp,
  },
};

for (const [name, { body, read }] of Object.entries(BODIES)) {
  whenFacts(`${name} is read as Kubernetes reads it`, t => {
    for (const [json, expected] of Object.entries(facts?.scalars[name] ?? {})) {
      const text = body(json);
      const { apiVersion = '', kind = '' } = JSON.parse(body('null')) as KubernetesObject;
      const declaration = findKind(apiVersion, kind);
      if (!declaration) throw new Error(`no such kind ${kind}`);
      const go = () => {
        const { object } = decode<KubernetesObject>(declaration, text);
        if (declaration.namespaced) object.metadata = { ...object.metadata, namespace: 'ns' };
        declaration.defaults(object);
        declaration.prepareForCreate(object, context);
        const errors = declaration.validate(object);
        if (errors[0]) throw new Error(`${errors[0].field}: ${errors[0].message}`);
        return read(object as Tree);
      };
      const refusal = expected as { code?: number; message?: string } | null;
      if (refusal?.code === undefined) t.deepEqual(go(), expected, json);
      else {
        const error = t.throws(go, undefined, json);
        t.true(refusal.message?.endsWith(error?.message ?? '?'), `${json}: ${error?.message} / ${refusal.message}`);
      }
    }
  });
}

for (const { name, method, subresource, contentType, before, sent, after } of facts?.updates ?? []) {
  const declaration = findKind(before.apiVersion ?? '', before.kind ?? '');
  // Scale is a kind of its own, made of the object by the API server.
  if (!declaration || subresource === '/scale') continue;
  whenFacts(`changes as Kubernetes does: ${name}`, t => {
    const concrete = <T>(value: T): T =>
      JSON.parse(
        JSON.stringify(value)
          .replaceAll('"NS"', '"ns"')
          .replaceAll('"clusterIP":"<allocated>"', '"clusterIP":"10.96.0.9"')
          .replaceAll('["<allocated>"]', '["10.96.0.9"]')
          .replaceAll('"<allocated>"', '30123')
          .replaceAll('<uid>', UID)
          .replaceAll('<rand>', 'abcde'),
      ) as T;
    const old = decode<KubernetesObject>(declaration, { value: concrete(before) }).object;
    old.metadata = { ...old.metadata, uid: UID, creationTimestamp: context.now };
    const body =
      method === 'PATCH'
        ? decodePatch(
            contentType ?? '',
            JSON.stringify(sent),
            declaration.definition,
          )(structuredClone(old) as object as Tree)
        : concrete(sent);
    const { object } = decode<KubernetesObject>(declaration, { value: body });
    if (declaration.namespaced) object.metadata = { ...object.metadata, namespace: 'ns' };
    declaration.defaults(object);
    declaration.prepareForUpdate(object, old, { ...context, subresource: subresource.replace('/', '') });
    t.deepEqual(declaration.validateUpdate(object, old), []);
    const shown = withoutAdmission(concrete(object));
    t.deepEqual(shown, withoutAdmission(concrete(after)));
  });
}
