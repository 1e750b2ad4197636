import test from 'ava';
import { readFields, type WireValue } from '../protobuf/wire-format.ts';
import { encodeOpenApiV2, encodeV2Part, encodeV2Parts } from './gnostic.ts';
import type { OpenApiSource, SchemaFacts } from './source.ts';
import { openApiV2, partsOfV2 } from './v2.ts';
import { openApiV3, openApiV3Index } from './v3.ts';

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const definitions: Readonly<Record<string, SchemaFacts>> = {
  'io.k8s.api.apps.v1.Deployment': {
    type: 'object',
    properties: {
      metadata: { $ref: `#/definitions/${META}ObjectMeta`, default: {} },
      replicas: { type: 'integer', format: 'int32' },
      strategy: { type: 'string', enum: ['Recreate', 'RollingUpdate'], default: 'RollingUpdate' },
      port: { $ref: '#/definitions/IntOrString' },
      labels: { type: 'object', additionalProperties: { type: 'string' } },
    },
    required: ['metadata'],
    ...{ 'x-kubernetes-group-version-kind': [{ group: 'apps', kind: 'Deployment', version: 'v1' }] },
  },
  'io.k8s.api.apps.v1.DeploymentList': {
    type: 'object',
    properties: {
      items: { type: 'array', items: { $ref: '#/definitions/io.k8s.api.apps.v1.Deployment', default: {} } },
    },
  },
  'io.k8s.api.core.v1.Pod': { type: 'object' },
  'io.k8s.api.autoscaling.v1.Scale': { type: 'object' },
  IntOrString: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  [`${META}ObjectMeta`]: { type: 'object', properties: { name: { type: 'string' } } },
  [`${META}Status`]: { type: 'object' },
  [`${META}DeleteOptions`]: { type: 'object' },
  [`${META}Patch`]: { type: 'object' },
  Unreached: { type: 'object' },
};

const source: OpenApiSource = {
  title: 'Kubernetes',
  version: 'v1.33.1',
  kinds: [
    {
      group: 'apps',
      version: 'v1',
      kind: 'Deployment',
      plural: 'deployments',
      namespaced: true,
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
      subresources: [
        { name: 'status', verbs: ['get', 'patch', 'update'] },
        {
          name: 'scale',
          verbs: ['get', 'patch'],
          responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
        },
      ],
      definition: 'io.k8s.api.apps.v1.Deployment',
    },
    {
      group: '',
      version: 'v1',
      kind: 'Pod',
      plural: 'pods',
      namespaced: true,
      verbs: ['get'],
      subresources: [
        { name: 'log', verbs: ['get'] },
        { name: 'exec', verbs: ['get', 'create'], responseKind: { group: '', version: 'v1', kind: 'PodExecOptions' } },
      ],
      definition: 'io.k8s.api.core.v1.Pod',
    },
  ],
  definition: name => definitions[name] ?? { type: 'missing' },
  hasDefinition: name => Object.hasOwn(definitions, name),
};

test('v2 holds the served paths with the names that Kubernetes gives their operations', t => {
  const { paths } = openApiV2(source);
  const ids = Object.entries(paths).map(([path, item]) => [
    path,
    Object.fromEntries(
      (['get', 'put', 'post', 'patch', 'delete'] as const).flatMap(verb => {
        const operation = item[verb];
        return operation ? [[verb, operation.operationId]] : [];
      }),
    ),
  ]);
  t.deepEqual(Object.fromEntries(ids), {
    '/.well-known/openid-configuration/': { get: 'getServiceAccountIssuerOpenIDConfiguration' },
    '/api/': { get: 'getCoreAPIVersions' },
    '/apis/': { get: 'getAPIVersions' },
    '/apis/apps/': { get: 'getAppsAPIGroup' },
    '/openid/v1/jwks/': { get: 'getServiceAccountIssuerOpenIDKeyset' },
    '/version/': { get: 'getCodeVersion' },
    '/api/v1/': { get: 'getCoreV1APIResources' },
    '/api/v1/namespaces/{namespace}/pods/{name}': { get: 'readCoreV1NamespacedPod' },
    '/api/v1/namespaces/{namespace}/pods/{name}/exec': {
      get: 'connectCoreV1GetNamespacedPodExec',
      post: 'connectCoreV1PostNamespacedPodExec',
    },
    '/api/v1/namespaces/{namespace}/pods/{name}/log': { get: 'readCoreV1NamespacedPodLog' },
    '/apis/apps/v1/': { get: 'getAppsV1APIResources' },
    '/apis/apps/v1/deployments': { get: 'listAppsV1DeploymentForAllNamespaces' },
    '/apis/apps/v1/namespaces/{namespace}/deployments': {
      get: 'listAppsV1NamespacedDeployment',
      post: 'createAppsV1NamespacedDeployment',
      delete: 'deleteAppsV1CollectionNamespacedDeployment',
    },
    '/apis/apps/v1/namespaces/{namespace}/deployments/{name}': {
      get: 'readAppsV1NamespacedDeployment',
      put: 'replaceAppsV1NamespacedDeployment',
      patch: 'patchAppsV1NamespacedDeployment',
      delete: 'deleteAppsV1NamespacedDeployment',
    },
    '/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale': {
      get: 'readAppsV1NamespacedDeploymentScale',
      patch: 'patchAppsV1NamespacedDeploymentScale',
    },
    '/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status': {
      get: 'readAppsV1NamespacedDeploymentStatus',
      put: 'replaceAppsV1NamespacedDeploymentStatus',
      patch: 'patchAppsV1NamespacedDeploymentStatus',
    },
  });
});

