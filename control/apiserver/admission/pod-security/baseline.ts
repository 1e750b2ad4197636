/** The checks of the level `baseline` up to Kubernetes v1.33 (k8s.io/pod-security-admission/policy), by identifier. */
import type { PodSecurityContext, SELinuxOptions, SecurityContext } from '../../../api/generated/types.ts';
import {
  type Check,
  containersNamed,
  containersOf,
  distinct,
  type Finding,
  namesOf,
  plural,
  quoted,
  type Subject,
  setters,
} from './check.ts';

const since = (minor: number, look: (subject: Subject) => Finding | undefined) => ({ since: minor, look });

const APP_ARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';
const APP_ARMOR_TYPES = new Set(['RuntimeDefault', 'Localhost']);
const isAllowedArmor = (profile: string) =>
  profile === '' || profile === 'runtime/default' || profile.startsWith('localhost/');

function appArmor(subject: Subject): Finding | undefined {
  const badType = (context: PodSecurityContext | SecurityContext | undefined) => {
    const type = context?.appArmorProfile?.type;
    return type !== undefined && !APP_ARMOR_TYPES.has(type) ? type : undefined;
  };
  const podType = badType(subject.spec.securityContext);
  const containers = containersOf(subject).filter(({ securityContext }) => badType(securityContext) !== undefined);
  const annotations = Object.entries(subject.metadata.annotations ?? {})
    .filter(([name, value]) => name.startsWith(APP_ARMOR_ANNOTATION) && !isAllowedArmor(value))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .sort();
  const types = distinct(
    [podType, ...containers.map(each => badType(each.securityContext))].filter(type => type !== undefined),
  );
  const values = [...types, ...annotations];
  if (values.length === 0) return undefined;
  const who = [
    setters(podType !== undefined, namesOf(containers)),
    annotations.length > 0 ? plural('annotation', 'annotations', annotations.length) : '',
  ].filter(Boolean);
  return {
    reason: plural('forbidden AppArmor profile', 'forbidden AppArmor profiles', values.length),
    detail: `${who.join(' and ')} must not set AppArmor profile type to ${quoted(values)}`,
  };
}

const DEFAULT_CAPABILITIES = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

function capabilities(subject: Subject): Finding | undefined {
  const added = (context: SecurityContext | undefined) =>
    (context?.capabilities?.add ?? []).filter(name => !DEFAULT_CAPABILITIES.has(name));
  const containers = containersOf(subject).filter(({ securityContext }) => added(securityContext).length > 0);
  if (containers.length === 0) return undefined;
  const names = distinct(containers.flatMap(({ securityContext }) => added(securityContext)));
  return {
    reason: 'non-default capabilities',
    detail: `${containersNamed(namesOf(containers))} must not include ${quoted(names)} in securityContext.capabilities.add`,
  };
}

function hostNamespaces({ spec }: Subject): Finding | undefined {
  const set = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter(name => spec[name]);
  if (set.length === 0) return undefined;
  return { reason: 'host namespaces', detail: set.map(name => `${name}=true`).join(', ') };
}

function hostPathVolumes({ spec }: Subject): Finding | undefined {
  const volumes = (spec.volumes ?? []).filter(({ hostPath }) => hostPath).map(({ name }) => name);
  if (volumes.length === 0) return undefined;
  return {
    reason: 'hostPath volumes',
    detail: `${plural('volume', 'volumes', volumes.length)} ${quoted(volumes)}`,
  };
}

function hostPorts(subject: Subject): Finding | undefined {
  const containers = containersOf(subject).filter(({ ports = [] }) => ports.some(({ hostPort }) => hostPort));
  if (containers.length === 0) return undefined;
  const ports = distinct(
    containers.flatMap(each =>
      (each.ports ?? []).filter(({ hostPort }) => hostPort).map(port => String(port.hostPort)),
    ),
  );
  const verb = plural('uses', 'use', containers.length);
  const what = plural('hostPort', 'hostPorts', ports.length);
  return { reason: 'hostPort', detail: `${containersNamed(namesOf(containers))} ${verb} ${what} ${ports.join(', ')}` };
}

function privileged(subject: Subject): Finding | undefined {
  const containers = namesOf(containersOf(subject).filter(({ securityContext }) => securityContext?.privileged));
  if (containers.length === 0) return undefined;
  const detail = `${containersNamed(containers)} must not set securityContext.privileged=true`;
  return { reason: 'privileged', detail };
}

function procMount(subject: Subject): Finding | undefined {
  const wrong = containersOf(subject).filter(({ securityContext }) => {
    const mount = securityContext?.procMount;
    return mount !== undefined && mount !== 'Default';
  });
  if (wrong.length === 0) return undefined;
  const values = distinct(wrong.map(({ securityContext }) => securityContext?.procMount ?? ''));
  return {
    reason: 'procMount',
    detail: `${containersNamed(namesOf(wrong))} must not set securityContext.procMount to ${quoted(values)}`,
  };
}

const SELINUX_TYPES = ['', 'container_t', 'container_init_t', 'container_kvm_t'];

