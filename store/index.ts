/** The replicated key-value store: its one door. `openStore` makes a member; `RemoteClient` talks to members elsewhere. */
export {
  DataLockedError,
  DataVersionError,
  type Leadership,
  LogCorruptError,
  type MemberIdentity,
  type Membership,
  type MembershipEntry,
  type RaftDriver,
  type RaftOptions,
  StorageFailedError,
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
export { type DutiesOptions, followLeadership } from './duties.ts';
export type { StoreHealth, StoreHealthCheck } from './health.ts';
export type { Rpc, RpcTally, RpcType } from './metrics/rpcs.ts';
export type { StoreMetrics } from './metrics/store-metrics.ts';
export type { ApplyResult } from './mvcc/command.ts';
export { OPEN_END, prefixEnd } from './mvcc/keys.ts';
export {
  type Beginning,
  DataDirectoryError,
  ListenError,
  type OpenStore,
  type OpenStoreOptions,
  openStore,
} from './open.ts';
export { RemoteClient, type RemoteClientOptions } from './remote/client.ts';
export { StoreServer, type StoreServerOptions, type TlsMaterial } from './remote/server.ts';
export { Replica, type ReplicaOptions } from './replica.ts';
