/** Every check of the Pod Security Standards, with what it says. */
import test from 'ava';
import type { ObjectMeta, PodSpec } from '../../../api/generated/types.ts';
import { evaluate, showFindings } from './evaluate.ts';
import { type Level, readPolicy } from './policy.ts';

const LATEST = Number.POSITIVE_INFINITY;

function judge(
  level: Level,
  spec: object,
  { minor = LATEST, annotations = {} }: { minor?: number; annotations?: object } = {},
) {
  const whole = { containers: [{ name: 'c', image: 'i' }], ...spec } as unknown as PodSpec;
  return showFindings(evaluate({ level, minor }, { metadata: { annotations } as ObjectMeta, spec: whole }));
}
const container = (name: string, securityContext: object = {}, more: object = {}) => ({
  name,
  image: 'i',
  securityContext,
  ...more,
});
/** What a container needs to pass the strictest level. */
const SAFE = {
  allowPrivilegeEscalation: false,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};
const safe = (name: string, context: object = {}, more: object = {}) => container(name, { ...SAFE, ...context }, more);

const baseline: readonly [string, object, string, object?][] = [
  ['a plain pod', {}, ''],
  [
    'host namespaces',
    { hostPID: true, hostIPC: true, hostNetwork: true },
    'host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)',
  ],
  [
    'privileged containers, those of initialisation first',
    { containers: [container('a', { privileged: true })], initContainers: [container('b', { privileged: true })] },
    'privileged (containers "b", "a" must not set securityContext.privileged=true)',
  ],
  [
    'capabilities',
    { containers: [container('a', { capabilities: { add: ['NET_ADMIN', 'CHOWN', 'BPF'] } })] },
    'non-default capabilities (container "a" must not include "BPF", "NET_ADMIN" in securityContext.capabilities.add)',
  ],
  ['allowed capabilities', { containers: [container('a', { capabilities: { add: ['CHOWN', 'SYS_CHROOT'] } })] }, ''],
  [
    'host paths',
    {
      volumes: [
        { name: 'v', hostPath: { path: '/' } },
        { name: 'e', emptyDir: {} },
      ],
    },
    'hostPath volumes (volume "v")',
  ],
  [
    'host ports',
    {
      containers: [
        container('a', {}, { ports: [{ containerPort: 1, hostPort: 9090 }, { containerPort: 2 }] }),
        container('b', {}, { ports: [{ containerPort: 1, hostPort: 10000 }] }),
      ],
    },
    'hostPort (containers "a", "b" use hostPorts 10000, 9090)',
  ],
  [
    'the form of /proc',
    { containers: [container('a', { procMount: 'Unmasked' })] },
    'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
  ],
  [
    'SELinux',
    {
      securityContext: { seLinuxOptions: { type: 'spc_t', user: 'u' } },
      containers: [
        container('a', { seLinuxOptions: { role: 'r' } }),
        container('b', { seLinuxOptions: { type: 'container_t' } }),
      ],
    },
    'seLinuxOptions (pod and container "a" set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set; role may not be set)',
  ],
  [
    'seccomp',
    { securityContext: { seccompProfile: { type: 'Unconfined' } }, containers: [safe('a')] },
    'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  [
    'sysctls',
    { securityContext: { sysctls: [{ name: 'a.b' }, { name: 'net.ipv4.tcp_rmem' }] } },
    'forbidden sysctls (a.b)',
  ],
  [
    'processes of a Windows host',
    {
      securityContext: { windowsOptions: { hostProcess: true } },
      containers: [container('a', { windowsOptions: { hostProcess: true } })],
    },
    'hostProcess (pod and container "a" must not set securityContext.windowsOptions.hostProcess=true)',
  ],
  [
    'AppArmor',
    {
      securityContext: { appArmorProfile: { type: 'Unconfined' } },
      containers: [container('a', { appArmorProfile: { type: 'Unconfined' } })],
    },
    'forbidden AppArmor profiles (pod and container "a" and annotation must not set AppArmor profile type to "Unconfined", "container.apparmor.security.beta.kubernetes.io/a=\\"bad\\"")',
    { 'container.apparmor.security.beta.kubernetes.io/a': 'bad' },
  ],
  [
    'containers for looking in',
    { ephemeralContainers: [container('e', { privileged: true })] },
    'privileged (container "e" must not set securityContext.privileged=true)',
  ],
];
for (const [title, spec, expected, annotations] of baseline) {
  test(`baseline: ${title}`, t => {
    t.is(judge('baseline', spec, { ...(annotations && { annotations }) }), expected);
    t.is(judge('privileged', spec), '');
  });
}

