/** Profiles as filters, run by a small machine for classic BPF and held against what the profile says. */
import test from 'ava';
import fc from 'fast-check';
import { profileFilter, SeccompProfileError } from './seccomp-profile.ts';
import { systemCallNumbers } from './system-calls.ts';

interface Call {
  readonly name: string;
  readonly arguments?: readonly bigint[];
}
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const NUMBERS = systemCallNumbers('amd64');

/** What seccomp(2) shows a filter of a call. */
function seen({ name, arguments: given = [] }: Call, architecture = 0xc000003e): Buffer {
  const data = Buffer.alloc(64);
  data.writeInt32LE(NUMBERS.get(name) ?? -1, 0);
  data.writeUInt32LE(architecture, 4);
  for (const [index, value] of given.entries()) data.writeBigUInt64LE(value, 16 + 8 * index);
  return data;
}

function run(filter: Buffer, data: Buffer): number {
  let accumulator = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const code = filter.readUInt16LE(at);
    const [then, otherwise, value] = [filter[at + 2] ?? 0, filter[at + 3] ?? 0, filter.readUInt32LE(at + 4)];
    const jump = (holds: boolean) => {
      at += 8 * (holds ? then : otherwise);
    };
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else if (code === 0x54) accumulator = (accumulator & value) >>> 0;
    else if (code === 0x05) at += 8 * value;
    else if (code === 0x15) jump(accumulator === value);
    else if (code === 0x25) jump(accumulator > value);
    else if (code === 0x35) jump(accumulator >= value);
    else if (code === 0x06) return value;
    else throw new Error(`instruction ${code.toString(16)}`);
  }
  throw new Error('the filter has no end');
}

const answerTo = (profile: string | object, call: Call, kept: readonly string[] = []) => {
  const text = typeof profile === 'string' ? profile : JSON.stringify(profile);
  return run(profileFilter(text, { architecture: 'amd64', kept: new Set(kept) }), seen(call));
};

test('a call has the answer of its rule, all others that of the profile', t => {
  const profile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    syscalls: [
      { names: ['read', 'write', 'no_such_call'], action: 'SCMP_ACT_ALLOW' },
      { name: 'mkdir', action: 'SCMP_ACT_ERRNO' },
      { names: ['rmdir'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 },
      { names: ['reboot'], action: 'SCMP_ACT_KILL_PROCESS' },
      { names: ['ptrace'], action: 'SCMP_ACT_LOG' },
    ],
  };
  for (const [name, expected] of [
    ['read', ALLOW],
    ['write', ALLOW],
    ['mkdir', ERRNO + 1],
    ['rmdir', ERRNO + 13],
    ['reboot', 0x80000000],
    ['ptrace', 0x7ffc0000],
    ['open', ERRNO + 38],
  ] as const) {
    t.is(answerTo(profile, { name }), expected, name);
  }
});

test('programs of another architecture, and of the second table, find no calls', t => {
  const filter = profileFilter('{"defaultAction":"SCMP_ACT_ALLOW"}', { architecture: 'amd64', kept: new Set() });
  t.is(run(filter, seen({ name: 'read' }, 0x40000003)), ERRNO + 38);
  const x32 = seen({ name: 'read' });
  x32.writeUInt32LE(0x40000000, 0);
  t.is(run(filter, x32), ERRNO + 38);
});

test('rules that go with capabilities and architectures hold only there', t => {
  const profile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls: [
      { names: ['mount'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } },
      { names: ['bpf'], action: 'SCMP_ACT_ALLOW', excludes: { caps: ['CAP_SYS_ADMIN'] } },
      { names: ['arch_prctl'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['amd64', 'x32'] } },
      { names: ['modify_ldt'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['arm64'] } },
    ],
  };
  const asked = (name: string, kept: readonly string[]) => answerTo(profile, { name }, kept) === ALLOW;
  t.deepEqual([asked('mount', []), asked('mount', ['sys_admin'])], [false, true]);
  t.deepEqual([asked('bpf', []), asked('bpf', ['sys_admin'])], [true, false]);
  t.deepEqual([asked('arch_prctl', []), asked('modify_ldt', [])], [true, false]);
});

