/**
 * Standing in line by keys, as etcd's Lock and Election services do it: each who comes makes a key under a common prefix on
 * its own lease; whose key is the oldest has the turn. The key of one who is gone goes with its lease.
 */
import type { KeyValue, StoreClient } from '../client/client.ts';
import { prefixEnd } from '../mvcc/keys.ts';

/** A place in the line. */
export interface Place {
  readonly key: string;
  /** When the key was made: who has been there longer has the smaller one. */
  readonly revision: number;
}

/** Where the line of `name` stands. */
export function linePrefix(name: string): string {
  return `${name}/`;
}

/** Takes a place, or finds the one that this lease has. A place that is there gets the new value. */
export async function takePlace(
  client: StoreClient,
  request: { readonly name: string; readonly lease: number; readonly value: Uint8Array },
): Promise<Place> {
  const { name, lease, value } = request;
  const key = linePrefix(name) + lease.toString(16);
  const result = await client.transaction({
    compare: [{ key, target: 'createRevision', op: '=', value: 0 }],
    then: [{ type: 'put', key, value, lease }],
    otherwise: [{ type: 'range', range: { key } }],
  });
  if (result.succeeded) return { key, revision: result.revision };
  const [found] = result.results;
  const present = found?.type === 'range' ? found.result.items[0] : undefined;
  // It went in between: its lease is over, and the put will say so.
  if (present === undefined) return takePlace(client, request);
  if (Buffer.compare(present.value, value) !== 0)
    await setValue(client, { key, revision: present.createRevision }, value);
  return { key, revision: present.createRevision };
}

/** Gives a place another value; false if the place is gone. */
export async function setValue(client: StoreClient, place: Place, value: Uint8Array): Promise<boolean> {
  const { succeeded } = await client.transaction({
    compare: [{ key: place.key, target: 'createRevision', op: '=', value: place.revision }],
    then: [{ type: 'put', key: place.key, value, keepLease: true }],
  });
  return succeeded;
}

/** Leaves the line. */
export async function leavePlace(client: StoreClient, place: Place): Promise<void> {
  await client.transaction({
    compare: [{ key: place.key, target: 'createRevision', op: '=', value: place.revision }],
    then: [{ type: 'delete', key: place.key }],
  });
}

/** Waits until all who came earlier are gone. False if the signal aborted first, or the place itself is gone. */
export async function awaitTurn(
  client: StoreClient,
  request: { readonly name: string; readonly place: Place; readonly signal: AbortSignal },
): Promise<boolean> {
  const { name, place, signal } = request;
  while (!signal.aborted) {
    const { items, revision } = await lineOf(client, name);
    if (!items.some(item => item.key === place.key && item.createRevision === place.revision)) return false;
    const ahead = items.filter(item => item.createRevision < place.revision);
    const last = ahead.reduce<KeyValue | undefined>(
      (one, other) => (one === undefined || other.createRevision > one.createRevision ? other : one),
      undefined,
    );
    if (last === undefined) return true;
    await gone(client, { key: last.key, afterRevision: revision, signal });
  }
  return false;
}

/** Whose turn it is. */
export async function firstInLine(
  client: StoreClient,
  name: string,
): Promise<{ readonly first: KeyValue | undefined; readonly revision: number }> {
  const { items, revision } = await lineOf(client, name);
  const first = items.reduce<KeyValue | undefined>(
    (one, other) => (one === undefined || other.createRevision < one.createRevision ? other : one),
    undefined,
  );
  return { first, revision };
}

function lineOf(client: StoreClient, name: string) {
  const key = linePrefix(name);
  return client.range({ key, end: prefixEnd(key) });
}

/** Resolves once the key is deleted, or whenever it is worth looking again. */
async function gone(
  client: StoreClient,
  {
    key,
    afterRevision,
    signal,
  }: { readonly key: string; readonly afterRevision: number; readonly signal: AbortSignal },
): Promise<void> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    for await (const { events } of client.watch({ key, startRevision: afterRevision + 1, signal: abort.signal })) {
      if (events.some(({ type }) => type === 'delete')) return;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}
