import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { until } from '../control/client/testing/until.ts';
import {
  ApiError,
  configmaps,
  endpointslices,
  type Lease,
  leases,
  nodes,
  type Pod,
  pods,
  secrets,
  services,
} from './api.ts';
import { plainSandbox } from './runtime/testing/specs.ts';
import { World } from './testing/world.ts';

test('registers its node, beats, and runs a pod to its end', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent({ labels: { zone: 'a' } });
  const node = await world.client.get(nodes, { name: 'node-1' });
  t.is(node.metadata?.labels?.zone, 'a');
  t.is(node.metadata?.labels?.['kubernetes.io/hostname'], 'node-1');
  await until('the lease is there', async () => (await world.client.list<Lease>(leases)).items.length === 1);
  await until('the node is Ready', async () => {
    const { status } = await world.client.get(nodes, { name: 'node-1' });
    return status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  });
  await world.createPod('web');
  const pod = await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  t.is(pod.status?.podIP, '10.42.0.2');
  t.is(pod.status?.hostIP, '192.0.2.1');
  t.true(pod.status?.containerStatuses?.[0]?.ready);
  t.is(pod.status?.containerStatuses?.[0]?.containerID?.startsWith('fake://'), true);
  t.deepEqual(
    pod.status?.conditions?.map(({ type, status }) => `${type}=${status}`),
    ['PodReadyToStartContainers=True', 'Initialized=True', 'Ready=True', 'ContainersReady=True', 'PodScheduled=True'],
  );
  await world.client.delete(pods, { namespace: 'default', name: 'web' });
  await until('the object was deleted', () =>
    world.api.requests.some(
      ({ method, body }) => method === 'DELETE' && String(body).includes('"gracePeriodSeconds":0'),
    ),
  );
  t.deepEqual(world.runtime.all(), []);
  t.is(world.network.addresses.size, 0);
  t.deepEqual(await world.events('web'), [
    'Pulled: Container image "app:1" already present on machine',
    'Created: Created container: app',
    'Started: Started container app',
    'Killing: Stopping container app',
  ]);
});

test('a container that fails waits longer before each restart', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  await world.createPod('web');
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  world.runtime.exit('app', 2);
  // The first restart is immediate.
  await world.untilPod('web', 'restarted once', ({ status }) => {
    const app = status?.containerStatuses?.[0];
    return app?.restartCount === 1 && app.state?.running !== undefined;
  });
  world.runtime.exit('app', 2);
  const waiting = await world.untilPod(
    'web',
    'waits',
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff',
  );
  const app = waiting.status?.containerStatuses?.[0];
  t.regex(app?.state?.waiting?.message ?? '', /^back-off 10s restarting failed container=app pod=web_default\(/);
  t.is(app?.lastState?.terminated?.exitCode, 2);
  t.is(app?.restartCount, 1);
  t.is(waiting.status?.phase, 'Running');
  t.is(waiting.status?.conditions?.find(({ type }) => type === 'Ready')?.status, 'False');
  await world.clock.advance(9_000);
  t.is(world.runtime.running('app'), undefined);
  await world.clock.advance(2_000);
  await world.untilPod('web', 'restarted twice', ({ status }) => status?.containerStatuses?.[0]?.restartCount === 2);
  t.true(
    (await world.events('web')).some(text =>
      text.startsWith('BackOff: Back-off restarting failed container app in pod web_default'),
    ),
  );
  // One dead container is kept beside the running one.
  await until('the oldest is removed', () => world.runtime.all().length === 2);
  t.deepEqual(
    world.runtime.all().map(({ spec }) => spec.attempt),
    [1, 2],
  );
  const messages = join(world.dataDir, 'pods', waiting.metadata?.uid ?? '', 'containers', 'app');
  await until('so is its message file', async () => (await readdir(messages)).join() === '1,2');
});

