/**
 * A snapshot of the store in etcd, in raftsman's own format: it holds this store's keys alone, whoever else uses the etcd,
 * and can be restored into a raftsman store of its own. It is read in pages as of one revision, twice: what the header says
 * must be known before the first key is sent.
 */
import type { KeyValue, RangeResult, StoreClient, StoreStatus } from '../../client/client.ts';
import { encodeImage, lengthPrefixed } from '../../codec/image.ts';
import type { Lease } from '../../mvcc/command.ts';
import type { KeyPage } from '../../mvcc/key-space.ts';
import { keyBytes, OPEN_END } from '../../mvcc/keys.ts';
import { encodeSnapshot } from '../../snapshot/format.ts';
import { SNAPSHOT_PAGE_KEYS } from './limits.ts';

export interface EtcdSnapshotOptions {
  readonly store: Pick<StoreClient, 'range'>;
  /** The life that a lease was granted; undefined if it has ended. */
  readonly leaseSeconds: (id: number) => Promise<number | undefined>;
  readonly status: StoreStatus;
  readonly attachments: Readonly<Record<string, string>> | undefined;
  /** ISO 8601, UTC. */
  readonly takenAt: string;
  readonly pause: () => Promise<void>;
}

export async function* saveSnapshot(options: EtcdSnapshotOptions): AsyncGenerator<Uint8Array> {
  const { store, status, attachments, takenAt, pause } = options;
  const { revision } = await store.range({ key: '', end: OPEN_END, countOnly: true });
  const survey = await surveyKeys(options, revision);
  const isLive = (item: KeyValue) => item.lease === 0 || survey.leases.has(item.lease);
  const leases = [...survey.leases.values()];
  const counters = { revision, compactedRevision: revision, leaseCounter: Math.max(0, ...leases.map(({ id }) => id)) };
  const header = {
    clusterId: status.clusterId,
    memberId: status.memberId,
    memberName: status.members.find(({ id }) => id === status.memberId)?.name ?? '',
    revision,
    compactedRevision: revision,
    index: status.appliedIndex,
    term: status.term,
    takenAt,
    keys: survey.keys,
    liveBytes: survey.liveBytes,
    ...(attachments !== undefined && { attachments: { ...attachments } }),
  };
  const fetch = async (after: string | undefined): Promise<KeyPage> => {
    for (let from = after; ; ) {
      const page = await readPage(store, { revision, after: from });
      const items = page.items.filter(isLive);
      const next = nextOf(page);
      if (items.length > 0 || next === undefined) return { items, next };
      from = next;
    }
  };
  const head = { appliedIndex: status.appliedIndex, counters, hash: 0 };
  yield* encodeSnapshot(header, lengthPrefixed(chunksOf({ counters, leases, head, fetch })), pause);
}

/** What the header tells, and the leases that keys hang on. A key whose lease has ended by now counts as gone with it. */
async function surveyKeys({ store, leaseSeconds }: EtcdSnapshotOptions, revision: number) {
  const leases = new Map<number, Lease>();
  const ended = new Set<number>();
  let keys = 0;
  let liveBytes = 0;
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const page = await readPage(store, { revision, after });
    for (const { key, value, lease: id } of page.items) {
      if (id !== 0 && !leases.has(id) && !ended.has(id)) {
        const ttlSeconds = await leaseSeconds(id);
        if (ttlSeconds === undefined) ended.add(id);
        else leases.set(id, { id, ttlSeconds, renewals: 0 });
      }
      if (ended.has(id)) continue;
      keys++;
      liveBytes += keyBytes(key).length + value.length;
    }
    after = nextOf(page);
  }
  return { leases, keys, liveBytes };
}

/** The encoder reads pages at once, etcd gives them later: so the next one is fetched before the encoder asks for it. */
async function* chunksOf(options: {
  readonly counters: Parameters<typeof encodeImage>[0]['counters'];
  readonly leases: readonly Lease[];
  readonly head: Parameters<typeof encodeImage>[1];
  readonly fetch: (after: string | undefined) => Promise<KeyPage>;
}): AsyncGenerator<Uint8Array> {
  const { counters, leases, head, fetch } = options;
  let page = await fetch(undefined);
  let isTaken = false;
  const read = () => {
    isTaken = true;
    return page;
  };
  for (const chunk of encodeImage({ counters, leases, alarms: [], auth: [], read, release() {} }, head)) {
    yield chunk;
    if (!isTaken || page.next === undefined) continue;
    page = await fetch(page.next);
    isTaken = false;
  }
}

/** `after` is the name of the last key seen. */
function readPage(
  store: Pick<StoreClient, 'range'>,
  { revision, after }: { readonly revision: number; readonly after: string | undefined },
): Promise<RangeResult> {
  return store.range({
    key: after === undefined ? '' : `${after}\0`,
    end: OPEN_END,
    revision,
    limit: SNAPSHOT_PAGE_KEYS,
  });
}

function nextOf(page: RangeResult): string | undefined {
  return page.more ? page.items.at(-1)?.key : undefined;
}
