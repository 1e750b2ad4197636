/** What a container's process is given and may see, and how it ends. Part of the runtime's contract. */
import type { TestFn } from 'ava';
import { CreateContainerError } from './runtime.ts';
import { eventually, type RuntimeHarness, register } from './testing/fixture.ts';

/** An engine that is late to listen to the kernel has so long to say that memory ran out. */
const outOfMemoryWordMs = 3_000;

/** Of runtimes with real programs. */
export function processContract(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);

  add('environment, arguments, directory, host name, user', async (t, fixture) => {
    const sandbox = await fixture.sandbox({ hostname: 'my-pod' });
    const id = await fixture.container(
      sandbox.id,
      { does: 'run' },
      {
        command: ['sh', '-c', 'echo "$0 $1 $A"; pwd; hostname; id -u; id -g'],
        args: ['x', 'y z'],
        env: [{ name: 'A', value: 'b "c" $d' }],
        workingDir: '/tmp',
        security: { user: 1234, group: 2345 },
      },
    );
    await fixture.runtime.startContainer(id);
    await fixture.exited(id);
    t.is(await fixture.output(id), 'x y z b "c" $d\n/tmp\nmy-pod\n1234\n2345\n');
  });

  add('root is refused where it must not be', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    for (const security of [{ runAsNonRoot: true }, { runAsNonRoot: true, user: 0 }]) {
      await t.throwsAsync(fixture.container(sandbox.id, { does: 'run' }, { security }), {
        instanceOf: CreateContainerError,
        message: /non-?root/i,
      });
    }
    await t.notThrowsAsync(
      fixture.container(sandbox.id, { does: 'run' }, { security: { runAsNonRoot: true, user: 1 } }),
    );
  });

  add('a container ends with its first process, whatever that leaves behind', async (t, fixture) => {
    for (const [attempt, shared] of [{}, { shareProcessNamespace: true }, { hostPid: true }].entries()) {
      const sandbox = await fixture.sandbox({ attempt, ...shared });
      for (const tty of [false, true]) {
        const id = await fixture.shell(sandbox.id, 'sleep 1000 & exit 3', { name: tty ? 'terminal' : 'plain', tty });
        t.like(await fixture.exited(id), { exitCode: 3 }, JSON.stringify({ ...shared, tty }));
      }
      await fixture.runtime.removeSandbox(sandbox.id);
    }
  });

  add(
    'containers that end as soon as they start are told of, though each leaves something behind',
    async (t, fixture) => {
      const sandbox = await fixture.sandbox({ shareProcessNamespace: true });
      const names = Array.from({ length: 8 }, (_, index) => `short-${index}`);
      const ids = await Promise.all(names.map(name => fixture.shell(sandbox.id, 'sleep 1000 & exit 3', { name })));
      for (const id of ids) t.is((await fixture.exited(id)).exitCode, 3);
    },
  );

  add('a graceful stop lets the process end by itself; a deaf one is killed', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const polite = await fixture.shell(
      sandbox.id,
      'trap "echo bye; exit 6" TERM; echo ready; while :; do sleep 0.1; done',
      {
        name: 'polite',
      },
    );
    const deaf = await fixture.shell(sandbox.id, 'trap "" TERM; echo ready; while :; do sleep 0.1; done', {
      name: 'deaf',
    });
    for (const id of [polite, deaf]) {
      await eventually(async () => ((await fixture.output(id)) === 'ready\n' ? true : undefined));
    }
    await fixture.runtime.stopContainer(polite, 20);
    t.is((await fixture.exited(polite)).exitCode, 6);
    t.is(await fixture.output(polite), 'ready\nbye\n');
    await fixture.runtime.stopContainer(deaf, 1);
    t.like(await fixture.exited(deaf), { exitCode: 137, signal: 9 });
  });

  add('too much memory is told as such', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    // An engine that is late to listen to the kernel loses its word with the container's group: it gets a few tries.
    await eventually(async () => {
      const id = await fixture.shell(sandbox.id, 'a=x; while :; do a=$a$a; done', {
        resources: { memoryLimitBytes: 16 * 1024 * 1024 },
      });
      t.is((await fixture.exited(id)).exitCode, 137);
      // The word may come after the exit.
      const isTold = async () => ((await fixture.exited(id)).oomKilled ? true : undefined);
      return eventually(isTold, outOfMemoryWordMs).catch(() => undefined);
    });
  });

  add('the last message is where the agent can read it', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const directory = await fixture.scratch(t);
    const terminationMessage = { containerPath: '/dev/termination-log', hostPath: `${directory}/message` };
    const id = await fixture.shell(sandbox.id, 'echo farewell > /dev/termination-log', {
      terminationMessage,
      security: { user: 1234 },
    });
    t.is((await fixture.exited(id)).exitCode, 0);
    t.is(await fixture.read(terminationMessage.hostPath), 'farewell\n');
  });

  add('containers of a pod share network and System V IPC, and nothing else', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const one = await fixture.shell(sandbox.id, 'echo private > /tmp/file; sleep 1000', { name: 'one' });
    const two = await fixture.shell(sandbox.id, 'sleep 1000', { name: 'two' });
    const see = async (id: string, what: string) => (await fixture.exec(id, `readlink /proc/self/ns/${what}`)).stdout;
    for (const what of ['net', 'ipc']) t.is(await see(one, what), await see(two, what), what);
    for (const what of ['mnt', 'pid']) t.not(await see(one, what), await see(two, what), what);
    t.not((await fixture.exec(two, 'cat /tmp/file')).code, 0);
    t.is((await fixture.exec(two, 'cat /proc/[0-9]*/cmdline | grep -c privat[e]')).stdout.trim(), '0');
  });

  add('a read-only root can not be written, a mount in it can', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const directory = await fixture.scratch(t);
    const id = await fixture.shell(sandbox.id, 'sleep 1000', {
      security: { readOnlyRootFilesystem: true },
      mounts: [
        { hostPath: `${directory}/rw`, containerPath: '/data', readOnly: false, propagation: 'private' },
        { hostPath: `${directory}/ro`, containerPath: '/fixed', readOnly: true, propagation: 'private' },
      ],
    });
    t.not((await fixture.exec(id, 'echo x > /file')).code, 0);
    t.is((await fixture.exec(id, 'echo x > /data/file')).code, 0);
    t.is((await fixture.exec(id, 'cat /fixed/file')).stdout, 'fixed\n');
    t.not((await fixture.exec(id, 'echo x > /fixed/file')).code, 0);
    t.is(await fixture.read(`${directory}/rw/file`), 'x\n');
  });
}
