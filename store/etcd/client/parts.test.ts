/** The parts of the client of etcd that decide something, without an etcd. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import test from 'ava';
import fc from 'fast-check';
import {
  FutureRevisionError,
  InvalidRequestError,
  LeaseNotFoundError,
  QuotaExceededError,
  UnavailableError,
  UnknownOutcomeError,
} from '../../client/client.ts';
import { bytes } from '../../client/contract.ts';
import { createMemoryStore } from '../../client/memory.ts';
import { OPEN_END } from '../../mvcc/keys.ts';
import { ManualClock } from '../../testing/manual-clock.ts';
import { CompactionFinder } from './compaction.ts';
import { followElection } from './duties.ts';
import type { ElectionLeadership } from './election.ts';
import { callError, RevisionCompactedError } from './errors.ts';
import { KeySpace } from './keys.ts';
import { progressMethod } from './progress.ts';

const failure = (code: number, details: string): ServiceError =>
  Object.assign(new Error(`${code} ${details}`), { code, details, metadata: new Metadata() });

for (const [code, details, asWrite, asRead] of [
  // etcd says these instead of proposing anything.
  [status.UNAVAILABLE, 'etcdserver: no leader', UnavailableError, UnavailableError],
  [status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests', UnavailableError, UnavailableError],
  [status.UNKNOWN, 'raft proposal dropped', UnavailableError, UnavailableError],
  // The same codes, but the write was proposed (etcd issue 18424).
  [status.UNAVAILABLE, 'etcdserver: request timed out', UnknownOutcomeError, UnavailableError],
  [status.UNAVAILABLE, 'etcdserver: leader changed', UnknownOutcomeError, UnavailableError],
  [status.UNAVAILABLE, 'etcdserver: server stopped', UnknownOutcomeError, UnavailableError],
  [status.UNAVAILABLE, 'Connection dropped', UnknownOutcomeError, UnavailableError],
  [status.UNAVAILABLE, 'a sentence of a later etcd', UnknownOutcomeError, UnavailableError],
  [status.DEADLINE_EXCEEDED, 'Deadline exceeded', UnknownOutcomeError, UnavailableError],
  [status.INTERNAL, 'Received RST_STREAM', UnknownOutcomeError, UnavailableError],
  // Refusals.
  [status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded', QuotaExceededError, QuotaExceededError],
  [status.NOT_FOUND, 'etcdserver: requested lease not found', LeaseNotFoundError, LeaseNotFoundError],
  [
    status.OUT_OF_RANGE,
    'etcdserver: mvcc: required revision is a future revision',
    FutureRevisionError,
    FutureRevisionError,
  ],
  [
    status.OUT_OF_RANGE,
    'etcdserver: mvcc: required revision has been compacted',
    RevisionCompactedError,
    RevisionCompactedError,
  ],
  [status.INVALID_ARGUMENT, 'etcdserver: duplicate key given in txn request', InvalidRequestError, InvalidRequestError],
  [status.PERMISSION_DENIED, 'etcdserver: permission denied', InvalidRequestError, InvalidRequestError],
] as const) {
  test(`“${details}” is ${asWrite.name} for a write, ${asRead.name} for a read`, t => {
    t.true(callError(failure(code, details), 'write') instanceof asWrite);
    t.true(callError(failure(code, details), 'read') instanceof asRead);
  });
}

test('progress is asked for only of servers whose answers can be trusted', t => {
  for (const version of ['3.4.31', '3.4.40', '3.5.13', '3.5.21', '3.6.0', '3.7.1', '4.0.0']) {
    t.is(progressMethod(version), 'request', version);
  }
  for (const version of ['3.3.25', '3.4.0', '3.4.23', '3.4.30', '3.5.0', '3.5.12', '2.3.8', '', 'not decided']) {
    t.is(progressMethod(version), 'barrier', version);
  }
});

test('the oldest revision is found, whatever was compacted between', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(50), { minLength: 1, maxLength: 6 }), fc.nat(5_000), async (steps, more) => {
      let oldest = 0;
      let reads = 0;
      const present = steps.reduce((sum, step) => sum + step, 1) + more;
      const finder = new CompactionFinder({
        canRead: async revision => {
          reads++;
          return revision >= oldest;
        },
        present: async () => present,
      });
      t.is(await finder.find(), 0);
      for (const step of steps) {
        oldest += step;
        // Compacting at 1 is compacting nothing: there is nothing before.
        t.is(await finder.find(), oldest <= 1 ? 0 : oldest);
      }
      t.true(reads <= (steps.length + 1) * 15);
    }),
  );
});

test('keys lie below their root and come back; ranges never leave it', t => {
  const keys = new KeySpace('/raftsman/data');
  const other = new KeySpace('/raftsman/own');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (key, end) => {
      t.is(keys.name(keys.key(key)), key);
      t.true(keys.holds(keys.key(key)));
      t.false(keys.holds(other.key(key)));
      const all = keys.range('', OPEN_END);
      const some = keys.range(key, end);
      t.true(Buffer.compare(some.key, all.key) >= 0);
      t.true(Buffer.compare(some.rangeEnd, all.rangeEnd) <= 0);
    }),
  );
  t.is(keys.range('/a', undefined).rangeEnd.length, 0);
});

test('the leader, and nobody else, forgets what is older than is to be kept', async t => {
  const clock = new ManualClock();
  const store = createMemoryStore({ clock });
  let tell = (_: ElectionLeadership) => {};
  let revision = 0;
  const stop = followElection({
    store: { client: store, revision: () => revision },
    election: {
      onLeadership(listener) {
        tell = listener;
        listener({ isLeader: false, term: 0 });
        return () => {};
      },
    },
    clock,
    historyKeepMs: 1_000,
  });
  const write = async () => {
    revision = (await store.put('/a', bytes('x'))).revision;
    clock.advance(100);
    await new Promise(resolve => setImmediate(resolve));
  };
  for (let n = 0; n < 30; n++) await write();
  t.is((await store.status()).compactedRevision, 0);
  tell({ isLeader: true, term: 1 });
  const began = revision;
  for (let n = 0; n < 30; n++) await write();
  const { compactedRevision } = await store.status();
  t.true(compactedRevision > began && compactedRevision <= revision - 10);
  tell({ isLeader: false, term: 0 });
  for (let n = 0; n < 30; n++) await write();
  t.is((await store.status()).compactedRevision, compactedRevision);
  stop();
});
