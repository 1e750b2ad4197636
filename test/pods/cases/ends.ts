/** How containers end, and what restart policies and logs make of it. */
import { check, type PodCase, sh, untilTerm, waits } from '../case.ts';

const ENTRYPOINT = 'raftsman-pods/entrypoint:1';
const docker = (why: string) => ({ runtime: 'docker' as const, why });
const ownImage = docker('the image of the native runtime has no command');

export const ends: readonly PodCase[] = [
  {
    name: 'exit-zero',
    short: true,
    spec: { containers: [sh('echo done')] },
    end: {
      phase: 'Succeeded',
      conditions: { Initialized: 'True', Ready: 'False', ContainersReady: 'False', PodScheduled: 'True' },
      containers: {
        main: { state: 'terminated', reason: 'Completed', exitCode: 0, restarts: 0, ready: false, started: false },
      },
    },
    logs: { main: 'done\n' },
    events: [
      ['Scheduled', /assigned pods\/exit-zero to /],
      ['Created', /^Created: Created container: main$/],
      ['Started', /^Started: Started container main$/],
    ],
  },
  {
    name: 'exit-three',
    short: true,
    spec: { containers: [sh('exit 3')] },
    end: { phase: 'Failed', containers: { main: { reason: 'Error', exitCode: 3 } } },
  },
  {
    name: 'one-fails-one-succeeds',
    spec: { containers: [sh('exit 0', { name: 'a' }), sh('exit 1', { name: 'b' })] },
    end: { phase: 'Failed', containers: { a: { reason: 'Completed' }, b: { reason: 'Error', exitCode: 1 } } },
  },
  {
    name: 'both-succeed',
    spec: { containers: [sh('exit 0', { name: 'a' }), sh('sleep 1', { name: 'b' })] },
    end: { phase: 'Succeeded' },
  },
  {
    name: 'one-ended-one-runs',
    spec: { containers: [sh('exit 0', { name: 'a' }), waits('b')] },
    end: {
      phase: 'Running',
      conditions: { Ready: 'False' },
      containers: { a: { state: 'terminated' }, b: { state: 'running', ready: true, started: true } },
    },
  },
  {
    name: 'killed-by-a-signal',
    spec: { containers: [sh('sleep 600 & kill -TERM $!; wait $!')] },
    end: { phase: 'Failed', containers: { main: { exitCode: 143, reason: 'Error' } } },
  },
  {
    name: 'no-such-command',
    short: true,
    spec: { containers: [{ command: ['/no/such/program'] }] },
    end: {
      phase: 'Failed',
      containers: {
        main: { state: 'terminated', reason: 'StartError', exitCode: 128, message: /\/no\/such\/program/ },
      },
    },
    events: [['Failed', /\/no\/such\/program/]],
  },
  {
    name: 'no-such-command-again-and-again',
    spec: { restartPolicy: 'Always', containers: [{ command: ['/no/such/program'] }] },
    end: {
      phase: 'Running',
      containers: { main: { state: 'waiting', reason: 'CrashLoopBackOff', restarts: n => Number(n) >= 1 } },
    },
  },
  {
    name: 'image-defaults',
    only: ownImage,
    spec: { containers: [{ image: ENTRYPOINT, imagePullPolicy: 'Never' }] },
    end: { phase: 'Succeeded' },
    logs: { main: 'entry default\n' },
  },
  {
    name: 'args-override',
    only: ownImage,
    spec: { containers: [{ image: ENTRYPOINT, imagePullPolicy: 'Never', args: ['mine'] }] },
    end: { phase: 'Succeeded' },
    logs: { main: 'entry mine\n' },
  },
  {
    name: 'command-overrides',
    only: ownImage,
    spec: { containers: [{ image: ENTRYPOINT, imagePullPolicy: 'Never', command: ['echo', 'alone'] }] },
    end: { phase: 'Succeeded' },
    logs: { main: 'alone\n' },
  },
  {
    name: 'command-and-args',
    spec: { containers: [{ command: ['echo'], args: ['a b', 'c'] }] },
    end: { phase: 'Succeeded' },
    logs: { main: 'a b c\n' },
  },
  {
    name: 'working-dir',
    spec: { containers: [sh('pwd', { workingDir: '/tmp' })] },
    logs: { main: '/tmp\n' },
    end: { phase: 'Succeeded' },
  },
  {
    name: 'restart-always-after-success',
    spec: { restartPolicy: 'Always', containers: [sh('exit 0')] },
    end: {
      phase: 'Running',
      containers: { main: { restarts: n => Number(n) >= 1, lastReason: 'Completed', lastExitCode: 0 } },
    },
  },
  {
    name: 'crash-loop',
    short: true,
    spec: { restartPolicy: 'Always', containers: [sh('echo round; exit 1')] },
    end: {
      phase: 'Running',
      conditions: { Ready: 'False' },
      containers: {
        main: {
          state: 'waiting',
          reason: 'CrashLoopBackOff',
          message: /^back-off 10s restarting failed container=main pod=crash-loop_pods\(/,
          lastExitCode: 1,
        },
      },
    },
    events: [['BackOff', /Back-off restarting failed container main in pod crash-loop_pods/]],
    then: async pod => pod.says('main', 'round\n', '&previous=true'),
  },
  {
    name: 'on-failure-until-success',
    spec: {
      restartPolicy: 'OnFailure',
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        sh('test -e /v/x && exit 0; touch /v/x; exit 7', { volumeMounts: [{ name: 'v', mountPath: '/v' }] }),
      ],
    },
    end: { phase: 'Succeeded', containers: { main: { restarts: 1, exitCode: 0, lastExitCode: 7 } } },
  },
  {
    name: 'on-failure-leaves-success-alone',
    spec: { restartPolicy: 'OnFailure', containers: [sh('exit 0', { name: 'a' }), waits('b')] },
    end: { phase: 'Running', containers: { a: { reason: 'Completed', restarts: 0 }, b: { state: 'running' } } },
  },
  {
    name: 'out-of-memory',
    spec: {
      containers: [sh('tail /dev/zero', { resources: { limits: { memory: '24Mi' }, requests: { memory: '24Mi' } } })],
    },
    end: { phase: 'Failed', containers: { main: { reason: 'OOMKilled', exitCode: 137 } } },
  },
  {
    name: 'both-streams-in-the-log',
    spec: { containers: [sh('echo out; sleep 0.2; echo err >&2; sleep 0.2; printf rest')] },
    end: { phase: 'Succeeded' },
    logs: { main: /^out\nerr\nrest\n?$/ },
  },
  {
    name: 'log-options',
    short: true,
    spec: { containers: [sh('for i in 1 2 3 4 5; do echo line $i; done; sleep 2; echo late; sleep 600')] },
    logs: { main: /late/ },
    then: async pod => {
      await pod.says('main', 'line 5\nlate\n', '&tailLines=2');
      await pod.says('main', 'line 1\nlin', '&limitBytes=10');
      await pod.says('main', '', '&tailLines=0');
      await pod.says('main', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) line 1\n/, '&timestamps=true');
      await pod.says('main', /^line 1\n[\s\S]*late\n$/, '&sinceSeconds=600');
      const since = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, '');
      await pod.says('main', '', `&sinceTime=${encodeURIComponent(since)}`);
      const refused = await pod.log('main', '&previous=true').catch(String);
      check(
        /previous terminated container .{0,3}main.{0,3} in pod .{0,3}log-options.{0,3} not found/.test(refused),
        refused,
      );
    },
  },
  {
    name: 'log-of-a-container-that-waits',
    spec: { containers: [waits('main', { image: 'localhost:1/absent:1' })] },
    end: { containers: { main: { state: 'waiting', reason: /ErrImagePull|ImagePullBackOff/ } } },
    then: async pod => {
      const refused = await pod.log('main').catch(String);
      check(/is waiting to start: (image can't be pulled|trying and failing to pull image)/.test(refused), refused);
    },
  },
  {
    name: 'long-lines-stay-whole',
    spec: { containers: [sh('head -c 40000 /dev/zero | tr "\\0" x; echo; echo end')] },
    end: { phase: 'Succeeded' },
    logs: { main: /^x{40000}\nend\n$/ },
  },
  {
    name: 'deleted-within-its-grace',
    short: true,
    spec: { terminationGracePeriodSeconds: 20, containers: [sh(untilTerm('echo up'))] },
    logs: { main: 'up\n' },
    then: async pod => {
      await pod.remove();
      const took = await pod.gone();
      check(took < 15_000, `it took ${took} ms`);
    },
  },
  {
    name: 'killed-after-its-grace',
    spec: { terminationGracePeriodSeconds: 3, containers: [sh("trap '' TERM; echo up; while :; do sleep 0.2; done")] },
    logs: { main: 'up\n' },
    then: async pod => {
      await pod.remove();
      const took = await pod.gone();
      check(took > 2_500 && took < 15_000, `it took ${took} ms`);
    },
  },
  {
    name: 'a-second-delete-is-shorter',
    spec: { terminationGracePeriodSeconds: 60, containers: [sh("trap '' TERM; echo up; while :; do sleep 0.2; done")] },
    logs: { main: 'up\n' },
    then: async pod => {
      await pod.remove();
      await pod.told('Killing', /Stopping container main/);
      await pod.remove(2);
      const took = await pod.gone();
      check(took < 20_000, `it took ${took} ms`);
    },
  },
  {
    name: 'deletion-with-a-finalizer',
    metadata: { finalizers: ['example.com/hold'] },
    spec: { containers: [sh(untilTerm('echo up'))] },
    logs: { main: 'up\n' },
    then: async pod => {
      await pod.remove();
      await pod.becomes({ phase: 'Succeeded', containers: { main: { state: 'terminated', exitCode: 0 } } });
      await pod.patch({ metadata: { finalizers: null } });
      await pod.gone();
    },
  },
  {
    name: 'deletion-while-it-pulls',
    spec: { containers: [waits('main', { image: 'localhost:1/absent:1' })] },
    end: { containers: { main: { state: 'waiting', reason: /ErrImagePull|ImagePullBackOff/ } } },
    then: async pod => {
      await pod.remove();
      await pod.gone();
    },
  },
  {
    name: 'deletion-of-a-crash-loop',
    spec: { restartPolicy: 'Always', containers: [sh('exit 1')] },
    end: { containers: { main: { reason: 'CrashLoopBackOff' } } },
    then: async pod => {
      await pod.remove();
      await pod.gone();
    },
  },
];
