/**
 * One member of a replicated store, put together: log and state on disk, peers, Raft, the replicated state, its client
 * and, if wanted, a server for remote clients. Data lies in `dataDir/raft` and `dataDir/state`.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import {
  createRaftNode,
  LevelStorage,
  type MemberIdentity,
  type Membership,
  type MembershipEntry,
  type RaftDriver,
  type RaftOptions,
  type RecoveredState,
  WebSocketTransport,
  type WebSocketTransportOptions,
} from '../raft/index.ts';
import { keepAddresses } from './address-keeper.ts';
import { StateCorruptError } from './backend/backend.ts';
import { LevelBackend } from './backend/level.ts';
import { beginCare } from './care.ts';
import type { StoreClient } from './client/client.ts';
import { LocalClient } from './client/local.ts';
import { systemWallClock, type TurnClock } from './clock.ts';
import { followLeadership } from './duties.ts';
import { EtcdServer } from './etcd/server.ts';
import type { HashCheckCounts } from './hash-check.ts';
import { type StoreHealth, storeHealth } from './health.ts';
import { drawId } from './ids.ts';
import { latestMembership } from './latest-membership.ts';
import { LEASE_TIME_METHOD } from './lease-times.ts';
import { resolveLimits, type StoreLimits } from './limits.ts';
import { type Logger, silentLogger } from './logger.ts';
import { CountingClient } from './metrics/counting-client.ts';
import { StoreMetrics } from './metrics/store-metrics.ts';
import type { ApplyResult } from './mvcc/command.ts';
import { PeerMethods } from './peer-methods.ts';
import { StoreServer, type TlsMaterial } from './remote/server.ts';
import { Replica } from './replica.ts';
import { setAside } from './set-aside.ts';
import { type DiskSpace, diskSpace, waitForSpace } from './space.ts';
import { keptPlace } from './unstarted.ts';

/** Where a new member comes from. Used only where the data directory is empty. */
export type Beginning =
  /** A new cluster, of this member alone; others join it. */
  | { readonly type: 'bootstrap' }
  /** A member of a cluster that exists. */
  | {
      readonly type: 'join';
      /** Asks a member of the cluster who belongs to it. */
      readonly discover: () => Promise<Membership>;
    };

export interface OpenStoreOptions {
  readonly dataDir: string;
  /** The name an operator knows this member by, such as `master-1`. */
  readonly name: string;
  readonly beginning: Beginning;
  /**
   * Has a member of the cluster call `addMember` for this one. Called at each start until this member is a voter, so it
   * must bear repetition (`addMember` does). Needed by members that join.
   */
  readonly announce?: (member: Omit<MembershipEntry, 'role'>) => Promise<unknown>;
  /** Refuses a data directory of another cluster. */
  readonly clusterId?: string;
  /** Where peers reach this member; `listen` may differ behind a translated address. */
  readonly peer: {
    readonly address: string;
    readonly listen: { readonly host: string; readonly port: number };
    /** Without it peers talk in plain text, and whoever reaches the port can be a peer. */
    readonly tls?: NonNullable<WebSocketTransportOptions['tls']>;
    readonly serverName?: string;
  };
  /** Where clients reach this member's API. */
  readonly clientUrl: string;
  /** Serves remote store clients too. */
  readonly serve?: { readonly listen: { readonly host: string; readonly port: number }; readonly tls?: TlsMaterial };
  /**
   * Serves etcd's v3 API over gRPC too. Without `tls` in plain text: for loopback only. With `organization`, clients'
   * certificates must bear that one.
   */
  readonly serveEtcd?: {
    readonly listen: { readonly host: string; readonly port: number };
    readonly tls?: TlsMaterial;
    readonly organization?: string;
  };
  readonly clock: TurnClock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly logger?: Logger & { debug(details: object, message: string): void };
  /** The member has stopped for good: the process must exit. Called once. */
  readonly onFatal: (error: Error) => void;
  readonly raft?: Partial<RaftOptions>;
  /** Quota, sizes, back-pressure and the rest: what is left out is as in `STORE_LIMITS`. */
  readonly limits?: Partial<StoreLimits>;
  /** How much space the disk has; the system is asked by default. */
  readonly space?: () => Promise<DiskSpace>;
  /** How long history can be read and watched; as in `limits` by default. */
  readonly historyKeepMs?: number;
  /** Metrics of this member go in here, as docs/metrics.md lists them. One registry serves one member. */
  readonly metrics?: Registry;
  /** Where to dial members, by name or id, whose address in the membership is not true any more. */
  readonly peerAddresses?: ReadonlyMap<string, string>;
  /** What a snapshot file holds besides the state, such as the keys of a cluster. */
  readonly snapshotAttachments?: () => Readonly<Record<string, string>>;
  /** For the dates of snapshots and of what is set aside. */
  readonly wallClock?: () => Date;
}

