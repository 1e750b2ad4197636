import test from 'ava';
import fc from 'fast-check';
import type { Container, Pod } from '../api.ts';
import type { ContainerStatus, SandboxStatus } from '../runtime/runtime.ts';
import { pullPolicyOf } from './image-step.ts';
import { newContainerRecord, newRecord, type PodInput, type PodRecord } from './record.ts';
import { step } from './step.ts';

const NOW = Date.UTC(2026, 0, 1);

function podOf(spec: Partial<NonNullable<Pod['spec']>> = {}, metadata: Pod['metadata'] = {}): Pod {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'u1', ...metadata },
    spec: { terminationGracePeriodSeconds: 30, containers: [{ name: 'app', image: 'app:1' }], ...spec },
  };
}
function container(
  name: string,
  attempt: number,
  more: { state: 'created' | 'running' } | { exitCode: number; at?: number },
): ContainerStatus {
  const common = { id: `${name}-${attempt}`, name, attempt, image: 'app:1', imageId: 'x', createdAt: NOW };
  if ('exitCode' in more)
    return {
      ...common,
      state: 'exited',
      startedAt: NOW,
      finishedAt: more.at ?? NOW,
      exitCode: more.exitCode,
      oomKilled: false,
    };
  return more.state === 'created'
    ? { ...common, state: 'created' }
    : { ...common, state: 'running', startedAt: NOW, pid: 1 };
}
function sandbox(containers: readonly ContainerStatus[], ready = true): SandboxStatus {
  return {
    id: 's1',
    pod: { uid: 'u1', namespace: 'default', name: 'web' },
    attempt: 0,
    createdAt: NOW,
    ready,
    pid: 7,
    containers,
  };
}
/** A record of a pod whose surroundings are made. */
function settled(containers: readonly ContainerStatus[] = []): PodRecord {
  const record = newRecord(NOW);
  record.volumes = { state: 'mounted' };
  record.attached = true;
  record.address = '10.42.0.2';
  for (const { id } of containers)
    record.containers.set(id, newContainerRecord({ hasPostStart: false, hasStartupProbe: false }));
  return record;
}
function input(
  pod: Pod,
  containers: readonly ContainerStatus[] | undefined,
  change: (record: PodRecord) => void = () => {},
): PodInput {
  const record = settled(containers);
  change(record);
  return { pod, gone: false, sandboxes: containers ? [sandbox(containers)] : [], record, now: NOW };
}
const present = (record: PodRecord) => record.images.set('app', { state: 'present', image: 'app:1' });

test('an ephemeral container waits for no init container', t => {
  const image = 'app:1';
  const pod = podOf({
    initContainers: [{ name: 'init', image }],
    ephemeralContainers: [{ name: 'debug', image }],
  });
  const given = input(pod, [container('init', 0, { state: 'running' })]);
  t.like(step(given).action, { type: 'ensureImage', container: 'debug' });
  given.record.images.set('debug', { state: 'present', image });
  t.like(step(given).action, { type: 'createContainer', container: 'debug' });
  const both = [container('init', 0, { state: 'running' }), container('debug', 0, { exitCode: 1 })];
  t.deepEqual(step(input(pod, both)), {}, 'and does not come again');
});

test('from nothing to a running container, one action at a time', t => {
  const pod = podOf();
  const fresh = { pod, gone: false, sandboxes: [], record: newRecord(NOW), now: NOW };
  t.deepEqual(step(fresh), { action: { type: 'mountVolumes' } });
  fresh.record.volumes = { state: 'mounted' };
  t.deepEqual(step(fresh), { action: { type: 'createSandbox', attempt: 0 } });
  const boxed = { ...fresh, sandboxes: [sandbox([])] };
  t.deepEqual(step(boxed), { action: { type: 'attachNetwork', pid: 7 } });
  boxed.record.attached = true;
  t.deepEqual(step(boxed), {
    action: { type: 'ensureImage', container: 'app', image: 'app:1', policy: 'IfNotPresent' },
  });
  boxed.record.images.set('app', { state: 'pulling', image: 'app:1', failures: 0 });
  t.deepEqual(step(boxed), {});
  present(boxed.record);
  t.deepEqual(step(boxed), { action: { type: 'createContainer', container: 'app', attempt: 0 } });
  t.deepEqual(step(input(pod, [container('app', 0, { state: 'created' })])).action, {
    type: 'startContainer',
    container: 'app',
    id: 'app-0',
  });
  t.deepEqual(step(input(pod, [container('app', 0, { state: 'running' })])), {});
});

