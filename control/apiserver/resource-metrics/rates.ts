/** What containers use, out of two looks at their counters. Pure. */
import { z } from 'zod';

/** What is read of an agent's `/stats/summary` (stats.k8s.io/v1alpha1). */
const summarySchema = z.object({
  node: z.object({ memory: z.object({ workingSetBytes: z.number().optional() }).optional() }),
  pods: z.array(
    z.object({
      podRef: z.object({ name: z.string(), namespace: z.string(), uid: z.string().optional() }),
      containers: z
        .array(
          z.object({
            name: z.string(),
            cpu: z.object({ usageCoreNanoSeconds: z.number().optional() }).optional(),
            memory: z.object({ workingSetBytes: z.number().optional() }).optional(),
          }),
        )
        .optional(),
    }),
  ),
});

/** One look at a node. */
export interface Look {
  /** When the agent answered. */
  readonly atMs: number;
  readonly memoryBytes: number;
  /** By namespace, name and UID of the pod and name of the container. */
  readonly containers: ReadonlyMap<string, Counters>;
}
interface Counters {
  /** `namespace/name` of the pod. */
  readonly pod: string;
  readonly container: string;
  readonly cpuNanoseconds: number;
  readonly memoryBytes: number;
}

export interface Usage {
  readonly cpuNanocores: number;
  readonly memoryBytes: number;
}
export interface ContainerUsage extends Usage {
  readonly name: string;
}
/** What a node and the pods on it used between two looks. */
export interface NodeUsage extends Usage {
  readonly atMs: number;
  readonly windowMs: number;
  /** By `namespace/name`; only pods of which all containers were seen twice. */
  readonly pods: ReadonlyMap<string, readonly ContainerUsage[]>;
}

/** Reads an agent's answer. Throws ZodError. */
export function readSummary(summary: unknown, atMs: number): Look {
  const { node, pods } = summarySchema.parse(summary);
  const containers = new Map<string, Counters>();
  for (const { podRef, containers: own = [] } of pods) {
    const pod = `${podRef.namespace}/${podRef.name}`;
    for (const { name, cpu, memory } of own) {
      containers.set(`${pod}/${podRef.uid ?? ''}/${name}`, {
        pod,
        container: name,
        cpuNanoseconds: cpu?.usageCoreNanoSeconds ?? 0,
        memoryBytes: memory?.workingSetBytes ?? 0,
      });
    }
  }
  return { atMs, memoryBytes: node.memory?.workingSetBytes ?? 0, containers };
}

/**
 * What was used between two looks. A pod with a container that was not there before, or that has started anew since (its
 * counter fell), is left out: what it used cannot be told, and nothing is not what it used.
 */
export function usageBetween(before: Look, now: Look): NodeUsage {
  const windowMs = now.atMs - before.atMs;
  const pods = new Map<string, ContainerUsage[]>();
  const unknown = new Set<string>();
  for (const [key, { pod, container, cpuNanoseconds, memoryBytes }] of now.containers) {
    const earlier = before.containers.get(key);
    if (!earlier || earlier.cpuNanoseconds > cpuNanoseconds || windowMs <= 0) {
      unknown.add(pod);
      continue;
    }
    const cpuNanocores = Math.round((cpuNanoseconds - earlier.cpuNanoseconds) / (windowMs / 1000));
    const others = pods.get(pod);
    const usage = { name: container, cpuNanocores, memoryBytes };
    if (others) others.push(usage);
    else pods.set(pod, [usage]);
  }
  const cpuNanocores = [...pods.values()].flat().reduce((sum, each) => sum + each.cpuNanocores, 0);
  for (const pod of unknown) pods.delete(pod);
  return { atMs: now.atMs, windowMs, cpuNanocores, memoryBytes: now.memoryBytes, pods };
}