/** A member that runs. */
export interface OpenStore {
  readonly identity: MemberIdentity;
  readonly client: StoreClient;
  readonly raft: RaftDriver<ApplyResult>;
  /** The port on which remote clients are served; undefined if they are not. */
  readonly servedPort: number | undefined;
  /** The port on which etcd's API is served; undefined if it is not. */
  readonly etcdPort: number | undefined;
  /** What is counted, where a registry was given; whoever serves another protocol counts its calls in it. */
  readonly metrics: StoreMetrics | undefined;
  /** How comparing the members' data went, as far as this member was the one to compare. */
  hashChecks(): HashCheckCounts;
  /** Whether this member is alive, and whether it can serve. */
  readonly health: StoreHealth;
  close(): Promise<void>;
}

/** The data directory is not this member's, or part of it is missing. `message` says what to do. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
  readonly code = 'STORE_DATA_DIRECTORY';
}

/** There is a state but no log: this member cannot know what it promised, and must not vote. `message` says what to do. */
export class LogMissingError extends Error {
  override readonly name = 'LogMissingError';
  readonly code = 'STORE_LOG_MISSING';
}

/** A port cannot be listened on. `message` says which. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code = 'STORE_LISTEN';
}

/**
 * Opens a member and lets it take part. Resolves before a leader is known, except on a member that joins: that one resolves
 * when it is a voter. A damaged state is set aside and fetched again from the others, where there are any; a damaged log
 * is not, because it held promises: such a member has to join again as a new one (`replaceMember`).
 * @throws {DataDirectoryError} {LogMissingError} {LogCorruptError} {DataVersionError} {DataLockedError} {StateCorruptError}
 *   {StateVersionError} {StateLockedError} {ListenError}
 */
export async function openStore(options: OpenStoreOptions): Promise<OpenStore> {
  const metrics = options.metrics && new StoreMetrics(options.metrics);
  await makeRoom(options);
  try {
    return await openOnce(options, metrics);
  } catch (error) {
    if (!(error instanceof DamagedStateError)) throw error;
    await setStateAside(options, error.cause);
    return openOnce(options, metrics);
  }
}

/** The state is damaged, and can be had again. */
class DamagedStateError extends Error {
  declare readonly cause: StateCorruptError;
}

async function setStateAside(options: OpenStoreOptions, damage: StateCorruptError): Promise<void> {
  const { dataDir, logger = silentLogger, wallClock = systemWallClock } = options;
  const place = await setAside(dataDir, ['state'], { reason: 'damaged', at: wallClock() });
  logger.error({ error: damage, place }, 'the state is damaged; it was set aside and is built again');
}

/** On a full disk this waits, and says so, instead of failing again and again. */
async function makeRoom(options: OpenStoreOptions): Promise<void> {
  const { dataDir, clock, logger = silentLogger } = options;
  const { diskReserveBytes: reserveBytes, diskCheckMs: checkMs } = resolveLimits(options.limits);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await waitForSpace({ clock, logger, directory: dataDir, space: spaceOf(options), reserveBytes, checkMs });
}

function spaceOf({ dataDir, space }: OpenStoreOptions): () => Promise<DiskSpace> {
  return space ?? (() => diskSpace(dataDir));
}

async function openOnce(options: OpenStoreOptions, metrics: StoreMetrics | undefined): Promise<OpenStore> {
  await using undo = new AsyncDisposableStack();
  const storage = new LevelStorage({ directory: join(options.dataDir, 'raft') });
  // Whatever was begun is ended, also a database that was opened before the log turned out to be damaged.
  const closeStorage = undo.adopt(storage, one => one.close());
  const recovered = await storage.open();
  const start = await resolveStart(options, recovered);
  const { raft, replica, fatal, methods } = assemble(options, { storage: closeStorage, recovered, start, metrics });
  undo.defer(() => raft.close());
  await raft.start().catch((error: unknown) => {
    // What is gone can be had again from the others, or from a log that still has everything.
    const canReturn = hasOtherVoters(start) || recovered.snapshot.index === 0;
    if (error instanceof StateCorruptError && canReturn) throw new DamagedStateError('', { cause: error });
    throw startError(error, options.peer.listen);
  });
  const client = makeClient(options, { raft, replica, metrics });
  const duties = startDuties(options, { raft, replica, client, methods, memberId: start.identity.memberId });
  undo.defer(duties.stop);
  metrics?.bind({
    raft,
    replica,
    dataDir: options.dataDir,
    quotaBytes: resolveLimits(options.limits).quotaBytes,
    alarms: () => replica.state.alarms,
    hashChecks: () => ({ ...duties.hashCheck.counts }),
  });
  await announce(options, raft, start.identity);
  const server = await serve(options, client);
  if (server !== undefined) undo.defer(() => server.server.close());
  const etcd = await serveEtcd(options, { raft, replica, client, metrics });
  fatal.begin();
  undo.move();
  return {
    identity: start.identity,
    client,
    raft,
    servedPort: server?.port,
    etcdPort: etcd?.port,
    metrics,
    hashChecks: () => duties.hashCheck.counts,
    health: storeHealth({ raft, replica, failure: fatal.failure }),
    async close() {
      duties.stop();
      await etcd?.server.close();
      await server?.server.close();
      await client.close();
      await raft.close();
    },
  };
}

