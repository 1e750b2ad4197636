/** `/stats/summary`: what pods and node use, in the shape that metrics collectors read (stats.k8s.io v1alpha1). */
import { type Clock, timeText } from './clock.ts';
import type { PodHandle } from './container-lookup.ts';
import type { ContainerUsage, Runtime } from './runtime/runtime.ts';

interface Sample {
  readonly at: number;
  readonly cpuNanoseconds: number;
}

/** A rate needs two looks; younger ones than this would measure noise. */
const SAMPLE_AGE_MS_MIN = 1000;

export class StatsCollector {
  readonly #runtime: Pick<Runtime, 'usage'>;
  readonly #clock: Clock;
  #before = new Map<string, Sample>();

  constructor(runtime: Pick<Runtime, 'usage'>, clock: Clock) {
    this.#runtime = runtime;
    this.#clock = clock;
  }

  async summary(nodeName: string, pods: readonly PodHandle[]): Promise<object> {
    const now = this.#clock.now();
    const usage = new Map((await this.#runtime.usage()).map(one => [one.id, one]));
    const next = new Map<string, Sample>();
    const stats = (one: ContainerUsage) => this.#stats(one, now, next);
    const result = pods.map(({ pod, status }) => {
      const containers = (status?.containerStatuses ?? []).flatMap(({ name, containerID }) => {
        const found = usage.get(containerID?.split('://')[1] ?? '');
        return found ? [{ name, ...stats(found) }] : [];
      });
      const { name, namespace, uid } = pod.metadata ?? {};
      return { podRef: { name, namespace, uid }, ...sum(containers, now), containers };
    });
    this.#before = next;
    return { node: { nodeName, ...sum(result, now) }, pods: result };
  }

  #stats({ id, cpuNanoseconds, memoryBytes }: ContainerUsage, now: number, next: Map<string, Sample>): Usage {
    const before = this.#before.get(id);
    const tooYoung = before !== undefined && now - before.at < SAMPLE_AGE_MS_MIN;
    next.set(id, tooYoung ? before : { at: now, cpuNanoseconds });
    const seconds = before ? (now - before.at) / 1000 : 0;
    const rate =
      before && seconds > 0 ? Math.max(0, Math.round((cpuNanoseconds - before.cpuNanoseconds) / seconds)) : 0;
    return usageOf({ rate, cpuNanoseconds, memoryBytes }, now);
  }
}

interface Usage {
  readonly cpu: { readonly time: string; readonly usageNanoCores: number; readonly usageCoreNanoSeconds: number };
  readonly memory: { readonly time: string; readonly usageBytes: number; readonly workingSetBytes: number };
}

function usageOf(amounts: { rate: number; cpuNanoseconds: number; memoryBytes: number }, now: number): Usage {
  const time = timeText(now);
  return {
    cpu: { time, usageNanoCores: amounts.rate, usageCoreNanoSeconds: amounts.cpuNanoseconds },
    memory: { time, usageBytes: amounts.memoryBytes, workingSetBytes: amounts.memoryBytes },
  };
}

function sum(parts: readonly Usage[], now: number): Usage {
  const total = { rate: 0, cpuNanoseconds: 0, memoryBytes: 0 };
  for (const { cpu, memory } of parts) {
    total.rate += cpu.usageNanoCores;
    total.cpuNanoseconds += cpu.usageCoreNanoSeconds;
    total.memoryBytes += memory.usageBytes;
  }
  return usageOf(total, now);
}
