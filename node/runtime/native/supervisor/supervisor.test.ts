import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../clock.ts';
import { Layout } from '../layout.ts';
import { supervisorIdleMs } from '../limits.ts';
import { SupervisorClient } from '../supervisor-client.ts';
import { Supervisor } from './supervisor.ts';

const noSharing = { hostPid: false, hostIpc: false, shareProcessNamespace: false };
const task = { command: ['x'], env: [], workingDir: '/', user: 0, group: 0, groups: [], stopSignal: 'SIGTERM' };
const spec = {
  ...{ name: 'main', attempt: 0, image: 'host', command: undefined, args: undefined, workingDir: undefined },
  ...{ env: [], mounts: [], stdin: false, stdinOnce: false, tty: false, terminationMessage: undefined },
  ...{ resources: {}, security: {} },
};

/** Time stands still until a test lets a wait end. */
class StandingClock {
  readonly waits = new Map<() => void, number>();

  now(): number {
    return 0;
  }
  nanoseconds(): bigint {
    return 0n;
  }
  kill(): void {}
  setTimeout(callback: () => void, delayMs: number): () => void {
    this.waits.set(callback, delayMs);
    return () => this.waits.delete(callback);
  }
  isIdling(): boolean {
    return [...this.waits.values()].includes(supervisorIdleMs);
  }
  passIdleTime(): void {
    for (const [callback, delayMs] of [...this.waits]) if (delayMs === supervisorIdleMs) callback();
  }
}

async function place(t: ExecutionContext) {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-supervisor-'));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const layout = new Layout(dataDir);
  await layout.prepare();
  const socketPath = layout.supervisorSocket;
  return { layout, socketPath, client: new SupervisorClient({ dataDir, socketPath, clock: systemClock }) };
}

test('a supervisor that nobody needs leaves by itself', async t => {
  const { layout, client } = await place(t);
  const clock = new StandingClock();
  const { left } = await Supervisor.run(layout, clock, 'first');
  t.is(await client.current(), 'first');
  clock.passIdleTime();
  await left;
  t.is(await client.current(), undefined);
});

test('a supervisor stays for as long as an agent listens', async t => {
  const { layout, client } = await place(t);
  const clock = new StandingClock();
  const { left } = await Supervisor.run(layout, clock, 'first');
  const { socket } = await client.open({ ask: 'news' });
  t.false(clock.isIdling());
  clock.passIdleTime();
  t.is(await client.current(), 'first');
  socket.destroy();
  while (!clock.isIdling()) await client.current();
  clock.passIdleTime();
  await left;
});

test('a second supervisor does not take the place of the first', async t => {
  const { layout, client } = await place(t);
  const { left } = await Supervisor.run(layout, new StandingClock(), 'first');
  await t.throwsAsync(Supervisor.run(layout, new StandingClock(), 'second'), { message: /has a supervisor/ });
  t.is(await client.current(), 'first');
  await client.ask({ ask: 'leave' });
  await left;
});

test('a container that has ended is not started again', async t => {
  const { layout, client } = await place(t);
  const clock = new StandingClock();
  const { left } = await Supervisor.run(layout, clock, 'first');
  const id = 'a'.repeat(64);
  const holder = { pid: 2, startTicks: '0' };
  const pod = { uid: 'u', namespace: 'default', name: 'p' };
  const shared = { id, createdAt: 0 };
  await layout.writeSandbox({ ...shared, pod, attempt: 0, ...noSharing, holder });
  await layout.writeContainer({
    ...shared,
    sandboxId: id,
    podUid: 'u',
    spec,
    imageId: 'host',
    imageName: 'host',
    process: task,
  });
  await layout.writeExit(id, { startedAt: 0, finishedAt: 0, exitCode: 0, oomKilled: false });
  // There is no program that it could run: it would be refused.
  t.is(await client.ask({ ask: 'start', id }), 'first');
  await client.ask({ ask: 'leave' });
  await left;
});
