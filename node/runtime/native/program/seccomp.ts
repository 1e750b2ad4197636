/**
 * The seccomp filter of a container (`RuntimeDefault`): what Docker's default profile refuses is refused, by number; what a
 * capability is for is allowed with it. Programs of another architecture (32 bits) find no system calls: their numbers
 * mean other things. Pure; the code is the classic BPF of seccomp(2).
 */
import {
  allow,
  answer,
  architectureOffset,
  argumentOffset,
  auditArchitecture,
  encode,
  ifAnyBit,
  ifAtLeast,
  ifEqual,
  load,
  noSuchCall,
  notPermitted,
  numberOffset,
  x32Bit,
} from './bpf.ts';
import type { Architecture } from './numbers.ts';

/** `[x86-64, AArch64]`, without a number where the architecture never had the call. */
type Numbers = readonly [number, number?];

const forAdministrators: readonly Numbers[] = [
  ...([
    [321, 280],
    [300, 262],
    [212, 18],
    [298, 241],
    [155, 41],
    [179, 60],
    [443, 443],
  ] as const), // bpf … quotactl_fd
  ...([
    [165, 40],
    [166, 39],
    [428, 428],
    [429, 429],
    [430, 430],
    [431, 431],
    [432, 432],
    [433, 433],
  ] as const), // mounts
  ...([
    [442, 442],
    [467, 467],
    [308, 268],
    [272, 97],
    [171, 162],
    [170, 161],
    [168, 225],
    [167, 224],
  ] as const),
];
/** By capability; `undefined` is never allowed. */
const refused: readonly (readonly [string | undefined, readonly Numbers[]])[] = [
  ['sys_admin', forAdministrators],
  ['sys_pacct', [[163, 89]]],
  [
    'sys_time',
    [
      [305, 266],
      [227, 112],
      [164, 170],
    ],
  ],
  [
    'sys_module',
    [
      [176, 106],
      [313, 273],
      [175, 105],
    ],
  ],
  ['sys_rawio', [[173], [172]]],
  [
    'sys_ptrace',
    [
      [312, 272],
      [438, 438],
    ],
  ],
  [
    'sys_boot',
    [
      [320, 294],
      [246, 104],
      [169, 142],
    ],
  ],
  [
    'sys_nice',
    [
      [237, 235],
      [238, 237],
      [239, 236],
      [450, 450],
      [256, 238],
      [279, 239],
    ],
  ],
  ['dac_read_search', [[304, 265]]],
  ['sys_tty_config', [[153, 58]]],
  ['syslog', [[103, 116]]],
  ['sys_chroot', [[161, 51]]],
  // Keys, io_uring, userfaultfd, and calls that have been without use for long.
  [
    undefined,
    [
      [248, 217],
      [250, 219],
      [249, 218],
      [425, 425],
      [426, 426],
      [427, 427],
      [323, 282],
    ],
  ],
  [undefined, [[174], [177], [178], [180, 42], [139], [156], [134], [136]]],
];

const cloneNumber = { amd64: 56, arm64: 220 } as const;
const socketNumber = { amd64: 41, arm64: 198 } as const;
const personalityNumber = { amd64: 135, arm64: 92 } as const;
const clone3Number = 435;
const lastKnownNumber = 469;
/** All namespaces but time, which clone(2) cannot make. */
const namespaceFlags = 0x7e020000;
const addressFamilyVsock = 40;
const personalities = [0, 0x8, 0x20000, 0x20008, 0xffffffff];

const firstArgumentOffset = argumentOffset(0);

/** The filter's instructions, as the kernel takes them. */
export function seccompFilter(architecture: Architecture, kept: ReadonlySet<string>): Buffer {
  const column = architecture === 'amd64' ? 0 : 1;
  const denied = refused
    .filter(([capability]) => capability === undefined || !kept.has(capability))
    .flatMap(([, list]) => list.map(numbers => numbers[column]).filter(number => number !== undefined));
  const isAdministrator = kept.has('sys_admin');
  return encode([
    load(architectureOffset),
    ifEqual(auditArchitecture[architecture], 1, 0),
    answer(noSuchCall),
    load(numberOffset),
    ...(architecture === 'amd64' ? [ifAtLeast(x32Bit, 0, 1), answer(noSuchCall)] : []),
    ifAtLeast(lastKnownNumber + 1, 0, 1),
    answer(noSuchCall),
    ...denied.flatMap(number => [ifEqual(number, 0, 1), answer(notPermitted)]),
    // Its flags lie in memory, where no filter can look: libraries then take clone(2).
    ...(isAdministrator ? [] : [ifEqual(clone3Number, 0, 1), answer(noSuchCall)]),
    ...(isAdministrator
      ? []
      : [
          ifEqual(cloneNumber[architecture], 0, 4),
          load(firstArgumentOffset),
          ifAnyBit(namespaceFlags, 0, 1),
          answer(notPermitted),
          answer(allow),
        ]),
    ifEqual(socketNumber[architecture], 0, 4),
    load(firstArgumentOffset),
    ifEqual(addressFamilyVsock, 0, 1),
    answer(notPermitted),
    answer(allow),
    ifEqual(personalityNumber[architecture], 0, personalities.length + 2),
    load(firstArgumentOffset),
    ...personalities.map((value, index) => ifEqual(value, personalities.length - index, 0)),
    answer(notPermitted),
    answer(allow),
  ]);
}
