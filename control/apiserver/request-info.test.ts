import test from 'ava';
import { readRequestInfo } from './request-info.ts';
import type { RequestInfo } from './types.ts';

const NOTHING = { group: '', version: '', namespace: '', resource: '', subresource: '', name: '', rest: '' };

const PATHS: readonly (readonly [string, string, Partial<RequestInfo>])[] = [
  ['GET', '/api/v1/pods', { verb: 'list', version: 'v1', resource: 'pods' }],
  ['GET', '/api/v1/pods?watch=1', { verb: 'watch', version: 'v1', resource: 'pods' }],
  ['GET', '/api/v1/pods?watch=false', { verb: 'list', version: 'v1', resource: 'pods' }],
  ['GET', '/api/v1/watch/pods', { verb: 'watch', version: 'v1', resource: 'pods' }],
  ['GET', '/api/v1/watch', { verb: 'list', version: 'v1', resource: 'watch' }],
  [
    'PUT',
    '/apis/apps/v1/namespaces/a/deployments/b/scale',
    {
      ...{ verb: 'update', group: 'apps', version: 'v1', namespace: 'a' },
      ...{ resource: 'deployments', name: 'b', subresource: 'scale' },
    },
  ],
  [
    'DELETE',
    '/api/v1/namespaces/a/pods',
    { verb: 'deletecollection', version: 'v1', namespace: 'a', resource: 'pods' },
  ],
  ['GET', '/api/v1/namespaces/a', { verb: 'get', version: 'v1', namespace: 'a', resource: 'namespaces', name: 'a' }],
  [
    'PUT',
    '/api/v1/namespaces/a/status',
    { verb: 'update', version: 'v1', namespace: 'a', resource: 'namespaces', name: 'a', subresource: 'status' },
  ],
  [
    'POST',
    '/api/v1/namespaces/a/pods/b/proxy/c%2Fd/e?x=1',
    {
      ...{ verb: 'create', version: 'v1', namespace: 'a', resource: 'pods', name: 'b', subresource: 'proxy' },
      rest: 'c/d/e',
    },
  ],
  [
    'GET',
    '/api/v1/namespaces/%61/pods/%zz',
    { verb: 'get', version: 'v1', namespace: 'a', resource: 'pods', name: '%zz' },
  ],
];

test('a path of a resource says what is asked of which', t => {
  for (const [method, url, expected] of PATHS) {
    const path = url.split('?')[0] ?? '';
    t.deepEqual(readRequestInfo(method, url), { ...NOTHING, path, isResource: true, verb: '', ...expected }, url);
  }
});

test('every other path is a plain one', t => {
  for (const path of [
    '/',
    '',
    '/api',
    '/api/v1',
    '/api/v1/',
    '/apis',
    '/apis/apps',
    '/apis/apps/v1',
    '/healthz',
    '/apix/v1/a/b',
  ]) {
    t.deepEqual(readRequestInfo('GET', path), { ...NOTHING, path, isResource: false, verb: 'get' }, path);
  }
});
