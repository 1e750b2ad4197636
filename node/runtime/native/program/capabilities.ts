/** Capabilities by name (`linux/capability.h`), and which a container keeps. Pure. */

const names: readonly string[] = [
  ...['chown', 'dac_override', 'dac_read_search', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap'],
  ...['linux_immutable', 'net_bind_service', 'net_broadcast', 'net_admin', 'net_raw', 'ipc_lock', 'ipc_owner'],
  ...['sys_module', 'sys_rawio', 'sys_chroot', 'sys_ptrace', 'sys_pacct', 'sys_admin', 'sys_boot', 'sys_nice'],
  ...['sys_resource', 'sys_time', 'sys_tty_config', 'mknod', 'lease', 'audit_write', 'audit_control', 'setfcap'],
  ...['mac_override', 'mac_admin', 'syslog', 'wake_alarm', 'block_suspend', 'audit_read', 'perfmon', 'bpf'],
  'checkpoint_restore',
];
export const capabilityCount = names.length;
/** What Docker gives a container that asks for nothing. */
const defaults: readonly string[] = [
  ...['chown', 'dac_override', 'fsetid', 'fowner', 'mknod', 'net_raw', 'setgid', 'setuid', 'setfcap', 'setpcap'],
  ...['net_bind_service', 'sys_chroot', 'kill', 'audit_write'],
];

export interface CapabilityChange {
  readonly addCapabilities?: readonly string[];
  readonly dropCapabilities?: readonly string[];
  readonly privileged?: boolean;
}

/** Names that no kernel knows. */
export function unknownCapabilities({ addCapabilities = [], dropCapabilities = [] }: CapabilityChange): string[] {
  return [...addCapabilities, ...dropCapabilities].filter(
    name => plain(name) !== 'all' && !names.includes(plain(name)),
  );
}

/** `add` wins over `drop` by name; `ALL` stands for all of them (kubelet and Docker agree on that). */
export function keptCapabilities(change: CapabilityChange): ReadonlySet<string> {
  if (change.privileged === true) return new Set(names);
  const add = (change.addCapabilities ?? []).map(plain);
  const drop = (change.dropCapabilities ?? []).map(plain);
  if (add.includes('all')) return new Set(names.filter(name => !drop.includes(name)));
  const base = drop.includes('all') ? [] : defaults.filter(name => !drop.includes(name));
  return new Set([...base, ...add]);
}

export function capabilityNumber(name: string): number {
  return names.indexOf(name);
}

/** As a bit mask. */
export function capabilityMask(kept: ReadonlySet<string>): bigint {
  return names.reduce((mask, name, index) => (kept.has(name) ? mask | (1n << BigInt(index)) : mask), 0n);
}

function plain(name: string): string {
  return name.toLowerCase().replace(/^cap_/, '');
}
