/** Commands in running containers, and who attaches to one: input, output, terminals, ends. Part of the runtime's contract. */
import type { TestFn } from 'ava';
import { eventually, finish, type RuntimeHarness, register } from './testing/fixture.ts';

/** Of runtimes with real programs. */
export function sessionContract(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);

  add('stdout and stderr are told apart, and the exit code comes through', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000');
    t.deepEqual(await fixture.exec(id, 'echo out; echo err >&2; exit 7'), {
      code: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  add('exec: input to its end, much of it both ways', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000');
    const input = Buffer.alloc(3_000_000, 'abc\n');
    t.is((await fixture.exec(id, 'wc -c', input)).stdout.trim(), '3000000');
    t.is((await fixture.exec(id, 'cat', input)).stdout, input.toString());
    t.is((await fixture.exec(id, 'head -c 5000000 /dev/zero | tr "\\0" x')).stdout.length, 5_000_000);
    t.is((await fixture.exec(id, 'cat; echo end')).stdout, 'end\n', 'no input is an empty one');
  });

  add('exec with a terminal: one stream, sizes, exit code', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000');
    const command = ['sh', '-c', 'test -t 0 && test -t 1 && echo terminal; read line; stty size; exit 5'];
    const session = await fixture.runtime.exec(id, { command, tty: true, stdin: true });
    t.is(session.stderr, undefined);
    let seen = '';
    session.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
    });
    await eventually(async () => (seen.includes('terminal') ? true : undefined));
    await session.resize({ columns: 99, rows: 33 });
    session.stdin?.write('\n');
    t.is(await session.exitCode, 5);
    t.regex(seen, /33 99/);
  });

  add('a killed exec leaves no process', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000');
    const session = await fixture.runtime.exec(id, { command: ['sleep', '4321'], tty: false, stdin: false });
    // The brackets keep the search from finding itself.
    const search = "grep -l '432[1]' /proc/[0-9]*/cmdline";
    const isRunning = async () => (await fixture.exec(id, search)).stdout !== '';
    await eventually(async () => ((await isRunning()) ? true : undefined));
    await session.kill();
    await eventually(async () => ((await isRunning()) ? undefined : true));
    t.pass();
  });

  add('a command that is not there ends with a code and says so', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000');
    const session = await fixture.runtime.exec(id, { command: ['no-such-program'], tty: false, stdin: false });
    const { code, stdout, stderr } = await finish(session);
    t.true(code === 126 || code === 127);
    t.regex(stdout + stderr, /no-such-program/);
  });

  add('attach reaches the container itself', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(
      sandbox.id,
      { does: 'run' },
      {
        command: ['sh', '-c', 'read line; echo "got $line"; exit 4'],
        stdin: true,
        stdinOnce: true,
      },
    );
    await fixture.runtime.startContainer(id);
    const session = await fixture.runtime.attach(id, { tty: false, stdin: true });
    session.stdin?.end('hello\n');
    t.deepEqual(await finish(session), { code: 4, stdout: 'got hello\n', stderr: '' });
    t.is(await fixture.output(id), 'got hello\n');
    t.is((await fixture.exited(id)).exitCode, 4);
  });

  add('the command of a container with a terminal is its first process, and has the terminal', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const script =
      'echo "$$ $(cut -d" " -f6 /proc/$$/stat)"; : > /dev/tty && echo has; trap "exit 7" INT; echo ready; while :; do sleep 0.1; done';
    const id = await fixture.shell(sandbox.id, script, { tty: true, stdin: true });
    await eventually(async () => ((await fixture.output(id)).includes('ready') ? true : undefined));
    // Not every runtime keeps a terminal's carriage returns.
    t.is((await fixture.output(id)).replaceAll('\r', ''), '1 1\nhas\nready\n');
    const session = await fixture.runtime.attach(id, { tty: true, stdin: true });
    session.stdin?.write('\u0003');
    t.is(await session.exitCode, 7, 'what is typed reaches it as a signal');
  });
}
