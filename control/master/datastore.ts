/**
 * A store that is somebody else's: an external etcd, in place of this master's own Raft and store. Masters that share one
 * find each other there: each keeps a key that goes with it, and an election decides who runs scheduler and controllers.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  DEFAULT_PREFIX,
  Election,
  type EtcdStore,
  followElection,
  LEADER_KEY,
  openEtcd,
  type StoreClient,
  type Clock as StoreClock,
  type StoreHealth,
  type StoreLogger,
  systemClock as storeClock,
  UnavailableError,
  UnknownOutcomeError,
} from '../../store/index.ts';
import { ApiError } from '../api/status.ts';
import type { MembershipView } from '../join/handlers.ts';
import type { AddMemberRequest } from '../join/protocol.ts';
import { fingerprint } from '../pki/authority.ts';
import { writePrivately } from '../pki/files.ts';
import { SetupError } from './setup.ts';

/** Where the store is and how to get in. */
export interface DatastoreOptions {
  readonly endpoints: readonly string[];
  readonly prefix: string | undefined;
  /** Files in PEM. */
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}
export interface OpenDatastoreOptions {
  readonly datastore: DatastoreOptions;
  readonly name: string;
  readonly clientUrl: string;
  /** The cluster's authority, PEM: all masters on one store have the same. */
  readonly authority: string;
  readonly dataDir: string;
  readonly random: () => number;
  readonly logger: StoreLogger;
  readonly snapshotAttachments: () => Readonly<Record<string, string>>;
}
/** What a master needs of its store, whoever runs it. */
export interface MasterStore {
  readonly client: StoreClient;
  readonly health: StoreHealth;
  onLeadership(listener: (leadership: { readonly isLeader: boolean; readonly term: number }) => void): () => void;
  /** The masters, as far as this one has heard. */
  membership(): MembershipView;
  status(): Promise<{ readonly leaderId: string | undefined; readonly term: number; readonly revision: number }>;
  /** The masters that are there, as far as this one knows. */
  living(): MembershipView['members'];
  addMember(member: AddMemberRequest): Promise<MembershipView>;
  /** Gives up leadership and leaves the other masters' list. */
  close(): Promise<void>;
}

const CLUSTER_KEY = '/cluster';
const MASTERS = { key: '/masters/', end: '/masters0' } as const;
/** Pause before the list of masters is read anew. */
const FOLLOW_RETRY_MS = 500;

const clusterSchema = z.object({ clusterId: z.string(), authority: z.string() });
type Cluster = z.infer<typeof clusterSchema>;
const markerSchema = z.object({ endpoints: z.array(z.string()), prefix: z.string() });
const masterSchema = z.object({ name: z.string(), clientUrl: z.string() });

/**
 * Connects, makes sure that what is there belongs to this cluster, and takes part in the election.
 * @throws {SetupError} with a sentence on what to do
 */
export async function openDatastore(options: OpenDatastoreOptions): Promise<MasterStore> {
  const { datastore, name, clientUrl, dataDir, logger, random } = options;
  const { endpoints, prefix } = datastore;
  const tls = await readTls(datastore);
  const store = openEtcd({
    endpoints,
    tls,
    clock: storeClock,
    random,
    ...(prefix !== undefined && { prefix }),
    members: async () => ({ leaderId: (await statusOf(store)).leaderId, members: members() }),
    snapshotAttachments: options.snapshotAttachments,
  });
  await using undo = new AsyncDisposableStack();
  undo.defer(() => store.close());
  const { clusterId } = await claim(store.own, options);
  const election = new Election({
    store: store.own,
    key: LEADER_KEY,
    name,
    announcement: { key: MASTERS.key + name, value: encode({ name, clientUrl }) },
    clock: storeClock,
    logger,
  });
  const masters = new Masters(store.own, storeClock);
  const members = () => masters.list({ name, clientUrl }).map(memberOf);
  const stopDuties = followElection({ store, election, clock: storeClock });
  election.start();
  masters.start();
  await writePrivately(markerFile(dataDir), `${JSON.stringify({ endpoints, prefix: prefix ?? DEFAULT_PREFIX })}\n`);
  undo.move();
  return {
    client: store.client,
    health: healthOf(store),
    onLeadership: listener => election.onLeadership(listener),
    membership: () => ({ clusterId, members: members() }),
    living: members,
    status: () => statusOf(store),
    addMember: async () => {
      throw new ApiError(
        'Conflict',
        `the store of this cluster is an external etcd: start the new master with --datastore-endpoint ${endpoints.join(',')}`,
      );
    },
    async close() {
      stopDuties();
      masters.stop();
      await election.close();
      await store.close();
    },
  };
}

/** This process lives whatever becomes of the etcd; it can serve while that answers. */
function healthOf(store: EtcdStore): StoreHealth {
  const check = async () => void (await store.own.range({ key: CLUSTER_KEY, keysOnly: true }));
  return { live: [], ready: [{ name: 'etcd', check }] };
}

/**
 * A data directory belongs to a master with one kind of store; with the other it would find nothing there and begin a new
 * cluster under the old one's keys.
 * @throws {SetupError}
 */
