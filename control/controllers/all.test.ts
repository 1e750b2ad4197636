import test, { type ExecutionContext } from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { Deployment, Pod } from '../api/generated/types.ts';
import { microTimestamp, timestamp } from '../client/clock.ts';
import { Informer } from '../client/informer.ts';
import { Informers } from '../client/informers.ts';
import { silentLogger } from '../client/logger.ts';
import { RestClient } from '../client/rest.ts';
import { systemClock } from '../client/system-clock.ts';
import { MemoryApi } from '../client/testing/memory-api.ts';
import { until } from '../client/testing/until.ts';
import { runScheduler } from '../scheduler/scheduler.ts';
import { startControllers } from './all.ts';

/** A cluster in memory: API, controllers, scheduler, and nodes that claim to run whatever they are given. */
async function cluster(t: ExecutionContext, nodeNames: readonly string[] = ['a', 'b']) {
  const clock = systemClock;
  const api = new MemoryApi(clock);
  const client = new RestClient({ transport: api, clock, userAgent: 'test' });
  const stop = new AbortController();
  const settings = {
    client,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    signal: stop.signal,
    identity: 'master-1',
  };
  for (const name of nodeNames) {
    await client.create(kinds.nodes, {
      metadata: { name, labels: { 'kubernetes.io/hostname': name } },
      status: {
        allocatable: { cpu: '8', memory: '32Gi', pods: '110' },
        conditions: [
          {
            type: 'Ready',
            status: 'True',
            lastHeartbeatTime: timestamp(clock.now()),
            lastTransitionTime: timestamp(clock.now()),
          },
        ],
      },
    });
    await client.create(kinds.leases, {
      metadata: { name, namespace: 'kube-node-lease' },
      spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTimestamp(clock.now()) },
    });
  }
  await client.create(kinds.namespaces, { metadata: { name: 'n' }, spec: { finalizers: ['kubernetes'] } });
  const informers = new Informers(settings);
  const running = [
    runScheduler({ ...settings, informers }),
    startControllers({ ...settings, informers, options: { rootCa: 'CA', clusterCidr: '10.42.0.0/16' } }),
    runHollowNodes(client, stop.signal),
  ];
  t.teardown(async () => {
    stop.abort();
    await Promise.all(running);
  });
  const pods = async (selector = {}) =>
    (await client.list(kinds.pods)).items.filter(({ metadata }) =>
      Object.entries(selector).every(([key, value]) => metadata?.labels?.[key] === value),
    );
  return { api, client, stop, pods, running };
}

/** Reports bound pods as running and ready, ends those whose command says so, removes deleted ones. */
function runHollowNodes(client: RestClient, signal: AbortSignal): Promise<void> {
  const informer = new Informer<Pod>({
    client,
    kind: kinds.pods,
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
  });
  let addresses = 0;
  const settle = async (pod: Pod) => {
    const key = { namespace: pod.metadata?.namespace ?? '', name: pod.metadata?.name ?? '' };
    if (!pod.spec?.nodeName || pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return;
    const now = timestamp(systemClock.now());
    const command = pod.spec.containers[0]?.command?.[0];
    if (pod.status?.podIP && !command) return;
    const podIP = pod.status?.podIP ?? `10.91.0.${++addresses}`;
    const conditions = ['PodScheduled', 'Ready'].map(type => ({ type, status: 'True', lastTransitionTime: now }));
    const phase = command === 'true' ? 'Succeeded' : command === 'false' ? 'Failed' : 'Running';
    const body = {
      status: { phase, podIP, podIPs: [{ ip: podIP }], conditions: phase === 'Running' ? conditions : [] },
    };
    await client
      .patch(kinds.pods, key, { type: 'application/merge-patch+json', body }, { subresource: 'status' })
      .catch(() => undefined);
  };
  informer.addHandler({ added: pod => void settle(pod), updated: pod => void settle(pod) });
  return informer.run(signal);
}

const deployment = (name: string, replicas: number, spec: Partial<Deployment['spec']> = {}): Deployment => ({
  metadata: { name, namespace: 'n' },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'x:1' }] } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    progressDeadlineSeconds: 600,
    revisionHistoryLimit: 10,
    ...spec,
  },
});
const KEY = { namespace: 'n', name: 'web' };