function seLinux(allowed: ReadonlySet<string>) {
  return (subject: Subject): Finding | undefined => {
    const isWrong = (options: SELinuxOptions | undefined): options is SELinuxOptions =>
      options !== undefined && (!allowed.has(options.type ?? '') || !!options.user || !!options.role);
    const podOptions = subject.spec.securityContext?.seLinuxOptions;
    const containers = containersOf(subject).filter(each => isWrong(each.securityContext?.seLinuxOptions));
    const wrong = [podOptions, ...containers.map(each => each.securityContext?.seLinuxOptions)].filter(isWrong);
    if (wrong.length === 0) return undefined;
    const types = distinct(wrong.map(({ type = '' }) => type).filter(type => !allowed.has(type)));
    const data = [
      ...(types.length > 0 ? [`${plural('type', 'types', types.length)} ${quoted(types)}`] : []),
      ...(wrong.some(({ user }) => user) ? ['user may not be set'] : []),
      ...(wrong.some(({ role }) => role) ? ['role may not be set'] : []),
    ];
    const who = setters(isWrong(podOptions), namesOf(containers));
    return {
      reason: 'seLinuxOptions',
      detail: `${who} set forbidden securityContext.seLinuxOptions: ${data.join('; ')}`,
    };
  };
}

const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/';
const isAllowedSeccomp = (profile: string) =>
  profile === 'runtime/default' || profile === 'docker/default' || profile.startsWith('localhost/');
/** Of the field, which took the place of the annotations in v1.19. */
export const isSeccompType = (type: string | undefined): boolean => type === 'RuntimeDefault' || type === 'Localhost';

function seccompAnnotations(subject: Subject): Finding | undefined {
  const names = [SECCOMP_POD, ...containersOf(subject).map(({ name }) => SECCOMP_CONTAINER + name)];
  const wrong = distinct(names).flatMap(name => {
    const value = subject.metadata.annotations?.[name];
    return value === undefined || isAllowedSeccomp(value) ? [] : [`${name}=${JSON.stringify(value)}`];
  });
  if (wrong.length === 0) return undefined;
  const what = plural('annotation', 'annotations', wrong.length);
  return { reason: 'seccompProfile', detail: `forbidden ${what} ${wrong.join(', ')}` };
}

/** What is set to something else than the two that are allowed; both levels say it so. */
export function wrongSeccomp(subject: Subject): Finding | undefined {
  const podProfile = subject.spec.securityContext?.seccompProfile;
  const isPodWrong = podProfile !== undefined && !isSeccompType(podProfile.type);
  const containers = containersOf(subject).filter(({ securityContext }) => {
    const profile = securityContext?.seccompProfile;
    return profile !== undefined && !isSeccompType(profile.type);
  });
  if (!isPodWrong && containers.length === 0) return undefined;
  const values = distinct([
    ...(isPodWrong ? [podProfile.type] : []),
    ...containers.map(({ securityContext }) => securityContext?.seccompProfile?.type ?? ''),
  ]);
  const who = setters(isPodWrong, namesOf(containers));
  return {
    reason: 'seccompProfile',
    detail: `${who} must not set securityContext.seccompProfile.type to ${quoted(values)}`,
  };
}

const SYSCTLS_1_0 = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
];
const SYSCTLS_1_27 = [...SYSCTLS_1_0, 'net.ipv4.ip_local_reserved_ports'];
const SYSCTLS_1_29 = [
  ...SYSCTLS_1_27,
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
];
const SYSCTLS_1_32 = [...SYSCTLS_1_29, 'net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem'];

function sysctls(allowed: readonly string[]) {
  const known = new Set(allowed);
  return ({ spec }: Subject): Finding | undefined => {
    const names = (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter(name => !known.has(name));
    return names.length > 0 ? { reason: 'forbidden sysctls', detail: names.join(', ') } : undefined;
  };
}

function windowsHostProcess(subject: Subject): Finding | undefined {
  const isSet = (context: PodSecurityContext | SecurityContext | undefined) => !!context?.windowsOptions?.hostProcess;
  const containers = containersOf(subject).filter(({ securityContext }) => isSet(securityContext));
  const who = setters(isSet(subject.spec.securityContext), namesOf(containers));
  if (who === '') return undefined;
  return { reason: 'hostProcess', detail: `${who} must not set securityContext.windowsOptions.hostProcess=true` };
}

/** In the order of their identifiers, which is the order in which findings are told. */
export const BASELINE: readonly Check[] = [
  { id: 'appArmorProfile', versions: [since(0, appArmor)] },
  { id: 'capabilities_baseline', versions: [since(0, capabilities)] },
  { id: 'hostNamespaces', versions: [since(0, hostNamespaces)] },
  { id: 'hostPathVolumes', versions: [since(0, hostPathVolumes)] },
  { id: 'hostPorts', versions: [since(0, hostPorts)] },
  { id: 'privileged', versions: [since(0, privileged)] },
  { id: 'procMount', versions: [since(0, procMount)] },
  {
    id: 'seLinuxOptions',
    versions: [
      since(0, seLinux(new Set(SELINUX_TYPES))),
      since(31, seLinux(new Set([...SELINUX_TYPES, 'container_engine_t']))),
    ],
  },
  { id: 'seccompProfile_baseline', versions: [since(0, seccompAnnotations), since(19, wrongSeccomp)] },
  {
    id: 'sysctls',
    versions: [
      since(0, sysctls(SYSCTLS_1_0)),
      since(27, sysctls(SYSCTLS_1_27)),
      since(29, sysctls(SYSCTLS_1_29)),
      since(32, sysctls(SYSCTLS_1_32)),
    ],
  },
  { id: 'windowsHostProcess', versions: [since(0, windowsHostProcess)] },
];
