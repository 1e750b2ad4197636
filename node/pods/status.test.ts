import test from 'ava';
import type { Pod, PodStatus } from '../api.ts';
import type { ContainerStatus } from '../runtime/runtime.ts';
import { newContainerRecord, newRecord, type PodRecord } from './record.ts';
import { computeStatus } from './status.ts';

const NOW = Date.UTC(2026, 0, 1);
type Life = 'created' | 'running' | number;

function container(name: string, life: Life, attempt = 0): ContainerStatus {
  const common = { id: `${name}-${attempt}`, name, attempt, image: 'app:1', imageId: 'sha', createdAt: NOW };
  if (life === 'created') return { ...common, state: 'created' };
  if (life === 'running') return { ...common, state: 'running', startedAt: NOW, pid: 1 };
  return { ...common, state: 'exited', startedAt: NOW, finishedAt: NOW, exitCode: life, oomKilled: life === 137 };
}
interface Case {
  readonly policy?: string;
  readonly init?: Record<string, 'plain' | 'sidecar'>;
  readonly containers?: readonly string[];
  readonly lives: Record<string, Life>;
  readonly deleted?: boolean;
  readonly record?: (record: PodRecord) => void;
  readonly spec?: Partial<NonNullable<Pod['spec']>>;
  readonly status?: PodStatus;
}
function statusOf({
  policy = 'Always',
  init = {},
  containers = ['app'],
  lives,
  deleted,
  record: change,
  spec,
  status,
}: Case): PodStatus {
  const all = Object.entries(lives).map(([name, life]) => container(name, life));
  const record = newRecord(NOW);
  record.attached = true;
  record.address = '10.42.0.2';
  for (const { id } of all)
    record.containers.set(id, newContainerRecord({ hasPostStart: false, hasStartupProbe: false }));
  if (deleted) record.termination = { startedAt: NOW, graceSeconds: 30 };
  change?.(record);
  const pod: Pod = {
    metadata: { name: 'web', namespace: 'default', uid: 'u1', ...(deleted && { deletionTimestamp: 'x' }) },
    spec: {
      restartPolicy: policy,
      initContainers: Object.entries(init).map(([name, kind]) => ({
        name,
        image: 'app:1',
        ...(kind === 'sidecar' && { restartPolicy: 'Always' }),
      })),
      containers: containers.map(name => ({ name, image: 'app:1' })),
      ...spec,
    },
    ...(status && { status }),
  };
  const identity = { uid: 'u1', namespace: 'default', name: 'web' };
  const sandboxes = [{ id: 's1', pod: identity, attempt: 0, createdAt: NOW, ready: true, pid: 1, containers: all }];
  return computeStatus(
    { pod, gone: false, sandboxes, record, now: NOW },
    { hostIPs: ['192.0.2.1'], runtimeName: 'docker' },
  );
}

function begins(record: PodRecord): void {
  record.termination = { startedAt: NOW, graceSeconds: 30 };
}
function evicted(record: PodRecord): void {
  record.verdict = { reason: 'Evicted', message: 'no room', disruption: true };
  begins(record);
}
const EVICTED_HALF: Case = { containers: ['app', 'other'], lives: { app: 'running' }, record: evicted };

