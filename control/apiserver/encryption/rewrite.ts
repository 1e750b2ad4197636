/** Brings what lies in the store under the key, or into the clear text, in which it would be written now. */
import { prefixEnd, type StoreClient } from '../../../store/index.ts';
import { REGISTRY } from '../cache/watch-cache.ts';
import { CLEAR_TEXT, DamagedValueError, type Encryption, labelOf } from './encryption.ts';

/** Keys asked of the store at a time. */
const PAGE_KEYS = 250;
/** How often one value is tried while others keep writing it: whoever wrote it has used the present key. */
const ATTEMPTS_MAX = 3;

export interface RewriteOptions {
  /** The store itself, with sealed values. */
  readonly store: StoreClient;
  readonly encryption: Encryption;
  /** Beginnings of the keys to look at; all objects where none is given. */
  readonly prefixes?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Rewrites every value that is not as it would be written now; each keeps its content and its lease and gets a new revision.
 * Safe at any time and on several masters at once, since a value is replaced only by itself. Resolves with how many it wrote.
 * @throws what {@link Encryption.open} throws, and what the store throws; what was done by then stays done
 */
export async function rewriteStale(options: RewriteOptions): Promise<number> {
  let count = 0;
  for await (const { key, value, modRevision, lease } of valuesOf(options)) {
    if (options.signal?.aborted) break;
    if (await rewriteOne(options, { key, value, modRevision, lease })) count++;
  }
  return count;
}

interface Item {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modRevision: number;
  readonly lease: number;
}

async function rewriteOne({ store, encryption }: RewriteOptions, found: Item): Promise<boolean> {
  let item: Item | undefined = found;
  for (let attempt = 0; attempt < ATTEMPTS_MAX && item; attempt++) {
    const { key, value, modRevision, lease } = item;
    if (encryption.isCurrent(key, value)) return false;
    const plain = openOrLeave(encryption, key, value);
    if (plain === undefined) return false;
    const sealed = encryption.seal(key, plain);
    const { succeeded, results } = await store.transaction({
      compare: [{ key, target: 'modRevision', op: '=', value: modRevision }],
      then: [{ type: 'put', key, value: sealed, ...(lease !== 0 && { lease }) }],
      otherwise: [{ type: 'range', range: { key } }],
    });
    if (succeeded) return true;
    const [first] = results;
    item = first?.type === 'range' ? first.result.items[0] : undefined;
  }
  return false;
}

/** A damaged value stays as it is: what is left of it may help somebody. */
function openOrLeave(encryption: Encryption, key: string, value: Uint8Array): Uint8Array | undefined {
  try {
    return encryption.open(key, value);
  } catch (error) {
    if (error instanceof DamagedValueError) return undefined;
    throw error;
  }
}

export interface ValueCounts {
  /** By `aesgcm NAME`, or `clear text` where that is not as it should be. */
  readonly byKey: Readonly<Record<string, number>>;
  /** Those that {@link rewriteStale} would write. */
  readonly stale: number;
}

/** How many values lie under what, of the kinds that are encrypted now or were. */
export async function countByKey(options: RewriteOptions): Promise<ValueCounts> {
  const { encryption } = options;
  const byKey: Record<string, number> = {};
  let stale = 0;
  for await (const { key, value } of valuesOf(options)) {
    const label = labelOf(value);
    if (!encryption.isCurrent(key, value)) stale++;
    else if (label === CLEAR_TEXT) continue;
    byKey[label] = (byKey[label] ?? 0) + 1;
  }
  return { byKey, stale };
}

async function* valuesOf({ store, prefixes = [REGISTRY] }: RewriteOptions): AsyncGenerator<Item> {
  for (const prefix of prefixes) {
    for (let start = prefix; ; ) {
      const { items, more } = await store.range({ key: start, end: prefixEnd(prefix), limit: PAGE_KEYS });
      yield* items;
      const last = items.at(-1);
      if (!more || !last) break;
      start = `${last.key}\0`;
    }
  }
}
