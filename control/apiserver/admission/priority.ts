/** Priorities: pods carry the number that their class stands for, and there is one default class at most. */
import { priorityclasses } from '../../api/generated/kinds.ts';
import type { Pod, PodSpec, PriorityClass } from '../../api/generated/types.ts';
import { forbidden } from '../../api/status.ts';
import { SYSTEM_PRIORITY_CLASSES } from '../../api/validation/priority-class.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { resourceName } from '../keys.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { findFresh, listAll } from './lookup.ts';
import { isNewPod } from './pod-defaults.ts';

const DEFAULT_POLICY = 'PreemptLowerPriority';

export function priority(cache: WatchCache): AdmissionPlugin {
  return {
    name: 'Priority',
    mutate: (request, { object }) => (isNewPod(request) ? prioritize(cache, request, object as Pod) : undefined),
    conclude(request, { object }) {
      if (object && isPriorityClass(request)) refuseSecondDefault(cache, request, object as PriorityClass);
      return {};
    },
  };
}

const isPriorityClass = ({ kind }: AdmissionRequest): boolean => kind.plural === priorityclasses.plural;

async function prioritize(cache: WatchCache, request: AdmissionRequest, pod: Pod): Promise<void> {
  const { spec } = pod;
  if (!spec) return;
  const refuse = (why: string) => forbidden(resourceName(request.kind), pod.metadata?.name ?? '', why);
  const found = await classOf(cache, spec);
  if (spec.priorityClassName && !found) throw refuse(`no PriorityClass with name ${spec.priorityClassName} was found`);
  const computed = found?.value ?? 0;
  if (spec.priority !== undefined && spec.priority !== computed) {
    throw refuse(
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission ` +
        `controller computed ${computed} from the given PriorityClass name`,
    );
  }
  const policy = found?.preemptionPolicy ?? DEFAULT_POLICY;
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
    throw refuse(
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority ` +
        `admission controller computed ${policy} from the given PriorityClass name`,
    );
  }
  if (found) spec.priorityClassName = found.metadata?.name ?? '';
  spec.priority = computed;
  spec.preemptionPolicy = policy;
}

/** The class that the pod names, or the default one. Those of the system hold before they are written down. */
async function classOf(cache: WatchCache, { priorityClassName: name }: PodSpec): Promise<PriorityClass | undefined> {
  if (!name) return defaultClass(cache);
  const known = SYSTEM_PRIORITY_CLASSES.find(({ metadata }) => metadata.name === name);
  return known ?? findFresh(cache, priorityclasses, name);
}

/** If there should be several, the one that matters least. */
function defaultClass(cache: WatchCache): PriorityClass | undefined {
  return listAll(cache, priorityclasses)
    .filter(({ globalDefault }) => globalDefault)
    .sort((a, b) => a.value - b.value)[0];
}

function refuseSecondDefault(cache: WatchCache, { kind }: AdmissionRequest, object: PriorityClass): void {
  if (!object.globalDefault) return;
  const other = defaultClass(cache)?.metadata?.name;
  const name = object.metadata?.name ?? '';
  if (other === undefined || other === name) return;
  const why = `PriorityClass ${other} is already marked as default. Only one default can exist`;
  throw forbidden(resourceName(kind), name, why);
}