for (const restartPolicy of ['Never', 'OnFailure'] as const)
  test(`a container that gets another image starts anew, also where it restarts ${restartPolicy}`, async t => {
    const world = await World.create();
    t.teardown(() => world.close());
    await world.startAgent();
    await world.createPod('web', {
      restartPolicy,
      containers: ['app', 'other'].map(name => ({ name, image: 'app:1' })),
    });
    await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
    const patch = { type: 'application/strategic-merge-patch+json' as const };
    const body = { spec: { containers: [{ name: 'app', image: 'app:2' }] } };
    await world.client.patch(pods, { namespace: 'default', name: 'web' }, { ...patch, body });
    await world.clock.advance(1_500);
    await until('the other image runs', () => world.runtime.running('app')?.spec.image === 'app:2');
    t.is((await world.pod('web')).status?.phase, 'Running');
    world.runtime.exit('app', 0);
    world.runtime.exit('other', 0);
    await world.untilPod('web', 'has ended', ({ status }) => status?.phase === 'Succeeded');
  });

test('a container that fails and gets another image waits no longer', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  await world.createPod('web');
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  world.runtime.exit('app', 1);
  await until('it runs again', () => world.runtime.running('app')?.spec.attempt === 1);
  world.runtime.exit('app', 1);
  const reasonOf = ({ status }: Pod) => status?.containerStatuses?.[0]?.state?.waiting?.reason;
  await world.untilPod('web', 'waits', pod => reasonOf(pod) === 'CrashLoopBackOff');
  const patch = { type: 'application/strategic-merge-patch+json' as const };
  const body = { spec: { containers: [{ name: 'app', image: 'app:2' }] } };
  await world.client.patch(pods, { namespace: 'default', name: 'web' }, { ...patch, body });
  await until('the other image runs', () => world.runtime.running('app')?.spec.image === 'app:2');
  t.is(world.runtime.running('app')?.spec.attempt, 2);
});

test('an image that cannot be pulled is tried again, later and later', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  await world.createPod('web', { containers: [{ name: 'app', image: 'none:1' }] });
  const reasonIs =
    (reason: string) =>
    ({ status }: Pod) =>
      status?.containerStatuses?.[0]?.state?.waiting?.reason === reason;
  const pod = await world.untilPod('web', 'backs off', reasonIs('ImagePullBackOff'));
  t.is(
    pod.status?.containerStatuses?.[0]?.state?.waiting?.message,
    'Back-off pulling image "none:1": ErrImagePull: no such image: none:1',
  );
  t.is(pod.status?.phase, 'Pending');
  world.runtime.registry.add('none:1');
  await world.clock.advance(10_500);
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  const events = await world.events('web');
  for (const text of [
    'Pulling: Pulling image "none:1"',
    'Failed: Failed to pull image "none:1": no such image: none:1',
    'Failed: Error: ErrImagePull',
    'BackOff: Back-off pulling image "none:1"',
    'Failed: Error: ImagePullBackOff',
  ])
    t.true(events.includes(text), text);
});

test('a runtime that cannot say whether it has an image is asked again', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  const { runtime } = world;
  const answer = runtime.imageStatus.bind(runtime);
  runtime.imageStatus = async () => {
    throw new Error('the engine hangs');
  };
  await world.startAgent();
  await world.createPod('web');
  const waitingOf = ({ status }: Pod) => status?.containerStatuses?.[0]?.state?.waiting;
  const pod = await world.untilPod('web', 'waits', one => waitingOf(one)?.reason === 'ImageInspectError');
  const why = 'Failed to inspect image "app:1": the engine hangs';
  t.is(waitingOf(pod)?.message, why);
  const events = await world.events('web');
  for (const text of [`InspectFailed: ${why}`, 'Failed: Error: ImageInspectError']) t.true(events.includes(text), text);
  runtime.imageStatus = answer;
  await world.clock.advance(10_500);
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
});

