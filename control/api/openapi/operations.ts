/** The operations of the served kinds: which paths there are, what each takes and answers. OpenAPI v2 and v3 write them down. */
import { isReturnedWhenDeleted } from '../deleted-answer.ts';
import type { GroupVersionKind, OpenApiSource, ServedKind } from './source.ts';
import { groupVersionPath } from './source.ts';

export type HttpVerb = 'get' | 'put' | 'post' | 'patch' | 'delete' | 'head' | 'options';

export interface Operation {
  readonly operationId: string;
  /** `x-kubernetes-action`. */
  readonly action:
    | 'get'
    | 'list'
    | 'post'
    | 'put'
    | 'patch'
    | 'delete'
    | 'deletecollection'
    | 'connect'
    | 'watch'
    | 'watchlist';
  readonly kind: GroupVersionKind;
  readonly query: readonly string[];
  readonly consumes: readonly string[];
  readonly produces: readonly string[];
  /** Schema of the body. */
  readonly body: string | undefined;
  readonly isBodyOptional: boolean;
  /** HTTP status to schema; undefined for plain text. */
  readonly responses: ReadonlyMap<number, string | undefined>;
}

export interface PathOperations {
  readonly path: string;
  /** Parameters that the path itself has: `name`, `namespace`. */
  readonly parameters: readonly string[];
  readonly operations: ReadonlyMap<HttpVerb, Operation>;
}

/** Types of query parameters; those that are not here are text. */
export const BOOLEAN_PARAMETERS = new Set(
  (
    'allowWatchBookmarks follow force ignoreStoreReadErrorWithClusterBreakingPotential insecureSkipTLSVerifyBackend ' +
    'orphanDependents previous sendInitialEvents stderr stdin stdout timestamps tty watch'
  ).split(' '),
);
export const INTEGER_PARAMETERS = new Set([
  'gracePeriodSeconds',
  'limit',
  'limitBytes',
  'ports',
  'sinceSeconds',
  'tailLines',
  'timeoutSeconds',
]);

const LIST_QUERY = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'pretty',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'timeoutSeconds',
  'watch',
];
const WRITE_QUERY = ['dryRun', 'fieldManager', 'fieldValidation', 'pretty'];
const PATCH_QUERY = ['dryRun', 'fieldManager', 'fieldValidation', 'force', 'pretty'];
const DELETE_QUERY = [
  'dryRun',
  'gracePeriodSeconds',
  'ignoreStoreReadErrorWithClusterBreakingPotential',
  'orphanDependents',
  'pretty',
  'propagationPolicy',
];
const DELETE_COLLECTION_QUERY = [
  'continue',
  'dryRun',
  'fieldSelector',
  'gracePeriodSeconds',
  'ignoreStoreReadErrorWithClusterBreakingPotential',
  'labelSelector',
  'limit',
  'orphanDependents',
  'pretty',
  'propagationPolicy',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'timeoutSeconds',
];
/** What the streaming subresources of pods, services and nodes take. */
const CONNECT_QUERY: Readonly<Record<string, readonly string[]>> = {
  attach: ['container', 'stderr', 'stdin', 'stdout', 'tty'],
  exec: ['command', 'container', 'stderr', 'stdin', 'stdout', 'tty'],
  portforward: ['ports'],
  proxy: ['path'],
  log: [
    'container',
    'follow',
    'insecureSkipTLSVerifyBackend',
    'limitBytes',
    'pretty',
    'previous',
    'sinceSeconds',
    'stream',
    'tailLines',
    'timestamps',
  ],
};

const OBJECT_TYPES = ['application/json', 'application/yaml'];
const LIST_TYPES = [...OBJECT_TYPES, 'application/json;stream=watch'];
const PATCH_TYPES = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
];
const CUSTOM_PATCH_TYPES = PATCH_TYPES.filter(type => type !== 'application/strategic-merge-patch+json');
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

