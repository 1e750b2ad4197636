/** What can be said of a member before it opens, what there is of it afterwards, and what opening can fail with. */
import type { Registry } from 'prom-client';
import type {
  MemberIdentity,
  Membership,
  MembershipEntry,
  RaftDriver,
  RaftOptions,
  TransportLimits,
  WebSocketTransportOptions,
} from '../../raft/index.ts';
import type { StoreClient } from '../client/client.ts';
import type { TurnClock } from '../clock.ts';
import type { HashCheckCounts } from '../duties/hash-check.ts';
import type { DiskSpace } from '../duties/space.ts';
import type { StoreLimits } from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { StoreMetrics } from '../metrics/store-metrics.ts';
import type { ApplyResult } from '../mvcc/command.ts';
import type { TlsMaterial } from '../remote/server.ts';
import type { StoreHealth } from './health.ts';

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
  /** Times, sizes of the log, and under `limits` and `driverLimits` the bounds of the core and of the queues around it. */
  readonly raft?: Partial<RaftOptions>;
  /** Bounds of the connections between members: what is left out is as in `TRANSPORT_LIMITS`. */
  readonly transportLimits?: Partial<TransportLimits>;
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