test('init containers run one by one, and a sidecar stays until the end', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  await world.createPod('job', {
    restartPolicy: 'Never',
    initContainers: [
      { name: 'first', image: 'app:1' },
      { name: 'side', image: 'app:1', restartPolicy: 'Always' },
      { name: 'second', image: 'app:1' },
    ],
  });
  await until('the first runs', () => world.runtime.running('first') !== undefined);
  t.is(world.runtime.all().length, 1);
  const early = await world.untilPod(
    'job',
    'tells of it',
    ({ status }) => status?.initContainerStatuses?.[0]?.state?.running !== undefined,
  );
  t.is(early.status?.containerStatuses?.[0]?.state?.waiting?.reason, 'PodInitializing');
  t.is(
    early.status?.conditions?.find(({ type }) => type === 'Initialized')?.message,
    'containers with incomplete status: [first side second]',
  );
  world.runtime.exit('first', 0);
  await until('the second runs beside the sidecar', () =>
    Boolean(world.runtime.running('second') && world.runtime.running('side')),
  );
  t.is(world.runtime.running('app'), undefined);
  world.runtime.exit('second', 0);
  await world.untilPod('job', 'is Running', ({ status }) => status?.phase === 'Running');
  world.runtime.exit('app', 0);
  const done = await world.untilPod('job', 'has succeeded', ({ status }) => status?.phase === 'Succeeded');
  t.is(done.status?.containerStatuses?.[0]?.state?.terminated?.reason, 'Completed');
  t.is(world.runtime.running('side'), undefined);
  // The log of what has ended can still be read.
  t.is(world.runtime.all().length, 4);
});

test('a new agent takes running pods over without touching them', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  const first = await world.startAgent();
  await world.createPod('web', {
    containers: [{ name: 'app', image: 'app:1', readinessProbe: { exec: { command: ['true'] }, periodSeconds: 5 } }],
  });
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  await world.clock.advance(6000);
  await world.untilPod('web', 'is Ready', ({ status }) => status?.containerStatuses?.[0]?.ready === true);
  world.runtime.exit('app', 1);
  await world.untilPod('web', 'restarted', ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1);
  await world.clock.advance(6000);
  const before = await world.untilPod(
    'web',
    'is Ready again',
    ({ status }) => status?.containerStatuses?.[0]?.ready === true,
  );
  await first.close();
  const calls = [...world.runtime.calls];
  // A pod that was deleted while no agent ran.
  await world.runtime.createSandbox({
    ...plainSandbox('old'),
    pod: { uid: 'old', namespace: 'default', name: 'old' },
  });
  await world.startAgent();
  await until('the orphan is removed', () => world.runtime.calls.some(call => call.startsWith('removeSandbox')));
  t.deepEqual(world.runtime.calls.slice(calls.length, calls.length + 1), ['createSandbox old']);
  t.is(world.runtime.calls.length, calls.length + 2);
  const after = await world.pod('web');
  t.deepEqual(after.status, before.status);
});

test('however little time is left, a container is asked to end before it is killed', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  await world.createPod('web');
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  await world.markDeleted('web', 0);
  await until('it is asked to stop', () => world.runtime.calls.includes('stop app 2'));
  t.pass();
});

test('a pod that is deleted gets its grace period, and less when somebody insists', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  world.runtime.stubborn.add('app');
  await world.createPod('web');
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  await world.markDeleted('web', 60);
  await until('it is asked to stop', () => world.runtime.calls.includes('stop app 60'));
  await world.markDeleted('web', 5);
  await until('it is asked again', () => world.runtime.calls.includes('stop app 5'));
  await world.clock.advance(6000);
  await until('all is gone', () => world.runtime.all().length === 0);
  const stops = world.runtime.calls.filter(call => call.startsWith('stop'));
  t.deepEqual(stops, ['stop app 60', 'stop app 5']);
  const last = await world.pod('web');
  t.is(last.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 137);
  t.is(last.status?.phase, 'Failed');
});