function makeClient(
  options: OpenStoreOptions,
  parts: {
    readonly raft: RaftDriver<ApplyResult>;
    readonly replica: Replica;
    readonly metrics: StoreMetrics | undefined;
  },
): LocalClient {
  const { raft, replica, metrics } = parts;
  const { clock, random, wallClock, snapshotAttachments } = options;
  const clientOptions = {
    raft,
    replica,
    clock,
    random,
    limits: resolveLimits(options.limits),
    ...(wallClock !== undefined && { wallClock }),
    ...(snapshotAttachments !== undefined && { snapshotAttachments }),
  };
  return metrics ? new CountingClient({ ...clientOptions, tallies: metrics.requests }) : new LocalClient(clientOptions);
}

function startDuties(
  options: OpenStoreOptions,
  parts: {
    readonly raft: RaftDriver<ApplyResult>;
    readonly replica: Replica;
    readonly client: LocalClient;
    readonly methods: PeerMethods;
    readonly memberId: string;
  },
) {
  const { clock, historyKeepMs, logger = silentLogger, peer, clientUrl } = options;
  const { memberId } = parts;
  const limits = resolveLimits(options.limits);
  const { hashCheck, stop: stopCare } = beginCare({ ...parts, clock, logger, limits, space: spaceOf(options) });
  parts.methods.on(LEASE_TIME_METHOD, body => parts.client.leaseTimes.answer(body));
  const stopDuties = followLeadership({
    ...parts,
    clock,
    limits,
    hashCheck,
    ...(historyKeepMs === undefined ? {} : { historyKeepMs }),
  });
  const wanted = { name: options.name, peerAddress: peer.address, clientUrl };
  const stopKeeping = keepAddresses({ raft: parts.raft, memberId, wanted, clock, logger });
  return {
    hashCheck,
    stop(): void {
      stopDuties();
      stopKeeping();
      stopCare();
    },
  };
}

function hasOtherVoters({ identity, membership }: Start): boolean {
  return membership.members.some(({ id, role }) => role === 'voter' && id !== identity.memberId);
}

interface Start {
  readonly identity: MemberIdentity;
  readonly membership: Membership;
}

/** Who this member is: what the directory says, or what its beginning makes it. */
async function resolveStart(options: OpenStoreOptions, recovered: RecoveredState): Promise<Start> {
  const { dataDir, name, clusterId } = options;
  const { identity } = recovered;
  if (identity === undefined) {
    if (existsSync(join(dataDir, 'state', 'CURRENT'))) {
      throw new LogMissingError(
        `${dataDir} holds a state but no log, so this member cannot know what it promised: remove the directory and join again as a new member`,
      );
    }
    return newStart(options);
  }
  if (clusterId !== undefined && identity.clusterId !== clusterId) {
    throw new DataDirectoryError(
      `${dataDir} belongs to cluster ${identity.clusterId}, not to ${clusterId}: choose another --data-dir`,
    );
  }
  if (identity.name !== name) {
    throw new DataDirectoryError(
      `${dataDir} belongs to the member ${identity.name}, not to ${name}: choose another --data-dir or another --name`,
    );
  }
  return { identity, membership: latestMembership(recovered) };
}

async function newStart(options: OpenStoreOptions): Promise<Start> {
  const { name, random, beginning, clientUrl, peer } = options;
  const memberId = drawId(random);
  if (beginning.type === 'join') {
    const membership = await beginning.discover();
    const kept = keptPlace(membership.members, peer.address);
    return { identity: { clusterId: membership.clusterId, memberId: kept?.id ?? memberId, name }, membership };
  }
  const clusterId = options.clusterId ?? drawId(random);
  const self: MembershipEntry = { id: memberId, name, peerAddress: peer.address, clientUrl, role: 'voter' };
  return { identity: { clusterId, memberId, name }, membership: { clusterId, members: [self] } };
}