test('images that are volumes come before the containers; one that fails holds up only who mounts it', t => {
  const at = (name: string) => ({ image: 'app:1', volumeMounts: [{ name, mountPath: '/v' }] });
  const pod = podOf({
    volumes: [
      { name: 'plain', emptyDir: {} },
      { name: 'one', image: { reference: 'one:1', pullPolicy: 'Always' } },
      { name: 'two', image: { reference: 'two' } },
    ],
    containers: [
      { name: 'app', ...at('one') },
      { name: 'other', ...at('two') },
    ],
  });
  const given = input(pod, []);
  const { images, volumeImages } = given.record;
  t.deepEqual(step(given).action, { type: 'ensureImageVolume', volume: 'one', image: 'one:1', policy: 'Always' });
  volumeImages.set('one', { state: 'pulling', image: 'one:1', failures: 0 });
  t.deepEqual(step(given), {});
  const failed = { state: 'failed', image: 'one:1', reason: 'ErrImagePull', backingOff: false } as const;
  const failure = { count: 1, at: NOW, message: 'no' };
  volumeImages.set('one', { ...failed, failure });
  t.deepEqual(step(given).action, { type: 'backOffImageVolume', volume: 'one' });
  volumeImages.set('one', { ...failed, failure, backingOff: true });
  t.deepEqual(step(given).action, { type: 'ensureImageVolume', volume: 'two', image: 'two', policy: 'Always' });
  volumeImages.set('two', { state: 'present', image: 'two' });
  images.set('other', { state: 'present', image: 'app:1' });
  t.like(step(given).action, { type: 'createContainer', container: 'other' }, 'it does not mount what fails');
  const made = [container('other', 0, { state: 'running' })];
  const waiting = input(pod, made, record => {
    record.volumeImages.set('one', { ...failed, failure, backingOff: true });
    record.volumeImages.set('two', { state: 'present', image: 'two' });
  });
  t.deepEqual(step(waiting), { wakeAt: NOW + 10_000 });
  t.like(step({ ...waiting, now: NOW + 10_000 }).action, { type: 'ensureImageVolume', volume: 'one' });
});

test('what failed is tried again when its time has come', t => {
  const pod = podOf();
  const failure = { count: 3, at: NOW - 1000, message: 'no' };
  const volumes = input(pod, undefined, record => {
    record.volumes = { state: 'failed', failure };
  });
  t.deepEqual(step(volumes), { wakeAt: NOW + 1000 });
  t.deepEqual(step({ ...volumes, now: NOW + 1000 }), { action: { type: 'mountVolumes' } });
  const boxless = input(pod, undefined, record => {
    record.setback = failure;
  });
  t.deepEqual(step(boxless), { wakeAt: NOW + 1000 });
  const image = input(pod, [], record => {
    record.images.set('app', {
      state: 'failed',
      image: 'app:1',
      reason: 'ErrImagePull',
      failure: { ...failure, count: 2 },
      backingOff: false,
    });
  });
  t.deepEqual(step(image).action, { type: 'backOffImage', container: 'app' });
  const waiting = input(pod, [], record => {
    record.images.set('app', {
      state: 'failed',
      image: 'app:1',
      reason: 'ErrImagePull',
      failure: { ...failure, count: 2 },
      backingOff: true,
    });
  });
  t.deepEqual(step(waiting), { wakeAt: NOW + 19_000 });
  const config = input(pod, [], record => {
    present(record);
    record.creationFailures.set('app', { ...failure, reason: 'CreateContainerConfigError' });
  });
  t.deepEqual(step(config), { wakeAt: NOW + 4000 });
});

test('restarts follow the policy and the back-off', t => {
  const ended = (exitCode: number) => [container('app', 0, { exitCode })];
  const restarts = (policy: string, exitCode: number) =>
    step(input(podOf({ restartPolicy: policy }), ended(exitCode))).action?.type;
  t.is(restarts('Always', 0), 'ensureImage');
  t.is(restarts('Always', 1), 'ensureImage');
  t.is(restarts('OnFailure', 1), 'ensureImage');
  // Nothing restarts: the pod is over, and is wound up.
  t.is(restarts('OnFailure', 0), 'beginTermination');
  t.is(restarts('Never', 1), 'beginTermination');
  const backingOff = input(podOf(), ended(1), record =>
    record.backOffs.set('app', { delayMs: 20_000, updatedAt: NOW - 1 }),
  );
  t.deepEqual(step(backingOff), { wakeAt: NOW + 20_000 });
  const longAgo = input(podOf(), ended(1), record =>
    record.backOffs.set('app', { delayMs: 300_000, updatedAt: NOW - 600_001 }),
  );
  t.is(step(longAgo).action?.type, 'ensureImage');
  const next = input(podOf(), [container('app', 4, { exitCode: 1 })], present);
  t.deepEqual(step(next).action, { type: 'createContainer', container: 'app', attempt: 5 });
});

