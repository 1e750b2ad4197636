/**
 * CSI drivers on a node. Start reading here: `registry.ts` knows the drivers by their sockets and `node-info.ts` tells the API
 * of them; `volumes.ts` has them publish the volumes of pods and take them back, from what `volume.ts` (pure) works out and
 * `records.ts` has written down.
 */
import { join } from 'node:path';
import type { Client } from '../../api.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { Sources } from '../sources.ts';
import { NodeInfo } from './node-info.ts';
import { DriverRegistry } from './registry.ts';
import { CsiVolumes } from './volumes.ts';

export interface NodeCsiOptions {
  readonly nodeName: string;
  readonly dataDir: string;
  /** The folder that drivers know as the kubelet's: `plugins_registry`, `plugins` and `pods` lie in it. */
  readonly kubeletDir: string;
  readonly client: Client;
  readonly sources: Sources;
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
  readonly #drivers: DriverRegistry;

  constructor({ kubeletDir, nodeUid, reportedInUse, onInUse, scanMs, ...options }: NodeCsiOptions) {
    const { clock, logger } = options;
    this.#drivers = new DriverRegistry({
      ...{ clock, logger, nodeUid, nodeInfo: new NodeInfo(options) },
      folder: join(kubeletDir, 'plugins_registry'),
      ...(scanMs !== undefined && { scanMs }),
    });
    this.volumes = new CsiVolumes({ ...options, kubeletDir, drivers: this.#drivers, reportedInUse, onInUse });
  }

  /** Follows the drivers until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void> {
    return this.#drivers.run(signal);
  }
}
