/** What containers print, as it is read. Part of the runtime's contract. */
import type { TestFn } from 'ava';
import { type RuntimeHarness, register } from './testing/fixture.ts';

/** Of every runtime. */
export function logContract(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);
  const printed = { does: 'print', stdout: ['one', 'two', 'three'], stderr: [] } as const;

  add('logs come whole, by their tail, and with times', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, printed);
    t.is(await fixture.output(id), '');
    await fixture.runtime.startContainer(id);
    const { finishedAt } = await fixture.exited(id);
    t.is(await fixture.output(id), 'one\ntwo\nthree\n');
    t.is(await fixture.output(id, { follow: true }), 'one\ntwo\nthree\n', 'following ends with the container');
    t.is(await fixture.output(id, { tailLines: 2 }), 'two\nthree\n');
    t.is(await fixture.output(id, { tailLines: 0 }), '');
    t.is(await fixture.output(id, { sinceMs: finishedAt + 10_000 }), '');
    t.is(await fixture.output(id, { sinceMs: finishedAt - 60_000 }), 'one\ntwo\nthree\n');
    const lines = (await fixture.output(id, { timestamps: true })).trimEnd().split('\n');
    for (const line of lines) t.regex(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (one|two|three)$/);
    t.is(lines.length, 3);
  });

  add('following ends when the reader goes away', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, { does: 'run' });
    await fixture.runtime.startContainer(id);
    const controller = new AbortController();
    const reading = fixture.output(id, { follow: true, signal: controller.signal });
    controller.abort();
    t.is(await reading, '');
  });
}

/** Of runtimes with real programs: lines as they come, and long ones. */
export function programLogContract(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);

  add('following shows lines as they come, until the end', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'for i in 1 2 3; do echo $i; sleep 0.3; done; printf tail');
    t.is(await fixture.output(id, { follow: true }), '1\n2\n3\ntail');
  });

  add('a long line comes through whole', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'head -c 100000 /dev/zero | tr "\\0" x; echo; echo end');
    await fixture.exited(id);
    t.is(await fixture.output(id), `${'x'.repeat(100_000)}\nend\n`);
    const lines = (await fixture.output(id, { timestamps: true })).split('\n');
    t.deepEqual(
      lines.map(line => line.length),
      [100_031, 34, 0],
    );
  });
}
