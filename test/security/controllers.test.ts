/** Every controller acts under its own service account, and none is refused anything in the life of a cluster. */
import test from 'ava';
import { createHarness, silentLogger } from '../../control/apiserver/testing/harness.ts';
import type { ApiRequest } from '../../control/client/client.ts';
import { RestClient } from '../../control/client/rest.ts';
import { systemClock } from '../../control/client/system-clock.ts';
import { startControllers } from '../../control/controllers/all.ts';
import { CONTROLLER_MANAGER, controllerUser, type InternalUser } from '../../control/leader/accounts.ts';
import { until } from '../helpers/run.ts';

test('controllers have the roles that their work needs, and no others', async t => {
  t.timeout(90_000);
  const harness = await createHarness({ withRoles: true });
  const refused = new Set<string>();
  const seen = new Set<string>();
  const clientOf = ({ user, groups }: InternalUser) =>
    new RestClient({
      clock: systemClock,
      userAgent: 'kube-controller-manager',
      transport: {
        async request(request: ApiRequest) {
          const response = await harness.server.handle(request, { user, groups });
          if (request.method !== 'GET') seen.add(user);
          if (response.status === 403) {
            const { text } = await readAll(response.body);
            if (!/is being terminated|exceeded quota/.test(text))
              refused.add(`${user}: ${request.method} ${request.path} ${text}`);
            return { ...response, body: once(Buffer.from(text)) };
          }
          return response;
        },
        close: async () => {},
      },
    });
  const stop = new AbortController();
  const running = startControllers({
    client: clientOf(CONTROLLER_MANAGER),
    clientFor: account => clientOf(controllerUser(account)),
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
    identity: 'm',
    signal: stop.signal,
    options: {
      rootCa: 'CA',
      clusterCidr: '10.42.0.0/16',
      nodeHealth: { gracePeriodMs: 1_000 },
      signCertificate: async () => 'x',
    },
  });
  t.teardown(async () => {
    stop.abort();
    await running;
    await harness.close();
  });

  const { create, call } = harness;
  const merge = { 'content-type': 'application/merge-patch+json' };
  await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } } as never);
  const at = (group: string, plural: string) => `/${group}/namespaces/n/${plural}`;
  const template = {
    metadata: { labels: { app: 'a' } },
    spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }] },
  };
  const selector = { matchLabels: { app: 'a' } };
  const make = (path: string, object: object) => create(path, object as never);
  await until(
    'the service account',
    async () => (await call('GET', at('api/v1', 'serviceaccounts/default'))).status === 200,
  );
  await until(
    'the root CA',
    async () => (await call('GET', at('api/v1', 'configmaps/kube-root-ca.crt'))).status === 200,
  );
  await make('/api/v1/nodes', {
    metadata: { name: 'node' },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  });
  await make(at('api/v1', 'resourcequotas'), {
    metadata: { name: 'q' },
    spec: { hard: { pods: '50', 'requests.cpu': '50' } },
  });
  await make(at('apis/apps/v1', 'deployments'), { metadata: { name: 'd' }, spec: { replicas: 2, selector, template } });
  await make(at('apis/apps/v1', 'daemonsets'), { metadata: { name: 'ds' }, spec: { selector, template } });
  await make(at('api/v1', 'replicationcontrollers'), {
    metadata: { name: 'rc' },
    spec: { replicas: 1, selector: { app: 'rc' }, template: { ...template, metadata: { labels: { app: 'rc' } } } },
  });
  await make(at('api/v1', 'services'), {
    metadata: { name: 's' },
    spec: { selector: { app: 'a' }, ports: [{ port: 80 }] },
  });
  await make(at('apis/policy/v1', 'poddisruptionbudgets'), {
    metadata: { name: 'b' },
    spec: { minAvailable: 1, selector },
  });
  const endingPod = {
    restartPolicy: 'Never',
    containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }],
  };
  await make(at('apis/batch/v1', 'jobs'), {
    metadata: { name: 'j' },
    spec: { ttlSecondsAfterFinished: 0, template: { spec: endingPod } },
  });
  await make(at('api/v1', 'persistentvolumeclaims'), {
    metadata: { name: 'claim' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });
  await make('/api/v1/persistentvolumes', {
    metadata: { name: 'volume' },
    spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, hostPath: { path: '/x' } },
  });
  await make('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: { name: 'more', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } },
    rules: [{ apiGroups: ['x'], resources: ['y'], verbs: ['get'] }],
  });
  await make('/api/v1/namespaces/kube-system/secrets', {
    metadata: { name: 'bootstrap-token-abcdef' },
    type: 'bootstrap.kubernetes.io/token',
    stringData: { 'token-id': 'abcdef', 'token-secret': '0123456789abcdef', expiration: '2020-01-01T00:00:00Z' },
  });
  const items = async (path: string) => (await call('GET', path)).body.items as { metadata: { name: string } }[];
  await until('pods', async () => (await items(at('api/v1', 'pods'))).length >= 4, 30_000);
  for (const { metadata } of await items(at('api/v1', 'pods'))) {
    const status = /^j-/.test(metadata.name)
      ? { phase: 'Succeeded', containerStatuses: [{ name: 'c', state: { terminated: { exitCode: 0 } } }] }
      : { phase: 'Running', podIP: '10.42.0.9', conditions: [{ type: 'Ready', status: 'True' }] };
    await call('PATCH', at('api/v1', `pods/${metadata.name}/status`), { body: { status }, headers: merge });
  }
  await until(
    'the finished job to go',
    async () => (await call('GET', at('apis/batch/v1', 'jobs/j'))).status === 404,
    30_000,
  );
  await until(
    'the old token to go',
    async () => (await call('GET', '/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef')).status === 404,
  );
  await until('the aggregated rules', async () => {
    const { body } = await call('GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles/view');
    return JSON.stringify(body.rules ?? []).includes('"x"');
  });
  await until('the quota', async () => {
    const { body } = await call('GET', at('api/v1', 'resourcequotas/q'));
    return body.status?.used?.pods !== undefined;
  });
  const patch = { spec: { template: { metadata: { annotations: { again: '1' } } } } };
  for (const path of ['deployments/d', 'daemonsets/ds']) {
    t.is((await call('PATCH', at('apis/apps/v1', path), { body: patch, headers: merge })).status, 200);
  }
  await until('a second ReplicaSet', async () => (await items(at('apis/apps/v1', 'replicasets'))).length === 2);
  await until(
    'the dead node’s taint',
    async () => {
      const { body } = await call('GET', '/api/v1/nodes/node');
      return (body.spec?.taints ?? []).length > 0;
    },
    30_000,
  );
  t.is((await call('DELETE', `${at('apis/apps/v1', 'deployments/d')}?propagationPolicy=Foreground`)).status, 200);
  await until(
    'the collected ReplicaSets',
    async () => (await items(at('apis/apps/v1', 'replicasets'))).length === 0,
    30_000,
  );
  await call('DELETE', '/api/v1/persistentvolumes/volume');
  await call('DELETE', '/api/v1/namespaces/n');
  for (const { metadata } of await items(at('api/v1', 'pods'))) {
    await call('DELETE', `${at('api/v1', `pods/${metadata.name}`)}?gracePeriodSeconds=0`);
  }
  await until(
    'the namespace to go',
    async () => {
      for (const { metadata } of (await items(at('api/v1', 'pods'))) ?? []) {
        await call('DELETE', `${at('api/v1', `pods/${metadata.name}`)}?gracePeriodSeconds=0`);
      }
      return (await call('GET', '/api/v1/namespaces/n')).status === 404;
    },
    30_000,
  );
  t.deepEqual([...refused].sort(), []);
  t.true(seen.size >= 10, [...seen].sort().join(' '));
  // The account that copies Deployments into ReplicaSets reads no Secrets.
  const own = await harness.call('GET', '/api/v1/namespaces/kube-system/secrets', {
    identity: controllerUser('deployment-controller'),
  });
  t.is(own.status, 403);
});

async function readAll(body: AsyncIterable<Uint8Array>): Promise<{ readonly text: string }> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return { text: Buffer.concat(chunks).toString() };
}
async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
