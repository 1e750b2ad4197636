import test from 'ava';
import { CommandOutputError, runCommand } from './command.ts';

test('a program that says more than is read of it is told apart from one that fails', async t => {
  const says = (bytes: number) => runCommand('head', ['-c', String(bytes), '/dev/zero'], { outputBytesMax: 1_000 });
  t.is((await says(1_000)).stdout.length, 1_000);
  await t.throwsAsync(says(1_001), { instanceOf: CommandOutputError });
  t.is((await runCommand('sh', ['-c', 'exit 3'], { outputBytesMax: 1_000 })).code, 3);
});
