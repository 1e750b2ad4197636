/** What the workers of all pods of a node share: the world they act on and what they know of the node. */
import type { Client, EventRecorder, Service } from '../api.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { PodNetwork } from '../network/network.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Semaphore } from '../semaphore.ts';
import type { VolumeManager } from '../volumes/manager.ts';
import type { Sources } from '../volumes/sources.ts';
import type { RuntimeView } from './runtime-view.ts';
import type { StatusWriter } from './status-writer.ts';

/** The node, as pods see it. */
export interface NodeFacts {
  readonly name: string;
  readonly hostname: string;
  /** Its addresses, the primary one first. */
  readonly addresses: readonly string[];
  readonly cpuMilli: number;
  readonly memoryBytes: number;
  readonly resolvConf: string;
  readonly clusterDns: { readonly addresses: readonly string[]; readonly domain: string } | undefined;
}

export interface PodContext {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly client: Client;
  readonly runtime: Runtime;
  readonly network: PodNetwork;
  readonly volumes: VolumeManager;
  readonly sources: Sources;
  readonly view: RuntimeView;
  readonly statuses: StatusWriter;
  readonly recorder: EventRecorder;
  readonly node: NodeFacts;
  /** All services that the agent knows. */
  readonly services: () => readonly Service[];
  /** Bounds what is asked of the runtime at the same time. */
  readonly operations: Semaphore;
  readonly pulls: Semaphore;
}