test('whether a container is ready is asked until it has ended, and nothing restarts it then', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  const healthy = { ready: true, live: true };
  world.runtime.exec_ = (_name, { command }) => ({ exitCode: healthy[command[0] as keyof typeof healthy] ? 0 : 1 });
  await world.startAgent();
  world.runtime.stubborn.add('app');
  const probe = (name: string) => ({ exec: { command: [name] }, periodSeconds: 1, failureThreshold: 1 });
  const container = { name: 'app', image: 'app:1', readinessProbe: probe('ready'), livenessProbe: probe('live') };
  await world.createPod('web', { containers: [container] });
  const isReady = ({ status }: Pod) => status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  await world.clock.advance(1500);
  await world.untilPod('web', 'is ready', isReady);
  await world.markDeleted('web', 60);
  await until('it is asked to stop', () => world.runtime.calls.includes('stop app 60'));
  Object.assign(healthy, { ready: false, live: false });
  await world.clock.advance(1500);
  await world.untilPod('web', 'is ready no more', pod => !isReady(pod));
  const events = await world.events('web');
  t.true(events.some(text => text.startsWith('Unhealthy: Readiness probe failed')));
  t.false(events.some(text => text.includes('iveness probe')));
  t.is(world.runtime.calls.filter(call => call.startsWith('stop')).length, 1);
});

test('probes: startup first, then readiness decides, liveness restarts', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  const healthy = { startup: false, ready: false, live: true };
  world.runtime.exec_ = (_name, { command }) => ({
    exitCode: healthy[command[0] as keyof typeof healthy] ? 0 : 1,
    stdout: 'nope',
  });
  await world.startAgent();
  const probe = (name: string) => ({ exec: { command: [name] }, periodSeconds: 1, failureThreshold: 3 });
  await world.createPod('web', {
    containers: [
      {
        name: 'app',
        image: 'app:1',
        startupProbe: { ...probe('startup'), failureThreshold: 30 },
        readinessProbe: probe('ready'),
        livenessProbe: probe('live'),
      },
    ],
  });
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  await world.clock.advance(3000);
  t.false((await world.pod('web')).status?.containerStatuses?.[0]?.started);
  healthy.startup = true;
  await world.clock.advance(1500);
  await world.untilPod('web', 'has started', ({ status }) => status?.containerStatuses?.[0]?.started === true);
  t.false((await world.pod('web')).status?.containerStatuses?.[0]?.ready);
  healthy.ready = true;
  await world.clock.advance(1500);
  await world.untilPod('web', 'is ready', ({ status }) => status?.containerStatuses?.[0]?.ready === true);
  healthy.live = false;
  await world.clock.advance(4000);
  await world.untilPod('web', 'was restarted', ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1);
  const events = await world.events('web');
  t.true(events.includes('Unhealthy: Startup probe failed: nope'));
  t.true(events.includes('Unhealthy: Liveness probe failed: nope'));
  t.true(events.includes('Killing: Container app failed liveness probe, will be restarted'));
});

test('what a pod refers to may come later', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  await world.createPod('web', {
    volumes: [{ name: 'config', configMap: { name: 'settings' } }],
    containers: [
      {
        name: 'app',
        image: 'app:1',
        env: [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'login', key: 'password' } } }],
        volumeMounts: [{ name: 'config', mountPath: '/config' }],
      },
    ],
  });
  await until('the volume is missed', async () =>
    (await world.events('web')).includes(
      'FailedMount: MountVolume.SetUp failed for volume "config" : configmap "settings" not found',
    ),
  );
  await world.client.create(configmaps, { metadata: { name: 'settings', namespace: 'default' }, data: { a: '1' } });
  await world.clock.advance(2000);
  const waiting = await world.untilPod(
    'web',
    'misses the secret',
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
  );
  t.is(waiting.status?.containerStatuses?.[0]?.state?.waiting?.message, 'secret "login" not found');
  await world.client.create(secrets, {
    metadata: { name: 'login', namespace: 'default' },
    data: { password: 'c2VzYW1l' },
  });
  await world.clock.advance(6000);
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  const [app] = world.runtime.all();
  t.is(app?.spec.env.find(({ name }) => name === 'PASSWORD')?.value, 'sesame');
  const mount = app?.spec.mounts.find(({ containerPath }) => containerPath === '/config');
  t.is(await readFile(join(mount?.hostPath ?? '', 'a'), 'utf8'), '1');
  await world.client.update(configmaps, { metadata: { name: 'settings', namespace: 'default' }, data: { a: '2' } });
  await world.clock.advance(61_000);
  await until('the file follows', async () => (await readFile(join(mount?.hostPath ?? '', 'a'), 'utf8')) === '2');
  t.pass();
});