test('watches have paths of their own, as they used to', t => {
  const event = 'io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent';
  const kinds = source.kinds.map(kind => ({ ...kind, verbs: ['watch'], subresources: [] }));
  const { paths } = openApiV2({
    ...source,
    kinds,
    hasDefinition: name => name === event || source.hasDefinition(name),
  });
  const told = Object.entries(paths).map(([path, { get }]) => [path, get?.operationId, get?.['x-kubernetes-action']]);
  t.deepEqual(
    told.filter(([path]) => path?.startsWith('/apis/apps/v1/watch')),
    [
      ['/apis/apps/v1/watch/deployments', 'watchAppsV1DeploymentListForAllNamespaces', 'watchlist'],
      ['/apis/apps/v1/watch/namespaces/{namespace}/deployments', 'watchAppsV1NamespacedDeploymentList', 'watchlist'],
      ['/apis/apps/v1/watch/namespaces/{namespace}/deployments/{name}', 'watchAppsV1NamespacedDeployment', 'watch'],
    ],
  );
});

test('kubectl finds dryRun and fieldValidation at the patch of each kind', t => {
  const path = '/apis/apps/v1/namespaces/{namespace}/deployments/{name}';
  const patch = openApiV2(source).paths[path]?.patch;
  t.deepEqual(patch?.['x-kubernetes-group-version-kind'], { group: 'apps', kind: 'Deployment', version: 'v1' });
  const names = (patch?.parameters ?? [])
    .filter(parameter => parameter.in === 'query')
    .map(parameter => parameter.name);
  t.true(names.includes('dryRun') && names.includes('fieldValidation'));
});

test('documents hold the schemas that are reached, in their version’s dialect', t => {
  const v2 = openApiV2(source).definitions;
  t.false(Object.hasOwn(v2, 'Unreached'));
  t.deepEqual(v2.IntOrString, { format: 'int-or-string', type: 'string' });
  t.deepEqual(v2['io.k8s.api.apps.v1.Deployment']?.properties?.metadata, { $ref: `#/definitions/${META}ObjectMeta` });

  const v3 = openApiV3(source);
  t.deepEqual([...v3.keys()].sort(), ['api/v1', 'apis/apps/v1']);
  const schemas = v3.get('apis/apps/v1')?.components.schemas ?? {};
  t.false(Object.hasOwn(schemas, 'io.k8s.api.core.v1.Pod'));
  const deployment = schemas['io.k8s.api.apps.v1.Deployment'] as { properties: Record<string, object> };
  t.deepEqual(deployment.properties.metadata, {
    allOf: [{ $ref: `#/components/schemas/${META}ObjectMeta` }],
    default: {},
  });
  t.deepEqual(deployment.properties.port, { $ref: '#/components/schemas/IntOrString' });
  t.deepEqual(schemas.IntOrString, definitions.IntOrString);
});

