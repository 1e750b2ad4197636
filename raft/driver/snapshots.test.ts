import test from 'ava';
import { MemoryDisk, MemoryStorage } from '../storage/memory.ts';
import type { SaveRequest } from '../storage/storage.ts';
import { until } from '../transport/testing/until.ts';
import { PeerError, type Transport, type TransportHandlers } from '../transport/transport.ts';
import { createRaftNode } from './driver.ts';
import { systemClock } from './system-clock.ts';
import { CLUSTER_ID, memberEntry } from './testing/group.ts';
import { LogMachine } from './testing/log-machine.ts';

/** Brings in what a test hands it, and sends nothing anywhere. */
class HandTransport implements Transport {
  handlers: TransportHandlers | undefined;
  async start(handlers: TransportHandlers): Promise<void> {
    this.handlers = handlers;
  }
  setPeers(): void {}
  send(): void {}
  async sendSnapshot(): Promise<void> {}
  async request(): Promise<never> {
    throw new PeerError('RAFT_UNKNOWN_METHOD', 'nothing can be asked');
  }
  async close(): Promise<void> {}
}

/** A disk on which the writes of entries wait until they are let through. */
class HeldStorage extends MemoryStorage {
  readonly letThrough = Promise.withResolvers<void>();
  isHolding = false;
  override async save(request: SaveRequest): Promise<void> {
    if (request.entries !== undefined) {
      this.isHolding = true;
      await this.letThrough.promise;
    }
    await super.save(request);
  }
}

test('a snapshot takes no effect before the log on disk reaches it, also where the log in memory does', async t => {
  const members = [0, 1, 2].map(number => ({ ...memberEntry(number), role: 'voter' as const }));
  const membership = { clusterId: CLUSTER_ID, members };
  const [leader, self] = [memberEntry(0).id, memberEntry(1).id];
  // Its log starts at 2 while its state is older, as after a crash: only a snapshot helps.
  const disk = new MemoryDisk();
  const earlier = new MemoryStorage(disk);
  await earlier.open();
  await earlier.initialize({ clusterId: CLUSTER_ID, memberId: self, name: 'm1' }, membership);
  await earlier.reset({ index: 2, term: 1, membership }, { term: 1, votedFor: undefined, commit: 2 });
  await earlier.close();
  const [transport, storage, machine] = [new HandTransport(), new HeldStorage(disk), new LogMachine()];
  const node = createRaftNode<string>({
    storage,
    transport,
    stateMachine: machine,
    clock: systemClock,
    random: Math.random,
    options: { heartbeatMs: 50, electionTimeoutMs: 60_000 },
  });
  await node.start();
  t.teardown(() => {
    storage.letThrough.resolve();
    return node.close();
  });
  const entries = [3, 4].map(index => ({
    index,
    term: 1,
    kind: 'command' as const,
    data: Buffer.from(`c${index}`),
  }));
  const append = { type: 'appendRequest', from: leader, to: self, term: 1, previousIndex: 2, previousTerm: 1 } as const;
  transport.handlers?.onMessage({ ...append, entries, commit: 0, readContext: 0, acknowledgedIndex: 0 });
  await until(() => storage.isHolding);

  let isTaken = false;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(JSON.stringify(['c1', 'c2', 'c3', 'c4']));
    isTaken = true;
  }
  const metadata = { index: 4, term: 1, membership };
  transport.handlers?.onSnapshot({ from: leader, metadata, term: 1, chunks: chunks() });
  await until(() => isTaken);
  // All has arrived; were the state to take effect now, a crash would leave it ahead of the log.
  await new Promise(resolve => setImmediate(resolve));
  await new Promise(resolve => setImmediate(resolve));
  t.is(machine.appliedIndex, 0);
  storage.letThrough.resolve();
  await until(() => machine.appliedIndex === 4);
  t.deepEqual(machine.commands, ['c1', 'c2', 'c3', 'c4']);
});
