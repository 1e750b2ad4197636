/** Which kernel parameters a pod may set: those that are its namespaces' own and harm nobody else (k/k: sysctl/safe_sysctls.go). Pure. */
import type { Pod } from '../api.ts';

const SAFE: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

/** Why one of the pod's parameters is refused; undefined if none is. */
export function forbiddenSysctl({ spec }: Pod): string | undefined {
  for (const { name: given } of spec?.securityContext?.sysctls ?? []) {
    const name = normalized(given);
    if (!SAFE.has(name)) return `forbidden sysctl: "${name}" not allowlisted`;
    if (name.startsWith('net.') && spec?.hostNetwork)
      return `forbidden sysctl: "${name}" not allowed with host net enabled`;
    if (name.startsWith('kernel.') && spec?.hostIPC)
      return `forbidden sysctl: "${name}" not allowed with host ipc enabled`;
  }
  return undefined;
}

/** `net/ipv4/x` and `net.ipv4.x` are one: the first separator says which is meant. */
export function normalized(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  return first === '/' ? name.replace(/[./]/g, char => (char === '/' ? '.' : '/')) : name;
}
