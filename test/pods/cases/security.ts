/** Users, rights, namespaces and names. */
import { readFileSync } from 'node:fs';
import { check, type PodCase, sh, waits } from '../case.ts';

const done = { phase: 'Succeeded' } as const;
const docker = (why: string) => ({ runtime: 'docker' as const, why });
const status = (field: string) => `grep ^${field}: /proc/self/status | tr -s '[:space:]' ' '`;

export const security: readonly PodCase[] = [
  {
    name: 'run-as-user',
    short: true,
    spec: { containers: [sh('id -u; id -g', { securityContext: { runAsUser: 65534 } })] },
    end: done,
    // The group is the user's own where the image knows the user.
    logs: { main: /^65534\n(0|65534)\n$/ },
  },
  {
    name: 'run-as-user-and-group',
    spec: {
      securityContext: { runAsUser: 1, runAsGroup: 2 },
      containers: [
        sh('id -u; id -g', { name: 'shared' }),
        sh('id -u; id -g', { name: 'own', securityContext: { runAsUser: 1001, runAsGroup: 2002 } }),
      ],
    },
    end: done,
    logs: { shared: '1\n2\n', own: '1001\n2002\n' },
  },
  {
    name: 'supplemental-groups',
    spec: {
      securityContext: { runAsUser: 1000, supplementalGroups: [3000, 4000], fsGroup: 5000 },
      containers: [sh('id -G | tr " " "\\n" | sort -n | tr "\\n" " "')],
    },
    end: done,
    logs: { main: /3000 4000 5000/ },
  },
  {
    name: 'fs-group-owns-volumes',
    spec: {
      securityContext: { runAsUser: 1000, fsGroup: 5000 },
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [sh('touch /v/f && stat -c %g /v /v/f', { volumeMounts: [{ name: 'v', mountPath: '/v' }] })],
    },
    end: done,
    logs: { main: '5000\n5000\n' },
  },
  {
    name: 'root-is-refused',
    short: true,
    spec: { securityContext: { runAsNonRoot: true }, containers: [waits()] },
    end: {
      phase: 'Pending',
      containers: {
        main: {
          state: 'waiting',
          reason: 'CreateContainerConfigError',
          message:
            /^container has runAsNonRoot and image will run as root \(pod: "root-is-refused_pods\(.*\)", container: main\)$/,
        },
      },
    },
    events: [['Failed', /Error: container has runAsNonRoot and image will run as root/]],
  },
  {
    name: 'root-by-number-is-refused',
    spec: { containers: [waits('main', { securityContext: { runAsNonRoot: true, runAsUser: 0 } })] },
    end: {
      containers: {
        main: {
          reason: 'CreateContainerConfigError',
          message: /^container's runAsUser breaks non-root policy \(pod: ".*", container: main\)$/,
        },
      },
    },
  },
  {
    name: 'others-than-root-are-let-in',
    spec: { securityContext: { runAsNonRoot: true, runAsUser: 1234 }, containers: [sh('id -u')] },
    end: done,
    logs: { main: '1234\n' },
  },
  {
    name: 'root-that-is-read-only',
    spec: { containers: [sh('touch /x 2>&1', { securityContext: { readOnlyRootFilesystem: true } })] },
    end: { phase: 'Failed' },
    logs: { main: /[Rr]ead-only file system/ },
  },
  {
    name: 'root-that-is-writable',
    spec: { containers: [sh('touch /tmp/x && echo ok', { securityContext: { readOnlyRootFilesystem: false } })] },
    end: done,
    logs: { main: 'ok\n' },
  },
  {
    name: 'unprivileged',
    spec: {
      containers: [
        sh('busybox ip link add name dummy7 type dummy 2>&1 || echo refused', {
          securityContext: { privileged: false },
        }),
      ],
    },
    end: done,
    logs: { main: /refused\n$/ },
  },
  {
    name: 'privileged',
    spec: { containers: [sh(status('CapEff'), { securityContext: { privileged: true } })] },
    end: done,
    logs: { main: /CapEff: 000001f/ },
    lacking: () =>
      /^CapEff:\s+000001ffffffffff$/m.test(readFileSync('/proc/self/status', 'utf8'))
        ? undefined
        : 'this machine lacks a capability itself and cannot give it away',
  },
  {
    name: 'capabilities-dropped',
    spec: { containers: [sh(status('CapEff'), { securityContext: { capabilities: { drop: ['ALL'] } } })] },
    end: done,
    logs: { main: /CapEff: 0000000000000000/ },
  },
  {
    name: 'capability-added',
    spec: {
      containers: [sh(status('CapEff'), { securityContext: { capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } } })],
    },
    end: done,
    logs: { main: /CapEff: 0000000000001000/ },
  },
  {
    name: 'capabilities-as-usual',
    spec: { containers: [sh(status('CapEff'))] },
    end: done,
    logs: { main: /CapEff: 00000000a80425fb/ },
  },
  {
    name: 'no-new-privileges',
    spec: {
      containers: [sh(status('NoNewPrivs'), { securityContext: { allowPrivilegeEscalation: false, runAsUser: 1000 } })],
    },
    end: done,
    logs: { main: /NoNewPrivs: 1/ },
  },
  {
    name: 'new-privileges-by-default',
    spec: { containers: [sh(status('NoNewPrivs'))] },
    end: done,
    logs: { main: /NoNewPrivs: 0/ },
  },
  {
    name: 'seccomp-unconfined',
    spec: { securityContext: { seccompProfile: { type: 'Unconfined' } }, containers: [sh(status('Seccomp'))] },
    end: done,
    logs: { main: /Seccomp: 0/ },
  },
  {
    name: 'seccomp-default-of-the-runtime',
    only: docker('not every kernel lets the native runtime have a filter'),
    spec: { containers: [sh(status('Seccomp'), { securityContext: { seccompProfile: { type: 'RuntimeDefault' } } })] },
    end: done,
    logs: { main: /Seccomp: [02]/ },
  },
  {
    name: 'a-seccomp-profile-that-is-absent',
    spec: {
      containers: [
        waits('main', { securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: 'no/such.json' } } }),
      ],
    },
    end: { containers: { main: { state: 'waiting', reason: 'CreateContainerError', message: /no\/such\.json/ } } },
  },
  {
    name: 'safe-sysctl',
    spec: {
      securityContext: { sysctls: [{ name: 'kernel.shm_rmid_forced', value: '1' }] },
      containers: [sh('cat /proc/sys/kernel/shm_rmid_forced')],
    },
    end: done,
    logs: { main: '1\n' },
  },
  {
    name: 'unsafe-sysctl',
    short: true,
    spec: { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '65536' }] }, containers: [waits()] },
    end: {
      phase: 'Failed',
      reason: 'SysctlForbidden',
      message: 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted',
    },
    events: [['SysctlForbidden', /forbidden sysctl: "kernel.msgmax" not allowlisted/]],
  },
  {
    name: 'network-sysctl-on-the-host-network',
    spec: {
      hostNetwork: true,
      securityContext: { sysctls: [{ name: 'net.ipv4.ip_local_port_range', value: '1024 65535' }] },
      containers: [waits()],
    },
    end: { phase: 'Failed', reason: 'SysctlForbidden' },
  },
  {
    name: 'processes-of-its-own',
    spec: { containers: [sh('ls -d /proc/[0-9]* | wc -l')] },
    end: done,
    logs: { main: /^\s*\d\n$/ },
  },
  {
    name: 'shared-processes',
    spec: {
      shareProcessNamespace: true,
      containers: [
        sh('sleep 4242', { name: 'other' }),
        sh(
          'for i in $(seq 100); do grep -lsa 4242 /proc/[0-9]*/cmdline | grep -v self && exit 0; sleep 0.1; done; exit 1',
        ),
      ],
    },
    end: { containers: { main: { state: 'terminated', exitCode: 0 } } },
  },
  {
    name: 'processes-of-the-host',
    spec: { hostPID: true, containers: [sh('set -- /proc/[0-9]*; echo $#')] },
    end: done,
    then: async pod => {
      check(Number(await pod.log('main')) > 5, await pod.log('main'));
    },
  },
  {
    name: 'network-of-the-host',
    short: true,
    spec: { hostNetwork: true, containers: [waits()] },
    end: { phase: 'Running' },
    then: async pod => {
      const { status: now } = await pod.read();
      check(now?.podIP === now?.hostIP && now?.podIP !== undefined, JSON.stringify(now));
    },
  },
  {
    name: 'an-address-of-its-own',
    spec: { containers: [waits()] },
    end: { phase: 'Running', podIP: /^\d+\.\d+\.\d+\.\d+$/ },
    then: async pod => {
      const { status: now } = await pod.read();
      check(JSON.stringify(now?.podIPs) === JSON.stringify([{ ip: now?.podIP }]), JSON.stringify(now?.podIPs));
      check(now?.podIP !== now?.hostIP, "the address is the node's");
    },
  },
  {
    name: 'hostname-is-the-name',
    spec: { containers: [sh('hostname; cat /etc/hostname')] },
    end: done,
    logs: { main: 'hostname-is-the-name\nhostname-is-the-name\n' },
  },
  {
    name: 'hostname-and-subdomain',
    spec: { hostname: 'web', subdomain: 'sub', containers: [sh('hostname; grep web /etc/hosts')] },
    end: done,
    logs: { main: /^web\n[\d.]+\s+web\.sub\.pods\.svc\.cluster\.local\s+web\n$/ },
  },
  {
    name: 'full-name-as-hostname',
    spec: { hostname: 'web', subdomain: 'sub', setHostnameAsFQDN: true, containers: [sh('hostname')] },
    end: done,
    logs: { main: 'web.sub.pods.svc.cluster.local\n' },
  },
  {
    name: 'host-aliases',
    spec: {
      hostAliases: [{ ip: '123.45.67.89', hostnames: ['foo.local', 'bar.local'] }],
      containers: [sh('cat /etc/hosts')],
    },
    end: done,
    logs: { main: /^# Kubernetes-managed hosts file\.\n[\s\S]*123\.45\.67\.89\tfoo\.local\tbar\.local\n/ },
  },
  {
    name: 'own-dns-config',
    spec: {
      dnsPolicy: 'None',
      dnsConfig: { nameservers: ['1.2.3.4'], searches: ['a.example'], options: [{ name: 'ndots', value: '2' }] },
      containers: [sh('cat /etc/resolv.conf')],
    },
    end: done,
    logs: { main: /nameserver 1\.2\.3\.4\n[\s\S]*options ndots:2/ },
  },
  {
    name: 'exec-gives-exit-codes',
    short: true,
    spec: { containers: [waits()] },
    end: { phase: 'Running' },
    then: async pod => {
      const good = await pod.exec('main', ['sh', '-c', 'echo out; echo err >&2']);
      check(good.code === 0 && good.stdout === 'out\n' && good.stderr.includes('err\n'), JSON.stringify(good));
      const bad = await pod.exec('main', ['sh', '-c', 'exit 42']);
      check(bad.code === 42, JSON.stringify(bad));
    },
  },
];