function assemble(
  options: OpenStoreOptions,
  parts: {
    readonly storage: LevelStorage;
    readonly recovered: RecoveredState;
    readonly start: Start;
    readonly metrics: StoreMetrics | undefined;
  },
) {
  const { clock, random, peer, dataDir, logger } = options;
  const { storage, recovered, start, metrics } = parts;
  const fatal = onlyOnce(options);
  const methods = new PeerMethods();
  const log = logger === undefined ? {} : { logger };
  const isAlone = recovered.identity !== undefined && !hasOtherVoters(start);
  const replica = new Replica({
    backend: new LevelBackend({ directory: join(dataDir, 'state') }),
    clock,
    onFatal: fatal.report,
    limits: resolveLimits(options.limits),
    memberId: start.identity.memberId,
    // Others could send what is missing; a member alone must notice that nobody can.
    appliedIndexMin: isAlone ? recovered.snapshot.index : 0,
    ...(metrics && { observer: metrics.state }),
  });
  const transport = new WebSocketTransport({
    clusterId: start.identity.clusterId,
    memberId: start.identity.memberId,
    listen: peer.listen,
    ...(peer.tls === undefined ? {} : { tls: peer.tls }),
    ...(peer.serverName === undefined ? {} : { serverName: peer.serverName }),
    clock,
    random,
    ...log,
    ...(metrics && { observer: metrics.raft }),
  });
  const raft = createRaftNode<ApplyResult>({
    storage,
    transport,
    stateMachine: replica,
    clock,
    random,
    recovered,
    bootstrap: start,
    onRequest: (from, method, body) => methods.answer(from, method, body),
    onFatal: fatal.report,
    ...log,
    ...(metrics && { observer: metrics.raft }),
    ...(options.peerAddresses === undefined ? {} : { peerAddresses: options.peerAddresses }),
    ...(options.raft === undefined ? {} : { options: options.raft }),
  });
  return { raft, replica, fatal, methods };
}

/** A failure can be noticed in several places; the owner hears of it once, and not while opening, which throws it. */
function onlyOnce(options: OpenStoreOptions) {
  let isOpen = false;
  let failure: Error | undefined;
  return {
    report(error: Error): void {
      if (failure !== undefined) return;
      failure = error;
      (options.logger ?? silentLogger).error({ error }, 'the store has stopped for good');
      if (isOpen) options.onFatal(error);
    },
    failure: () => failure,
    begin(): void {
      isOpen = true;
      if (failure !== undefined) throw failure;
    },
  };
}

async function announce(
  options: OpenStoreOptions,
  raft: RaftDriver<ApplyResult>,
  identity: MemberIdentity,
): Promise<void> {
  if (options.announce === undefined) return;
  const known = raft.status().membership.members.find(({ id }) => id === identity.memberId);
  if (known?.role === 'voter') return;
  const { name, clientUrl, peer } = options;
  await options.announce({ id: identity.memberId, name, peerAddress: peer.address, clientUrl });
}

async function serve(options: OpenStoreOptions, client: LocalClient) {
  if (options.serve === undefined) return undefined;
  const { clock, logger, serve: asked } = options;
  const server = new StoreServer({
    client,
    clock,
    limits: resolveLimits(options.limits),
    ...asked,
    ...(logger === undefined ? {} : { logger }),
  });
  try {
    return { server, port: await server.start() };
  } catch (error) {
    throw startError(error, asked.listen);
  }
}

async function serveEtcd(
  options: OpenStoreOptions,
  parts: {
    readonly raft: RaftDriver<ApplyResult>;
    readonly replica: Replica;
    readonly client: LocalClient;
    readonly metrics: StoreMetrics | undefined;
  },
) {
  if (options.serveEtcd === undefined) return undefined;
  const { clock, random, logger, serveEtcd: asked } = options;
  const { metrics, ...store } = parts;
  const server = new EtcdServer({
    ...store,
    ...asked,
    clock,
    random,
    limits: resolveLimits(options.limits),
    ...(logger !== undefined && { logger }),
    ...(metrics !== undefined && { tallies: metrics.rpcs }),
  });
  try {
    return { server, port: await server.start() };
  } catch (error) {
    throw startError(error, asked.listen);
  }
}

function startError(error: unknown, listen: { readonly host: string; readonly port: number }): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const place = `${listen.host}:${listen.port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new ListenError(`${place} is in use by another process: stop it, or choose another port`, {
        cause: error,
      });
    case 'EADDRNOTAVAIL':
      return new ListenError(`${listen.host} is not an address of this machine`, { cause: error });
    case 'EACCES':
      return new ListenError(`this process may not listen on ${place}: choose a port above 1023`, { cause: error });
    default:
      return error;
  }
}
