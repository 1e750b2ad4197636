/** A process full of clients, told over the IPC channel what load to make; the other side is `drivers.ts`. */
import { RemoteClient, systemClock } from '../../../store/index.ts';
import { type Sample, timedLoop } from '../measure.ts';
import { EtcdConnection } from './etcd-grpc.ts';
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
      /** Reads go to keys from 0 to here. */
      readonly keys: number;
    }
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
  /** Answers how many were found. */
  get(key: string, serializable: boolean): Promise<number>;
  watch(key: string, count: number, onEvents: (count: number) => void): Promise<void>;
}

const PUTS_UNDER_WAY = 8;
const value = Buffer.alloc(VALUE_BYTES, 'v');
let clients: readonly Client[] = [];
const clientOf = (sequence: number) => clients[sequence % clients.length] as Client;
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
    case 'watch': {
      const each = Math.ceil(order.watchers / clients.length);
      await Promise.all(clients.map(client => client.watch(order.key, each, noteSeen)));
      return { type: 'ready' };
    }
    case 'fanOut':
      return { type: 'fannedOut', fanOut: await fanOut(order) };
  }
}

function operationOf({ operation, keys }: Extract<DriverOrder, { type: 'run' }>): (i: number) => Promise<void> {
  if (operation === 'put') return async i => void (await clientOf(i).put(keyOf(i), value));
  const isSerializable = operation === 'serializable get';
  return async i => {
    // A step that shares no factor with the number of keys visits them all in a scattered order.
    const found = await clientOf(i).get(keyOf((i * 7919) % keys), isSerializable);
    if (found !== 1) throw new Error('the key was not found');
  };
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
    get: async (key, serializable) => (await client.range({ key, serializable })).count,
    watch: async (key, count, onEvents) => {
      const { revision } = await client.range({ key });
      for (let i = 0; i < count; i++) void follow(client, { key, startRevision: revision + 1 }, onEvents);
      // Their places are fixed by the revision; none can miss what comes.
    },
  };
}

async function follow(
  client: RemoteClient,
  start: { readonly key: string; readonly startRevision: number },
  onEvents: (count: number) => void,
): Promise<void> {
  const { signal } = new AbortController();
  for await (const batch of client.watch({ ...start, signal })) onEvents(batch.events.length);
}
