/**
 * The metrics of one member. `openStore` makes it where a registry is given, hands its tallies to Raft, state and client as
 * their observers, and binds it to what can be read off the running member. docs/metrics.md lists all figures.
 */
import type { Registry } from 'prom-client';
import type { RaftStatus } from '../../raft/index.ts';
import type { Alarm } from '../client/client.ts';
import type { Replica } from '../replica.ts';
import { directoryBytes } from './directory-bytes.ts';
import { expose } from './exposition.ts';
import { peerFigures } from './peer-figures.ts';
import { raftFigures } from './raft-figures.ts';
import { RequestTallies, requestFigures } from './requests.ts';
import { RpcTallies, rpcFigures } from './rpcs.ts';
import { stateFigures } from './state-figures.ts';
import { RaftTally, StateTally } from './tallies.ts';

/** Where figures that are not counted are read. */
export interface MetricsSources {
  readonly raft: { status(): RaftStatus };
  readonly replica: Replica;
  readonly dataDir: string;
  readonly quotaBytes: number;
  readonly alarms: () => readonly Alarm[];
  readonly hashChecks: () => Readonly<Record<string, number>>;
}

export class StoreMetrics {
  readonly raft = new RaftTally();
  readonly state = new StateTally();
  readonly requests = new RequestTallies();
  /** Calls over gRPC, counted by who serves them. */
  readonly rpcs = new RpcTallies();
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Registers all figures. @throws if the registry has figures of a store already: one registry serves one member */
  bind(sources: MetricsSources): void {
    const status = () => sources.raft.status();
    expose(this.#registry, [
      ...raftFigures(this.raft, status),
      ...peerFigures(this.raft, status),
      ...stateFigures(this.state, { ...sources, sizeOf: folder => directoryBytes(sources.dataDir, folder) }),
      ...requestFigures(this.requests),
      ...rpcFigures(this.rpcs),
    ]);
  }
}
