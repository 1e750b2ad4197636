/** Valid requests to begin with: the objects and cases of the recorded facts where they are at hand, and some of our own. */
import { existsSync, readFileSync } from 'node:fs';
import { findKind } from '../../control/api/registry.ts';

export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

const FACTS = new URL('../../../shared/api/', import.meta.url);
export const NAMESPACE = 'fuzz';
const JSON_TYPE = 'application/json';
export const PATCH_TYPES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
] as const;

type Fields = Record<string, unknown>;

const container = { name: 'c', image: 'img', ports: [{ containerPort: 80 }], env: [{ name: 'A', value: 'b' }] };
const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [container] } };
const selector = { matchLabels: { app: 'a' } };
const OWN: readonly Fields[] = [
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', labels: { x: 'y' } }, data: { k: 'v' } },
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, data: { k: 'dg==' }, stringData: { s: 't' } },
  { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: { containers: [container] } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a' },
    spec: { ports: [{ port: 80 }], selector: { app: 'a' } },
  },
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } },
  { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec: { podCIDR: '10.0.0.0/24' } },
  { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a' }, spec: { replicas: 2, selector, template } },
  { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'a' }, spec: { selector, template } },
  {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'a' },
    spec: { template: { spec: { restartPolicy: 'Never', containers: [container] } } },
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'a' },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
  },
  { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', metadata: {}, spec: { token: 'x' } },
  {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    metadata: {},
    spec: { user: 'u', resourceAttributes: { verb: 'get', resource: 'pods' } },
  },
];

/** Patches to begin with, one list a kind of patch. */
const PATCHES: readonly (readonly unknown[])[] = [
  [
    [{ op: 'add', path: '/metadata/labels/z', value: '1' }],
    [
      { op: 'test', path: '/kind', value: 'ConfigMap' },
      { op: 'replace', path: '/data', value: {} },
    ],
    [{ op: 'move', from: '/data/k', path: '/data/l' }],
    [
      { op: 'copy', from: '/metadata', path: '/data/m' },
      { op: 'remove', path: '/metadata/labels' },
    ],
  ],
  [{ metadata: { labels: { z: '1' } } }, { data: null }, { spec: { replicas: 3 } }],
  [
    { metadata: { labels: { z: '1' } } },
    { spec: { template: { spec: { containers: [{ name: 'c', image: 'other' }] } } } },
    { spec: { template: { spec: { containers: [{ $patch: 'delete', name: 'c' }], $retainKeys: ['containers'] } } } },
    { spec: { $patch: 'replace', replicas: 1 } },
  ],
  [{ apiVersion: 'v1', kind: 'ConfigMap', data: { k: 'applied' } }],
];

/** All requests to begin with. */
export function readCorpus(): readonly FuzzRequest[] {
  const objects = [...OWN, ...recordedObjects()];
  const writes = objects.flatMap(requestsOf);
  return [...writes, ...recordedCases()];
}

const hasFacts = existsSync(new URL('defaults.json', FACTS));

function recordedObjects(): Fields[] {
  if (!hasFacts) return [];
  const { kinds } = JSON.parse(readFileSync(new URL('defaults.json', FACTS), 'utf8')) as {
    kinds: Record<string, readonly { readonly sent: Fields; readonly status: number }[]>;
  };
  return Object.values(kinds).flatMap(variants =>
    variants.filter(({ status }) => status === 201).map(({ sent }) => sent),
  );
}

/** What may be done with one object: created, read, listed, watched, replaced, patched in four ways, deleted. */
function requestsOf(object: Fields): FuzzRequest[] {
  const collection = collectionOf(object);
  if (collection === undefined) return [];
  const body = JSON.stringify(object);
  const name = (object.metadata as { name?: string } | undefined)?.name;
  const create = { method: 'POST', path: collection, headers: { 'content-type': JSON_TYPE }, body };
  if (name === undefined) return [create];
  const own = `${collection}/${name}`;
  const patches = PATCHES.flatMap((list, kind) =>
    list.map(patch => ({
      method: 'PATCH',
      path: kind === 3 ? `${own}?fieldManager=fuzz&force=true` : own,
      headers: { 'content-type': PATCH_TYPES[kind] ?? JSON_TYPE },
      body: JSON.stringify(
        kind === 3 ? { ...object, ...(patch as Fields), apiVersion: object.apiVersion, kind: object.kind } : patch,
      ),
    })),
  );
  return [
    create,
    create,
    { method: 'GET', path: own, headers: {} },
    { method: 'GET', path: `${collection}?limit=2&labelSelector=x%3Dy`, headers: {} },
    { method: 'GET', path: `${collection}?watch=1&resourceVersion=0`, headers: {} },
    { method: 'PUT', path: own, headers: { 'content-type': JSON_TYPE }, body },
    { method: 'PUT', path: `${own}/status`, headers: { 'content-type': JSON_TYPE }, body },
    ...patches,
    { method: 'DELETE', path: own, headers: { 'content-type': JSON_TYPE }, body: '{"gracePeriodSeconds":0}' },
  ];
}

function collectionOf(object: Fields): string | undefined {
  const apiVersion = String(object.apiVersion);
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const kind = findKind(apiVersion, String(object.kind));
  if (!kind) return /Review$/.test(String(object.kind)) ? `${root}/${String(object.kind).toLowerCase()}s` : undefined;
  return kind.namespaced ? `${root}/namespaces/${NAMESPACE}/${kind.plural}` : `${root}/${kind.plural}`;
}

interface RecordedCase {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly rawBody?: string;
  readonly contentType?: string;
  readonly accept?: string;
}

function recordedCases(): FuzzRequest[] {
  if (!hasFacts) return [];
  const { cases } = JSON.parse(readFileSync(new URL('invalid.json', FACTS), 'utf8')) as {
    cases: readonly RecordedCase[];
  };
  return cases.map(({ method, path, body, rawBody, contentType, accept }) => {
    const text = rawBody ?? (body === undefined ? undefined : JSON.stringify(body));
    return {
      method,
      path: path.replaceAll('t-invalid', NAMESPACE),
      headers: {
        ...(text !== undefined && { 'content-type': contentType ?? JSON_TYPE }),
        ...(accept !== undefined && { accept }),
      },
      ...(text !== undefined && { body: text.replaceAll('t-invalid', NAMESPACE) }),
    };
  });
}
