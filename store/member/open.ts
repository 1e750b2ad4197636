/**
 * One member of a replicated store, put together: log and state on disk, peers, Raft, the replicated state, its client
 * and, if wanted, a server for remote clients. Data lies in `dataDir/raft` and `dataDir/state`.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createRaftNode,
  LevelStorage,
  type MemberIdentity,
  type RaftDriver,
  type RecoveredState,
  WebSocketTransport,
} from '../../raft/index.ts';
import { StateCorruptError } from '../backend/backend.ts';
import { LevelBackend } from '../backend/level.ts';
import { LocalClient } from '../client/local.ts';
import { systemWallClock } from '../clock.ts';
import { keepAddresses } from '../duties/address-keeper.ts';
import { beginCare } from '../duties/care.ts';
import { followLeadership } from '../duties/duties.ts';
import { LEASE_TIME_METHOD } from '../duties/lease-times.ts';
import { type DiskSpace, diskSpace, waitForSpace } from '../duties/space.ts';
import { resolveLimits } from '../limits.ts';
import { silentLogger } from '../logger.ts';
import { CountingClient } from '../metrics/counting-client.ts';
import { StoreMetrics } from '../metrics/store-metrics.ts';
import type { ApplyResult } from '../mvcc/command.ts';
import { Replica } from '../replica.ts';
import { storeHealth } from './health.ts';
import { hasOtherVoters, resolveStart, type Start } from './identity.ts';
import type { OpenStore, OpenStoreOptions } from './options.ts';
import { PeerMethods } from './peer-methods.ts';
import { serve, serveEtcd, startError } from './serving.ts';
import { setAside } from './set-aside.ts';

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
    ...(options.transportLimits && { limits: options.transportLimits }),
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