test('a start that failed counts as an end', t => {
  const created = [container('app', 0, { state: 'created' })];
  const failed = input(podOf({ restartPolicy: 'Never' }), created, record => {
    const known = record.containers.get('app-0');
    if (known) known.startFailure = { at: NOW, message: 'no such file' };
  });
  t.is(step(failed).action?.type, 'beginTermination');
});

test('a running container is stopped for its probes, its hook or a new image', t => {
  const running = [container('app', 0, { state: 'running' })];
  const known = (change: (record: ReturnType<typeof newContainerRecord>) => void) => (record: PodRecord) => {
    const found = record.containers.get('app-0');
    if (found) change(found);
  };
  const stop = { type: 'stopContainer', container: 'app', id: 'app-0', graceSeconds: 30 };
  const unhealthy = known(found => {
    found.verdicts.unhealthy = 'liveness';
  });
  t.deepEqual(step(input(podOf(), running, unhealthy)).action, { ...stop, reason: 'liveness' });
  const hasty: Container = { name: 'app', image: 'app:1', livenessProbe: { terminationGracePeriodSeconds: 2 } };
  t.deepEqual(step(input(podOf({ containers: [hasty] }), running, unhealthy)).action, {
    ...stop,
    graceSeconds: 2,
    reason: 'liveness',
  });
  const hook = known(found => {
    found.postStart = 'failed';
  });
  t.deepEqual(step(input(podOf(), running, hook)).action, { ...stop, reason: 'postStart' });
  t.deepEqual(step(input(podOf({ containers: [{ name: 'app', image: 'app:2' }] }), running)).action, {
    ...stop,
    reason: 'changed',
  });
  const changed = input(podOf({ containers: [{ name: 'app', image: 'app:2' }] }), running);
  changed.record.imagesChangedAt = NOW - 400;
  t.deepEqual(step(changed), { wakeAt: NOW + 600 }, 'who changed it may look at it as it was for a second');
  changed.record.imagesChangedAt = NOW - 1_000;
  t.deepEqual(step(changed).action, { ...stop, reason: 'changed' });
  const stopping = known(found => {
    found.verdicts.unhealthy = 'liveness';
    found.stop = { reason: 'liveness', deadline: NOW };
  });
  t.deepEqual(step(input(podOf(), running, stopping)), {});
});

test('a pod that is deleted: stop, last status, sandbox, network, files, object', t => {
  const pod = podOf({}, { deletionTimestamp: '2026-01-01T00:00:10Z', deletionGracePeriodSeconds: 10 });
  const running = input(pod, [container('app', 0, { state: 'running' })]);
  t.deepEqual(step(running).action, { type: 'beginTermination', graceSeconds: 10 });
  running.record.termination = { startedAt: NOW, graceSeconds: 10 };
  t.deepEqual(step(running).action, {
    type: 'stopContainer',
    container: 'app',
    id: 'app-0',
    graceSeconds: 10,
    reason: 'pod',
  });
  const known = running.record.containers.get('app-0');
  if (known) known.stop = { reason: 'pod', deadline: NOW + 10_000 };
  t.deepEqual(step(running), {});
  const shorter = { ...running, pod: podOf({}, { ...pod.metadata, deletionGracePeriodSeconds: 1 }) };
  t.deepEqual(step(shorter).action, { type: 'beginTermination', graceSeconds: 1 });
  const longer = { ...running, pod: podOf({}, { ...pod.metadata, deletionGracePeriodSeconds: 60 }) };
  t.deepEqual(step(longer), {});
  const over = { ...running, sandboxes: [sandbox([container('app', 0, { exitCode: 0 })])] };
  t.deepEqual(step(over).action, { type: 'writeFinalStatus' });
  over.record.finalStatus = 'written';
  t.deepEqual(step(over).action, { type: 'removeSandbox', id: 's1', replaced: false });
  const bare = { ...over, sandboxes: [] };
  t.deepEqual(step(bare).action, { type: 'detachNetwork' });
  bare.record.detached = true;
  t.deepEqual(step(bare).action, { type: 'cleanUp' });
  bare.record.cleaned = true;
  t.deepEqual(step(bare).action, { type: 'deleteObject' });
  bare.record.objectDeletion = 'done';
  t.deepEqual(step(bare), {});
  t.deepEqual(step({ ...bare, gone: true }).action, { type: 'forget' });
});