const restricted: readonly [string, object, string][] = [
  [
    'a plain pod',
    {},
    'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
      'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
      'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
      'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  ],
  ['a safe pod', { containers: [safe('a')] }, ''],
  [
    'what the pod says holds for its containers',
    {
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'Localhost', localhostProfile: 'p' } },
      containers: [container('a', { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } })],
    },
    '',
  ],
  [
    'capabilities, told once',
    { containers: [safe('a', { capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE', 'CHOWN', 'SYS_ADMIN'] } })] },
    'unrestricted capabilities (container "a" must not include "CHOWN", "SYS_ADMIN" in securityContext.capabilities.add)',
  ],
  [
    'volumes, told once',
    {
      containers: [safe('a')],
      volumes: [
        { name: 'h', hostPath: { path: '/' } },
        { name: 'n', nfs: {} },
        { name: 'p', projected: {} },
        { name: 'x', glusterfs2: {} },
        { name: 'i', image: {} },
      ],
    },
    'restricted volume types (volumes "h", "n", "x" use restricted volume types "hostPath", "nfs", "unknown")',
  ],
  [
    'root by choice',
    {
      securityContext: { runAsNonRoot: false, runAsUser: 0 },
      containers: [safe('a', { runAsNonRoot: false, runAsUser: 0 })],
    },
    'runAsNonRoot != true (pod and container "a" must not set securityContext.runAsNonRoot=false), ' +
      'runAsUser=0 (pod and container "a" must not set runAsUser=0)',
  ],
  [
    'seccomp',
    { containers: [safe('a', { seccompProfile: { type: 'Unconfined' } }), safe('b')] },
    'seccompProfile (container "a" must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  [
    'the baseline comes first',
    { hostPID: true, containers: [safe('a', { privileged: true })] },
    'host namespaces (hostPID=true), privileged (container "a" must not set securityContext.privileged=true)',
  ],
  ['Windows has no such things', { os: { name: 'windows' }, containers: [container('a', { runAsNonRoot: true })] }, ''],
];
for (const [title, spec, expected] of restricted) {
  test(`restricted: ${title}`, t => {
    t.is(judge('restricted', spec), expected);
  });
}

test('older versions know less, newer ones more', t => {
  const windows = { os: { name: 'windows' }, containers: [container('a', { runAsNonRoot: true })] };
  t.regex(judge('restricted', windows, { minor: 24 }), /allowPrivilegeEscalation != false/);
  t.is(
    judge('restricted', {}, { minor: 7 }),
    'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
  );
  const root = { containers: [safe('a', { runAsUser: 0 })] };
  t.is(judge('restricted', root, { minor: 22 }), '');
  t.is(judge('restricted', root, { minor: 23 }), 'runAsUser=0 (container "a" must not set runAsUser=0)');
  const ports = { securityContext: { sysctls: [{ name: 'net.ipv4.ip_local_reserved_ports' }] } };
  t.is(judge('baseline', ports, { minor: 26 }), 'forbidden sysctls (net.ipv4.ip_local_reserved_ports)');
  t.is(judge('baseline', ports, { minor: 27 }), '');
  const engine = { securityContext: { seLinuxOptions: { type: 'container_engine_t' } } };
  t.regex(judge('baseline', engine, { minor: 30 }), /type "container_engine_t"/);
  t.is(judge('baseline', engine, { minor: 31 }), '');
  const annotations = { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' };
  t.is(
    judge('baseline', {}, { minor: 18, annotations }),
    'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")',
  );
  t.is(judge('baseline', {}, { minor: 19, annotations }), '');
  // Below v1.22 the restricted level has no capabilities of its own: those of the baseline hold.
  const added = { containers: [safe('a', { capabilities: { drop: ['ALL'], add: ['BPF'] } })] };
  t.regex(judge('restricted', added, { minor: 21 }), /^non-default capabilities/);
  t.regex(judge('restricted', added, { minor: 99 }), /^unrestricted capabilities/);
});

test('labels are read, and what cannot be read is strict', t => {
  const read = (labels: Record<string, string>) =>
    readPolicy(
      Object.fromEntries(Object.entries(labels).map(([name, value]) => [`pod-security.kubernetes.io/${name}`, value])),
    );
  t.deepEqual(
    read({ enforce: 'baseline', 'enforce-version': 'v1.20', warn: 'restricted', 'audit-version': 'latest' }),
    {
      policy: {
        enforce: { level: 'baseline', minor: 20 },
        audit: { level: 'privileged', minor: LATEST },
        warn: { level: 'restricted', minor: LATEST },
      },
      errors: [],
    },
  );
  const wrong = read({ enforce: 'x', warn: 'y', 'enforce-version': 'v1.01' });
  t.like(wrong.policy, {
    enforce: { level: 'restricted', minor: LATEST },
    warn: { level: 'privileged', minor: LATEST },
  });
  t.deepEqual(
    wrong.errors.map(({ field, message }) => `${field}: ${message}`),
    [
      'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "x": must be one of privileged, baseline, restricted',
      'metadata.labels[pod-security.kubernetes.io/enforce-version]: Invalid value: "v1.01": must be "latest" or "v1.x"',
      'metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: "y": must be one of privileged, baseline, restricted',
    ],
  );
});
