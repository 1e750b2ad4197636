import test from 'ava';
import fc from 'fast-check';
import { MemoryBackend, MemoryStateDisk } from '../backend/memory.ts';
import type { Alarm } from '../client/client.ts';
import { systemClock } from '../clock.ts';
import { encodeCommand } from '../codec/command.ts';
import { silentLogger } from '../logger.ts';
import { PeerMethods } from '../member/peer-methods.ts';
import type { Command } from '../mvcc/command.ts';
import { Replica } from '../replica.ts';
import { HashCheck, judgeHashes } from './hash-check.ts';

const put = (key: string, value: string): Command => ({
  type: 'transaction',
  transaction: { then: [{ type: 'put', key, value: Buffer.from(value) }] },
});

interface Member {
  readonly id: string;
  readonly replica: Replica;
  readonly check: HashCheck;
  readonly disk: MemoryStateDisk;
  readonly fatal: Error[];
  isAway: boolean;
}

/** Members whose logs agree (`apply` goes to all of them), without a network: requests are calls. */
class Cluster {
  readonly members: Member[] = [];
  readonly transfers: string[] = [];
  #index = 0;

  constructor(size: number, roles: readonly string[] = []) {
    const ids = Array.from({ length: size }, (_, number) => `${number}`.repeat(16));
    const methods = new Map<string, PeerMethods>();
    const membership = { members: ids.map((id, number) => ({ id, role: roles[number] ?? 'voter' })) };
    for (const id of ids) {
      const fatal: Error[] = [];
      const disk = new MemoryStateDisk();
      const onFatal = (error: Error) => fatal.push(error);
      const replica = new Replica({ backend: new MemoryBackend(disk), clock: systemClock, onFatal, memberId: id });
      const check = new HashCheck({
        replica,
        clock: systemClock,
        logger: silentLogger,
        checkMs: 10,
        execute: async command => this.apply(command),
        peers: {
          status: () => ({ id, membership }),
          request: async (to, method, body) => {
            const peer = this.members.find(member => member.id === to);
            if (peer === undefined || peer.isAway) throw new Error('away');
            return methods.get(to)!.answer(id, method, body);
          },
          transferLeadership: async to => {
            this.transfers.push(to ?? '');
          },
        },
      });
      const own = new PeerMethods();
      check.register(own);
      methods.set(id, own);
      this.members.push({ id, replica, check, disk, fatal, isAway: false });
    }
  }

  apply(command: Command): void {
    const index = ++this.#index;
    for (const { replica, fatal } of this.members) {
      if (fatal.length === 0) replica.apply([{ index, term: 1, data: encodeCommand(command) }], index);
    }
  }

  /** One member applies something else than the others, as a bug or a flipped bit in memory would have it. */
  diverge(numbers: readonly number[]): void {
    const index = ++this.#index;
    for (const [number, { replica }] of this.members.entries()) {
      const data = encodeCommand(put('/k', numbers.includes(number) ? `other ${number}` : 'same'));
      replica.apply([{ index, term: 1, data }], index);
    }
  }

  get alarms(): readonly Alarm[] {
    return this.members[0]!.replica.state.alarms;
  }
}

const corrupt = (memberId: string): Alarm => ({ type: 'CORRUPT', memberId, cause: 'divergence' });

test('members that hold the same agree, and go on agreeing', async t => {
  const cluster = new Cluster(3);
  cluster.apply(put('/a', '1'));
  t.deepEqual(await cluster.members[0]!.check.round(), { type: 'agreed' });
  t.deepEqual(cluster.members[0]!.check.counts, { agreed: 2, differed: 0, failed: 0, undecided: 0 });
  t.deepEqual(cluster.alarms, []);
});

test('the odd one out is named, answers nobody from then on, and is sent away to be rebuilt', async t => {
  const cluster = new Cluster(3);
  const [leader, right, odd] = cluster.members as [Member, Member, Member];
  cluster.apply(put('/a', '1'));
  const watch = odd.replica.watches.watch({ key: '/z', signal: new AbortController().signal });
  const next = watch.next();
  cluster.diverge([2]);
  // What comes later does not hide it.
  cluster.apply(put('/k', 'now the same value'));
  await leader.check.round();
  t.deepEqual(cluster.alarms, [corrupt(odd.id)]);
  await t.throwsAsync(next, { code: 'STORE_WATCH_LOST' });
  t.truthy(odd.replica.servingProblem);
  t.is(right.replica.servingProblem, undefined);
  t.is(leader.replica.servingProblem, undefined);
  t.like(odd.fatal, [{ code: 'STORE_STATE_DIVERGED' }]);
  t.like(leader.check.counts, { agreed: 1, differed: 1 });
  await t.throwsAsync(new MemoryBackend(odd.disk).open(), { code: 'STORE_STATE_CORRUPT' }, 'it is not opened again');
});

