/**
 * What OpenAPI tells of the paths that are no resources: discovery itself, the version, the keys of service account tokens.
 * In v3 each has a document of its own (KEP-2896), in v2 they stand among the other paths.
 */
import { type GroupVersionKind, groupVersionPath, REF_PREFIX } from './source.ts';
import type { V2PathItem } from './v2.ts';

/** A path with one GET. */
export interface PlainPath {
  readonly path: string;
  readonly operationId: string;
  readonly tag: string;
  /** The schema of the answer; text without one. */
  readonly schema: string | undefined;
}

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

/** By the name of the v3 document, for groups in the order given. */
export function plainPaths(groups: Iterable<string>): ReadonlyMap<string, PlainPath> {
  const paths = new Map<string, PlainPath>([
    ['api', { path: '/api/', operationId: 'getCoreAPIVersions', tag: 'core', schema: `${META}APIVersions` }],
    ['apis', { path: '/apis/', operationId: 'getAPIVersions', tag: 'apis', schema: `${META}APIGroupList` }],
    [
      '.well-known/openid-configuration',
      {
        path: '/.well-known/openid-configuration/',
        operationId: 'getServiceAccountIssuerOpenIDConfiguration',
        tag: 'WellKnown',
        schema: undefined,
      },
    ],
    [
      'openid/v1/jwks',
      {
        path: '/openid/v1/jwks/',
        operationId: 'getServiceAccountIssuerOpenIDKeyset',
        tag: 'openid',
        schema: undefined,
      },
    ],
    [
      'version',
      {
        path: '/version/',
        operationId: 'getCodeVersion',
        tag: 'version',
        schema: 'io.k8s.apimachinery.pkg.version.Info',
      },
    ],
  ]);
  for (const group of groups) {
    if (group === '') continue;
    const words = wordsOf(group);
    paths.set(`apis/${group}`, {
      path: `/apis/${group}/`,
      operationId: `get${capitalized(words)}APIGroup`,
      tag: words.join('_'),
      schema: `${META}APIGroup`,
    });
  }
  return paths;
}

/** The list of a group version's resources, which stands among its other paths. */
export function resourceListPath({ group, version }: Pick<GroupVersionKind, 'group' | 'version'>): PlainPath {
  const words = group === '' ? ['core'] : wordsOf(group);
  return {
    path: `/${groupVersionPath({ group, version })}/`,
    operationId: `get${capitalized([...words, version])}APIResources`,
    tag: `${words.join('')}_${version}`,
    schema: `${META}APIResourceList`,
  };
}

/** One of each group version of the kinds. */
export function resourceListPaths(kinds: readonly Pick<GroupVersionKind, 'group' | 'version'>[]): PlainPath[] {
  return [...new Map(kinds.map(kind => [groupVersionPath(kind), resourceListPath(kind)])).values()];
}

const wordsOf = (group: string) => group.replace(/\.k8s\.io$/, '').split(/[.-]/);
const capitalized = (words: readonly string[]) =>
  words.map(word => word.charAt(0).toUpperCase() + word.slice(1)).join('');

/** The path in the manner of v3. */
export function v3PlainPath({ operationId, tag, schema }: PlainPath): object {
  const content = schema === undefined ? { type: 'string' } : { $ref: `#/components/schemas/${schema}` };
  const type = schema === undefined ? 'text/plain' : 'application/json';
  return {
    get: {
      tags: [tag],
      operationId,
      responses: {
        '200': { description: 'OK', content: { [type]: { schema: content } } },
        '401': { description: 'Unauthorized' },
      },
    },
  };
}

/** The path in the manner of v2. */
export function v2PlainPath({ operationId, tag, schema }: PlainPath): V2PathItem {
  const types = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
  return {
    get: {
      tags: [tag],
      operationId,
      schemes: ['https'],
      consumes: types,
      produces: types,
      parameters: [],
      responses: {
        '200': {
          description: 'OK',
          schema: schema === undefined ? { type: 'string' } : { $ref: `${REF_PREFIX}${schema}` },
        },
        '401': { description: 'Unauthorized' },
      },
    },
  };
}
