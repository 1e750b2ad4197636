/**
 * What volumes hold, as their drivers count it (CSI's NodeGetVolumeStats). Figures are kept for a while; a driver that does not
 * answer keeps no collector waiting.
 */
import { type Clock, sleep } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { VolumeFigures } from '../../metrics/usage.ts';
import { Semaphore } from '../../semaphore.ts';
import type { DriverCalls } from './driver-calls.ts';
import { volumeStatsAgeMs, volumeStatsCallsMax, volumeStatsWaitMs } from './limits.ts';
import { nodeCapability, usageUnit } from './messages.ts';
import { nodeCalls } from './services.ts';
import { type CsiVolume, isStagedBy, pathsOf } from './volume.ts';

export interface PodVolume {
  readonly podUid: string;
  readonly csi: CsiVolume;
}

export interface CsiStatsOptions {
  readonly kubeletDir: string;
  readonly calls: DriverCalls;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Known {
  figures?: VolumeFigures;
  askedAt: number;
  asking: Promise<void> | undefined;
}

export class CsiStats {
  readonly #options: CsiStatsOptions;
  /** By pod and volume; no more than were last asked about. */
  readonly #known = new Map<string, Known>();
  readonly #running = new Set<Promise<void>>();
  readonly #slots = new Semaphore(volumeStatsCallsMax);

  constructor(options: CsiStatsOptions) {
    this.#options = options;
  }

  /** The figures of those volumes whose drivers count them, in the same order; undefined for the others. Never rejects. */
  async of(volumes: readonly PodVolume[]): Promise<readonly (VolumeFigures | undefined)[]> {
    const keys = new Set(volumes.map(keyOf));
    for (const key of this.#known.keys()) if (!keys.has(key)) this.#known.delete(key);
    const asked = volumes.flatMap(volume => this.#ask(volume) ?? []);
    if (asked.length > 0) {
      const timer = new AbortController();
      await Promise.race([Promise.all(asked), sleep(this.#options.clock, volumeStatsWaitMs, timer.signal)]);
      timer.abort();
    }
    return volumes.map(volume => this.#known.get(keyOf(volume))?.figures);
  }

  /** Resolves when nothing is under way any more; to be called when calls were ended. */
  async close(): Promise<void> {
    await Promise.all(this.#running);
  }

  #ask(volume: PodVolume): Promise<void> | undefined {
    const { calls, clock, logger } = this.#options;
    const driver = calls.find(volume.csi.driver);
    if (!driver?.capabilities.has(nodeCapability.getVolumeStats) || calls.signal.aborted) return undefined;
    const known = this.#known.get(keyOf(volume)) ?? { askedAt: Number.NEGATIVE_INFINITY, asking: undefined };
    this.#known.set(keyOf(volume), known);
    if (known.asking || clock.now() - known.askedAt < volumeStatsAgeMs) return known.asking;
    known.askedAt = clock.now();
    const asking = this.#slots
      .run(() => this.#read(volume))
      .then(
        figures => {
          known.figures = figures;
        },
        (error: unknown) => logger.debug({ error, volume: volume.csi.name }, 'a driver gave no figures of a volume'),
      )
      .finally(() => {
        known.asking = undefined;
        this.#running.delete(asking);
      });
    known.asking = asking;
    this.#running.add(asking);
    return asking;
  }

  async #read({ podUid, csi }: PodVolume): Promise<VolumeFigures> {
    const { calls, clock, kubeletDir } = this.#options;
    const driver = calls.driver(csi.driver);
    const { targetPath, stagingPath } = pathsOf(csi, { kubeletDir, podUid });
    const { usage } = await calls.call(driver, nodeCalls.stats, {
      volumeId: csi.handle,
      volumePath: targetPath,
      ...(isStagedBy(driver, csi) && { stagingTargetPath: stagingPath }),
    });
    const bytes = usage.find(({ unit }) => unit === usageUnit.bytes);
    const inodes = usage.find(({ unit }) => unit === usageUnit.inodes);
    return {
      at: clock.now(),
      ...(bytes && { capacityBytes: bytes.total, availableBytes: bytes.available, usedBytes: bytes.used }),
      ...(inodes && { inodes: inodes.total, inodesFree: inodes.available, inodesUsed: inodes.used }),
    };
  }
}

const keyOf = ({ podUid, csi }: PodVolume) => `${podUid}/${csi.name}`;