const phases: [string, Case, string][] = [
  ['nothing yet', { lives: {} }, 'Pending'],
  ['created', { lives: { app: 'created' } }, 'Pending'],
  ['running', { lives: { app: 'running' } }, 'Running'],
  ['one of two is still to come', { containers: ['app', 'other'], lives: { app: 'running' } }, 'Pending'],
  [
    'one of two has ended',
    { policy: 'Never', containers: ['app', 'other'], lives: { app: 'running', other: 0 } },
    'Running',
  ],
  ['both ended well', { policy: 'Never', containers: ['app', 'other'], lives: { app: 0, other: 0 } }, 'Succeeded'],
  ['one of both ended badly', { policy: 'Never', containers: ['app', 'other'], lives: { app: 0, other: 2 } }, 'Failed'],
  ['ended, but comes again', { lives: { app: 0 } }, 'Running'],
  ['failed, but comes again', { policy: 'OnFailure', lives: { app: 1 } }, 'Running'],
  ['succeeded on failure', { policy: 'OnFailure', lives: { app: 0 } }, 'Succeeded'],
  ['an init container runs', { init: { first: 'plain' }, lives: { first: 'running' } }, 'Pending'],
  ['an init container failed for good', { policy: 'Never', init: { first: 'plain' }, lives: { first: 1 } }, 'Failed'],
  ['an init container failed for now', { init: { first: 'plain' }, lives: { first: 1 } }, 'Pending'],
  [
    'the sidecar outlives the rest',
    { policy: 'Never', init: { side: 'sidecar' }, lives: { side: 'running', app: 0 } },
    'Running',
  ],
  [
    'the sidecar has followed',
    { policy: 'Never', init: { side: 'sidecar' }, lives: { side: 143, app: 0 } },
    'Succeeded',
  ],
  ['deleted and ended badly', { lives: { app: 143 }, deleted: true }, 'Failed'],
  ['deleted and ended well', { lives: { app: 0 }, deleted: true }, 'Succeeded'],
  ['deleted before it began', { lives: {}, deleted: true }, 'Failed'],
  ['deleted behind init containers', { init: { first: 'plain' }, lives: { first: 143 }, deleted: true }, 'Failed'],
  ['deleted while it runs', { lives: { app: 'running' }, deleted: true }, 'Running'],
  [
    'an init container failed for good beside a sidecar',
    {
      policy: 'Never',
      init: { side: 'sidecar', first: 'plain' },
      lives: { side: 'running', first: 1 },
      record: record => begins(record),
    },
    'Pending',
  ],
  ['ended, but for somebody who looks at it', { policy: 'Never', lives: { app: 0, debug: 'running' } }, 'Running'],
  ['told to end, while it runs', { lives: { app: 'running' }, record: evicted }, 'Running'],
  ['told to end, while one runs and one never did', EVICTED_HALF, 'Pending'],
  ['told to end, and stopped', { lives: { app: 0 }, record: evicted }, 'Failed'],
  [
    'stopped so that it starts anew with another image',
    {
      policy: 'Never',
      lives: { app: 143 },
      record: ({ containers }) => {
        const known = containers.get('app-0');
        if (known) known.stop = { reason: 'changed', deadline: NOW };
      },
    },
    'Running',
  ],
  ['failed by others, while it runs', { lives: { app: 'running' }, status: { phase: 'Failed' } }, 'Failed'],
];
for (const [what, given, phase] of phases) test(`phase: ${what}`, t => t.is(statusOf(given).phase, phase));

test('why a pod has failed is told once it has; that it is disrupted, at once', t => {
  const running = statusOf({ lives: { app: 'running' }, record: evicted });
  t.is(running.reason, undefined);
  const types = running.conditions?.map(({ type, status }) => `${type} ${status}`);
  t.true(types?.includes('DisruptionTarget True'));
  t.true(types?.includes('Ready True'));
  t.like(statusOf({ lives: { app: 143 }, record: evicted }), { reason: 'Evicted', message: 'no room' });
});

test('at the end no container waits, but for those that init containers kept from beginning', t => {
  const states = ({ initContainerStatuses = [], containerStatuses = [] }: PodStatus) =>
    [...initContainerStatuses, ...containerStatuses].map(({ name, state }) =>
      [name, state?.terminated?.reason ?? state?.waiting?.reason, state?.terminated?.exitCode].join(' '),
    );
  t.deepEqual(states(statusOf({ lives: {}, deleted: true })), ['app ContainerStatusUnknown 137']);
  t.deepEqual(states(statusOf(EVICTED_HALF)), ['app  ', 'other ContainerCreating ']);
  t.deepEqual(states(statusOf({ ...EVICTED_HALF, lives: { app: 143 } })), [
    'app Error 143',
    'other ContainerStatusUnknown 137',
  ]);
  const init = { first: 'plain', second: 'plain' } as const;
  t.deepEqual(states(statusOf({ init, lives: {}, deleted: true })), [
    'first ContainerStatusUnknown 137',
    'second PodInitializing ',
    'app PodInitializing ',
  ]);
  t.deepEqual(states(statusOf({ init, lives: { first: 0, second: 143 }, deleted: true })), [
    'first Completed 0',
    'second Error 143',
    'app PodInitializing ',
  ]);
  t.deepEqual(states(statusOf({ init, lives: { first: 0, second: 0 }, deleted: true })), [
    'first Completed 0',
    'second Completed 0',
    'app ContainerStatusUnknown 137',
  ]);
});

test('an ephemeral container is neither started nor ready', t => {
  const [debug] =
    statusOf({
      lives: { app: 'running', debug: 'running' },
      spec: { ephemeralContainers: [{ name: 'debug', image: 'app:1' }] },
    }).ephemeralContainerStatuses ?? [];
  t.truthy(debug?.state?.running);
  t.false(debug?.ready);
  t.is(debug?.started, undefined);
});

