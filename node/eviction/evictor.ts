/**
 * Watches over what the node has left. Short of something, it says so in the node's conditions, gives back what nobody uses,
 * and then ends one pod at a time until there is enough again (k/k: pkg/kubelet/eviction).
 */
import { join } from 'node:path';
import type { Pod } from '../api.ts';
import { type Clock, sleep } from '../clock.ts';
import { EVICTION_GRACE_SECONDS, EVICTION_OBSERVE_MS, PRESSURE_TRANSITION_MS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { Pressure } from '../pods/admission.ts';
import type { Verdict } from '../pods/record.ts';
import type { ContainerUsage, Runtime } from '../runtime/runtime.ts';
import { hasStorageLimits, storageExcess, type VolumeUsage } from './local-storage.ts';
import { folderBytes } from './measure.ts';
import { type Consumer, evictionMessage, evictionOrder } from './rank.ts';
import { type EvictionSettings, graceSecondsFor } from './settings.ts';
import {
  type CrossedSince,
  crossedSince,
  dueShortages,
  type LastSeen,
  type Observations,
  pressureOf,
  pressuresAt,
  type Shortage,
  shortagesIn,
} from './signals.ts';

/** A pod that may have to go. */
export interface Evictable {
  readonly uid: string;
  /** Undefined if it takes nothing of the node. */
  readonly allocated: Pod | undefined;
  readonly containerIds: ReadonlyMap<string, string>;
  /** False if it ends already. */
  evict(verdict: Verdict): boolean;
}

export interface EvictorOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly runtime: Pick<Runtime, 'usage'>;
  readonly settings: EvictionSettings;
  readonly observe: () => Promise<Observations>;
  readonly pods: () => readonly Evictable[];
  /** The folder of a pod, with one of its volumes and others of files that its containers have. */
  readonly podDir: (podUid: string) => string;
  /** Gives disk space back that nobody uses; resolves with whether there was any. */
  readonly reclaimDisk: () => Promise<boolean>;
  /** The pressures are not what they were. */
  readonly onChange: () => void;
  readonly observeMs?: number;
}

/** What `pod-files.ts` and `container-maker.ts` write into a pod's folder. */
const OWN_FOLDERS = ['etc', 'containers'];

export class Evictor {
  readonly #options: EvictorOptions;
  readonly #evictions = new Map<string, number>();
  #lastSeen: LastSeen = new Map();
  #crossedSince: CrossedSince = new Map();

  constructor(options: EvictorOptions) {
    this.#options = options;
  }

  /** Pods ended so far, by signal. */
  get evictions(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#evictions);
  }

  get pressures(): readonly Pressure[] {
    return [...this.#lastSeen.keys()];
  }

  /** Looks until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, observeMs = EVICTION_OBSERVE_MS } = this.#options;
    while (!signal.aborted) {
      await sleep(clock, observeMs, signal);
      if (signal.aborted) return;
      try {
        await this.look();
      } catch (error) {
        logger.warn({ error }, 'the node could not be measured');
      }
    }
  }

  /** Looks once, and ends at most one pod for what the node is short of. */
  async look(): Promise<void> {
    const { clock, observe, settings, onChange } = this.#options;
    const shortages = shortagesIn(settings.thresholds, await observe());
    const before = this.pressures.join();
    const now = clock.now();
    this.#lastSeen = pressuresAt(this.#lastSeen, shortages, { now, transitionMs: PRESSURE_TRANSITION_MS });
    this.#crossedSince = crossedSince(this.#crossedSince, shortages, now);
    if (this.pressures.join() !== before) onChange();
    if (await this.#endOversized()) return;
    const [first] = dueShortages(shortages, this.#crossedSince, now);
    if (first) await this.#relieve(first);
  }

  async #endOversized(): Promise<boolean> {
    const { pods } = this.#options;
    let hasEnded = false;
    for (const one of pods()) {
      const { uid, allocated } = one;
      if (!allocated || !hasStorageLimits(allocated)) continue;
      const message = storageExcess(allocated, await this.#emptyDirs(uid, allocated), await this.#ownBytes(uid));
      if (
        message &&
        one.evict({ reason: 'Evicted', message, graceSeconds: EVICTION_GRACE_SECONDS, disruption: true })
      ) {
        this.#count('ephemeral-storage.limit');
        hasEnded = true;
      }
    }
    return hasEnded;
  }

  async #emptyDirs(uid: string, pod: Pod): Promise<VolumeUsage> {
    const usage = new Map<string, number>();
    for (const { name, emptyDir } of pod.spec?.volumes ?? [])
      if (emptyDir) usage.set(name, await folderBytes(join(this.#options.podDir(uid), 'volumes', name)));
    return usage;
  }

  async #ownBytes(uid: string): Promise<number> {
    const folders = OWN_FOLDERS.map(name => join(this.#options.podDir(uid), name));
    return (await Promise.all(folders.map(folderBytes))).reduce((sum, bytes) => sum + bytes, 0);
  }

  async #relieve(shortage: Shortage): Promise<void> {
    const { logger, pods, reclaimDisk } = this.#options;
    const pressure = pressureOf(shortage);
    logger.warn({ signal: shortage.threshold.signal, ...shortage.supply }, 'the node is short');
    if (pressure === 'DiskPressure' && (await reclaimDisk())) return;
    const candidates = new Map(pods().flatMap(one => (one.allocated ? [[one.uid, one] as const] : [])));
    const consumers = await this.#consumers(shortage, [...candidates.values()]);
    for (const consumer of evictionOrder(shortage, consumers)) {
      const message = evictionMessage(shortage, consumer);
      const graceSeconds = graceSecondsFor(shortage, consumer.pod, this.#options.settings);
      const verdict = { reason: 'Evicted', message, graceSeconds, disruption: true };
      if (!candidates.get(consumer.pod.metadata?.uid ?? '')?.evict(verdict)) continue;
      this.#count(shortage.threshold.signal);
      return;
    }
  }

  #count(signal: string): void {
    this.#evictions.set(signal, (this.#evictions.get(signal) ?? 0) + 1);
  }

  async #consumers(shortage: Shortage, all: readonly Evictable[]): Promise<Consumer[]> {
    const { runtime } = this.#options;
    const isMemory = shortage.threshold.signal === 'memory.available';
    const usage = new Map<string, ContainerUsage>(
      isMemory ? (await runtime.usage()).map(one => [one.id, one] as const) : [],
    );
    const consumers: Consumer[] = [];
    for (const { uid, allocated, containerIds } of all) {
      if (!allocated) continue;
      const containers = [...containerIds].map(([name, id]) => ({ name, used: usage.get(id)?.memoryBytes ?? 0 }));
      const used = isMemory
        ? containers.reduce((sum, one) => sum + one.used, 0)
        : [...(await this.#emptyDirs(uid, allocated)).values()].reduce((sum, bytes) => sum + bytes, 0);
      consumers.push({ pod: allocated, used, containers });
    }
    return consumers;
  }
}