test('a Deployment comes up, scales, rolls and goes with all that it made', async t => {
  const { client, pods } = await cluster(t);
  await client.create(kinds.deployments, deployment('web', 3));
  const status = async () => (await client.get(kinds.deployments, KEY)).status;
  const patch = (spec: object) =>
    client.patch(kinds.deployments, KEY, { type: 'application/merge-patch+json', body: { spec } });
  await until('three are available', async () => (await status())?.availableReplicas === 3);
  t.deepEqual([...new Set((await pods()).map(({ spec }) => spec?.nodeName))].toSorted(), ['a', 'b']);

  await patch({ replicas: 5 });
  await until('five are available', async () => (await status())?.availableReplicas === 5);
  await patch({ replicas: 2 });
  await until('two are left', async () => (await pods()).length === 2 && (await status())?.replicas === 2);

  await patch({ template: { spec: { containers: [{ name: 'c', image: 'x:2' }] } } });
  const isRolled = async () => {
    const all = await pods();
    return all.length === 2 && all.every(({ spec }) => spec?.containers[0]?.image === 'x:2');
  };
  await until('all run the new image', isRolled);
  await until('the rollout is complete', async () =>
    ((await status())?.conditions ?? []).some(({ reason }) => reason === 'NewReplicaSetAvailable'),
  );
  t.is((await client.get(kinds.deployments, KEY)).metadata?.annotations?.['deployment.kubernetes.io/revision'], '2');

  await client.delete(kinds.deployments, KEY, { propagationPolicy: 'Background' });
  await until(
    'nothing is left',
    async () => (await client.list(kinds.replicasets)).items.length + (await pods()).length === 0,
  );
});

test('the events of a rollout are those of Kubernetes', async t => {
  const { client } = await cluster(t);
  await client.create(kinds.deployments, deployment('web', 2));
  const messages = async (kind: string) =>
    (await client.list(kinds.events)).items
      .filter(({ involvedObject }) => involvedObject.kind === kind)
      .map(
        ({ message = '', reason, source }) =>
          `${source?.component} ${reason} ${message.replaceAll(/web-[a-z0-9-]+/g, 'web-X')}`,
      );
  await until('the pods are told', async () => (await messages('ReplicaSet')).length === 2);
  t.deepEqual(await messages('Deployment'), [
    'deployment-controller ScalingReplicaSet Scaled up replica set web-X from 0 to 2',
  ]);
  t.deepEqual(await messages('ReplicaSet'), Array(2).fill('replicaset-controller SuccessfulCreate Created pod: web-X'));
  await until('the pods are scheduled', async () => (await messages('Pod')).length === 2);
});

test('pods are adopted and released by label', async t => {
  const { client, pods } = await cluster(t);
  const labels = { app: 'r' };
  await client.create(kinds.pods, {
    metadata: { name: 'stray', namespace: 'n', labels },
    spec: { containers: [{ name: 'c' }] },
  });
  await client.create(kinds.replicasets, {
    metadata: { name: 'r', namespace: 'n' },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c' }] } },
    },
  });
  const stray = () => client.get(kinds.pods, { namespace: 'n', name: 'stray' });
  await until(
    'two are ready',
    async () => (await client.get(kinds.replicasets, { namespace: 'n', name: 'r' })).status?.readyReplicas === 2,
  );
  t.is((await pods(labels)).length, 2);
  t.like((await stray()).metadata?.ownerReferences?.[0], {
    kind: 'ReplicaSet',
    name: 'r',
    controller: true,
    blockOwnerDeletion: true,
  });
  await client.patch(
    kinds.pods,
    { namespace: 'n', name: 'stray' },
    { type: 'application/merge-patch+json', body: { metadata: { labels: { app: 'free' } } } },
  );
  await until('stray is free', async () => (await stray()).metadata?.ownerReferences === undefined);
  await until('it is replaced', async () => (await pods(labels)).length === 2);
});

