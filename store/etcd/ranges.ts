/** Range requests: what of them the store does, and what is done to its answer here (sorting, filters), as etcd does it. */
import type { KeyValue, RangeRequest, RangeResult } from '../client/client.ts';
import { NO_BYTES } from '../mvcc/version-table.ts';
import { kvOf } from './context.ts';
import { etcdError } from './errors.ts';
import { rangeOf } from './keys.ts';
import {
  type RangeRequest as EtcdRange,
  SORT_ASCEND,
  SORT_DESCEND,
  SORT_NONE,
  TARGET_CREATE,
  TARGET_KEY,
  TARGET_MOD,
  TARGET_VALUE,
  TARGET_VERSION,
} from './proto/kv.ts';
import type { Read } from './proto/message.ts';

type Asked = Read<typeof EtcdRange>;
type Order = (one: KeyValue, other: KeyValue) => number;

export interface PlannedRange {
  readonly request: RangeRequest;
  /** Makes the answer of the store's. */
  readonly answer: (result: RangeResult) => {
    readonly kvs: ReturnType<typeof kvOf>[];
    readonly more: boolean;
    readonly count: number;
  };
}

/** @throws {GrpcError} */
export function planRange(asked: Asked): PlannedRange {
  const range = rangeOf(asked.key, asked.rangeEnd);
  const limit = Math.max(0, asked.limit);
  const isSorted = sorts(asked);
  const common = { ...range, revision: Math.max(0, asked.revision), serializable: asked.serializable };
  if (!isSorted && !filters(asked)) {
    const request = { ...common, limit, keysOnly: asked.keysOnly, countOnly: asked.countOnly };
    return { request, answer: ({ items, more, count }) => ({ kvs: items.map(kvOf), more, count }) };
  }
  if (asked.countOnly) {
    return { request: { ...common, countOnly: true }, answer: ({ count }) => ({ kvs: [], more: false, count }) };
  }
  return {
    request: common,
    answer: ({ items, count }) => {
      const kept = arranged(items.filter(passes(asked)), asked);
      const taken = limit > 0 ? kept.slice(0, limit) : kept;
      const kvs = taken.map(item => kvOf(asked.keysOnly ? { ...item, value: NO_BYTES } : item));
      return { kvs, more: taken.length < kept.length, count };
    },
  };
}

/** True if the order is another than the store's. @throws {GrpcError} there is no such order */
function sorts({ sortOrder, sortTarget }: Asked): boolean {
  const isOrder = sortOrder === SORT_NONE || sortOrder === SORT_ASCEND || sortOrder === SORT_DESCEND;
  if (!isOrder || !(sortTarget in ORDERS)) throw etcdError('sortOption');
  return sortTarget !== TARGET_KEY || sortOrder === SORT_DESCEND;
}

function filters(asked: Asked): boolean {
  return (
    asked.minModRevision !== 0 ||
    asked.maxModRevision !== 0 ||
    asked.minCreateRevision !== 0 ||
    asked.maxCreateRevision !== 0
  );
}

function passes(asked: Asked): (item: KeyValue) => boolean {
  const isWithin = (revision: number, min: number, max: number) =>
    (min === 0 || revision >= min) && (max === 0 || revision <= max);
  return ({ modRevision, createRevision }) =>
    isWithin(modRevision, asked.minModRevision, asked.maxModRevision) &&
    isWithin(createRevision, asked.minCreateRevision, asked.maxCreateRevision);
}

const ORDERS: Readonly<Record<number, Order | undefined>> = {
  [TARGET_KEY]: undefined,
  [TARGET_VERSION]: (one, other) => one.version - other.version,
  [TARGET_CREATE]: (one, other) => one.createRevision - other.createRevision,
  [TARGET_MOD]: (one, other) => one.modRevision - other.modRevision,
  [TARGET_VALUE]: (one, other) => Buffer.compare(one.value, other.value),
};

/** No order but a target means ascending. The store's own order is that of the keys. */
function arranged(items: KeyValue[], { sortOrder, sortTarget }: Asked): KeyValue[] {
  const order = ORDERS[sortTarget];
  if (order === undefined) return sortOrder === SORT_DESCEND ? items.reverse() : items;
  return items.sort(sortOrder === SORT_DESCEND ? (one, other) => order(other, one) : order);
}