export async function refuseOtherStore(
  dataDir: string,
  { datastore, hasStore }: { readonly datastore: DatastoreOptions | undefined; readonly hasStore: boolean },
): Promise<void> {
  if (datastore !== undefined && hasStore) {
    throw new SetupError(
      `${dataDir} holds a store of its own: choose another --data-dir, or leave out --datastore-endpoint`,
    );
  }
  const external = await externalStore(dataDir);
  if (datastore !== undefined || external === undefined) return;
  throw new SetupError(
    `the cluster of ${dataDir} is kept in an external etcd: start this master with --datastore-endpoint ${external.endpoints.join(',')} --datastore-prefix ${external.prefix}`,
  );
}

/** Where the store of a master's data directory is, if it is an external one. */
async function externalStore(dataDir: string): Promise<z.infer<typeof markerSchema> | undefined> {
  const text = await readFile(markerFile(dataDir), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : markerSchema.safeParse(decode(new TextEncoder().encode(text))).data;
}

const markerFile = (dataDir: string) => join(dataDir, 'datastore.json');

async function readTls({ caFile, certFile, keyFile }: DatastoreOptions) {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new SetupError('--datastore-certfile and --datastore-keyfile belong together: give both or neither');
  }
  const read = async (flag: string, file: string | undefined) => {
    if (file === undefined) return undefined;
    return readFile(file, 'utf8').catch(error => {
      throw new SetupError(`--datastore-${flag} cannot be read: ${error.message}`);
    });
  };
  const [ca, cert, key] = await Promise.all([
    read('cafile', caFile),
    read('certfile', certFile),
    read('keyfile', keyFile),
  ]);
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
}

/** The first master says whose the store is; the others must be of the same cluster. */
async function claim(own: StoreClient, options: OpenDatastoreOptions): Promise<Cluster> {
  const { datastore, authority, dataDir } = options;
  const mine: Cluster = { clusterId: shortHash(randomUUID()), authority: fingerprint(authority) };
  const found = await claimed(own, mine).catch(error => {
    if (!(error instanceof UnavailableError)) throw error;
    throw new Error(`the datastore ${datastore.endpoints.join(', ')} does not answer: ${error.message}`, {
      cause: error,
    });
  });
  if (found.authority === mine.authority) return found;
  throw new SetupError(
    `the datastore holds another cluster than ${dataDir} belongs to. To add a master to that cluster, remove ${dataDir} and start with --join and --token; for a cluster of its own give another --datastore-prefix`,
  );
}

async function claimed(own: StoreClient, mine: Cluster): Promise<Cluster> {
  const look = { type: 'range', range: { key: CLUSTER_KEY } } as const;
  for (;;) {
    try {
      const { succeeded, results } = await own.transaction({
        compare: [{ key: CLUSTER_KEY, target: 'createRevision', op: '=', value: 0 }],
        then: [{ type: 'put', key: CLUSTER_KEY, value: encode(mine) }],
        otherwise: [look],
      });
      const [first] = results;
      if (succeeded || first?.type !== 'range') return mine;
      return clusterSchema.parse(decode(first.result.items[0]?.value));
    } catch (error) {
      // Claiming twice is harmless: the second time the key is found.
      if (!(error instanceof UnknownOutcomeError)) throw error;
    }
  }
}

/** Keeps the list of masters that are there. */
class Masters {
  readonly #own: StoreClient;
  readonly #clock: StoreClock;
  readonly #stop = new AbortController();
  readonly #known = new Map<string, z.infer<typeof masterSchema>>();

  constructor(own: StoreClient, clock: StoreClock) {
    this.#own = own;
    this.#clock = clock;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stop.abort();
  }

  /** By name; `self` is there whatever the store says. */
  list(self: z.infer<typeof masterSchema>) {
    const all = new Map([...this.#known.values(), self].map(master => [master.name, master]));
    return [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const { items, revision } = await this.#own.range(MASTERS);
        this.#known.clear();
        for (const { key, value } of items) this.#take(key, value);
        for await (const { events } of this.#own.watch({ ...MASTERS, startRevision: revision + 1, signal })) {
          for (const { type, item } of events) this.#take(item.key, type === 'put' ? item.value : undefined);
        }
      } catch {
        // The list stays as it was until the store answers again.
        await new Promise<void>(resolve => this.#clock.setTimeout(resolve, FOLLOW_RETRY_MS));
      }
    }
  }

  #take(key: string, value: Uint8Array | undefined): void {
    const master = value === undefined ? undefined : masterSchema.safeParse(decode(value)).data;
    if (master === undefined) this.#known.delete(key);
    else this.#known.set(key, master);
  }
}

async function statusOf({ client, own }: EtcdStore) {
  const [{ term, revision }, { items }] = await Promise.all([client.status(), own.range({ key: LEADER_KEY })]);
  const leader = items[0];
  return { leaderId: leader && shortHash(new TextDecoder().decode(leader.value)), term, revision };
}

/** A master in the form of a member of a store of ours, which is what `raftsman status` and those who join expect. */
function memberOf({ name, clientUrl }: z.infer<typeof masterSchema>): MembershipView['members'][number] {
  const { hostname, port } = new URL(clientUrl);
  return { id: shortHash(name), name, peerAddress: `${hostname}:${port || 443}`, clientUrl, role: 'voter' };
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function encode(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function decode(bytes: Uint8Array | undefined): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
