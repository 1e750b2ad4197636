/** What every {@link RaftStorage} has to do. Each implementation's test file runs this suite against itself. */
import type { ExecutionContext, TestFn } from 'ava';
import fc from 'fast-check';
import type { Entry, HardState, Membership, SnapshotMetadata } from '../core/types.ts';
import type { MemberIdentity, RaftStorage, RecoveredState } from './storage.ts';

/** A place that keeps what was written. */
export interface Disk {
  /** Makes a storage on the disk; the one before has been closed, or has died. */
  mount(): RaftStorage | Promise<RaftStorage>;
  /** Kills the process that uses the storage; what follows sees only what is durable. */
  crash(storage: RaftStorage): Promise<void>;
  free(): Promise<void>;
}

export const identity: MemberIdentity = { clusterId: 'c0c0c0c0c0c0c0c0', memberId: 'a1a1a1a1a1a1a1a1', name: 'one' };
export const membership: Membership = {
  clusterId: identity.clusterId,
  members: [{ id: identity.memberId, name: 'one', peerAddress: 'h:1', clientUrl: 'https://h:2', role: 'voter' }],
};

/** Entries with recognisable data. */
export function entries(from: number, count: number, term: number): Entry[] {
  return Array.from({ length: count }, (_, offset) => ({
    index: from + offset,
    term,
    kind: 'command',
    data: Buffer.from(`${term}:${from + offset}`),
  }));
}

export const hard = (term: number, votedFor?: string): HardState => ({ term, votedFor, commit: 0 });
export const snapshotAt = (index: number, term: number): SnapshotMetadata => ({ index, term, membership });

/** A recovered log in a form that is easy to compare. */
export function summary(state: RecoveredState) {
  return {
    log: state.entries.map(entry => `${entry.index}/${entry.kind}/${Buffer.from(entry.data).toString()}`),
    hardState: state.hardState,
    snapshot: state.snapshot,
  };
}

