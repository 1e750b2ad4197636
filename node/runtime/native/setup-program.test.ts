/** Programs of containers under kernels that lack something: played by a filter that answers for the kernel. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import type { ContainerSpec } from '../runtime.ts';
import type { ContainerProcess } from './process.ts';
import { numberOf, type SystemCall } from './program/numbers.ts';
import { Filter, ProgramBuilder } from './program/program.ts';
import { renderExec } from './setup-program.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'raftsman-setup-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const testAsRoot = process.platform === 'linux' && process.getuid?.() === 0 ? test : test.skip;

const { EINVAL, ENOSYS, EPERM } = constants.errno;
const SECCOMP_SET_MODE_FILTER = 1;
const PR_GET_SECCOMP = 21;
const PR_CAPBSET_DROP = 24;

interface Refusal {
  readonly call: SystemCall;
  /** Only with this first argument. */
  readonly option?: number;
  readonly error: number;
}

/** Classic BPF, as seccomp(2) has it: the number of the call is at 0, its first argument at 16. */
function kernelThatRefuses(refusals: readonly Refusal[]): Filter {
  const load = (offset: number) => [0x20, 0, 0, offset];
  const unlessEqual = (value: number, skip: number) => [0x15, 0, skip, value];
  const answer = (value: number) => [0x06, 0, 0, value];
  const instructions = [
    ...refusals.flatMap(({ call, option, error }) => {
      const ofOption = option === undefined ? [] : [load(16), unlessEqual(option, 1)];
      const number = numberOf(call, architecture);
      return [load(0), unlessEqual(number, ofOption.length + 1), ...ofOption, answer(0x00050000 | error)];
    }),
    answer(0x7fff0000),
  ];
  const bytes = Buffer.alloc(instructions.length * 8);
  for (const [index, [code = 0, jumpTrue = 0, jumpFalse = 0, value = 0]] of instructions.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jumpTrue, index * 8 + 2);
    bytes.writeUInt8(jumpFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  }
  return new Filter(bytes);
}

const task: ContainerProcess = {
  command: ['echo', 'runs'],
  env: ['PATH=/usr/bin:/bin'],
  workingDir: '/',
  user: 0,
  group: 0,
  groups: [],
  stopSignal: 'SIGTERM',
};
const spec: ContainerSpec = {
  ...{ name: 'main', attempt: 0, image: 'host', command: undefined, args: undefined, workingDir: undefined },
  ...{ env: [], mounts: [], stdin: false, stdinOnce: false, tty: false, resources: {}, terminationMessage: undefined },
  security: {},
};

function runUnder(refusals: readonly Refusal[], security: ContainerSpec['security'] = {}) {
  const place = mkdtempSync(path.join(directory, 'p-'));
  const files = { kernel: path.join(place, 'kernel'), container: path.join(place, 'container') };
  const input = { architecture, process: task, spec: { ...spec, security } } as const;
  writeFileSync(files.container, renderExec(input, task.command), { mode: 0o755 });
  const kernel = new ProgramBuilder({ architecture, reportDescriptor: 2 })
    .call('seccomp', [SECCOMP_SET_MODE_FILTER, 0, kernelThatRefuses(refusals)], { fail: 'the kernel of the test' })
    .call('execve', [files.container, ['container'], []], { fail: 'the program of the test' });
  writeFileSync(files.kernel, kernel.build(), { mode: 0o755 });
  const { status, stdout, stderr } = spawnSync(files.kernel, { encoding: 'utf8' });
  return { status, stdout, said: stderr.split('\0')[0] };
}

testAsRoot('a container whose seccomp filter is refused does not start', t => {
  for (const error of [EPERM, EINVAL, ENOSYS]) {
    const ended = runUnder([{ call: 'seccomp', error }]);
    t.like(ended, { status: 128, stdout: '', said: 'the seccomp filter of the container cannot be set' });
  }
});

testAsRoot('a kernel without any seccomp runs containers without a filter', t => {
  const none = [
    { call: 'seccomp', error: ENOSYS },
    { call: 'prctl', option: PR_GET_SECCOMP, error: EINVAL },
  ] as const;
  t.like(runUnder(none), { status: 0, stdout: 'runs\n' });
});

testAsRoot('a container that wants no filter needs none', t => {
  const refusals = [{ call: 'seccomp', error: EPERM }] as const;
  t.like(runUnder(refusals, { seccomp: 'Unconfined' }), { status: 0, stdout: 'runs\n' });
  t.like(runUnder(refusals, { privileged: true }), { status: 0, stdout: 'runs\n' });
});

testAsRoot('a container that would keep capabilities it should not have does not start', t => {
  const refusals = [{ call: 'prctl', option: PR_CAPBSET_DROP, error: EPERM }] as const;
  t.like(runUnder(refusals), { status: 128, stdout: '', said: 'rights of the container' });
  t.like(runUnder(refusals, { privileged: true }), { status: 0, stdout: 'runs\n' });
});
