/** What the workers of all pods of a node share: the world they act on and what they know of the node. */
import type { Client, EventRecorder, Node, Pod, Service } from '../api.ts';
import type { Clock } from '../clock.ts';
import type { ImageLedger } from '../housekeeping/image-ledger.ts';
import type { Logger } from '../logger.ts';
import type { PodNetwork } from '../network/network.ts';
import type { ProbeCounts } from '../probes/counts.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Semaphore } from '../semaphore.ts';
import type { VolumeManager } from '../volumes/manager.ts';
import type { Sources } from '../volumes/sources.ts';
import type { Pressure } from './admission.ts';
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
  readonly storageBytes: number;
  /** How many it takes. */
  readonly pods: number;
  readonly operatingSystem: string;
  readonly hasAppArmor: boolean;
  /** Where seccomp profiles of pods are looked for. */
  readonly seccompFolder: string;
  readonly resolvConf: string;
  readonly clusterDns: { readonly addresses: readonly string[]; readonly domain: string } | undefined;
}

/** Where a pod's status is told. */
export type StatusSink = Pick<StatusWriter, 'set' | 'flush' | 'forget'>;

export interface PodContext {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly client: Client;
  readonly runtime: Runtime;
  readonly network: PodNetwork;
  readonly volumes: VolumeManager;
  readonly sources: Sources;
  /** Pulls images, and remembers which. */
  readonly images: Pick<ImageLedger, 'pull'>;
  readonly view: RuntimeView;
  readonly statuses: StatusSink;
  readonly recorder: EventRecorder;
  readonly probeCounts: ProbeCounts;
  readonly node: NodeFacts;
  /** All services that the agent knows. */
  readonly services: () => readonly Service[];
  /** Resolves when the network policies of pods that have their address by now stand. */
  readonly admit: () => Promise<void>;
  /** The node's own object, once it was seen. */
  readonly ownNode: () => Node | undefined;
  /** What the node is short of now. */
  readonly pressures: () => readonly Pressure[];
  /** The other pods that this node took and that have not ended, with what they were given. */
  readonly neighbours: (podUid: string) => readonly Pod[];
  /** Bounds what is asked of the runtime at the same time. */
  readonly operations: Semaphore;
  readonly pulls: Semaphore;
}
