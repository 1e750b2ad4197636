/** Sandboxes and containers from their making to their end, and what is told of them. Part of the runtime's contract. */
import type { TestFn } from 'ava';
import { ContainerNotFoundError, CreateContainerError, type SandboxStatus, StartContainerError } from './runtime.ts';
import { eventually, Fixture, type RuntimeHarness, register } from './testing/fixture.ts';

/** Of every runtime. */
export function lifecycleContract(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);

  add('a container is created, runs, exits and is removed', async (t, fixture) => {
    const { runtime } = fixture;
    const sandbox = await fixture.sandbox();
    t.true(sandbox.ready);
    t.true((sandbox.pid ?? 0) > 1);
    t.deepEqual(sandbox.pod, { uid: `${fixture.nodeName}-uid`, namespace: 'default', name: 'pod' });
    const id = await fixture.container(sandbox.id, { does: 'exit', code: 3 }, { attempt: 4 });
    t.is((await fixture.status(id))?.state, 'created');
    await runtime.startContainer(id);
    const status = await fixture.exited(id);
    t.like(status, { exitCode: 3, name: 'main', attempt: 4, oomKilled: false });
    t.is(status.image, harness.container({ does: 'exit', code: 3 }).image);
    t.true(status.imageId.length > 0);
    t.true(status.createdAt <= status.startedAt + 1000 && status.startedAt <= status.finishedAt);
    t.true(Math.abs(Date.now() - status.finishedAt) < 60_000);
    await runtime.removeContainer(id);
    await runtime.removeContainer(id);
    t.is(await fixture.status(id), undefined);
    await runtime.removeSandbox(sandbox.id);
    await runtime.removeSandbox(sandbox.id);
    t.deepEqual(await runtime.list(), []);
  });

  add('containers of a sandbox may share their processes', async (t, fixture) => {
    const sandbox = await fixture.sandbox({ shareProcessNamespace: true });
    t.true(sandbox.ready);
    t.true((sandbox.pid ?? 0) > 0);
  });

  add('several containers share a sandbox; removing it ends all', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const ids = [];
    for (const name of ['one', 'two']) ids.push(await fixture.container(sandbox.id, { does: 'run' }, { name }));
    for (const id of ids) await fixture.runtime.startContainer(id);
    const [listed] = await fixture.runtime.list();
    t.deepEqual(listed?.containers.map(one => [one.name, one.state]).sort(), [
      ['one', 'running'],
      ['two', 'running'],
    ]);
    await fixture.runtime.removeSandbox(sandbox.id);
    t.deepEqual(await fixture.runtime.list(), []);
  });

  add('a restarted agent finds all again, undisturbed', async (t, fixture) => {
    const sandbox = await fixture.sandbox({ attempt: 2 });
    const running = await fixture.container(sandbox.id, { does: 'run' }, { name: 'running' });
    const ended = await fixture.container(sandbox.id, { does: 'exit', code: 9 }, { name: 'ended' });
    for (const id of [running, ended]) await fixture.runtime.startContainer(id);
    await fixture.exited(ended);
    const before = await fixture.runtime.list();
    await fixture.restart();
    t.deepEqual(await fixture.runtime.list(), before);
    t.is(before[0]?.attempt, 2);
    t.is((await fixture.status(running))?.state, 'running');
  });

  add('one pod is told of as among all', async (t, fixture) => {
    const [mine, others] = [
      await fixture.sandbox(),
      await fixture.sandbox({ pod: { uid: `${fixture.nodeName}-other`, namespace: 'default', name: 'other' } }),
    ];
    const running = await fixture.container(mine.id, { does: 'run' });
    await fixture.runtime.startContainer(running);
    await fixture.container(others.id, { does: 'run' });
    const { runtime } = fixture;
    if (runtime.listPod) {
      const isMine = ({ pod }: SandboxStatus) => pod.uid === mine.pod.uid;
      t.deepEqual(await runtime.listPod(mine.pod.uid), (await runtime.list()).filter(isMine));
      t.deepEqual(await runtime.listPod('nobody'), []);
      await runtime.removeSandbox(mine.id);
      t.deepEqual(await runtime.listPod(mine.pod.uid), []);
    }
    t.true((await runtime.list()).some(({ id }) => id === others.id));
  });

  add('nodes do not see each other', async (t, fixture) => {
    const other = await Fixture.make(harness);
    t.teardown(() => other.remove());
    const sandbox = await fixture.sandbox();
    t.deepEqual(await other.runtime.list(), []);
    await t.throwsAsync(other.container(sandbox.id, { does: 'run' }), { instanceOf: CreateContainerError });
  });

  add('stopping ends a container; once more does nothing', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, { does: 'run' });
    await fixture.runtime.startContainer(id);
    await fixture.runtime.startContainer(id);
    await fixture.runtime.stopContainer(id, 0);
    t.is((await fixture.status(id))?.state, 'exited');
    await fixture.runtime.stopContainer(id, 0);
    await fixture.runtime.stopContainer('0'.repeat(64), 0);
  });

  add('a call repeated after a broken one makes nothing twice', async (t, fixture) => {
    const first = await fixture.sandbox();
    t.is((await fixture.sandbox()).id, first.id);
    await fixture.container(first.id, { does: 'run' });
    const again = await fixture.container(first.id, { does: 'run' });
    await fixture.runtime.startContainer(again);
    t.is(await fixture.container(first.id, { does: 'run' }), again);
    const [sandbox] = await fixture.runtime.list();
    t.is(sandbox?.containers.length, 1);
  });

  add('a start that fails says why and stays failed', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, { does: 'fail to start' });
    await t.throwsAsync(fixture.runtime.startContainer(id), { instanceOf: StartContainerError, message: /./ });
    const status = await fixture.exited(id);
    t.not(status.exitCode, 0);
    t.regex(status.message ?? '', /./);
  });

  add('what is not there is refused by name', async (t, fixture) => {
    const id = 'f'.repeat(64);
    await t.throwsAsync(fixture.container(id, { does: 'run' }), { instanceOf: CreateContainerError });
    await t.throwsAsync(fixture.runtime.startContainer(id), { instanceOf: ContainerNotFoundError });
    await t.throwsAsync(fixture.output(id), { instanceOf: ContainerNotFoundError });
    const request = { command: ['true'], tty: false, stdin: false };
    await t.throwsAsync(fixture.runtime.exec(id, request), { instanceOf: ContainerNotFoundError });
    await t.throwsAsync(fixture.runtime.attach(id, request), { instanceOf: ContainerNotFoundError });
    const sandbox = await fixture.sandbox();
    await t.throwsAsync(fixture.container(sandbox.id, { does: 'run' }, { image: 'raftsman-test/none:1' }), {
      instanceOf: CreateContainerError,
    });
  });

  add('events tell of what happens to a pod', async (t, fixture) => {
    const controller = new AbortController();
    const events = fixture.runtime.events(controller.signal);
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, { does: 'exit', code: 0 });
    await fixture.runtime.startContainer(id);
    let isTold = false;
    for await (const { podUid } of events) {
      // Without a pod it says that anything may have changed: so a runtime begins that has just got its connection.
      if (podUid !== undefined && podUid !== sandbox.pod.uid) continue;
      isTold = true;
      // The last of them comes with the exit; whoever looks then sees it.
      if ((await fixture.status(id))?.state === 'exited') controller.abort();
    }
    t.true(isTold);
  });

  add('usage names the running containers', async (t, fixture) => {
    const sandbox = await fixture.sandbox();
    const id = await fixture.container(sandbox.id, { does: 'run' });
    await fixture.runtime.startContainer(id);
    const usage = await eventually(async () => (await fixture.runtime.usage()).find(one => one.id === id));
    t.true(Number.isSafeInteger(usage.cpuNanoseconds) && usage.cpuNanoseconds >= 0);
    t.true(Number.isSafeInteger(usage.memoryBytes) && usage.memoryBytes >= 0);
    t.true((usage.memory?.usageBytes ?? -1) >= usage.memoryBytes, JSON.stringify(usage));
    for (const figure of Object.values({ ...usage.memory, processes: usage.processes ?? 1 }))
      t.true(Number.isSafeInteger(figure) && figure >= 0, JSON.stringify(usage));
    const storage = await eventually(async () => {
      const [first, ...more] = await fixture.runtime.storage([id, 'f'.repeat(64)]);
      return more.length === 0 ? first : undefined;
    });
    t.is(storage.id, id);
    t.true(Number.isSafeInteger(storage.logBytes) && storage.logBytes >= 0);
    t.true(Number.isSafeInteger(storage.writableBytes) && storage.writableBytes >= 0);
  });
}
