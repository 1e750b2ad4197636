/** A process full of clients, told over the IPC channel what load to make; the other side is `drivers.ts`. */
import type { StoreClient } from '../../../store/index.ts';
import { type Sample, timedLoop } from '../measure.ts';
import { EtcdConnection } from './etcd-grpc.ts';
import { loadStore } from './package.ts';
import { keyOf, type Target, VALUE_BYTES } from './system.ts';

export type Operation = 'put' | 'linearizable get' | 'serializable get';

export type DriverOrder =
  | { readonly type: 'connect'; readonly target: Target; readonly connections: number }
  | {
      readonly type: 'run';
      readonly operation: Operation;
      readonly concurrency: number;
      readonly forMs: number;
      readonly first: number;
      /** Reads go to keys from 0 to here; so do puts that are to make no new ones. */
      readonly keys: number;
      readonly overwrites?: boolean;
    }
  /** Puts the keys from `first` on, many in one transaction. */
  | { readonly type: 'fill'; readonly first: number; readonly count: number }
  | { readonly type: 'watch'; readonly key: string; readonly watchers: number }
  | { readonly type: 'fanOut'; readonly key: string; readonly puts: number; readonly watchers: number };

export type DriverAnswer =
  | { readonly type: 'ready' }
  | { readonly type: 'sample'; readonly sample: Sample; readonly next: number }
  | { readonly type: 'fannedOut'; readonly fanOut: FanOut }
  | { readonly type: 'failed'; readonly message: string };

/** One key put again and again, each time once all watchers have seen it; then as fast as it goes. */
export interface FanOut {
  /** From the call of a put until the last watcher had its event, one at a time. */
  readonly untilAllMs: Float64Array;
  /** Events taken in by watchers while puts are under way all the time. */
  readonly eventsPerSecond: number;
}

/** What the load needs of a store, whatever it speaks. */
interface Client {
  put(key: string, value: Uint8Array): Promise<unknown>;
  putAll(keys: readonly string[], value: Uint8Array): Promise<unknown>;
  /** Answers how many were found. */
  get(key: string, serializable: boolean): Promise<number>;
  watch(key: string, count: number, onEvents: (count: number) => void): Promise<void>;
}

const { RemoteClient, systemClock } = await loadStore();
const PUTS_UNDER_WAY = 8;
const FILL_KEYS = 100;
const FILL_UNDER_WAY = 4;
const FILL_TRIES = 10;
const value = Buffer.alloc(VALUE_BYTES, 'v');
let clients: readonly Client[] = [];
const clientOf = (sequence: number) => clients[Math.floor(sequence) % clients.length] as Client;
let seen = 0;
let onSeen = () => {};

process.on('message', (order: DriverOrder) => {
  obey(order).then(
    answer => process.send?.(answer),
    (error: unknown) => process.send?.({ type: 'failed', message: String(error) } satisfies DriverAnswer),
  );
});
process.on('disconnect', () => process.exit(0));

async function obey(order: DriverOrder): Promise<DriverAnswer> {
  switch (order.type) {
    case 'connect':
      clients = await Promise.all(Array.from({ length: order.connections }, () => open(order.target)));
      return { type: 'ready' };
    case 'run': {
      const { next, ...sample } = await timedLoop({ ...order, operation: operationOf(order) });
      return { type: 'sample', sample, next };
    }
    case 'fill':
      await fill(order);
      return { type: 'ready' };
    case 'watch': {
      const each = Math.ceil(order.watchers / clients.length);
      await Promise.all(clients.map(client => client.watch(order.key, each, noteSeen)));
      return { type: 'ready' };
    }
    case 'fanOut':
      return { type: 'fannedOut', fanOut: await fanOut(order) };
  }
}

