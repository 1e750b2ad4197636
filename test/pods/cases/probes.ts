/** Probes of every sort: what they prove of a container, and when. */
import { check, type PodCase, sh, untilTerm, waits } from '../case.ts';

const fast = { periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 2 };
const web = (more: object) =>
  sh('mkdir -p /tmp/www; echo hi > /tmp/www/ok; exec busybox httpd -f -p $PORT -h /tmp/www', {
    ports: [{ name: 'web', containerPort: '$PORT' }],
    ...more,
  });
const exec = (...command: string[]) => ({ exec: { command } });
const restarted = { containers: { main: { restarts: (n: unknown) => Number(n) >= 1 } } };

/** It stays as it is for a while: no restart may come. */
const staysUp: PodCase['then'] = async pod => {
  await new Promise(resolve => setTimeout(resolve, 4_000));
  await pod.becomes({ phase: 'Running', containers: { main: { state: 'running', restarts: 0 } } }, 100);
};

export const probes: readonly PodCase[] = [
  {
    name: 'liveness-exec-fails',
    short: true,
    spec: {
      restartPolicy: 'Always',
      containers: [
        sh(untilTerm('touch /tmp/health; sleep 2; rm /tmp/health'), {
          livenessProbe: { ...exec('cat', '/tmp/health'), ...fast, initialDelaySeconds: 1 },
        }),
      ],
    },
    end: restarted,
    events: [
      ['Unhealthy', /Liveness probe failed: /],
      ['Killing', /Container main failed liveness probe, will be restarted/],
    ],
  },
  {
    name: 'liveness-exec-holds',
    spec: { containers: [waits('main', { livenessProbe: { ...exec('true'), ...fast } })] },
    end: { phase: 'Running' },
    then: staysUp,
  },
  {
    name: 'liveness-exec-takes-too-long',
    spec: {
      restartPolicy: 'Always',
      containers: [waits('main', { livenessProbe: { ...exec('sleep', '20'), ...fast, timeoutSeconds: 1 } })],
    },
    end: restarted,
    events: [['Unhealthy', /timed out/]],
  },
  {
    name: 'liveness-http-holds',
    spec: {
      containers: [web({ livenessProbe: { httpGet: { path: '/ok', port: 'web' }, ...fast, failureThreshold: 5 } })],
    },
    end: { phase: 'Running' },
    then: staysUp,
  },
  {
    name: 'liveness-http-fails',
    spec: {
      restartPolicy: 'Always',
      containers: [
        web({ livenessProbe: { httpGet: { path: '/no', port: '$PORT' }, ...fast, initialDelaySeconds: 1 } }),
      ],
    },
    end: restarted,
    events: [['Unhealthy', /Liveness probe failed: HTTP probe failed with statuscode: 404/]],
  },
  {
    name: 'liveness-tcp-holds',
    spec: { containers: [web({ livenessProbe: { tcpSocket: { port: '$PORT' }, ...fast, failureThreshold: 5 } })] },
    end: { phase: 'Running' },
    then: staysUp,
  },
  {
    name: 'liveness-tcp-fails',
    spec: {
      restartPolicy: 'Always',
      containers: [waits('main', { livenessProbe: { tcpSocket: { port: '$PORT' }, ...fast } })],
    },
    end: restarted,
    events: [['Unhealthy', /Liveness probe failed: dial tcp .*: connect: connection refused/]],
  },
  {
    name: 'liveness-grpc-fails',
    spec: {
      restartPolicy: 'Always',
      containers: [waits('main', { livenessProbe: { grpc: { port: '$PORT' }, ...fast } })],
    },
    end: restarted,
    events: [['Unhealthy', /Liveness probe (failed|errored)/]],
  },
  {
    name: 'liveness-on-a-port-without-a-name',
    spec: {
      containers: [
        web({ livenessProbe: { httpGet: { path: '/ok', port: 'absent' }, ...fast, failureThreshold: 1000 } }),
      ],
    },
    events: [['Unhealthy', /Liveness probe errored .*parsing "absent": invalid syntax/]],
  },
  {
    name: 'liveness-command-with-variables',
    spec: {
      containers: [
        waits('main', {
          env: [{ name: 'FILE', value: '/etc/hosts' }],
          livenessProbe: { ...exec('test', '-e', '$(FILE)'), ...fast },
        }),
      ],
    },
    end: { phase: 'Running' },
    then: staysUp,
  },
  {
    name: 'liveness-leaves-a-never-pod-failed',
    spec: { containers: [waits('main', { livenessProbe: { ...exec('false'), ...fast } })] },
    end: { phase: 'Succeeded', containers: { main: { state: 'terminated', restarts: 0 } } },
    events: [['Killing', /Container main failed liveness probe$/]],
  },
  {
    name: 'liveness-with-its-own-grace',
    spec: {
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 600,
      containers: [
        sh("trap '' TERM; while :; do sleep 0.2; done", {
          livenessProbe: { ...exec('false'), ...fast, terminationGracePeriodSeconds: 1 },
        }),
      ],
    },
    end: { containers: { main: { restarts: n => Number(n) >= 1, lastExitCode: 137 } } },
  },
  {
    name: 'readiness-fails',
    short: true,
    spec: { containers: [waits('main', { readinessProbe: { ...exec('false'), ...fast } })] },
    end: {
      phase: 'Running',
      conditions: { Ready: 'False', ContainersReady: 'False' },
      containers: { main: { state: 'running', ready: false, started: true, restarts: 0 } },
    },
    events: [['Unhealthy', /Readiness probe failed: /]],
    then: staysUp,
  },
  {
    name: 'readiness-comes-and-goes',
    spec: { containers: [waits('main', { readinessProbe: { ...exec('test', '-e', '/tmp/ready'), ...fast } })] },
    end: { phase: 'Running', conditions: { Ready: 'False' } },
    then: async pod => {
      await pod.exec('main', ['touch', '/tmp/ready']);
      await pod.becomes({ conditions: { Ready: 'True' }, containers: { main: { ready: true } } });
      await pod.exec('main', ['rm', '/tmp/ready']);
      await pod.becomes({ conditions: { Ready: 'False' }, containers: { main: { ready: false, restarts: 0 } } });
    },
  },
  {
    name: 'readiness-after-its-delay',
    spec: { containers: [waits('main', { readinessProbe: { ...exec('true'), ...fast, initialDelaySeconds: 4 } })] },
    end: { phase: 'Running', conditions: { Ready: 'True' } },
    then: async pod => {
      const { status } = await pod.read();
      const { conditions, containerStatuses } = status as unknown as {
        conditions: { type: string; lastTransitionTime: string }[];
        containerStatuses: { state: { running: { startedAt: string } } }[];
      };
      const ready = Date.parse(conditions.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? '');
      const started = Date.parse(containerStatuses[0]?.state.running.startedAt ?? '');
      check(ready - started >= 3_000, `ready ${ready - started} ms after the start`);
    },
  },
  {
    name: 'readiness-needs-successes',
    spec: {
      containers: [waits('main', { readinessProbe: { ...exec('true'), periodSeconds: 1, successThreshold: 3 } })],
    },
    end: { phase: 'Running', conditions: { Ready: 'True' } },
  },
  {
    name: 'readiness-over-http-with-headers',
    spec: {
      containers: [
        web({
          readinessProbe: {
            httpGet: { path: '/ok', port: 'web', httpHeaders: [{ name: 'X-A', value: 'b' }] },
            ...fast,
          },
        }),
      ],
    },
    end: { conditions: { Ready: 'True' } },
  },
  {
    name: 'startup-holds-liveness-back',
    short: true,
    spec: {
      restartPolicy: 'Always',
      containers: [
        sh(untilTerm('sleep 3; touch /tmp/up'), {
          startupProbe: { ...exec('test', '-e', '/tmp/up'), periodSeconds: 1, failureThreshold: 60 },
          livenessProbe: { ...exec('test', '-e', '/tmp/up'), ...fast },
        }),
      ],
    },
    end: { containers: { main: { started: true, ready: true, restarts: 0 } } },
  },
  {
    name: 'startup-fails',
    spec: {
      restartPolicy: 'Always',
      containers: [waits('main', { startupProbe: { ...exec('false'), ...fast, failureThreshold: 2 } })],
    },
    end: restarted,
    events: [
      ['Unhealthy', /Startup probe failed: /],
      ['Killing', /Container main failed startup probe, will be restarted/],
    ],
  },
  {
    name: 'startup-is-not-over-yet',
    spec: {
      containers: [waits('main', { startupProbe: { ...exec('false'), periodSeconds: 1, failureThreshold: 1000 } })],
    },
    end: {
      phase: 'Running',
      conditions: { Ready: 'False' },
      containers: { main: { state: 'running', started: false, ready: false } },
    },
  },
];
