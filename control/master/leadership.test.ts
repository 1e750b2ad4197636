import test from 'ava';
import { LeaderRunner } from './leadership.ts';

const settle = () => new Promise<void>(resolve => setImmediate(resolve));

test('work runs only while this master leads, one term after the other', async t => {
  const log: string[] = [];
  const runner = new LeaderRunner(
    async ({ term, signal }) => {
      log.push(`start ${term}`);
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()));
      await settle();
      log.push(`stop ${term}`);
    },
    error => t.fail(String(error)),
  );
  runner.update({ isLeader: false, term: 1 });
  runner.update({ isLeader: true, term: 2 });
  await settle();
  runner.update({ isLeader: true, term: 2 });
  runner.update({ isLeader: true, term: 4 });
  await settle();
  await settle();
  t.deepEqual(log, ['start 2', 'stop 2', 'start 4']);
  await runner.close();
  runner.update({ isLeader: true, term: 5 });
  await settle();
  t.deepEqual(log, ['start 2', 'stop 2', 'start 4', 'stop 4']);
});

test('a leadership that ends before its work began starts nothing', async t => {
  const started: number[] = [];
  const runner = new LeaderRunner(
    async ({ term, signal }) => {
      started.push(term);
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()));
    },
    () => {},
  );
  runner.update({ isLeader: true, term: 1 });
  runner.update({ isLeader: false, term: 2 });
  runner.update({ isLeader: true, term: 3 });
  await settle();
  t.deepEqual(started, [3]);
  await runner.close();
});