test('what is said of definitions and fields stands in all forms', t => {
  const told: OpenApiSource = {
    ...source,
    describe: (name, schema) => ({
      ...schema,
      description: `All of ${name}.`,
      properties: Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([field, of]) => [
          field,
          { ...of, description: `What ${field} is.` },
        ]),
      ),
    }),
  };
  const name = 'io.k8s.api.apps.v1.Deployment';
  const document = openApiV2(told);
  const { description, properties } = document.definitions[name] ?? {};
  t.is(description, `All of ${name}.`);
  t.deepEqual(properties?.port, { $ref: '#/definitions/IntOrString', description: 'What port is.' });

  const schema = openApiV3(told).get('apis/apps/v1')?.components.schemas[name] as {
    description: string;
    properties: Record<string, { description?: string }>;
  };
  t.is(schema.description, `All of ${name}.`);
  t.deepEqual(schema.properties.port, {
    allOf: [{ $ref: '#/components/schemas/IntOrString' }],
    description: 'What port is.',
  });
  const words = 'Possible enum values:\n - `"Recreate"`\n - `"RollingUpdate"`';
  for (const form of [schema.properties, properties]) {
    t.is(form?.strategy?.description, `What strategy is.\n\n${words}`);
  }

  const entry = (fields(first(encodeOpenApiV2(document), 9)).get(1) ?? []).find(
    each => textOf(first(each, 1)) === name,
  );
  t.is(textOf(first(entry, 2, 4)), `All of ${name}.`);
  t.is(textOf(first((fields(first(entry, 2, 25)).get(1) ?? [])[1], 2, 4)), 'What replicas is.');
});

test('the v3 index names each document with its hash', t => {
  const hashes = new Map([
    ['apis/apps/v1', 'BB'],
    ['api/v1', 'AA'],
  ]);
  t.deepEqual(openApiV3Index(hashes), {
    paths: {
      'api/v1': { serverRelativeURL: '/openapi/v3/api/v1?hash=AA' },
      'apis/apps/v1': { serverRelativeURL: '/openapi/v3/apis/apps/v1?hash=BB' },
    },
  });
});

/** Field values by number, of a message. */
function fields(value: WireValue | undefined): Map<number, WireValue[]> {
  const map = new Map<number, WireValue[]>();
  for (const field of readFields(value instanceof Uint8Array ? value : new Uint8Array())) {
    map.set(field.number, [...(map.get(field.number) ?? []), field.value]);
  }
  return map;
}
const textOf = (value: WireValue | undefined) => Buffer.from(value instanceof Uint8Array ? value : []).toString();
const first = (value: WireValue | undefined, ...path: number[]) =>
  path.reduce<WireValue | undefined>((current, number) => fields(current).get(number)?.[0], value);

test('the protobuf form says the same', t => {
  const document = openApiV2(source);
  const bytes = encodeOpenApiV2(document);
  t.is(textOf(first(bytes, 1)), '2.0');
  t.is(textOf(first(bytes, 2, 2)), 'v1.33.1');
  const names = (of: WireValue | undefined, number: number) =>
    (fields(of).get(number) ?? []).map(entry => textOf(first(entry, 1)));
  t.deepEqual(names(first(bytes, 8), 2), Object.keys(document.paths));
  t.deepEqual(names(first(bytes, 9), 1), Object.keys(document.definitions));

  const deployment = (fields(first(bytes, 9)).get(1) ?? []).find(
    entry => textOf(first(entry, 1)) === 'io.k8s.api.apps.v1.Deployment',
  );
  const properties = fields(first(deployment, 2, 25)).get(1) ?? [];
  t.deepEqual(
    properties.map(entry => textOf(first(entry, 1))),
    ['metadata', 'replicas', 'strategy', 'port', 'labels'],
  );
  t.is(textOf(first(properties[1], 2, 22, 1)), 'integer');
  t.is(textOf(first(deployment, 2, 31, 1)), 'x-kubernetes-group-version-kind');
  t.is(textOf(first(deployment, 2, 31, 2, 2)), '[{"group":"apps","kind":"Deployment","version":"v1"}]');
});

test('a document in pieces is the document, and what is there already is passed over', t => {
  const { paths, definitions } = openApiV2(source);
  const [first] = Object.keys(definitions);
  const parts = [...partsOfV2(source, new Set(['/apis/', first ?? '']))];
  const names = parts.map(part => ('path' in part ? part.path : part.definition));
  const wanted = [...Object.keys(paths), ...Object.keys(definitions)].filter(
    name => name !== '/apis/' && name !== first,
  );
  t.deepEqual(names.toSorted(), wanted.toSorted());
  const document = openApiV2(source);
  const encoded = (isPath: boolean) =>
    [...partsOfV2(source)].filter(part => 'path' in part === isPath).map(part => encodeV2Part(part));
  t.deepEqual(encodeV2Parts(document, encoded(true), encoded(false)), encodeOpenApiV2(document));
});
