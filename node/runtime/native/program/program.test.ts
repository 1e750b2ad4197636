import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { FutureResult, Label, ProgramBuilder } from './program.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'raftsman-program-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const add = process.platform === 'linux' ? test : test.skip;

function run(builder: ProgramBuilder) {
  const file = mkdtempSync(path.join(directory, 'p-'));
  writeFileSync(path.join(file, 'program'), builder.build(), { mode: 0o755 });
  return spawnSync(path.join(file, 'program'), { encoding: 'buffer' });
}
const builder = () => new ProgramBuilder({ architecture, reportDescriptor: 2 });
const AT_FDCWD = -100;

add('calls run in order, results go where they are wanted, a command takes over', t => {
  const file = path.join(directory, 'written');
  const descriptor = new FutureResult();
  const program = builder()
    .call('openat', [AT_FDCWD, file, 0o101 | 0o2000000, 0o644], { fail: 'open' }, descriptor)
    .call('write', [descriptor, 'hello', 5], { fail: 'write' })
    .call('execve', ['/bin/sh', ['sh', '-c', `cat ${file}; echo "$A"; exit 7`], ['A=b', 'PATH=/usr/bin:/bin']], {
      fail: 'exec',
    });
  const result = run(program);
  t.is(result.stdout.toString(), 'hellob\n');
  t.is(result.status, 7);
});

add('a failure is told with its number, the exit code is the one that was asked for', t => {
  const result = run(builder().call('chdir', ['/no/such/place'], { fail: 'chdir', exitCode: 9 }));
  t.is(result.status, 9);
  t.is(result.stderr.subarray(0, 6).toString(), 'chdir\0');
  t.is(result.stderr.readBigInt64LE(6), -2n);
});

add('a failure may be ignored or lead elsewhere', t => {
  const [other, end] = [new Label(), new Label()];
  const program = builder()
    .call('chdir', ['/no/such/place'], 'ignore')
    .call('chdir', ['/no/such/place'], other)
    .fail('not reached', 1)
    .place(other)
    .call('write', [1, 'other', 5], 'ignore')
    .jump(end)
    .fail('not reached either', 1)
    .place(end)
    .call('exit_group', [3], 'ignore');
  const result = run(program);
  t.is(result.stdout.toString(), 'other');
  t.is(result.status, 3);
});

test('both architectures give an executable that tools recognise', t => {
  for (const one of ['amd64', 'arm64'] as const) {
    const file = path.join(directory, one);
    writeFileSync(file, new ProgramBuilder({ architecture: one, reportDescriptor: 2 }).fail('x', 1).build());
    t.regex(execFileSync('head', ['-c', '4', file]).toString('latin1'), /ELF/);
  }
});