test('services and routes reach the proxy and the network', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  await world.client.create(services, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { clusterIP: '10.43.0.9', ports: [{ port: 80, targetPort: 8080 }] },
  });
  await world.client.create(endpointslices, {
    addressType: 'IPv4',
    metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
    endpoints: [{ addresses: ['10.42.1.5'], conditions: { ready: true }, nodeName: 'node-2' }],
  });
  await world.client.create(nodes, {
    metadata: { name: 'node-2' },
    spec: { podCIDR: '10.42.1.0/24' },
    status: { addresses: [{ type: 'InternalIP', address: '192.0.2.2' }] },
  });
  await until('the route is set', async () => {
    await world.clock.advance(100);
    return world.network.routes.length === 1;
  });
  t.deepEqual(world.network.routes, [{ nodeName: 'node-2', podCIDR: '10.42.1.0/24', nodeAddress: '192.0.2.2' }]);
  await until('the proxy knows the endpoint', async () => {
    await world.clock.advance(100);
    return world.proxy.ports[0]?.endpoints.length === 1;
  });
  t.deepEqual(world.proxy.ports[0]?.endpoints, [{ address: '10.42.1.5', port: 8080, local: false, cluster: true }]);
});

test('the node announces how its pods are reached, also to those who have forgotten', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  world.network.announced = { mode: 'vxlan', vxlan: { mac: '02:00:00:00:00:01', endpoint: '192.0.2.1' } };
  await world.startAgent();
  const announced = async () => {
    await world.clock.advance(100);
    const { metadata } = await world.client.get(nodes, { name: 'node-1' });
    return metadata?.annotations?.['raftsman.io/vxlan'] === '{"mac":"02:00:00:00:00:01","endpoint":"192.0.2.1"}';
  };
  await until('it is said', announced);
  const patch = {
    type: 'application/merge-patch+json' as const,
    body: { metadata: { annotations: { 'raftsman.io/vxlan': null } } },
  };
  await world.client.patch(nodes, { name: 'node-1' }, patch);
  await until('it is said again', announced);
  const requests = world.api.requests.length;
  await world.clock.advance(1_000);
  const patches = world.api.requests
    .slice(requests)
    .filter(({ method, path }) => method === 'PATCH' && path.endsWith('/nodes/node-1'));
  t.deepEqual(patches, [], 'once');
});

test('without the API server pods go on, and what happened is told later', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  await world.createPod('web', { restartPolicy: 'Never' });
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  world.api.intercept = () => new ApiError('ServiceUnavailable', 'no leader');
  world.api.interrupt();
  await world.clock.advance(120_000);
  t.not(world.runtime.running('app'), undefined);
  world.runtime.exit('app', 0);
  await world.clock.advance(1000);
  world.api.intercept = undefined;
  await world.clock.advance(15_000);
  await world.untilPod('web', 'has succeeded', ({ status }) => status?.phase === 'Succeeded');
  t.false(world.runtime.calls.some(call => call.startsWith('stop') || call.startsWith('removeSandbox')));
});

test('a lost sandbox is made again, and counts go on', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  await world.createPod('web');
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  world.runtime.killSandboxes();
  const pod = await world.untilPod('web', 'runs again', ({ status }) => {
    const app = status?.containerStatuses?.[0];
    return app?.restartCount === 1 && app.state?.running !== undefined;
  });
  t.is(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 137);
  t.true(
    (await world.events('web')).includes('SandboxChanged: Pod sandbox changed, it will be killed and re-created.'),
  );
});

