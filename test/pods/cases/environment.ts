/** Variables, expansion, downward API, termination messages. */
import { check, type PodCase, sh, waits } from '../case.ts';

const config = (name: string, data: object) => ({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name }, data });
const secret = (name: string, stringData: object) => ({
  kind: 'Secret',
  apiVersion: 'v1',
  metadata: { name },
  stringData,
});
const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
const amount = (name: string, resource: string, divisor?: string) => ({
  name,
  valueFrom: { resourceFieldRef: { resource, ...(divisor && { divisor }) } },
});
const done = { phase: 'Succeeded' } as const;

export const environment: readonly PodCase[] = [
  {
    name: 'env-values',
    short: true,
    spec: {
      containers: [
        sh('echo "$A|$B|$C|$D"', {
          env: [
            { name: 'A', value: 'one two' },
            { name: 'B', value: '$(A)-b' },
            { name: 'C', value: '$$(A) $(UNKNOWN)' },
            { name: 'D', value: '' },
          ],
        }),
      ],
    },
    end: done,
    logs: { main: 'one two|one two-b|$(A) $(UNKNOWN)|\n' },
  },
  {
    name: 'expansion-in-command-and-args',
    spec: {
      containers: [
        { command: ['sh', '-c', 'echo $(WORD) "$0"'], args: ['$(WORD)!'], env: [{ name: 'WORD', value: 'yes' }] },
      ],
    },
    end: done,
    logs: { main: 'yes yes!\n' },
  },
  {
    name: 'env-of-a-config-map',
    objects: [config('env-config', { key: 'value', other: 'more' })],
    spec: {
      containers: [
        sh('echo "$K $P_key $P_other [$GONE]"', {
          env: [
            { name: 'K', valueFrom: { configMapKeyRef: { name: 'env-config', key: 'key' } } },
            { name: 'GONE', valueFrom: { configMapKeyRef: { name: 'env-config', key: 'no', optional: true } } },
          ],
          envFrom: [
            { prefix: 'P_', configMapRef: { name: 'env-config' } },
            { configMapRef: { name: 'absent', optional: true } },
          ],
        }),
      ],
    },
    end: done,
    logs: { main: 'value value more []\n' },
  },
  {
    name: 'env-of-a-secret',
    objects: [secret('env-secret', { key: 'hidden', OTHER: 'also' })],
    spec: {
      containers: [
        sh('echo "$K $OTHER"', {
          env: [{ name: 'K', valueFrom: { secretKeyRef: { name: 'env-secret', key: 'key' } } }],
          envFrom: [{ secretRef: { name: 'env-secret' } }],
        }),
      ],
    },
    end: done,
    logs: { main: 'hidden also\n' },
  },
  {
    name: 'env-wins-over-env-from',
    objects: [config('env-order', { A: 'from', B: 'from' })],
    spec: {
      containers: [
        sh('echo "$A $B $C"', {
          env: [
            { name: 'A', value: 'own' },
            { name: 'C', value: '$(B)' },
          ],
          envFrom: [{ configMapRef: { name: 'env-order' } }],
        }),
      ],
    },
    end: done,
    logs: { main: 'own from from\n' },
  },
  {
    name: 'config-map-comes-later',
    short: true,
    spec: {
      containers: [
        sh('echo "$K"', { env: [{ name: 'K', valueFrom: { configMapKeyRef: { name: 'comes-later', key: 'k' } } }] }),
      ],
    },
    end: {
      phase: 'Pending',
      containers: {
        main: { state: 'waiting', reason: 'CreateContainerConfigError', message: 'configmap "comes-later" not found' },
      },
    },
    events: [['Failed', /^Failed: Error: configmap "comes-later" not found$/]],
    then: async pod => {
      await pod.api('POST', '/api/v1/namespaces/pods/configmaps', config('comes-later', { k: 'here' }));
      await pod.becomes(done);
      await pod.says('main', 'here\n');
    },
  },
  {
    name: 'key-is-missing',
    objects: [config('lacks-a-key', { a: 'b' }), secret('lacks-a-key', { a: 'b' })],
    spec: {
      containers: [
        waits('a', { env: [{ name: 'K', valueFrom: { configMapKeyRef: { name: 'lacks-a-key', key: 'k' } } }] }),
        waits('b', { env: [{ name: 'K', valueFrom: { secretKeyRef: { name: 'lacks-a-key', key: 'k' } } }] }),
      ],
    },
    end: {
      phase: 'Pending',
      containers: {
        a: { reason: 'CreateContainerConfigError', message: "couldn't find key k in ConfigMap pods/lacks-a-key" },
      },
    },
  },
  {
    name: 'key-is-missing-in-a-secret',
    objects: [secret('secret-lacks-a-key', { a: 'b' })],
    spec: {
      containers: [
        waits('b', { env: [{ name: 'K', valueFrom: { secretKeyRef: { name: 'secret-lacks-a-key', key: 'k' } } }] }),
      ],
    },
    end: {
      containers: {
        b: { reason: 'CreateContainerConfigError', message: "couldn't find key k in Secret pods/secret-lacks-a-key" },
      },
    },
  },
  {
    name: 'env-from-a-secret-that-is-absent',
    spec: { containers: [waits('main', { envFrom: [{ secretRef: { name: 'never-there' } }] })] },
    end: {
      containers: { main: { reason: 'CreateContainerConfigError', message: 'secret "never-there" not found' } },
    },
  },
  {
    name: 'downward-fields',
    short: true,
    metadata: { labels: { app: 'down' }, annotations: { note: 'hi' } },
    spec: {
      serviceAccountName: 'default',
      containers: [
        sh('echo "$NAME $NS $SA $LABEL $NOTE $NODE"; echo "$UID_ $IP $IPS $HOST $HOSTS"', {
          env: [
            field('NAME', 'metadata.name'),
            field('NS', 'metadata.namespace'),
            field('UID_', 'metadata.uid'),
            field('SA', 'spec.serviceAccountName'),
            field('LABEL', "metadata.labels['app']"),
            field('NOTE', "metadata.annotations['note']"),
            field('NODE', 'spec.nodeName'),
            field('IP', 'status.podIP'),
            field('IPS', 'status.podIPs'),
            field('HOST', 'status.hostIP'),
            field('HOSTS', 'status.hostIPs'),
          ],
        }),
      ],
    },
    end: done,
    then: async pod => {
      const { metadata, status } = await pod.read();
      const ip = status?.podIP;
      const host = status?.hostIP;
      await pod.says(
        'main',
        `downward-fields pods default down hi node-1\n${metadata.uid} ${ip} ${ip} ${host} ${host}\n`,
      );
    },
  },
  {
    name: 'downward-resources',
    spec: {
      containers: [
        sh('echo "$A $B $C $D $E $F"', {
          env: [
            amount('A', 'limits.cpu'),
            amount('B', 'limits.cpu', '1m'),
            amount('C', 'requests.cpu', '1m'),
            amount('D', 'limits.memory'),
            amount('E', 'limits.memory', '1Mi'),
            amount('F', 'requests.memory', '1Mi'),
          ],
          resources: { limits: { cpu: '1250m', memory: '64Mi' }, requests: { cpu: '250m', memory: '32Mi' } },
        }),
      ],
    },
    end: done,
    logs: { main: '2 1250 250 67108864 64 32\n' },
  },
  {
    name: 'downward-resources-of-the-node',
    spec: {
      containers: [
        sh('echo "$A $B $C"', {
          env: [amount('A', 'limits.cpu'), amount('B', 'limits.memory'), amount('C', 'requests.cpu')],
        }),
      ],
    },
    end: done,
    then: async pod => {
      const { status } = await pod.api('GET', '/api/v1/nodes/node-1');
      const { allocatable } = status as { allocatable: { cpu: string; memory: string } };
      const memory = Number.parseInt(allocatable.memory, 10) * 1024;
      await pod.says('main', `${allocatable.cpu} ${memory} 0\n`);
    },
  },
  {
    name: 'service-variables',
    objects: [
      {
        kind: 'Service',
        apiVersion: 'v1',
        metadata: { name: 'env-service' },
        spec: { ports: [{ name: 'web', port: 8765 }], selector: { a: 'b' } },
      },
    ],
    spec: {
      containers: [
        sh(
          'echo "$ENV_SERVICE_SERVICE_PORT $ENV_SERVICE_PORT_8765_TCP_PROTO $ENV_SERVICE_SERVICE_PORT_WEB"; test -n "$KUBERNETES_SERVICE_HOST"',
        ),
      ],
    },
    end: { phase: /Succeeded|Failed/ },
    then: async pod => {
      const text = await pod.log('main');
      // The pod may be older than the service in the agent's eyes: one of both is right, half of it is not.
      check(/^(8765 tcp 8765| {2})\n$/.test(text), text);
    },
  },
  {
    name: 'no-service-links',
    spec: {
      enableServiceLinks: false,
      containers: [sh('env | grep -c ENV_SERVICE_ ; test -n "$KUBERNETES_SERVICE_PORT"')],
    },
    end: done,
    logs: { main: '0\n' },
  },
  {
    name: 'message-in-a-file',
    short: true,
    spec: { containers: [sh('printf "last words" > /dev/termination-log; exit 1')] },
    end: { phase: 'Failed', containers: { main: { message: 'last words', exitCode: 1 } } },
  },
  {
    name: 'message-of-a-user-at-a-path',
    spec: {
      containers: [
        sh('printf DONE > /dev/termination-custom-log', {
          terminationMessagePath: '/dev/termination-custom-log',
          securityContext: { runAsUser: 1000 },
        }),
      ],
    },
    end: { phase: 'Succeeded', containers: { main: { message: 'DONE' } } },
  },
  {
    name: 'message-from-the-log',
    spec: { containers: [sh('printf DONE; exit 1', { terminationMessagePolicy: 'FallbackToLogsOnError' })] },
    end: { phase: 'Failed', containers: { main: { message: 'DONE' } } },
  },
  {
    name: 'no-message-from-the-log-after-success',
    spec: { containers: [sh('printf DONE', { terminationMessagePolicy: 'FallbackToLogsOnError' })] },
    end: { phase: 'Succeeded', containers: { main: { message: undefined, reason: 'Completed' } } },
  },
  {
    name: 'message-file-before-the-log',
    spec: {
      containers: [
        sh('printf OK > /dev/termination-log; echo noise; exit 1', {
          terminationMessagePolicy: 'FallbackToLogsOnError',
        }),
      ],
    },
    end: { phase: 'Failed', containers: { main: { message: 'OK' } } },
  },
  {
    name: 'message-is-cut',
    spec: { containers: [sh('head -c 6000 /dev/zero | tr "\\0" m > /dev/termination-log; exit 1')] },
    end: { containers: { main: { message: text => String(text).length === 4096 } } },
  },
  {
    name: 'message-of-the-last-run',
    spec: { restartPolicy: 'Always', containers: [sh('printf again > /dev/termination-log; exit 1')] },
    end: { containers: { main: { reason: 'CrashLoopBackOff', lastMessage: 'again' } } },
  },
];