/** Declares the suite's tests. */
export function storageContract(test: TestFn, name: string, makeDisk: () => Promise<Disk>): void {
  const contract = (title: string, run: (t: ExecutionContext, disk: Disk) => Promise<void>) =>
    test(`${name}: ${title}`, async t => {
      const disk = await makeDisk();
      try {
        await run(t, disk);
      } finally {
        await disk.free();
      }
    });

  contract('an empty disk has no identity', async (t, disk) => {
    const storage = await disk.mount();
    const state = await storage.open();
    t.is(state.identity, undefined);
    t.deepEqual(state.entries, []);
    t.deepEqual(state.hardState, hard(0));
    t.like(state.snapshot, { index: 0, term: 0 });
    await storage.close();
  });

  contract('identity and first membership are kept, and given once', async (t, disk) => {
    const storage = await disk.mount();
    await storage.open();
    await t.throwsAsync(storage.save({ entries: entries(1, 1, 1) }));
    await storage.initialize(identity, membership);
    await t.throwsAsync(storage.initialize(identity, membership));
    await disk.crash(storage);
    const again = await disk.mount();
    const state = await again.open();
    t.deepEqual(state.identity, identity);
    t.deepEqual(state.snapshot, { index: 0, term: 0, membership });
    await t.throwsAsync(again.initialize(identity, membership));
    await again.close();
  });

  contract('what was saved survives a crash, bytes and kinds and hard state', async (t, disk) => {
    const storage = await ready(disk);
    const mixed: Entry[] = [
      { index: 1, term: 1, kind: 'noop', data: new Uint8Array() },
      { index: 2, term: 1, kind: 'command', data: Uint8Array.from({ length: 70_000 }, (_, at) => at & 255) },
      { index: 3, term: 1, kind: 'membership', data: Buffer.from('{}') },
    ];
    await storage.save({ entries: mixed, hardState: { term: 1, votedFor: identity.memberId, commit: 2 } });
    await storage.save({ hardState: { term: 4, votedFor: undefined, commit: 3 } });
    await storage.save({});
    await disk.crash(storage);
    const again = await disk.mount();
    const state = await again.open();
    t.deepEqual(state.hardState, { term: 4, votedFor: undefined, commit: 3 });
    t.deepEqual(
      state.entries.map(entry => ({ ...entry, data: Uint8Array.from(entry.data) })),
      mixed.map(entry => ({ ...entry, data: Uint8Array.from(entry.data) })),
    );
    await again.close();
  });

  contract('a conflicting suffix is cut, also twice, and the rest can be proven', async (t, disk) => {
    let storage = await ready(disk);
    await storage.save({ entries: entries(1, 5, 1), hardState: hard(1) });
    await storage.save({ entries: entries(6, 5, 1) });
    await storage.save({ entries: entries(4, 2, 2), hardState: hard(2) });
    await storage.save({ entries: entries(5, 3, 3), hardState: hard(3) });
    await disk.crash(storage);
    storage = await disk.mount();
    const expected = ['1:1', '1:2', '1:3', '2:4', '3:5', '3:6', '3:7'];
    t.deepEqual(datas(await storage.open()), expected);
    await storage.save({ entries: entries(8, 1, 3) });
    await disk.crash(storage);
    storage = await disk.mount();
    t.deepEqual(datas(await storage.open()), [...expected, '3:8']);
    await storage.close();
  });

  contract('a log with a hole is not accepted, and the refusal breaks nothing', async (t, disk) => {
    const storage = await ready(disk);
    await storage.save({ entries: entries(1, 3, 1) });
    await t.throwsAsync(storage.save({ entries: entries(5, 1, 1) }));
    await storage.save({ entries: entries(4, 1, 1) });
    await storage.close();
  });

  contract('compaction forgets up to its index, also within a record, and keeps the rest', async (t, disk) => {
    let storage = await ready(disk);
    await storage.save({ entries: entries(1, 10, 1), hardState: hard(1, 'bbbbbbbbbbbbbbbb') });
    await storage.save({ entries: entries(11, 10, 2), hardState: hard(2) });
    await storage.compact(snapshotAt(5, 1));
    await storage.save({ entries: entries(21, 1, 2) });
    await disk.crash(storage);
    storage = await disk.mount();
    let state = await storage.open();
    t.deepEqual([state.entries[0]?.index, state.entries.at(-1)?.index], [6, 21]);
    t.deepEqual(state.snapshot, snapshotAt(5, 1));
    await storage.compact(snapshotAt(12, 2));
    await storage.compact(snapshotAt(21, 2));
    await disk.crash(storage);
    storage = await disk.mount();
    state = await storage.open();
    t.deepEqual(state.entries, []);
    t.deepEqual(state.hardState, hard(2));
    await storage.save({ entries: entries(22, 1, 2) });
    await disk.crash(storage);
    storage = await disk.mount();
    t.deepEqual(datas(await storage.open()), ['2:22']);
    await storage.close();
  });

  contract('reset drops the log and starts after the snapshot', async (t, disk) => {
    let storage = await ready(disk);
    await storage.save({ entries: entries(1, 10, 1), hardState: hard(1) });
    await storage.reset(snapshotAt(100, 3), hard(4, identity.memberId));
    await disk.crash(storage);
    storage = await disk.mount();
    const state = await storage.open();
    t.deepEqual(summary(state), { log: [], hardState: hard(4, identity.memberId), snapshot: snapshotAt(100, 3) });
    await storage.save({ entries: entries(101, 2, 4) });
    await disk.crash(storage);
    storage = await disk.mount();
    t.deepEqual(datas(await storage.open()), ['4:101', '4:102']);
    await storage.close();
  });

  contract('any sequence of calls reads back as a plain list would', async (t, disk) => {
    const step = fc.record({
      call: fc.constantFrom('append', 'append', 'append', 'cut', 'hard', 'compact', 'reset', 'crash'),
      size: fc.integer({ min: 1, max: 5 }),
    });
    let storage = await ready(disk);
    const model = { list: [] as Entry[], snapshot: snapshotAt(0, 0), hardState: hard(0), term: 1 };
    const last = () => model.list.at(-1)?.index ?? model.snapshot.index;
    for (const { call, size } of fc.sample(step, { numRuns: 150, seed: 7 })) {
      if (call === 'append' || call === 'cut') {
        const from = call === 'append' ? last() + 1 : Math.max(model.snapshot.index + 1, last() - size);
        if (call === 'cut') model.term++;
        const added = entries(from, size, model.term);
        model.list = [...model.list.filter(entry => entry.index < from), ...added];
        model.hardState = hard(model.term);
        await storage.save({ entries: added, hardState: model.hardState });
      } else if (call === 'hard') {
        model.hardState = hard(++model.term, identity.memberId);
        await storage.save({ hardState: model.hardState });
      } else if (call === 'compact') {
        const at = model.list[Math.min(size, model.list.length) - 1];
        if (at === undefined) continue;
        model.snapshot = snapshotAt(at.index, at.term);
        model.list = model.list.filter(entry => entry.index > at.index);
        await storage.compact(model.snapshot);
      } else if (call === 'reset' && size === 1) {
        model.snapshot = snapshotAt(last() + size, model.term);
        model.list = [];
        await storage.reset(model.snapshot, model.hardState);
      } else {
        await disk.crash(storage);
        storage = await disk.mount();
        const { list: _, term: __, ...rest } = model;
        t.deepEqual(summary(await storage.open()), { ...summary({ ...rest, entries: model.list, identity }), ...rest });
      }
    }
    await storage.close();
  });
}

/** A storage that is open and has its identity. */
export async function ready(disk: Disk): Promise<RaftStorage> {
  const storage = await disk.mount();
  await storage.open();
  await storage.initialize(identity, membership);
  return storage;
}

export const datas = (state: RecoveredState): string[] =>
  state.entries.map(entry => Buffer.from(entry.data).toString());