const failure = { count: 1, at: NOW, message: 'no such image' };
const waits: [string, Case, string, string?][] = [
  ['at first', { lives: {} }, 'ContainerCreating'],
  ['behind init containers', { init: { first: 'plain' }, lives: { first: 'running' } }, 'PodInitializing'],
  [
    'a pull failed',
    {
      lives: {},
      record: r =>
        r.images.set('app', { state: 'failed', image: 'a', reason: 'ErrImagePull', failure, backingOff: false }),
    },
    'ErrImagePull',
    'no such image',
  ],
  [
    'a pull backs off',
    {
      lives: {},
      record: r =>
        r.images.set('app', { state: 'failed', image: 'a', reason: 'ErrImagePull', failure, backingOff: true }),
    },
    'ImagePullBackOff',
    'Back-off pulling image "a": ErrImagePull: no such image',
  ],
  [
    'its configuration lacks',
    { lives: {}, record: r => r.creationFailures.set('app', { ...failure, reason: 'CreateContainerConfigError' }) },
    'CreateContainerConfigError',
    'no such image',
  ],
  [
    'it crashes',
    { lives: { app: 1 }, record: r => r.backOffs.set('app', { delayMs: 80_000, updatedAt: NOW }) },
    'CrashLoopBackOff',
    'back-off 1m20s restarting failed container=app pod=web_default(u1)',
  ],
];
for (const [what, given, reason, message] of waits)
  test(`waiting: ${what}`, t => {
    const waiting = statusOf(given).containerStatuses?.[0]?.state?.waiting;
    t.is(waiting?.reason, reason);
    t.is(waiting?.message, message);
  });

test('how a container ended', t => {
  const ended = (life: number, change?: (record: PodRecord) => void) =>
    statusOf({ policy: 'Never', lives: { app: life }, ...(change && { record: change }) }).containerStatuses?.[0]?.state
      ?.terminated;
  t.is(ended(0)?.reason, 'Completed');
  t.is(ended(1)?.reason, 'Error');
  t.is(ended(137)?.reason, 'OOMKilled');
  const spoken = ended(1, record => {
    const known = record.containers.get('app-0');
    if (known) known.terminationMessage = 'last words';
  });
  t.is(spoken?.message, 'last words');
  t.is(spoken?.containerID, 'docker://app-0');
});

test('the containers of a pod share the room for their last words', t => {
  const names = Array.from({ length: 6 }, (_, index) => `c${index}`);
  const { containerStatuses } = statusOf({
    policy: 'Never',
    containers: names,
    lives: { c0: 1, c1: 1 },
    record: record => {
      for (const [id, text] of Object.entries({ 'c0-0': 'x'.repeat(4096), 'c1-0': `x${'é'.repeat(2000)}` })) {
        const known = record.containers.get(id);
        if (known) known.terminationMessage = text;
      }
    },
  });
  const said = containerStatuses?.map(({ state }) => state?.terminated?.message);
  t.is(said?.[0], 'x'.repeat(2048));
  t.is(said?.[1], `x${'é'.repeat(1023)}`);
});

test('conditions say what is missing', t => {
  const conditions = (given: Case) =>
    statusOf(given).conditions?.map(({ type, status, reason, message }) =>
      [type, status, reason, message].filter(part => part !== undefined).join(' '),
    );
  t.deepEqual(conditions({ init: { first: 'plain', second: 'plain' }, lives: { first: 0, second: 'running' } }), [
    'PodReadyToStartContainers True',
    'Initialized False ContainersNotInitialized containers with incomplete status: [second]',
    'Ready False ContainersNotReady containers with unready status: [app]',
    'ContainersReady False ContainersNotReady containers with unready status: [app]',
    'PodScheduled True',
  ]);
  t.deepEqual(conditions({ policy: 'Never', lives: { app: 0 } })?.slice(1, 4), [
    'Initialized True PodCompleted',
    'Ready False PodCompleted',
    'ContainersReady False PodCompleted',
  ]);
  const gated = { lives: { app: 'running' as const }, spec: { readinessGates: [{ conditionType: 'lb' }] } };
  t.is(
    conditions(gated)?.[2],
    'Ready False ReadinessGatesNotReady corresponding condition of pod readiness gate "lb" does not exist.',
  );
  const open = { ...gated, status: { conditions: [{ type: 'lb', status: 'True' }] } };
  t.is(conditions(open)?.[2], 'Ready True');
});

test('a condition that did not change keeps its time', t => {
  const since = '2025-05-05T05:05:05Z';
  const { conditions } = statusOf({
    lives: { app: 'running' },
    status: {
      conditions: [
        { type: 'Ready', status: 'True', lastTransitionTime: since },
        { type: 'Initialized', status: 'False', lastTransitionTime: since },
      ],
    },
  });
  t.is(conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime, since);
  t.is(conditions?.find(({ type }) => type === 'Initialized')?.lastTransitionTime, '2026-01-01T00:00:00Z');
});

test('readiness waits for the startup probe and the readiness probe', t => {
  const probed = (started: boolean, ready: boolean) =>
    statusOf({
      lives: { app: 'running' },
      spec: { containers: [{ name: 'app', image: 'app:1', readinessProbe: {}, startupProbe: {} }] },
      record: record => {
        const known = record.containers.get('app-0');
        if (known) known.verdicts = { started, ready, unhealthy: undefined };
      },
    }).containerStatuses?.[0]?.ready;
  t.false(probed(false, true));
  t.false(probed(true, false));
  t.true(probed(true, true));
});