test('a leader that is the odd one out names itself, hands over to one that is right, and goes', async t => {
  const cluster = new Cluster(3);
  cluster.diverge([0]);
  await cluster.members[0]!.check.round();
  t.deepEqual(cluster.members[1]!.replica.state.alarms, [corrupt(cluster.members[0]!.id)]);
  t.deepEqual(cluster.transfers, [cluster.members[1]!.id]);
  t.like(cluster.members[0]!.fatal, [{ code: 'STORE_STATE_DIVERGED' }]);
  t.deepEqual(cluster.members[1]!.fatal, []);
});

test('without a majority nobody answers, until somebody can tell who is right', async t => {
  const cluster = new Cluster(3);
  cluster.members[2]!.isAway = true;
  cluster.diverge([1]);
  t.deepEqual(await cluster.members[0]!.check.round(), { type: 'undecided' });
  t.deepEqual(cluster.alarms, [corrupt('')]);
  for (const { replica, fatal } of cluster.members) {
    t.truthy(replica.servingProblem);
    t.deepEqual(fatal, []);
  }
  cluster.members[2]!.isAway = false;
  await cluster.members[0]!.check.round();
  t.deepEqual(cluster.alarms, [corrupt(cluster.members[1]!.id)]);
  t.is(cluster.members[0]!.replica.servingProblem, undefined);
  t.is(cluster.members[1]!.fatal.length, 1);
});

test('who cannot be asked has not passed', async t => {
  const cluster = new Cluster(3);
  cluster.members[1]!.isAway = true;
  t.deepEqual(await cluster.members[0]!.check.round(), { type: 'agreed' });
  t.deepEqual(cluster.members[0]!.check.counts, { agreed: 1, differed: 0, failed: 1, undecided: 0 });
});

test('a member that was rebuilt is believed again once it is found to hold the same', async t => {
  const cluster = new Cluster(3);
  cluster.apply({ type: 'alarm', action: 'raise', alarm: corrupt(cluster.members[1]!.id) });
  t.truthy(cluster.members[1]!.replica.servingProblem);
  cluster.members[1]!.isAway = true;
  await cluster.members[0]!.check.round();
  t.deepEqual(cluster.alarms.length, 1, 'not before it was compared');
  cluster.members[1]!.isAway = false;
  await cluster.members[0]!.check.round();
  t.deepEqual(cluster.alarms, []);
  t.is(cluster.members[1]!.replica.servingProblem, undefined);
});

test('a verdict that the cluster has not committed is not believed', async t => {
  const cluster = new Cluster(3);
  const methods = new PeerMethods();
  cluster.members[1]!.check.register(methods);
  await t.throwsAsync(methods.answer('0', 'store.diverged', new Uint8Array()), { code: 'STORE_UNAVAILABLE' });
  t.deepEqual(cluster.members[1]!.fatal, []);
});

test('a learner is compared, but has no say', t => {
  t.deepEqual(judgeHashes(new Map(Object.entries({ a: 1, b: 2, l: 2 })), ['a', 'b']), { type: 'undecided' });
  t.deepEqual(judgeHashes(new Map(Object.entries({ a: 1, b: 1, l: 2 })), ['a', 'b']), {
    type: 'differs',
    right: ['a', 'b'],
    odd: ['l'],
  });
});

test('never is anybody called odd who agrees with a majority of the voters', t => {
  const size = fc.integer({ min: 1, max: 5 });
  fc.assert(
    fc.property(
      size,
      fc.array(fc.option(fc.integer({ min: 1, max: 3 })), { minLength: 5, maxLength: 5 }),
      (count, all) => {
        const voters = ['a', 'b', 'c', 'd', 'e'].slice(0, count);
        const hashes = new Map<string, number>();
        for (const [at, id] of voters.entries()) if (all[at] != null) hashes.set(id, all[at]);
        const verdict = judgeHashes(hashes, voters);
        const sizes = new Map<number, number>();
        for (const hash of hashes.values()) sizes.set(hash, (sizes.get(hash) ?? 0) + 1);
        if (sizes.size <= 1) {
          t.is(verdict.type, 'agreed');
          return;
        }
        const largest = Math.max(...sizes.values());
        t.is(verdict.type, largest * 2 > count ? 'differs' : 'undecided');
        if (verdict.type === 'differs') {
          for (const id of verdict.odd) t.true((sizes.get(hashes.get(id)!) ?? 0) * 2 <= count);
          t.is(verdict.odd.length + verdict.right.length, hashes.size);
        }
      },
    ),
  );
});