/** All paths of the source's kinds, sorted. */
export function pathsOf(source: OpenApiSource): PathOperations[] {
  return source.kinds
    .flatMap(kind => pathsOfKind(kind, source))
    .filter(path => path.operations.size > 0)
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function pathsOfKind(kind: ServedKind, source: OpenApiSource): PathOperations[] {
  const root = `/${groupVersionPath(kind)}`;
  const scope = kind.namespaced ? '/namespaces/{namespace}' : '';
  const scopeParameters = kind.namespaced ? ['namespace'] : [];
  const collection = `${root}${scope}/${kind.plural}`;
  const has = (verb: string) => kind.verbs.includes(verb);
  const list = `${kind.definition}List`;
  const make = (verb: OperationVerb, names: Partial<OperationNames> = {}) =>
    operation({
      kind,
      verb,
      names: { suffix: '', scope: kind.namespaced ? 'Namespaced' : '', ...names },
      object: kind.definition,
      list,
    });

  const paths: PathOperations[] = [
    {
      path: collection,
      parameters: scopeParameters,
      operations: byVerb([
        ['get', has('list') && source.hasDefinition(list) && make('list')],
        ['post', has('create') && make('create')],
        ['delete', has('deletecollection') && make('deletecollection')],
      ]),
    },
    {
      path: `${collection}/{name}`,
      parameters: ['name', ...scopeParameters],
      operations: byVerb([
        ['get', has('get') && make('get')],
        ['put', has('update') && make('update')],
        ['patch', has('patch') && make('patch')],
        ['delete', has('delete') && make('delete')],
      ]),
    },
  ];
  if (kind.namespaced && has('list') && source.hasDefinition(list)) {
    const everywhere = make('list', { scope: '', suffix: 'ForAllNamespaces' });
    paths.push({ path: `${root}/${kind.plural}`, parameters: [], operations: byVerb([['get', everywhere]]) });
  }
  if (has('watch') && source.hasDefinition(WATCH_EVENT)) paths.push(...watchPaths(kind));
  return [...paths, ...kind.subresources.flatMap(subresource => subresourcePaths(kind, subresource, source))];
}

/** A proxy takes what comes behind its path, too. */
function subresourcePaths(
  kind: ServedKind,
  subresource: ServedKind['subresources'][number],
  source: OpenApiSource,
): PathOperations[] {
  const path = subresourcePath(kind, subresource, source);
  if (subresource.name !== 'proxy') return [path];
  const operations = new Map(
    [...path.operations].map(
      ([verb, each]) => [verb, { ...each, operationId: `${each.operationId}WithPath` }] as const,
    ),
  );
  return [path, { path: `${path.path}/{path}`, parameters: ['name', ...path.parameters.slice(1), 'path'], operations }];
}

const WATCH_EVENT = `${META}WatchEvent`;

/** The older form of watches, with a path of their own. */
function watchPaths(kind: ServedKind): PathOperations[] {
  const root = `/${groupVersionPath(kind)}/watch`;
  const scope = kind.namespaced ? 'Namespaced' : '';
  const inside = kind.namespaced ? `${root}/namespaces/{namespace}` : root;
  const parameters = kind.namespaced ? ['namespace'] : [];
  const path = (where: string, own: readonly string[], names: OperationNames, action: 'watch' | 'watchlist') => ({
    path: where,
    parameters: own,
    operations: byVerb([['get', watchOperation(kind, names, action)]]),
  });
  return [
    path(`${inside}/${kind.plural}`, parameters, { scope, suffix: 'List' }, 'watchlist'),
    path(`${inside}/${kind.plural}/{name}`, ['name', ...parameters], { scope, suffix: '' }, 'watch'),
    ...(kind.namespaced
      ? [path(`${root}/${kind.plural}`, [], { scope: '', suffix: 'ListForAllNamespaces' }, 'watchlist')]
      : []),
  ];
}

function watchOperation(kind: ServedKind, names: OperationNames, action: 'watch' | 'watchlist'): Operation {
  return {
    operationId: operationId(kind, 'watch', names),
    action,
    kind: pick(kind),
    query: LIST_QUERY,
    consumes: ['*/*'],
    produces: LIST_TYPES,
    body: undefined,
    isBodyOptional: false,
    responses: new Map([[200, WATCH_EVENT]]),
  };
}

function subresourcePath(
  kind: ServedKind,
  subresource: ServedKind['subresources'][number],
  source: OpenApiSource,
): PathOperations {
  const responseKind = subresource.responseKind ?? kind;
  const object = subresource.name === 'log' ? undefined : definitionNameOf(responseKind, kind, source);
  const suffix = subresource.name.charAt(0).toUpperCase() + subresource.name.slice(1);
  const names = { suffix, scope: kind.namespaced ? 'Namespaced' : '' };
  const make = (verb: OperationVerb | 'head' | 'options') =>
    object === undefined || verb === 'head' || verb === 'options'
      ? connectOperation(kind, verb, subresource, names)
      : operation({ kind, responseKind, verb, names, object, list: '' });
  const has = (verb: string) => subresource.verbs.includes(verb);
  return {
    path: `/${groupVersionPath(kind)}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.plural}/{name}/${subresource.name}`,
    parameters: kind.namespaced ? ['name', 'namespace'] : ['name'],
    operations: byVerb([
      ['get', has('get') && make('get')],
      ['post', has('create') && make('create')],
      ['put', has('update') && make('update')],
      ['patch', has('patch') && make('patch')],
      ['delete', has('delete') && make('delete')],
      ['head', subresource.name === 'proxy' && make('head')],
      ['options', subresource.name === 'proxy' && make('options')],
    ]),
  };
}

function byVerb(entries: readonly (readonly [HttpVerb, Operation | false])[]): ReadonlyMap<HttpVerb, Operation> {
  const map = new Map<HttpVerb, Operation>();
  for (const [verb, operation] of entries) if (operation) map.set(verb, operation);
  return map;
}

/** A subresource's schema; undefined where it speaks no objects: logs, exec and the like. */
function definitionNameOf(
  responseKind: GroupVersionKind,
  parent: ServedKind,
  source: OpenApiSource,
): string | undefined {
  if (responseKind.kind === parent.kind && responseKind.group === parent.group) return parent.definition;
  const group = responseKind.group === '' ? 'core' : responseKind.group.split('.')[0];
  const name = `io.k8s.api.${group}.${responseKind.version}.${responseKind.kind}`;
  return source.hasDefinition(name) ? name : undefined;
}

type OperationVerb = 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';
interface OperationNames {
  readonly scope: string;
  readonly suffix: string;
}
interface OperationFacts {
  readonly kind: ServedKind;
  readonly responseKind?: GroupVersionKind;
  readonly verb: OperationVerb;
  readonly names: OperationNames;
  readonly object: string;
  readonly list: string;
}

/** As in `readAppsV1NamespacedDeployment`. */
const ID_PREFIX: Readonly<Record<OperationVerb, string>> = {
  get: 'read',
  list: 'list',
  create: 'create',
  update: 'replace',
  patch: 'patch',
  delete: 'delete',
  deletecollection: 'delete',
};

function operationId(kind: ServedKind, prefix: string, names: OperationNames, collection = ''): string {
  const words = kind.group === '' ? ['core'] : kind.group.replace(/\.k8s\.io$/, '').split('.');
  const capitals = [...words, kind.version].map(word => word.charAt(0).toUpperCase() + word.slice(1));
  return `${prefix}${capitals.join('')}${collection}${names.scope}${kind.kind}${names.suffix}`;
}

function operation(facts: OperationFacts): Operation {
  const { kind, verb, object, list } = facts;
  const base = {
    kind: pick(facts.responseKind ?? kind),
    operationId: operationId(kind, ID_PREFIX[verb], facts.names, verb === 'deletecollection' ? 'Collection' : ''),
    consumes: ['*/*'],
    produces: OBJECT_TYPES,
    body: undefined,
    isBodyOptional: false,
  };
  const answers = (...codes: number[]) => new Map(codes.map(code => [code, object] as const));
  switch (verb) {
    case 'get':
      return { ...base, action: 'get', query: ['pretty'], responses: answers(200) };
    case 'list':
      return { ...base, action: 'list', query: LIST_QUERY, produces: LIST_TYPES, responses: new Map([[200, list]]) };
    case 'create':
      return { ...base, action: 'post', query: WRITE_QUERY, body: object, responses: answers(200, 201, 202) };
    case 'update':
      return { ...base, action: 'put', query: WRITE_QUERY, body: object, responses: answers(200, 201) };
    case 'patch':
      return {
        ...base,
        action: 'patch',
        query: PATCH_QUERY,
        consumes: kind.form ? CUSTOM_PATCH_TYPES : PATCH_TYPES,
        body: `${META}Patch`,
        responses: answers(200, 201),
      };
    case 'delete':
    case 'deletecollection':
      return {
        ...base,
        action: verb,
        query: verb === 'delete' ? DELETE_QUERY : DELETE_COLLECTION_QUERY,
        body: `${META}DeleteOptions`,
        isBodyOptional: true,
        responses: verb === 'delete' ? deletedAnswers(kind, object) : new Map([[200, `${META}Status`]]),
      };
  }
}

/** What a DELETE answers: a Status, or for some kinds the object (ReturnDeletedObject in their storage). */
function deletedAnswers(kind: ServedKind, object: string): ReadonlyMap<number, string> {
  const isObject = !kind.form && isReturnedWhenDeleted(kind);
  const answer = isObject ? object : `${META}Status`;
  return new Map([
    [200, answer],
    [202, answer],
  ]);
}

/** As in `connectCoreV1PostNamespacedPodExec`. */
const CONNECT_METHOD: Readonly<Record<OperationVerb | 'head' | 'options', string>> = {
  head: 'Head',
  options: 'Options',
  get: 'Get',
  list: 'Get',
  create: 'Post',
  update: 'Put',
  patch: 'Patch',
  delete: 'Delete',
  deletecollection: 'Delete',
};

/** A subresource that streams or answers text: log, exec, attach, port-forward, proxy. */
function connectOperation(
  kind: ServedKind,
  verb: OperationVerb | 'head' | 'options',
  subresource: ServedKind['subresources'][number],
  names: OperationNames,
): Operation {
  const isLog = subresource.name === 'log';
  return {
    operationId: isLog ? operationId(kind, 'read', names) : operationId(kind, 'connect', names, CONNECT_METHOD[verb]),
    action: isLog ? 'get' : 'connect',
    kind: pick(subresource.responseKind ?? kind),
    query: CONNECT_QUERY[subresource.name] ?? [],
    consumes: ['*/*'],
    produces: isLog ? ['text/plain', ...OBJECT_TYPES] : ['*/*'],
    body: undefined,
    isBodyOptional: false,
    responses: new Map([[200, undefined]]),
  };
}

const pick = ({ group, version, kind }: GroupVersionKind): GroupVersionKind => ({ group, kind, version });
