/** Who may do what, as a table. */
import test from 'ava';
import { readRequestInfo } from '../request-info.ts';
import { createHarness } from '../testing/harness.ts';
import type { Identity } from '../types.ts';
import { attributesOf } from './attributes.ts';
import { denial } from './authorization.ts';

const known = (user: string, ...groups: string[]): Identity => ({ user, groups: [...groups, 'system:authenticated'] });
const ADMIN = known('admin', 'system:masters');
const SCHEDULER = known('system:kube-scheduler');
const NODE = known('system:node:n1', 'system:nodes');
const JANE = known('jane', 'dev');
const JOINER = known('system:bootstrap:abcdef', 'system:bootstrappers');
const ANONYMOUS: Identity = { user: 'system:anonymous', groups: ['system:unauthenticated'] };

const TABLE: readonly (readonly [Identity, string, string, boolean])[] = [
  [ADMIN, 'DELETE', '/api/v1/namespaces/x/pods', true],
  [ADMIN, 'GET', '/metrics', true],
  [SCHEDULER, 'POST', '/api/v1/namespaces/x/pods/p/binding', true],
  [JANE, 'GET', '/api', true],
  [JANE, 'GET', '/openapi/v3', true],
  [JANE, 'GET', '/metrics', false],
  [known('prometheus', 'system:monitoring'), 'GET', '/metrics', true],
  [known('prometheus', 'system:monitoring'), 'GET', '/api/v1/nodes', false],
  [JANE, 'GET', '/api/v1/pods', false],
  [JANE, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', true],
  [JOINER, 'GET', '/api/v1/nodes', false],
  [JOINER, 'POST', '/api/v1/nodes', false],
  [ANONYMOUS, 'GET', '/version', true],
  [ANONYMOUS, 'GET', '/livez', true],
  // Only the whole, not what it is made of.
  [ANONYMOUS, 'GET', '/livez/ping', false],
  [known('prometheus', 'system:monitoring'), 'GET', '/livez/ping', true],
  [JANE, 'HEAD', '/version', false],
  [JANE, 'POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', false],
  [SCHEDULER, 'GET', '/api/v1/namespaces/x/secrets/s', false],
  [SCHEDULER, 'DELETE', '/api/v1/namespaces/x/pods/p', true],
  [known('system:node:n1'), 'GET', '/api/v1/nodes/n1', false],
  [ANONYMOUS, 'GET', '/healthz', true],
  [ANONYMOUS, 'GET', '/apis', false],
  [ANONYMOUS, 'GET', '/versions', false],
  [ANONYMOUS, 'POST', '/version', false],
  [NODE, 'GET', '/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dn1', true],
  [NODE, 'GET', '/api/v1/nodes/n1', true],
  [NODE, 'GET', '/api/v1/nodes/n2', false],
  [NODE, 'GET', '/api/v1/nodes', true],
  [NODE, 'POST', '/api/v1/nodes', true],
  [NODE, 'PATCH', '/api/v1/nodes/n1/status', true],
  [NODE, 'PATCH', '/api/v1/nodes/n2/status', false],
  [NODE, 'PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1', true],
  [NODE, 'PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2', false],
  [NODE, 'PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/n1', false],
  [NODE, 'PUT', '/api/v1/namespaces/x/pods/p/status', true],
  [NODE, 'DELETE', '/api/v1/namespaces/x/pods/p', true],
  [NODE, 'DELETE', '/api/v1/namespaces/x/pods', false],
  [NODE, 'POST', '/api/v1/namespaces/x/pods/p/exec', false],
  [NODE, 'POST', '/api/v1/namespaces/x/events', true],
  [NODE, 'GET', '/api/v1/namespaces/x/secrets/s', true],
  [NODE, 'GET', '/api/v1/secrets', false],
  [NODE, 'GET', '/api/v1/namespaces/x/secrets?watch=1', false],
  [NODE, 'GET', '/api/v1/namespaces/x/secrets?watch=1&fieldSelector=metadata.name%3Ds', true],
  [NODE, 'PUT', '/api/v1/namespaces/x/secrets/s', false],
  [NODE, 'POST', '/apis/apps/v1/namespaces/x/deployments', false],
];

const query = (url: string) => new URLSearchParams(url.split('?')[1] ?? '');

test('each user may do what is his and nothing else', async t => {
  const harness = await createHarness({ withRoles: true });
  const pod = { metadata: { name: 'p' }, spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'a' }] } };
  const volumes = [{ name: 'v', secret: { secretName: 's' } }];
  await harness.create('/api/v1/namespaces', { metadata: { name: 'x' } });
  await harness.create('/api/v1/namespaces/x/pods', { ...pod, spec: { ...pod.spec, volumes } } as object);
  for (const [identity, method, url, allowed] of TABLE) {
    const { isResource, path, verb, ...resource } = attributesOf(identity, readRequestInfo(method, url), query(url));
    const { body } = await harness.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      body: {
        spec: {
          user: identity.user,
          groups: identity.groups,
          ...(isResource
            ? { resourceAttributes: { ...resource, fieldSelector: undefined, identity: undefined, verb } }
            : {}),
          ...(isResource ? {} : { nonResourceAttributes: { path: path.split('?')[0], verb } }),
        },
      },
    });
    t.is(body.status?.allowed, allowed, `${identity.user} ${method} ${url}: ${JSON.stringify(body)}`);
  }
  await harness.close();
});

test('a refusal says who may not do what, and where', t => {
  const sentence = (method: string, url: string) =>
    denial(attributesOf(JANE, readRequestInfo(method, url), query(url)), undefined).message;
  t.is(
    sentence('GET', '/apis/apps/v1/deployments'),
    'deployments.apps is forbidden: User "jane" cannot list resource "deployments" in API group "apps" at the cluster scope',
  );
  t.is(
    sentence('POST', '/api/v1/namespaces/x/pods/p/exec'),
    'pods "p" is forbidden: User "jane" cannot create resource "pods/exec" in API group "" in the namespace "x"',
  );
  t.is(
    sentence('GET', '/api/v1/namespaces/x/pods?fieldSelector=metadata.name%3Dp,status.phase%3DRunning'),
    'pods "p" is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "x"',
  );
  t.is(sentence('GET', '/metrics'), 'forbidden: User "jane" cannot get path "/metrics"');
});
