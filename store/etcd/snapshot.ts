/**
 * A snapshot as etcd's own tools expect it: the file of an etcd member, a bbolt database, followed by its SHA-256. So
 * `etcdctl snapshot status` reads it and `etcdctl snapshot restore` makes a real etcd of it: the way out of raftsman.
 */
import { createHash } from 'node:crypto';
import type { KeyValue } from '../client/client.ts';
import type { Lease } from '../mvcc/command.ts';
import { isTombstone } from '../mvcc/command.ts';
import type { Image } from '../mvcc/image.ts';
import { keyBytes } from '../mvcc/keys.ts';
import { type BoltBucket, type BoltEntry, BoltFile } from './bolt.ts';
import { type EtcdContext, kvOf } from './context.ts';
import type { StreamingCall } from './grpc/routes.ts';
import { SNAPSHOT_CHUNK_BYTES } from './limits.ts';
import { KeyValue as KeyValueMessage } from './proto/kv.ts';
import type { SnapshotResponse } from './proto/maintenance.ts';
import { type Init, int, message } from './proto/message.ts';
import { API_VERSION } from './version.ts';

/** server/lease/leasepb/lease.proto */
const LeaseMessage = message('Lease', { id: int(1), ttl: int(2) });

/** Read from the image at once. */
const READ_BYTES = 1024 * 1024;
/** Items that are sorted at once. */
const SORTED_ITEMS = 4_096;
const SHA256_BYTES = 32;

type Response = Init<typeof SnapshotResponse>;

/** Sends everything that was acknowledged before the call. */
export async function sendSnapshot(context: EtcdContext, call: StreamingCall<unknown, Response>): Promise<void> {
  const { client, clock } = context;
  // A linearizable read of nothing: whatever was acknowledged by anybody is here after it.
  await client.range({ key: '\0', countOnly: true });
  const { appliedIndex } = context.replica;
  const image = context.state.image();
  const pause = () => new Promise<void>(resolve => clock.setTimeout(resolve, 0));
  try {
    const file = new BoltFile(etcdBuckets(image, await sortedItems(image, pause), appliedIndex));
    for (const _ of file.plan()) await pause();
    const header = context.header(image.counters.revision);
    const sizeBytes = file.sizeBytes + SHA256_BYTES;
    let sentBytes = 0;
    for await (const blob of withChecksum(file.write())) {
      if (call.signal.aborted) return;
      sentBytes += blob.length;
      await call.send({ header, remainingBytes: sizeBytes - sentBytes, blob, version: API_VERSION });
      await pause();
    }
  } finally {
    image.release();
  }
}

/** All items, oldest revision first. Neither reading nor sorting holds the event loop for long. */
async function sortedItems(image: Image, pause: () => Promise<void>): Promise<readonly KeyValue[][]> {
  const items: KeyValue[] = [];
  for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
    const read = image.read(after, READ_BYTES);
    for (const item of read.items) items.push(item);
    after = read.next;
    await pause();
  }
  const { revision } = image.counters;
  const groupCount = Math.max(1, Math.ceil(items.length / SORTED_ITEMS));
  const groups = Array.from({ length: groupCount }, (): KeyValue[] => []);
  for (const item of items) groups[Math.floor((item.modRevision / (revision + 1)) * groupCount)]?.push(item);
  for (const group of groups) {
    group.sort((one, other) => one.modRevision - other.modRevision);
    await pause();
  }
  return groups;
}

/** The buckets of an etcd member (server/mvcc/buckets); a restore fills in those that are about the cluster. */
function etcdBuckets(image: Image, items: readonly KeyValue[][], appliedIndex: number): BoltBucket[] {
  const { compactedRevision } = image.counters;
  const empty = (name: string): BoltBucket => ({ name, entries: () => [] });
  const consistentIndex = Buffer.alloc(8);
  consistentIndex.writeBigUInt64BE(BigInt(appliedIndex));
  const compacted = revisionKey(compactedRevision, 0);
  const meta = [
    entry(Buffer.from('consistent_index'), consistentIndex),
    ...(compactedRevision === 0
      ? []
      : [entry(Buffer.from('finishedCompactRev'), compacted), entry(Buffer.from('scheduledCompactRev'), compacted)]),
  ];
  return [
    empty('alarm'),
    empty('auth'),
    empty('authRoles'),
    empty('authUsers'),
    empty('cluster'),
    { name: 'key', entries: () => keyEntries(items) },
    { name: 'lease', entries: () => leaseEntries(image.leases) },
    empty('members'),
    empty('members_removed'),
    { name: 'meta', entries: () => meta },
  ];
}

function* keyEntries(groups: readonly KeyValue[][]): Generator<BoltEntry> {
  let revision = 0;
  let sub = 0;
  for (const group of groups) {
    for (const item of group) {
      sub = item.modRevision === revision ? sub + 1 : 0;
      revision = item.modRevision;
      const isGone = isTombstone(item);
      const key = revisionKey(revision, sub);
      yield {
        key: isGone ? Buffer.concat([key, TOMBSTONE]) : key,
        valueBytes: sizeOf(item),
        value: () => KeyValueMessage.encode(isGone ? { key: keyBytes(item.key) } : kvOf(item)),
      };
    }
  }
}

function* leaseEntries(leases: readonly Lease[]): Generator<BoltEntry> {
  for (const { id, ttlSeconds } of [...leases].sort((one, other) => one.id - other.id)) {
    const key = Buffer.alloc(8);
    key.writeBigUInt64BE(BigInt(id));
    yield entry(key, LeaseMessage.encode({ id, ttl: ttlSeconds }));
  }
}

function entry(key: Buffer, value: Buffer): BoltEntry {
  return { key, valueBytes: value.length, value: () => value };
}

const TOMBSTONE = Buffer.from('t');

/** The name of a change: its revision and its place in it. */
function revisionKey(revision: number, sub: number): Buffer {
  const key = Buffer.alloc(17);
  key.writeBigUInt64BE(BigInt(revision));
  key.write('_', 8, 'latin1');
  key.writeBigUInt64BE(BigInt(sub), 9);
  return key;
}

/** The size of an item's message, without making it. */
function sizeOf(item: KeyValue): number {
  const key = delimitedBytes(item.key.isWellFormed() ? Buffer.byteLength(item.key) : keyBytes(item.key).length);
  if (isTombstone(item)) return key;
  const numbers = [item.createRevision, item.modRevision, item.version, item.lease];
  return numbers.reduce(
    (sum, value) => sum + (value === 0 ? 0 : 1 + varintBytes(value)),
    key + delimitedBytes(item.value.length),
  );
}

function delimitedBytes(length: number): number {
  return length === 0 ? 0 : 1 + varintBytes(length) + length;
}

function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) count++;
  return count;
}

/** In pieces of a fair size, with the SHA-256 of it all at the end. */
function* withChecksum(pages: Iterable<Buffer>): Generator<Buffer> {
  const hash = createHash('sha256');
  let parts: Buffer[] = [];
  let sizeBytes = 0;
  for (const page of pages) {
    hash.update(page);
    parts.push(page);
    sizeBytes += page.length;
    if (sizeBytes < SNAPSHOT_CHUNK_BYTES) continue;
    yield Buffer.concat(parts);
    parts = [];
    sizeBytes = 0;
  }
  yield Buffer.concat([...parts, hash.digest()]);
}
