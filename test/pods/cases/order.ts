/** Init containers, sidecars, ephemeral containers, hooks and deadlines. */
import { check, type PodCase, sh, untilTerm, waits } from '../case.ts';

const mount = { volumeMounts: [{ name: 'v', mountPath: '/v' }] };
const volumes = [{ name: 'v', emptyDir: {} }];
const note = (word: string) => `echo ${word} >> /v/log`;
const sidecar = { restartPolicy: 'Always' };
const STRATEGIC = 'application/strategic-merge-patch+json';

export const order: readonly PodCase[] = [
  {
    name: 'init-in-order',
    short: true,
    spec: {
      volumes,
      initContainers: [sh(note('one'), { name: 'one', ...mount }), sh(note('two'), { name: 'two', ...mount })],
      containers: [sh('cat /v/log', mount)],
    },
    end: {
      phase: 'Succeeded',
      conditions: { Initialized: 'True' },
      containers: { one: { reason: 'Completed', ready: true }, two: { reason: 'Completed', ready: true } },
    },
    logs: { main: 'one\ntwo\n' },
  },
  {
    name: 'init-on-restart-always',
    spec: { restartPolicy: 'Always', initContainers: [sh('true', { name: 'one' })], containers: [waits()] },
    end: {
      phase: 'Running',
      conditions: { Initialized: 'True', Ready: 'True' },
      containers: { one: { reason: 'Completed', restarts: 0 }, main: { state: 'running' } },
    },
  },
  {
    name: 'init-fails-for-good',
    short: true,
    spec: {
      initContainers: [sh('exit 1', { name: 'one' }), sh('true', { name: 'two' })],
      containers: [waits()],
    },
    end: {
      phase: 'Failed',
      conditions: { Initialized: 'False', Ready: 'False' },
      containers: {
        one: { state: 'terminated', exitCode: 1 },
        two: { state: 'waiting', reason: 'PodInitializing' },
        main: { state: 'waiting', reason: 'PodInitializing' },
      },
    },
  },
  {
    name: 'init-fails-again-and-again',
    spec: { restartPolicy: 'Always', initContainers: [sh('exit 1', { name: 'one' })], containers: [waits()] },
    end: {
      phase: 'Pending',
      conditions: { Initialized: 'False' },
      containers: {
        one: { state: 'waiting', reason: 'CrashLoopBackOff', restarts: n => Number(n) >= 1 },
        main: { reason: 'PodInitializing' },
      },
    },
  },
  {
    name: 'init-succeeds-at-last',
    spec: {
      restartPolicy: 'OnFailure',
      volumes,
      initContainers: [sh('test -e /v/x || { touch /v/x; exit 1; }', { name: 'one', ...mount })],
      containers: [sh('true')],
    },
    end: { phase: 'Succeeded', containers: { one: { restarts: 1, exitCode: 0 } } },
  },
  {
    name: 'sidecar-beside-a-job',
    short: true,
    spec: {
      initContainers: [waits('side', sidecar)],
      containers: [sh('echo worked')],
    },
    end: {
      phase: 'Succeeded',
      containers: { side: { state: 'terminated', reason: 'Completed' }, main: { reason: 'Completed' } },
    },
  },
  {
    name: 'sidecar-before-the-rest',
    spec: {
      volumes,
      initContainers: [
        sh(`${untilTerm(`sleep 1; ${note('side')}; touch /v/started`)}`, {
          name: 'side',
          ...sidecar,
          ...mount,
          startupProbe: { exec: { command: ['test', '-e', '/v/started'] }, periodSeconds: 1, failureThreshold: 60 },
        }),
        sh(note('init'), { name: 'init', ...mount }),
      ],
      containers: [sh(`${note('main')}; cat /v/log`, mount)],
    },
    end: { phase: 'Succeeded' },
    logs: { main: 'side\ninit\nmain\n' },
  },
  {
    name: 'sidecar-is-restarted',
    spec: {
      volumes,
      initContainers: [
        sh('test -e /v/x || { touch /v/x; exit 4; }; sleep 600', { name: 'side', ...sidecar, ...mount }),
      ],
      containers: [waits()],
    },
    end: {
      phase: 'Running',
      containers: { side: { state: 'running', restarts: 1, lastExitCode: 4, ready: true, started: true } },
    },
  },
  {
    name: 'sidecars-end-last-to-first',
    spec: {
      terminationGracePeriodSeconds: 20,
      volumes: [{ name: 'v', hostPath: { path: '/tmp/raftsman-pods-sidecars-$PORT', type: 'DirectoryOrCreate' } }],
      initContainers: [
        sh(`trap '${note('first')}; exit 0' TERM; while :; do sleep 0.1; done`, {
          name: 'first',
          ...sidecar,
          ...mount,
        }),
        sh(`trap '${note('second')}; exit 0' TERM; while :; do sleep 0.1; done`, {
          name: 'second',
          ...sidecar,
          ...mount,
        }),
      ],
      containers: [sh(`echo up; trap '${note('main')}; exit 0' TERM; while :; do sleep 0.1; done`, mount)],
    },
    logs: { main: 'up\n' },
    then: async pod => {
      const { readFile, rm } = await import('node:fs/promises');
      await pod.remove();
      await pod.gone();
      const folder = `/tmp/raftsman-pods-sidecars-${pod.port}`;
      const text = await readFile(`${folder}/log`, 'utf8');
      await rm(folder, { recursive: true });
      check(text === 'main\nsecond\nfirst\n', text);
    },
  },
  {
    name: 'pre-stop-of-all-at-once',
    spec: {
      terminationGracePeriodSeconds: 30,
      volumes: [{ name: 'v', hostPath: { path: '/tmp/raftsman-pods-at-once-$PORT', type: 'DirectoryOrCreate' } }],
      initContainers: [
        sh(`trap '${note('side')}; exit 0' TERM; while :; do sleep 0.1; done`, {
          name: 'side',
          ...sidecar,
          ...mount,
          lifecycle: { preStop: { exec: { command: ['sh', '-c', note('hook')] } } },
        }),
      ],
      containers: [sh(`echo up; trap 'sleep 4; ${note('main')}; exit 0' TERM; while :; do sleep 0.1; done`, mount)],
    },
    logs: { main: 'up\n' },
    then: async pod => {
      const { readFile, rm } = await import('node:fs/promises');
      await pod.remove();
      await pod.gone();
      const folder = `/tmp/raftsman-pods-at-once-${pod.port}`;
      const text = await readFile(`${folder}/log`, 'utf8');
      await rm(folder, { recursive: true });
      check(text === 'hook\nmain\nside\n', text);
    },
  },
  {
    name: 'a-failing-sidecar-fails-no-pod',
    spec: {
      initContainers: [sh("trap 'exit 9' TERM; while :; do sleep 0.1; done", { name: 'side', ...sidecar })],
      containers: [sh('sleep 1')],
    },
    end: { phase: 'Succeeded', containers: { side: { state: 'terminated' } } },
  },
  {
    name: 'sidecar-readiness-counts',
    spec: {
      initContainers: [
        waits('side', { ...sidecar, readinessProbe: { exec: { command: ['false'] }, periodSeconds: 1 } }),
      ],
      containers: [waits()],
    },
    end: {
      phase: 'Running',
      conditions: { Ready: 'False', ContainersReady: 'False', Initialized: 'True' },
      containers: { main: { ready: true }, side: { ready: false, started: true } },
    },
  },
  {
    name: 'ephemeral-containers',
    short: true,
    spec: { containers: [waits()] },
    end: { phase: 'Running' },
    then: async pod => {
      const add = (name: string, script: string) =>
        pod.patch(
          { spec: { ephemeralContainers: [{ name, image: pod.image, command: ['sh', '-c', script] }] } },
          { subresource: 'ephemeralcontainers', type: STRATEGIC },
        );
      await add('debug', 'echo polo; sleep 600');
      await pod.becomes({ containers: { debug: { state: 'running', restarts: 0 } } });
      await pod.says('debug', 'polo\n');
      await add('more', 'exit 5');
      await pod.becomes({
        phase: 'Running',
        conditions: { Ready: 'True' },
        containers: { more: { state: 'terminated', exitCode: 5, restarts: 0 }, debug: { state: 'running' } },
      });
    },
  },
  {
    name: 'post-start-runs',
    spec: {
      volumes,
      containers: [
        sh('while ! test -e /v/hook; do sleep 0.1; done; cat /v/hook', {
          ...mount,
          lifecycle: { postStart: { exec: { command: ['sh', '-c', 'echo hooked > /v/hook'] } } },
        }),
      ],
    },
    end: { phase: 'Succeeded' },
    logs: { main: 'hooked\n' },
  },
  {
    name: 'post-start-fails',
    spec: {
      restartPolicy: 'Always',
      containers: [
        waits('main', { lifecycle: { postStart: { exec: { command: ['sh', '-c', 'echo no >&2; exit 3'] } } } }),
      ],
    },
    end: { containers: { main: { restarts: n => Number(n) >= 1, ready: false } } },
    events: [
      ['FailedPostStartHook', /PostStartHook failed$/],
      ['Killing', /FailedPostStartHook/],
    ],
  },
  {
    name: 'post-start-sleeps',
    spec: { containers: [waits('main', { lifecycle: { postStart: { sleep: { seconds: 2 } } } })] },
    end: { phase: 'Running', containers: { main: { ready: true } } },
  },
  {
    name: 'post-start-over-http',
    spec: {
      containers: [
        sh('mkdir /tmp/www; echo hi > /tmp/www/x; busybox httpd -f -v -p 8080 -h /tmp/www 2>&1', {
          ports: [{ containerPort: 8080 }],
          lifecycle: { postStart: { httpGet: { path: '/x', port: 8080 } } },
        }),
      ],
      restartPolicy: 'Always',
    },
    // The hook may come before the server listens; then the container starts again until it wins.
    end: { containers: { main: { state: /running|waiting/ as never } } },
  },
  {
    name: 'pre-stop-runs-first',
    short: true,
    spec: {
      terminationGracePeriodSeconds: 20,
      volumes: [{ name: 'v', hostPath: { path: '/tmp/raftsman-pods-hook-$PORT', type: 'DirectoryOrCreate' } }],
      containers: [
        sh(`echo up; trap '${note('term')}; exit 0' TERM; while :; do sleep 0.1; done`, {
          ...mount,
          lifecycle: { preStop: { exec: { command: ['sh', '-c', `sleep 1; ${note('hook')}`] } } },
        }),
      ],
    },
    logs: { main: 'up\n' },
    then: async pod => {
      const { readFile, rm } = await import('node:fs/promises');
      await pod.remove();
      await pod.gone();
      const folder = `/tmp/raftsman-pods-hook-${pod.port}`;
      const text = await readFile(`${folder}/log`, 'utf8');
      await rm(folder, { recursive: true });
      check(text === 'hook\nterm\n', text);
    },
  },
  {
    name: 'pre-stop-sleeps',
    spec: {
      terminationGracePeriodSeconds: 30,
      containers: [waits('main', { lifecycle: { preStop: { sleep: { seconds: 3 } } } })],
    },
    end: { phase: 'Running' },
    then: async pod => {
      await pod.remove();
      const took = await pod.gone();
      check(took > 2_500 && took < 15_000, `it took ${took} ms`);
    },
  },
  {
    name: 'pre-stop-within-the-grace',
    spec: {
      terminationGracePeriodSeconds: 2,
      containers: [waits('main', { lifecycle: { preStop: { exec: { command: ['sleep', '600'] } } } })],
    },
    end: { phase: 'Running' },
    then: async pod => {
      await pod.remove();
      const took = await pod.gone();
      check(took < 15_000, `it took ${took} ms`);
    },
  },
  {
    name: 'pre-stop-fails',
    metadata: { finalizers: ['example.com/hold'] },
    spec: { containers: [waits('main', { lifecycle: { preStop: { exec: { command: ['false'] } } } })] },
    end: { phase: 'Running' },
    then: async pod => {
      await pod.remove(10);
      await pod.told('FailedPreStopHook', /PreStopHook failed/);
      await pod.patch({ metadata: { finalizers: null } });
      await pod.gone();
    },
  },
  {
    name: 'pre-stop-before-a-restart',
    spec: {
      restartPolicy: 'Always',
      volumes,
      containers: [
        sh(untilTerm(), {
          ...mount,
          livenessProbe: { exec: { command: ['test', '-e', '/v/hook'] }, periodSeconds: 1, failureThreshold: 1 },
          lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo x > /v/hook'] } } },
        }),
      ],
    },
    end: { containers: { main: { state: 'running', restarts: 1 } } },
  },
  {
    name: 'deadline',
    short: true,
    spec: { activeDeadlineSeconds: 12, containers: [waits()] },
    end: {
      phase: 'Failed',
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
      conditions: { Ready: 'False' },
    },
    events: [['DeadlineExceeded', /Pod was active on the node longer than the specified deadline/]],
  },
  {
    name: 'deadline-of-init',
    spec: { activeDeadlineSeconds: 2, initContainers: [waits('one')], containers: [waits()] },
    end: { phase: 'Failed', reason: 'DeadlineExceeded' },
  },
  {
    name: 'deadline-that-is-set-later',
    spec: { containers: [waits()] },
    end: { phase: 'Running' },
    then: async pod => {
      await pod.patch({ spec: { activeDeadlineSeconds: 5 } });
      await pod.becomes({ phase: 'Failed', reason: 'DeadlineExceeded', containers: { main: { state: 'terminated' } } });
    },
  },
  {
    name: 'new-image-new-container',
    only: { runtime: 'docker', why: 'the native runtime has one image' },
    spec: { restartPolicy: 'Always', containers: [waits()] },
    end: { phase: 'Running' },
    then: async pod => {
      const containers = [{ name: 'main', image: 'raftsman-pods/entrypoint:1' }];
      await pod.patch({ spec: { containers } }, { type: STRATEGIC });
      await pod.becomes({ containers: { main: { restarts: 1, state: 'running' } } });
      await pod.told('Killing', /Container main definition changed, will be restarted/);
    },
  },
  {
    name: 'readiness-gate',
    spec: { readinessGates: [{ conditionType: 'example.com/gate' }], containers: [waits()] },
    end: { phase: 'Running', conditions: { ContainersReady: 'True', Ready: 'False' } },
    then: async pod => {
      const conditions = [
        { type: 'example.com/gate', status: 'True', lastTransitionTime: new Date().toISOString().replace(/\.\d+/, '') },
      ];
      await pod.patch({ status: { conditions } }, { subresource: 'status', type: STRATEGIC });
      await pod.becomes({ conditions: { Ready: 'True', 'example.com/gate': 'True' } });
    },
  },
];