function operationOf(order: Extract<DriverOrder, { type: 'run' }>): (i: number) => Promise<void> {
  const { operation, keys, overwrites = false } = order;
  if (overwrites) return async i => void (await clientOf(i).put(keyOf((i * 7919) % keys), value));
  if (operation === 'put') return async i => void (await clientOf(i).put(keyOf(i), value));
  const isSerializable = operation === 'serializable get';
  return async i => {
    // A step that shares no factor with the number of keys visits them all in a scattered order.
    const found = await clientOf(i).get(keyOf((i * 7919) % keys), isSerializable);
    if (found !== 1) throw new Error('the key was not found');
  };
}

async function fill({ first, count }: Extract<DriverOrder, { type: 'fill' }>): Promise<void> {
  let next = first;
  const end = first + count;
  const worker = async () => {
    while (next < end) {
      const from = next;
      next = Math.min(end, from + FILL_KEYS);
      const keys = Array.from({ length: next - from }, (_, i) => keyOf(from + i));
      // Filling is not what is measured, and putting a key twice does no harm.
      for (let tries = FILL_TRIES; tries > 0; tries--) {
        try {
          await clientOf(from / FILL_KEYS).putAll(keys, value);
          break;
        } catch (error) {
          if (tries === 1) throw error;
        }
      }
    }
  };
  await Promise.all(Array.from({ length: FILL_UNDER_WAY }, worker));
}

async function fanOut({ key, puts, watchers }: Extract<DriverOrder, { type: 'fanOut' }>): Promise<FanOut> {
  const untilAll: number[] = [];
  for (let i = 0; i < puts / 4; i++) {
    const all = reached(watchers);
    const at = performance.now();
    await Promise.all([clientOf(0).put(key, value), all]);
    untilAll.push(performance.now() - at);
  }
  const all = reached(watchers * puts);
  const at = performance.now();
  let started = 0;
  const putter = async () => {
    while (started++ < puts) await clientOf(0).put(key, value);
  };
  await Promise.all([...Array.from({ length: PUTS_UNDER_WAY }, putter), all]);
  const eventsPerSecond = (watchers * puts) / ((performance.now() - at) / 1000);
  return { untilAllMs: Float64Array.from(untilAll), eventsPerSecond };
}

function noteSeen(count: number): void {
  seen += count;
  onSeen();
}

/** Resolves once so many more events came in. */
function reached(more: number): Promise<void> {
  const goal = seen + more;
  return new Promise(resolve => {
    onSeen = () => {
      if (seen >= goal) resolve();
    };
  });
}

async function open(target: Target): Promise<Client> {
  const [leader = ''] = target.urls;
  if (target.protocol === 'etcd') {
    const connection = await EtcdConnection.open(leader, target.tls);
    return {
      put: (key, bytes) => connection.put(key, bytes),
      putAll: (keys, bytes) => connection.putAll(keys, bytes),
      get: (key, serializable) => connection.range(key, { serializable }),
      watch: (key, count, onEvents) => connection.watch(key, count, onEvents),
    };
  }
  const client = new RemoteClient({
    urls: target.urls,
    ...(target.tls && { tls: target.tls }),
    clock: systemClock,
    random: () => Math.random(),
  });
  await client.status();
  return {
    put: (key, bytes) => client.put(key, bytes),
    putAll: (keys, bytes) => client.transaction({ then: keys.map(key => ({ type: 'put', key, value: bytes })) }),
    get: async (key, serializable) => (await client.range({ key, serializable })).count,
    watch: async (key, count, onEvents) => {
      const { revision } = await client.range({ key });
      for (let i = 0; i < count; i++) void follow(client, { key, startRevision: revision + 1 }, onEvents);
      // Their places are fixed by the revision; none can miss what comes.
    },
  };
}

async function follow(
  client: StoreClient,
  start: { readonly key: string; readonly startRevision: number },
  onEvents: (count: number) => void,
): Promise<void> {
  const { signal } = new AbortController();
  for await (const batch of client.watch({ ...start, signal })) onEvents(batch.events.length);
}