test('sidecars stop after the containers, the last first', t => {
  const pod = podOf(
    { initContainers: ['one', 'two'].map(name => ({ name, image: 'app:1', restartPolicy: 'Always' })) },
    { deletionTimestamp: '2026-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 },
  );
  const stops = (names: readonly string[]) => {
    const all = names.map(name => container(name, 0, { state: 'running' }));
    const { action } = step(
      input(pod, all, record => {
        record.termination = { startedAt: NOW, graceSeconds: 30 };
      }),
    );
    return action?.type === 'stopContainer' ? action.container : action?.type;
  };
  t.is(stops(['one', 'two', 'app']), 'app');
  t.is(stops(['one', 'two']), 'two');
  t.is(stops(['one']), 'one');
  t.is(stops([]), 'writeFinalStatus');
});

test('preStop hooks of all begin at once, and a sidecar’s has its end before its turn', t => {
  const lifecycle = { preStop: { exec: { command: ['true'] } } };
  const pod = podOf(
    { initContainers: ['one', 'two'].map(name => ({ name, image: 'app:1', restartPolicy: 'Always', lifecycle })) },
    { deletionTimestamp: '2026-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 },
  );
  const all = ['one', 'two', 'app'].map(name => container(name, 0, { state: 'running' }));
  const given = input(pod, all, record => {
    record.termination = { startedAt: NOW, graceSeconds: 30 };
  });
  const known = (name: string) => given.record.containers.get(`${name}-0`) ?? t.fail();
  t.like(step(given).action, { type: 'stopContainer', container: 'app' });
  Object.assign(known('app'), { stop: { reason: 'pod', deadline: NOW + 30_000 } });
  t.deepEqual(step(given).action, { type: 'runPreStop', container: 'one', id: 'one-0', graceSeconds: 30 });
  Object.assign(known('one'), { preStop: 'running' });
  t.like(step(given).action, { type: 'runPreStop', container: 'two' });
  Object.assign(known('two'), { preStop: 'running' });
  t.deepEqual(step(given), {});
  const without = (now: number) =>
    step({ ...given, now, sandboxes: [sandbox(all.filter(({ name }) => name !== 'app'))] });
  t.deepEqual(without(NOW), { wakeAt: NOW + 30_000 }, 'it is the second’s turn, whose hook still runs');
  t.like(without(NOW + 30_000).action, { type: 'stopContainer', container: 'two' }, 'and is waited for no longer');
  Object.assign(known('two'), { preStop: 'done' });
  t.like(without(NOW).action, { type: 'stopContainer', container: 'two', graceSeconds: 30 });
});

test('the pull policy where none is given', t => {
  const policy = (image: string) => pullPolicyOf({ name: 'app', image });
  t.is(policy('busybox'), 'Always');
  t.is(policy('busybox:latest'), 'Always');
  t.is(policy('busybox:1.36'), 'IfNotPresent');
  t.is(policy('host:5000/busybox'), 'Always');
  t.is(policy('busybox@sha256:00'), 'IfNotPresent');
});

// What a container may look like at any moment.
const anyContainer = (name: string) =>
  fc.option(
    fc
      .oneof(
        fc.constant({ state: 'created' as const }),
        fc.constant({ state: 'running' as const }),
        fc.record({ exitCode: fc.constantFrom(0, 1, 137) }),
      )
      .map(more => container(name, 0, more)),
    { nil: undefined },
  );
const anyInput = fc
  .record({
    policy: fc.constantFrom('Always', 'OnFailure', 'Never'),
    containers: fc.tuple(anyContainer('init'), anyContainer('side'), anyContainer('app')),
    ready: fc.boolean(),
    deleted: fc.boolean(),
    gone: fc.boolean(),
    terminating: fc.boolean(),
  })
  .map(({ policy, containers, ready, deleted, gone, terminating }): PodInput => {
    const found = containers.filter(one => one !== undefined);
    const record = settled(found);
    if (terminating) record.termination = { startedAt: NOW, graceSeconds: 30 };
    const initContainers = [
      { name: 'init', image: 'app:1' },
      { name: 'side', image: 'app:1', restartPolicy: 'Always' },
    ];
    const pod = podOf(
      { restartPolicy: policy, initContainers },
      deleted ? { deletionTimestamp: 'x', deletionGracePeriodSeconds: 30 } : {},
    );
    return { pod, gone, sandboxes: [sandbox(found, ready)], record, now: NOW };
  });

test('property: nothing begins in a pod that ends', t => {
  fc.assert(
    fc.property(anyInput, given => {
      if (!given.gone && !given.pod.metadata?.deletionTimestamp) return;
      const { action } = step(given);
      const begins = [
        'createSandbox',
        'createContainer',
        'startContainer',
        'ensureImage',
        'attachNetwork',
        'mountVolumes',
      ];
      if (action) t.false(begins.includes(action.type), action.type);
    }),
  );
});

test('property: an object is deleted and a sandbox removed only when nothing runs', t => {
  fc.assert(
    fc.property(anyInput, given => {
      const { action } = step(given);
      const runs = given.sandboxes.some(({ containers }) => containers.some(({ state }) => state === 'running'));
      if (action?.type === 'deleteObject' || action?.type === 'forget') t.false(runs);
      if (action?.type === 'removeSandbox' && !action.replaced) t.false(runs);
    }),
  );
});

test('property: a container that ended for good is never made again', t => {
  fc.assert(
    fc.property(anyInput, ending => {
      const given = {
        ...ending,
        gone: false,
        pod: { ...ending.pod, metadata: { name: 'web' } },
        sandboxes: ending.sandboxes.map(box => ({ ...box, ready: true })),
      };
      const { action } = step(given);
      if (action?.type !== 'createContainer' && action?.type !== 'ensureImage') return;
      const before = given.sandboxes[0]?.containers.find(({ name }) => name === action.container);
      if (before?.state !== 'exited') return;
      if (action.container === 'side') return;
      t.not(given.pod.spec?.restartPolicy, 'Never');
      if (given.pod.spec?.restartPolicy === 'OnFailure' || action.container === 'init') t.not(before.exitCode, 0);
    }),
    { numRuns: 500 },
  );
});

test('property: the same input gives the same answer, and reading changes nothing', t => {
  fc.assert(
    fc.property(anyInput, given => {
      const before = structuredClone(given.record);
      t.deepEqual(step(given), step(given));
      t.deepEqual(given.record, before);
    }),
  );
});

test('a stop is begun once, also between two whole seconds', t => {
  const pod = podOf({}, { deletionTimestamp: '2026-01-01T00:00:10Z', deletionGracePeriodSeconds: 10 });
  const running = input(pod, [container('app', 0, { state: 'running' })]);
  running.record.termination = { startedAt: NOW - 437, graceSeconds: 10 };
  const { action } = step(running);
  t.like(action, { type: 'stopContainer', graceSeconds: 10 });
  const known = running.record.containers.get('app-0');
  if (known) known.stop = { reason: 'pod', deadline: NOW + 10_000 };
  t.deepEqual(step(running), {});
  t.deepEqual(step({ ...running, now: NOW + 900 }), {});
});

test('other amounts are set while the container runs, or with a new start where it asks for one', t => {
  const given = { requests: { cpu: '200m' }, limits: { memory: '2Mi' } };
  const resized = (spec: Partial<Container>, restartPolicy = 'Always') => {
    const pod = podOf({ restartPolicy, containers: [{ name: 'app', image: 'app:1', ...spec }] });
    const running = input(pod, [container('app', 0, { state: 'running' })]);
    running.record.allocation.set('app', given);
    const known = running.record.containers.get('app-0');
    if (known) known.resources = { requests: { cpu: '100m' }, limits: { memory: '2Mi' } };
    return running;
  };
  const running = resized({});
  t.deepEqual(step(running).action, { type: 'resizeContainer', container: 'app', id: 'app-0' });
  running.record.resizeTrouble = { count: 1, at: NOW, message: 'no' };
  t.is(step(running).action, undefined);
  t.true((step(running).wakeAt ?? 0) > NOW);
  const restart = resized({ resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] });
  t.like(step(restart).action, { type: 'stopContainer', reason: 'resize' });
  const other = resized({ resizePolicy: [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }] });
  t.like(step(other).action, { type: 'resizeContainer' });
});