test('conditions on one argument are alternatives, on several all have to hold', t => {
  const equal = (index: number, value: number) => ({ index, value, op: 'SCMP_CMP_EQ' });
  const profile = (args: object[]) => ({
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls: [{ names: ['personality'], action: 'SCMP_ACT_ALLOW', args }],
  });
  const asked = (args: object[], ...given: bigint[]) =>
    answerTo(profile(args), { name: 'personality', arguments: given }) === ALLOW;
  const either = [equal(0, 0), equal(0, 8)];
  t.deepEqual([asked(either, 0n), asked(either, 8n), asked(either, 9n)], [true, true, false]);
  const both = [equal(0, 1), equal(1, 2)];
  t.deepEqual([asked(both, 1n, 2n), asked(both, 1n, 3n), asked(both, 0n, 2n)], [true, false, false]);
});

const word = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.constantFrom(0n, 1n, 0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0001n, 0xffff_ffff_ffff_ffffn, 0x8000_0000n),
);
const HOLDS: Readonly<Record<string, (argument: bigint, value: bigint, valueTwo: bigint) => boolean>> = {
  SCMP_CMP_NE: (argument, value) => argument !== value,
  SCMP_CMP_LT: (argument, value) => argument < value,
  SCMP_CMP_LE: (argument, value) => argument <= value,
  SCMP_CMP_EQ: (argument, value) => argument === value,
  SCMP_CMP_GE: (argument, value) => argument >= value,
  SCMP_CMP_GT: (argument, value) => argument > value,
  SCMP_CMP_MASKED_EQ: (argument, value, valueTwo) => (argument & value) === valueTwo,
};
const condition = fc.record({ value: word, valueTwo: word, op: fc.constantFrom(...Object.keys(HOLDS)) });

test('conditions hold as they read, on all 64 bits', t => {
  fc.assert(
    fc.property(
      fc.array(fc.array(condition, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
      fc.array(word, { minLength: 3, maxLength: 3 }),
      fc.boolean(),
      (rules, given, isNear) => {
        const near = isNear ? given.map((_, index) => rules[0]?.[index]?.value ?? 0n) : given;
        const entries = rules.map((conditions, number) => {
          const args = conditions.map(
            ({ value, valueTwo, op }, index) =>
              `{"index":${index},"value":${value},"valueTwo":${valueTwo},"op":${JSON.stringify(op)}}`,
          );
          return `{"names":["ioctl"],"action":"SCMP_ACT_ERRNO","errnoRet":${number + 1},"args":[${args.join(',')}]}`;
        });
        const profile = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[${entries.join(',')}]}`;
        const first = rules.findIndex(conditions =>
          conditions.every(({ op, value, valueTwo }, index) => HOLDS[op]?.(near[index] ?? 0n, value, valueTwo)),
        );
        t.is(answerTo(profile, { name: 'ioctl', arguments: near }), first < 0 ? ALLOW : ERRNO + first + 1);
      },
    ),
    { numRuns: 500 },
  );
});

for (const [title, text, message] of [
  ['no JSON', '{', /no JSON/],
  ['no default', '{}', /defaultAction/],
  ['an unknown action', '{"defaultAction":"SCMP_ACT_NOTIFY"}', /defaultAction/],
  [
    'an argument that no call has',
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}',
    /syscalls\[0\]\.args\[0\]\.index/,
  ],
] as const) {
  test(`a profile that cannot be followed says why: ${title}`, t => {
    t.throws(() => answerTo(text, { name: 'read' }), { instanceOf: SeccompProfileError, message });
  });
}

test('the numbers of calls are those of each architecture', t => {
  const arm64 = systemCallNumbers('arm64');
  t.deepEqual([NUMBERS.get('openat'), arm64.get('openat')], [257, 56]);
  t.deepEqual([NUMBERS.get('clone3'), arm64.get('clone3')], [435, 435]);
  t.deepEqual([NUMBERS.get('open'), arm64.get('open')], [2, undefined]);
  t.is(new Set(NUMBERS.values()).size, NUMBERS.size);
  t.is(new Set(arm64.values()).size, arm64.size);
});
