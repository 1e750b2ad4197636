import test from 'ava';
import { systemClock } from '../clock.ts';
import type { Command } from '../mvcc/command.ts';
import { Mvcc } from '../mvcc/mvcc.ts';
import type { LeaseListener } from '../replica.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { LeaseKeeper } from './lease-keeper.ts';

function make() {
  const clock = new ManualClock();
  const state = new Mvcc();
  const listeners = new Set<LeaseListener>();
  const proposed: Command[] = [];
  const apply = (command: Command) => {
    for (const change of state.apply(command, { term: 7 }).writes) {
      if (change.type !== 'lease' && change.type !== 'leaseGone') continue;
      for (const listener of listeners) listener(change);
    }
  };
  const keeper = new LeaseKeeper({
    clock,
    leases: () => state.leases,
    onLease(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async propose(command) {
      proposed.push(command);
      apply(command);
    },
  });
  const ids = () => state.leases.map(lease => lease.id);
  /** Lets time pass in steps, as it does for a process that is awake; proposals end between them. */
  const pass = async (ms: number) => {
    for (let at = 0; at < ms; at += 250) {
      clock.advance(250);
      await Promise.resolve();
      await Promise.resolve();
    }
  };
  return { clock, keeper, apply, proposed, ids, pass, listeners };
}

test('ends each lease when its time is over, counted from its last renewal', async t => {
  const { keeper, apply, ids, pass, proposed } = make();
  keeper.start(7);
  apply({ type: 'leaseGrant', ttlSeconds: 2 });
  apply({ type: 'leaseGrant', ttlSeconds: 2 });
  await pass(1_500);
  t.deepEqual(ids(), [1, 2]);
  apply({ type: 'leaseKeepAlive', id: 1 });
  await pass(750);
  t.deepEqual(ids(), [1]);
  t.deepEqual(proposed, [{ type: 'leaseExpire', fenceTerm: 7, leases: [{ id: 2, renewals: 0 }] }]);
  await pass(1_500);
  t.deepEqual(ids(), []);
  keeper.stop();
});

test('a new leader gives leases their whole life again; one that lays down its duty ends none', async t => {
  const { keeper, apply, ids, pass, listeners } = make();
  apply({ type: 'leaseGrant', ttlSeconds: 2 });
  keeper.start(7);
  await pass(1_500);
  keeper.start(7);
  await pass(1_500);
  t.deepEqual(ids(), [1]);
  keeper.stop();
  await pass(5_000);
  t.deepEqual(ids(), [1]);
  t.is(listeners.size, 0);
});

test('a wall clock that jumps ends no lease and spares none (etcd #12291, #7565)', t => {
  const wallClock = Date.now;
  const before = systemClock.now();
  try {
    // An administrator sets the date a year ahead.
    Date.now = () => wallClock() + 365 * 24 * 3_600_000;
    t.true(systemClock.now() - before < 60_000);
    Date.now = () => 0;
    t.true(systemClock.now() >= before);
  } finally {
    Date.now = wallClock;
  }
});

test('time that the leader slept does not count', async t => {
  const { clock, keeper, apply, ids, pass } = make();
  keeper.start(7);
  apply({ type: 'leaseGrant', ttlSeconds: 2 });
  await pass(1_000);
  clock.sleep(60_000);
  await pass(500);
  t.deepEqual(ids(), [1]);
  await pass(1_000);
  t.deepEqual(ids(), []);
  keeper.stop();
});
