/** Numbers of system calls, by architecture (Linux' `unistd_64.h` and `asm-generic/unistd.h`). */
export type Architecture = 'amd64' | 'arm64';

/** `[x86-64, AArch64]`. */
const numbers = {
  write: [1, 64],
  close: [3, 57],
  dup3: [292, 24],
  fcntl: [72, 25],
  execve: [59, 221],
  exit_group: [231, 94],
  capset: [126, 91],
  chdir: [80, 49],
  fchmodat: [268, 53],
  fchownat: [260, 54],
  faccessat: [269, 48],
  ioctl: [16, 29],
  setsid: [112, 157],
  ftruncate: [77, 46],
  mkdirat: [258, 34],
  mknodat: [259, 33],
  mount: [165, 40],
  mount_setattr: [442, 442],
  openat: [257, 56],
  pivot_root: [155, 41],
  prctl: [157, 167],
  prlimit64: [302, 261],
  seccomp: [317, 277],
  setgroups: [116, 159],
  setresgid: [119, 149],
  setresuid: [117, 147],
  lsetxattr: [189, 6],
  symlinkat: [266, 36],
  umask: [95, 166],
  umount2: [166, 39],
  unlinkat: [263, 35],
  unshare: [272, 97],
} as const satisfies Readonly<Record<string, readonly [number, number]>>;

export type SystemCall = keyof typeof numbers;

export function numberOf(call: SystemCall, architecture: Architecture): number {
  return numbers[call][architecture === 'amd64' ? 0 : 1];
}
