/**
 * Watches over what the node has left. Short of something, it says so in the node's conditions, gives back what nobody uses,
 * and then ends one pod at a time until there is enough again (k/k: pkg/kubelet/eviction).
 */
import type { Pod } from '../api.ts';
import { type Clock, sleep } from '../clock.ts';
import {
  EVICTION_GRACE_SECONDS,
  EVICTION_OBSERVE_MS,
  PRESSURE_TRANSITION_MS,
  STORAGE_MEASURE_SHARE_MAX,
} from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { NodeAnnouncer } from '../node-events.ts';
import type { Pressure } from '../pods/admission.ts';
import type { Verdict } from '../pods/record.ts';
import type { ContainerUsage, Runtime } from '../runtime/runtime.ts';
import { containerBytes, hasStorageLimits, storageBytes, storageExcess } from './local-storage.ts';
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
  resourceOf,
  type Shortage,
  shortagesIn,
} from './signals.ts';
import { nextMeasuring, StorageMeter } from './storage-meter.ts';

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
  readonly runtime: Pick<Runtime, 'usage' | 'storage'>;
  readonly settings: EvictionSettings;
  readonly observe: () => Promise<Observations>;
  readonly pods: () => readonly Evictable[];
  /** The folder of a pod, with one of its volumes and others of files that its containers have. */
  readonly podDir: (podUid: string) => string;
  /** Gives disk space back that nobody uses; resolves with whether there was any. */
  readonly reclaimDisk: () => Promise<boolean>;
  /** Tells of the node itself. */
  readonly announce: NodeAnnouncer;
  /** The pressures are not what they were. */
  readonly onChange: () => void;
  readonly observeMs?: number;
}

export class Evictor {
  readonly #options: EvictorOptions;
  readonly #meter: StorageMeter;
  readonly #evictions = new Map<string, number>();
  /** Pods went for their own limits since the last look: that may be all that the node needed. */
  #hasEndedOversized = false;
  #measureAt = 0;
  #lastSeen: LastSeen = new Map();
  #crossedSince: CrossedSince = new Map();

  constructor(options: EvictorOptions) {
    this.#options = options;
    this.#meter = new StorageMeter(options);
  }

  /** Pods ended so far, by signal. */
  get evictions(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#evictions);
  }

  get pressures(): readonly Pressure[] {
    return [...this.#lastSeen.keys()];
  }

  /**
   * Looks until the signal aborts. Never rejects. Pods' own disks are measured beside it: that may take long, and must not keep
   * the node from noticing that it runs out of memory.
   */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#repeat(() => this.look(), signal), this.#repeat(() => this.lookAtStorage(), signal)]);
  }

  async #repeat(look: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, logger, observeMs = EVICTION_OBSERVE_MS } = this.#options;
    while (!signal.aborted) {
      await sleep(clock, observeMs, signal);
      if (signal.aborted) return;
      try {
        await look();
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
    const hasEndedOversized = this.#hasEndedOversized;
    this.#hasEndedOversized = false;
    if (hasEndedOversized) return;
    const [first] = dueShortages(shortages, this.#crossedSince, now);
    if (first) await this.#relieve(first);
  }

  /** Measures the pods that have limits of disk space, unless that was done too lately, and ends those that exceed one. */
  async lookAtStorage(): Promise<void> {
    const { clock, logger, pods } = this.#options;
    const startedAt = clock.now();
    if (startedAt < this.#measureAt) return;
    for (const one of pods()) {
      try {
        await this.#endIfOversized(one);
      } catch (error) {
        logger.warn({ error, podUid: one.uid }, 'what a pod keeps on the disk could not be measured');
      }
    }
    this.#measureAt = nextMeasuring({ startedAt, endedAt: clock.now() }, STORAGE_MEASURE_SHARE_MAX);
  }

  async #endIfOversized(one: Evictable): Promise<void> {
    const { allocated } = one;
    if (!allocated || !hasStorageLimits(allocated)) return;
    const excess = storageExcess(allocated, await this.#meter.measure(one, allocated));
    if (!excess) return;
    const { signal, message } = excess;
    if (!one.evict({ reason: 'Evicted', message, graceSeconds: EVICTION_GRACE_SECONDS, disruption: true })) return;
    this.#count(signal);
    this.#hasEndedOversized = true;
  }

  async #relieve(shortage: Shortage): Promise<void> {
    const { logger, pods, reclaimDisk, announce } = this.#options;
    const pressure = pressureOf(shortage);
    const message = `Attempting to reclaim ${resourceOf(shortage)}`;
    announce({ type: 'Warning', reason: 'EvictionThresholdMet', message });
    logger.warn({ signal: shortage.threshold.signal, ...shortage.supply }, 'the node is short');
    if (pressure === 'DiskPressure' && (await reclaimDisk())) return;
    const candidates = new Map(pods().flatMap(one => (one.allocated ? [[one.uid, one] as const] : [])));
    const consumers = await this.#consumers(shortage, [...candidates.values()]);
    for (const consumer of evictionOrder(shortage, consumers)) {
      const graceSeconds = graceSecondsFor(shortage, consumer.pod, this.#options.settings);
      const verdict = {
        ...{ reason: 'Evicted', message: evictionMessage(shortage, consumer) },
        ...{ graceSeconds, disruption: true },
      };
      if (!candidates.get(consumer.pod.metadata?.uid ?? '')?.evict(verdict)) continue;
      this.#count(shortage.threshold.signal);
      return;
    }
  }

  #count(signal: string): void {
    this.#evictions.set(signal, (this.#evictions.get(signal) ?? 0) + 1);
  }

  async #consumers({ threshold }: Shortage, all: readonly Evictable[]): Promise<Consumer[]> {
    const taking = all.flatMap(one => (one.allocated ? [{ one, pod: one.allocated }] : []));
    if (threshold.signal === 'memory.available' || threshold.signal === 'pid.available') {
      const of = threshold.signal === 'pid.available' ? 'processes' : 'memoryBytes';
      const usages = await this.#options.runtime.usage();
      const usage = new Map<string, ContainerUsage>(usages.map(used => [used.id, used]));
      return taking.map(({ one, pod }) => {
        const containers = [...one.containerIds].map(([name, id]) => ({ name, used: usage.get(id)?.[of] ?? 0 }));
        return { pod, containers, used: containers.reduce((sum, { used }) => sum + used, 0) };
      });
    }
    const consumers: Consumer[] = [];
    for (const { one, pod } of taking) {
      const storage = await this.#meter.measure(one, pod);
      const containers = [...storage.containers].map(([name, bytes]) => ({ name, used: containerBytes(bytes) }));
      consumers.push({ pod, containers, used: storageBytes(pod, storage) });
    }
    return consumers;
  }
}
