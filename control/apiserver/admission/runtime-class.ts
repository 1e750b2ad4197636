/** Pods take from their runtime class what it costs to run them, and where they may run. */
import { runtimeclasses } from '../../api/generated/kinds.ts';
import type { Pod, PodSpec, RuntimeClass } from '../../api/generated/types.ts';
import { isEqual } from '../../api/schema/equal.ts';
import { forbidden } from '../../api/status.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { resourceName } from '../keys.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { findFresh } from './lookup.ts';
import { isNewPod } from './pod-defaults.ts';

export function runtimeClass(cache: WatchCache): AdmissionPlugin {
  return {
    name: 'RuntimeClass',
    mutate: (request, { object }) => (isNewPod(request) ? takeClass(cache, request, object as Pod) : undefined),
  };
}

async function takeClass(cache: WatchCache, { kind }: AdmissionRequest, { spec, metadata }: Pod): Promise<void> {
  if (!spec) return;
  const refuse = (why: string) => forbidden(resourceName(kind), metadata?.name ?? '', why);
  const name = spec.runtimeClassName;
  const found = name ? await findFresh(cache, runtimeclasses, name) : undefined;
  if (name && !found) throw refuse(`pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
  const why = takeOverhead(spec, found) ?? takeScheduling(spec, found);
  if (why !== undefined) throw refuse(why);
}

/** Why the pod is refused, if it is. */
function takeOverhead(spec: PodSpec, found: RuntimeClass | undefined): string | undefined {
  const overhead = found?.overhead?.podFixed;
  const has = Object.keys(spec.overhead ?? {}).length > 0;
  if (!overhead) {
    return has ? 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead' : undefined;
  }
  if (has && !isEqual(spec.overhead, overhead)) {
    return "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
  }
  spec.overhead = { ...overhead };
  return undefined;
}

function takeScheduling(spec: PodSpec, found: RuntimeClass | undefined): string | undefined {
  const { nodeSelector = {}, tolerations = [] } = found?.scheduling ?? {};
  for (const [key, value] of Object.entries(nodeSelector)) {
    const own = spec.nodeSelector?.[key];
    if (own === undefined || own === value) continue;
    return `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`;
  }
  if (Object.keys(nodeSelector).length > 0) spec.nodeSelector = { ...nodeSelector, ...spec.nodeSelector };
  const own = spec.tolerations ?? [];
  const more = tolerations.filter(toleration => !own.some(each => isEqual(each, toleration)));
  if (more.length > 0) spec.tolerations = [...own, ...more];
  return undefined;
}