test('orphaning and foreground deletion', async t => {
  const { client, pods } = await cluster(t);
  for (const name of ['o', 'f']) await client.create(kinds.deployments, deployment(name, 1));
  await until('both run', async () => (await pods()).filter(({ status }) => status?.phase === 'Running').length === 2);
  const sets = async (app: string) =>
    (await client.list(kinds.replicasets)).items.filter(({ metadata }) => metadata?.labels?.app === app);

  await client.delete(kinds.deployments, { namespace: 'n', name: 'o' }, { propagationPolicy: 'Orphan' });
  await until('o is orphaned', async () => (await sets('o'))[0]?.metadata?.ownerReferences === undefined);
  t.is((await pods({ app: 'o' })).length, 1);

  const [set] = await sets('f');
  const key = { namespace: 'n', name: set?.metadata?.name ?? '' };
  const hold = (finalizers: unknown) =>
    client.patch(kinds.replicasets, key, { type: 'application/merge-patch+json', body: { metadata: { finalizers } } });
  await hold(['example.com/hold']);
  await client.delete(kinds.deployments, { namespace: 'n', name: 'f' }, { propagationPolicy: 'Foreground' });
  await until('the pods are gone', async () => (await pods({ app: 'f' })).length === 0);
  await until(
    'only the holder is left',
    async () => (await sets('f'))[0]?.metadata?.finalizers?.join() === 'example.com/hold',
  );
  t.is((await client.get(kinds.deployments, { namespace: 'n', name: 'f' })).metadata?.name, 'f');
  await hold(null);
  await until(
    'all is gone',
    async () => (await client.list(kinds.deployments)).items.length + (await sets('f')).length === 0,
  );
});

test('what refers to owners that never were is collected; what has another owner stays', async t => {
  const { client } = await cluster(t);
  const map = (name: string, ownerReferences: object[] = []) =>
    client.create(kinds.configmaps, { metadata: { name, namespace: 'n', ownerReferences: ownerReferences as never } });
  const reference = (name: string, uid = 'none') => ({ apiVersion: 'v1', kind: 'ConfigMap', name, uid });
  const owner = await map('owner');
  await map('lost', [reference('nope')]);
  await map('odd', [{ apiVersion: 'none.io/v1', kind: 'Thing', name: 'x', uid: '1' }]);
  await map('both', [reference('nope'), reference('owner', owner.metadata?.uid)]);
  const get = async (name: string) =>
    (await client.list(kinds.configmaps)).items.find(({ metadata }) => metadata?.name === name);
  await until('lost is collected', async () => (await get('lost')) === undefined);
  await until('both has one owner', async () => (await get('both'))?.metadata?.ownerReferences?.length === 1);
  t.truthy(await get('odd'));
});

test('a namespace has what pods need, and is emptied when it goes', async t => {
  const { client, pods } = await cluster(t);
  await until(
    'the account',
    async () => (await client.list(kinds.serviceaccounts, { namespace: 'n' })).items[0]?.metadata?.name === 'default',
  );
  const map = async () =>
    (await client.list(kinds.configmaps, { namespace: 'n' })).items.find(
      ({ metadata }) => metadata?.name === 'kube-root-ca.crt',
    );
  await until('the authority', async () => (await map())?.data?.['ca.crt'] === 'CA');
  await client.create(kinds.deployments, deployment('web', 2));
  await client.create(kinds.configmaps, {
    metadata: { name: 'held', namespace: 'n', finalizers: ['example.com/hold'] },
  });
  await until('the pods', async () => (await pods()).length === 2);

  await client.delete(kinds.namespaces, { name: 'n' });
  const conditions = async () => (await client.get(kinds.namespaces, { name: 'n' })).status?.conditions ?? [];
  await until('only the holder is left', async () =>
    (await conditions()).some(
      ({ message }) => message === 'Some resources are remaining: configmaps. has 1 resource instances',
    ),
  );
  t.is((await pods()).length, 0);
  t.true(
    (await conditions()).some(
      ({ message }) =>
        message === 'Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances',
    ),
  );
  await client.patch(
    kinds.configmaps,
    { namespace: 'n', name: 'held' },
    { type: 'application/merge-patch+json', body: { metadata: { finalizers: null } } },
  );
  await until('the namespace is gone', async () => (await client.list(kinds.namespaces)).items.length === 0, 20_000);
});

