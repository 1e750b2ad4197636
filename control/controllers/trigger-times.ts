/**
 * When that happened which endpoints were changed for: the annotation by which proxies measure how long news takes to reach
 * them (k/k staging/src/k8s.io/endpointslice/util/trigger_time_tracker.go). Of a new Service it is its creation, later the
 * earliest readiness of a pod that is new since the last look. Pure but for what it remembers.
 */
import type { Pod, Service } from '../api/generated/types.ts';
import type { KubernetesObject } from '../api/kind.ts';
import { keyOf } from '../client/keys.ts';
import { podCondition } from './pods.ts';

export const LAST_CHANGE_TRIGGER_TIME = 'endpoints.kubernetes.io/last-change-trigger-time';

interface LastLook {
  readonly created: string;
  /** By name of the pod. */
  readonly pods: ReadonlyMap<string, string>;
}

/** Times are compared as the API writes them: in UTC and whole seconds. */
export class TriggerTimes {
  /** By key of the Service; an entry goes with it. */
  readonly #looks = new Map<string, LastLook>();

  /** Undefined if nothing happened that has a time. `pods` are those that the Service selects. To be asked once a look. */
  next(service: Service, pods: readonly Pod[]): string | undefined {
    const key = keyOf(service);
    const before = this.#looks.get(key);
    const created = service.metadata?.creationTimestamp ?? '';
    const times = new Map<string, string>();
    let earliest = created > (before?.created ?? '') ? created : undefined;
    for (const pod of pods) {
      const time = podCondition(pod, 'Ready')?.lastTransitionTime;
      if (!time) continue;
      const name = pod.metadata?.name ?? '';
      times.set(name, time);
      const isNew = time > (before?.pods.get(name) ?? '');
      if (isNew && (earliest === undefined || time < earliest)) earliest = time;
    }
    this.#looks.set(key, { created, pods: times });
    return before ? earliest : created || undefined;
  }

  forget(key: string): void {
    this.#looks.delete(key);
  }
}

/** The object with this time, or without any. */
export function withTriggerTime<T extends KubernetesObject>(object: T, time: string | undefined): T {
  const { [LAST_CHANGE_TRIGGER_TIME]: before, ...others } = object.metadata?.annotations ?? {};
  if (before === time) return object;
  const { annotations: _, ...metadata } = object.metadata ?? {};
  const annotations = { ...others, ...(time !== undefined && { [LAST_CHANGE_TRIGGER_TIME]: time }) };
  return { ...object, metadata: { ...metadata, ...(Object.keys(annotations).length > 0 && { annotations }) } };
}
