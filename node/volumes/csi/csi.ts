/**
 * CSI drivers on a node. Start reading here: `registry.ts` knows the drivers by their sockets and `node-info.ts` tells the API
 * of them; `volumes.ts` has them publish the volumes of pods and take them back, from what `volume.ts` (pure) works out and
 * `records.ts` has written down. `expansion.ts` has them enlarge volumes (`expansion-plan.ts` is pure), `stats.ts` asks what these
 * hold; both by `driver-calls.ts`, as all calls about volumes go.
 */
import { join } from 'node:path';
import type { Client, EventRecorder } from '../../api.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { Sources } from '../sources.ts';
import { DriverCalls } from './driver-calls.ts';
import { CsiExpansion } from './expansion.ts';
import { NodeInfo } from './node-info.ts';
import { DriverRegistry } from './registry.ts';
import { CsiStats } from './stats.ts';
import { CsiVolumes } from './volumes.ts';

export interface NodeCsiOptions {
  readonly nodeName: string;
  readonly dataDir: string;
  /** The folder that drivers know as the kubelet's: `plugins_registry`, `plugins` and `pods` lie in it. */
  readonly kubeletDir: string;
  readonly client: Client;
  readonly sources: Sources;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Which node object stands for this node now; undefined before it is registered. */
  readonly nodeUid: () => string | undefined;
  /** The volumes that the node's status in the API names as in use. */
  readonly reportedInUse: () => readonly string[];
  /** What is in use has changed: it is to be reported. */
  readonly onInUse: () => void;
  readonly scanMs?: number;
}

export class NodeCsi {
  readonly volumes: CsiVolumes;
  readonly expansion: CsiExpansion;
  readonly stats: CsiStats;
  readonly #drivers: DriverRegistry;

  constructor({ kubeletDir, nodeUid, reportedInUse, onInUse, scanMs, ...options }: NodeCsiOptions) {
    const { clock, logger } = options;
    this.#drivers = new DriverRegistry({
      ...{ clock, logger, nodeUid, nodeInfo: new NodeInfo(options) },
      folder: join(kubeletDir, 'plugins_registry'),
      ...(scanMs !== undefined && { scanMs }),
    });
    const calls = new DriverCalls({ ...options, drivers: this.#drivers });
    this.volumes = new CsiVolumes({ ...options, kubeletDir, calls, reportedInUse, onInUse });
    const isPublished = (podUid: string, path: string) => this.volumes.isPublished(podUid, path);
    this.expansion = new CsiExpansion({ ...options, kubeletDir, calls, isPublished });
    this.stats = new CsiStats({ ...options, kubeletDir, calls });
  }

  /** Ends calls that are under way; what was begun is written down. */
  async close(): Promise<void> {
    await this.volumes.close();
    await Promise.all([this.expansion.close(), this.stats.close()]);
  }

  /** Follows the drivers until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void> {
    return this.#drivers.run(signal);
  }
}