test('drainAndRemove leaves nothing', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  const agent = await world.startAgent();
  await world.createPod('web');
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  await agent.drainAndRemove();
  world.agent = undefined;
  t.deepEqual(await world.runtime.list(), []);
  t.deepEqual(await readdir(join(world.dataDir, 'pods')), []);
  t.deepEqual(world.network.closed, { remove: true });
});

test('a deadline ends a pod for good', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  await world.createPod('job', { activeDeadlineSeconds: 30 });
  await world.untilPod('job', 'is Running', ({ status }) => status?.phase === 'Running');
  await world.clock.advance(31_000);
  const pod = await world.untilPod('job', 'has failed', ({ status }) => status?.phase === 'Failed');
  t.is(pod.status?.reason, 'DeadlineExceeded');
  await until('nothing of it runs', () => world.runtime.running('app') === undefined);
  await until('its address is free', () => world.network.addresses.size === 0);
});

test('a critical pod that finds no room has another end, and starts when that has stopped', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  await world.startAgent();
  const asking = (name: string, cpu: string) => [{ name, image: 'app:1', resources: { requests: { cpu } } }];
  await world.createPod('small', { containers: asking('small', '1m') });
  const all = `${availableParallelism() * 1000 - 1}m`;
  await world.createPod('large', { containers: asking('large', all), terminationGracePeriodSeconds: 20 });
  for (const name of ['small', 'large'])
    await world.untilPod(name, 'is Running', ({ status }) => status?.phase === 'Running');
  world.runtime.stubborn.add('large');
  await world.createPod('critical', { containers: asking('critical', '1'), priority: 2_000_000_000 });
  const disruptionOf = ({ status }: Pod) => status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
  const ending = await world.untilPod('large', 'is to go', pod => disruptionOf(pod) !== undefined);
  t.like(disruptionOf(ending), {
    message: 'Pod was preempted by Kubelet to accommodate a critical pod.',
    reason: 'TerminationByKubelet',
  });
  t.is(ending.status?.phase, 'Running', 'it has not failed before it has stopped');
  t.true((await world.events('large')).includes('Preempting: Preempted in order to admit critical pod'));
  await until('it is being stopped', () => world.runtime.calls.includes('stop large 20'));
  await world.clock.advance(19_000);
  t.is(
    (await world.untilPod('critical', 'waits', ({ status }) => status?.phase === 'Pending')).status?.reason,
    undefined,
  );
  t.false(world.runtime.calls.includes('createSandbox critical'));
  await world.clock.advance(1_000);
  await world.untilPod('critical', 'is Running', ({ status }) => status?.phase === 'Running');
  const large = await world.untilPod('large', 'has failed', ({ status }) => status?.phase === 'Failed');
  t.like(large.status, { reason: 'Preempting', message: 'Preempted in order to admit critical pod' });
  t.not(world.runtime.running('small'), undefined);
});

test('short of disk, a node removes the images that it pulled and nobody uses, before any pod', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  let available = 900;
  await world.startAgent({
    observeSupplies: async () => ({ 'nodefs.available': { capacity: 1_000, available } }),
    timing: { evictionObserveMs: 1_000 },
  });
  for (const [name, image] of [
    ['stays', 'app:1'],
    ['goes', 'app:2'],
  ] as const) {
    await world.createPod(name, { containers: [{ name, image }] });
    await world.untilPod(name, 'is Running', ({ status }) => status?.phase === 'Running');
  }
  await world.client.delete(pods, { namespace: 'default', name: 'goes' }, { gracePeriodSeconds: 0 });
  await until('the pod is gone', () => world.runtime.running('goes') === undefined);
  await world.clock.advance(120_000);
  available = 10;
  await until('the image is removed', async () => {
    await world.clock.advance(1_000);
    return !world.runtime.images.has('app:2');
  });
  t.true(world.runtime.images.has('app:1'));
  t.not(world.runtime.running('stays'), undefined);
});