test('endpoints follow ready pods of a Service', async t => {
  const { client } = await cluster(t);
  const labels = { app: 'w' };
  await client.create(kinds.services, {
    metadata: { name: 'w', namespace: 'n', labels: { team: 'x' } },
    spec: {
      clusterIP: '10.96.0.9',
      ipFamilies: ['IPv4'],
      selector: labels,
      ports: [
        { name: 'web', port: 80, targetPort: 'http' },
        { name: 'num', port: 81, targetPort: 9090 },
      ],
    },
  });
  await client.create(kinds.pods, {
    metadata: { name: 'a', namespace: 'n', labels },
    spec: { containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }] },
  });
  const endpoints = () => client.list(kinds.endpoints).then(({ items }) => items[0]);
  const slices = () => client.list(kinds.endpointslices).then(({ items }) => items);
  await until('an address', async () => (await endpoints())?.subsets?.[0]?.addresses?.length === 1);
  t.deepEqual((await endpoints())?.metadata?.labels, {
    team: 'x',
    'endpoints.kubernetes.io/managed-by': 'endpoint-controller',
  });
  t.deepEqual((await endpoints())?.subsets?.[0]?.ports, [
    { name: 'web', port: 8080, protocol: 'TCP' },
    { name: 'num', port: 9090, protocol: 'TCP' },
  ]);
  await until('a slice', async () => (await slices())[0]?.endpoints?.[0]?.conditions?.ready === true);
  t.is((await slices()).length, 1);
  t.like((await slices())[0]?.endpoints[0], {
    conditions: { ready: true, serving: true, terminating: false },
    targetRef: { kind: 'Pod', name: 'a' },
  });

  await client.patch(
    kinds.pods,
    { namespace: 'n', name: 'a' },
    { type: 'application/merge-patch+json', body: { metadata: { labels: { app: 'other' } } } },
  );
  await until('no address', async () => (await endpoints())?.subsets === undefined);
  await until('an empty slice', async () => (await slices())[0]?.endpoints === null);
  await client.delete(kinds.services, { namespace: 'n', name: 'w' });
  await until('all is gone', async () => (await endpoints()) === undefined && (await slices()).length === 0);
});

test('a DaemonSet keeps a revision of each template, and going back makes the old one the newest', async t => {
  const { client, pods } = await cluster(t);
  const labels = { app: 'd' };
  const template = (image: string) => ({ metadata: { labels }, spec: { containers: [{ name: 'c', image }] } });
  const key = { namespace: 'n', name: 'd' };
  await client.create(kinds.daemonsets, {
    metadata: key,
    spec: {
      selector: { matchLabels: labels },
      template: template('x:1'),
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } },
    },
  });
  const revisions = async () =>
    (await client.list(kinds.controllerrevisions)).items
      .toSorted((a, b) => a.revision - b.revision)
      .map(({ revision, metadata }) => ({ revision, hash: metadata?.labels?.['controller-revision-hash'] }));
  const rollOut = async (image: string) => {
    await client.patch(kinds.daemonsets, key, {
      type: 'application/merge-patch+json',
      body: { spec: { template: template(image) } },
    });
    await until(`${image} runs everywhere`, async () => {
      const all = await pods(labels);
      return all.length === 2 && all.every(({ spec }) => spec?.containers[0]?.image === image);
    });
  };
  await rollOut('x:1');
  await rollOut('x:2');
  const [first, second] = await revisions();
  t.deepEqual([first?.revision, second?.revision], [1, 2]);
  await rollOut('x:1');
  t.deepEqual(await revisions(), [second, { revision: 3, hash: first?.hash }]);
  t.deepEqual(
    new Set((await pods(labels)).map(({ metadata }) => metadata?.labels?.['controller-revision-hash'])),
    new Set([first?.hash]),
  );
});

test('leases show who leads, and everything stops at once', async t => {
  const { client, stop, running, api } = await cluster(t);
  const holders = async () =>
    (await client.list(kinds.leases, { namespace: 'kube-system' })).items.map(
      ({ metadata, spec }) => `${metadata?.name} ${spec?.holderIdentity}`,
    );
  await until('both leases', async () => (await holders()).length === 2);
  t.deepEqual((await holders()).toSorted(), ['kube-controller-manager master-1', 'kube-scheduler master-1']);
  stop.abort();
  await Promise.all(running);
  const requests = api.requests.length;
  await client.create(kinds.pods, { metadata: { name: 'late', namespace: 'n' }, spec: { containers: [] } });
  await new Promise<void>(resolve => setImmediate(resolve));
  t.is(api.requests.length, requests + 1);
});
