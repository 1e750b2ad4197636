/** The bounds of the queues around the core can be set, and hold exactly where they are set. */
import test from 'ava';
import { until } from '../transport/testing/until.ts';
import { DRIVER_LIMITS, type DriverLimits, resolveDriverLimits } from './limits.ts';
import { OverloadedError } from './node.ts';
import { resolveOptions } from './options.ts';
import { GROUP_OPTIONS, Group } from './testing/group.ts';
import { Witness } from './witness.ts';

const withLimits = (driverLimits: Partial<DriverLimits>) => ({ options: { ...GROUP_OPTIONS, driverLimits } });

/** A member without a leader: what it is asked waits. */
async function alone(driverLimits: Partial<DriverLimits>) {
  const group = await Group.start(3, withLimits(driverLimits));
  const member = await group.followerOnce();
  for (const other of group.members) if (other !== member) await other.node.close();
  await until(() => member.node.status().leader === undefined);
  return { group, node: member.node };
}

/** How many were refused as too much; the others wait in vain. */
async function overloaded(calls: readonly Promise<unknown>[]): Promise<number> {
  const outcomes = await Promise.allSettled(calls);
  return outcomes.filter(outcome => outcome.status === 'rejected' && outcome.reason instanceof OverloadedError).length;
}

test('what may wait: so many proposals, so many bytes, so many reads', async t => {
  const times = <Value>(count: number, make: () => Value) => Array.from({ length: count }, make);
  const patience = { timeoutMs: 200 };
  const few = await alone({ waitingMax: 3 });
  t.is(await overloaded(times(3, () => few.node.propose(new Uint8Array(1), patience))), 0);
  t.is(await overloaded(times(5, () => few.node.propose(new Uint8Array(1), patience))), 2);
  t.is(await overloaded(times(5, () => few.node.readBarrier(patience))), 2);
  await few.group.close();
  const small = await alone({ queuedBytesMax: 1_000, forwardBytesMax: 1_000 });
  t.is(await overloaded(times(2, () => small.node.propose(new Uint8Array(500), patience))), 0);
  t.is(await overloaded(times(3, () => small.node.propose(new Uint8Array(500), patience))), 1);
  t.is(await overloaded([small.node.propose(new Uint8Array(5_000), patience)]), 0, 'one alone may be of any size');
  await small.group.close();
});

test('so many members are remembered for what they promised', t => {
  const witness = new Witness({ witnessedMax: 2 });
  for (const from of ['a', 'b', 'c']) {
    witness.note({ type: 'voteRequest', from, to: 'x', term: 7, lastLogIndex: 0, lastLogTerm: 0, transfer: false });
  }
  t.deepEqual(
    ['a', 'b', 'c'].map(id => witness.of(id).term),
    [7, 7, 0],
  );
});

test('what makes no sense is refused by name', t => {
  t.deepEqual(resolveDriverLimits(), DRIVER_LIMITS);
  t.is(resolveOptions({ driverLimits: { waitingMax: 5 } }).driverLimits.waitingMax, 5);
  for (const wrong of [{ waitingMax: 0 }, { waitingMax: -1 }, { waitingMax: Number.NaN }]) {
    t.throws(() => resolveOptions({ driverLimits: wrong }), {
      instanceOf: RangeError,
      message: /limit waitingMax must be/,
    });
  }
  t.throws(() => resolveDriverLimits({ forwardBytesMax: 10, queuedBytesMax: 9 }), {
    message: /forwardBytesMax must not/,
  });
  const misspelt = { waitngMax: 5 } as Partial<DriverLimits>;
  t.throws(() => resolveDriverLimits(misspelt), { message: /there is no limit waitngMax; there are waitingMax/ });
});
