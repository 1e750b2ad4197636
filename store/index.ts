/** The replicated key-value store: its one door. `openStore` makes a member; `RemoteClient` talks to members elsewhere. */
export {
  DataLockedError,
  DataVersionError,
  DRIVER_LIMITS,
  type DriverLimits,
  type Leadership,
  LogCorruptError,
  type MemberIdentity,
  type Membership,
  type MembershipEntry,
  RAFT_OPTIONS,
  type RaftDriver,
  type RaftOptions,
  RemovedError,
  StorageFailedError,
  TRANSPORT_LIMITS,
  type TransportLimits,
} from '../raft/index.ts';
export {
  type StateBackend,
  StateCorruptError,
  StateFailedError,
  StateLockedError,
  StateVersionError,
} from './backend/backend.ts';
export { MemoryBackend, MemoryStateDisk } from './backend/memory.ts';
export * from './client/client.ts';
export { LocalClient, type LocalClientOptions } from './client/local.ts';
export { createMemoryStore, MemoryStore, type MemoryStoreOptions } from './client/memory.ts';
export { type Clock, systemClock, type TurnClock } from './clock.ts';
export { type DutiesOptions, followLeadership } from './duties/duties.ts';
export { type HashCheckCounts, StateDivergedError } from './duties/hash-check.ts';
export type { DiskSpace } from './duties/space.ts';
export { EtcdClient, type EtcdStore, LEADER_KEY, openEtcd } from './etcd/client/client.ts';
export { type EtcdDutiesOptions, followElection } from './etcd/client/duties.ts';
export { Election, type ElectionLeadership, type ElectionOptions } from './etcd/client/election.ts';
export type { EtcdTls } from './etcd/client/endpoint.ts';
export { DEFAULT_PREFIX, type EtcdOptions } from './etcd/client/session.ts';
export { resolveLimits, STORE_LIMITS, type StoreLimits } from './limits.ts';
export type { Logger as StoreLogger } from './logger.ts';
export { connectStore, EmbedError, type EmbedOptions, type EmbedTls, embedStore } from './member/embed.ts';
export type { StoreHealth, StoreHealthCheck } from './member/health.ts';
export { openStore } from './member/open.ts';
export {
  type Beginning,
  DataDirectoryError,
  ListenError,
  LogMissingError,
  type OpenStore,
  type OpenStoreOptions,
} from './member/options.ts';
export { setAside, timeName } from './member/set-aside.ts';
export type { Rpc, RpcTally, RpcType } from './metrics/rpcs.ts';
export type { StoreMetrics } from './metrics/store-metrics.ts';
export type { ApplyResult } from './mvcc/command.ts';
export { keyBytes, keyFromBytes, OPEN_END, prefixEnd } from './mvcc/keys.ts';
export { RemoteClient, type RemoteClientOptions } from './remote/client.ts';
export { StoreServer, type StoreServerOptions, type TlsMaterial } from './remote/server.ts';
export { Replica, type ReplicaOptions } from './replica.ts';
export {
  inspectSnapshotFile,
  readSnapshotHeader,
  type SnapshotSummary,
  writeSnapshotFile,
} from './snapshot/file.ts';
export { SnapshotError, type SnapshotFault, type SnapshotHeader } from './snapshot/format.ts';
export { REVISION_BUMP } from './snapshot/limits.ts';
export { type Recovered, type Reset, type RestoreOptions, resetStore, restoreStore } from './snapshot/recovery.ts';
export { DamagedLogError, type LostEntries, refuseIfInUse, SurvivorError } from './snapshot/survivor.ts';
