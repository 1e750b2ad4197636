/**
 * Which pods have to go so that one that the cluster cannot do without finds room on its node: a kubelet's choice (k/k:
 * pkg/kubelet/preemption/preemption.go). As few Guaranteed pods as can be, then as few Burstable, then as few BestEffort; of those
 * that help alike the smaller. Pure.
 */
import type { Pod } from '../api.ts';
import { type QosClass, qosClassOf } from './quantity.ts';
import { type Amounts, podRequests } from './requests.ts';

/** How much of something is missing; of pods, places. */
export interface Missing {
  readonly name: string;
  readonly key: keyof Amounts | 'pods';
  readonly quantity: number;
}

/** What pods that go for another are told of it. */
export const PREEMPTION = {
  reason: 'Preempting',
  message: 'Preempted in order to admit critical pod',
  disruption: true,
  disruptionMessage: 'Pod was preempted by Kubelet to accommodate a critical pod.',
} as const;

/** The pods to end, all of which may be; undefined if even all together would not make room. */
export function planPreemption(missing: readonly Missing[], candidates: readonly Pod[]): readonly Pod[] | undefined {
  if (without(missing, candidates).length > 0) return undefined;
  const [bestEffort, burstable, guaranteed] = QOS_ORDER.map(qos => candidates.filter(pod => qosClassOf(pod) === qos));
  const ends = { bestEffort: bestEffort ?? [], burstable: burstable ?? [], guaranteed: guaranteed ?? [] };
  // What the lesser classes give at most is taken for given: so those above them lose as little as can be.
  const first = nearest(ends.guaranteed, without(missing, [...ends.bestEffort, ...ends.burstable]));
  const second = nearest(ends.burstable, without(missing, [...ends.bestEffort, ...first]));
  const third = nearest(ends.bestEffort, without(missing, [...second, ...first]));
  return [...third, ...second, ...first];
}

/** What a kubelet says where no pods can make room. */
export function noRoomMessage(missing: readonly Missing[], candidates: readonly Pod[]): string {
  const left = without(missing, candidates).map(({ name, quantity }) => `(res: ${name}, q: ${quantity}), `);
  return `preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [${left.join('')}]`;
}

const QOS_ORDER: readonly QosClass[] = ['BestEffort', 'Burstable', 'Guaranteed'];

/** What is still missing once these are gone. */
function without(missing: readonly Missing[], gone: readonly Pod[]): readonly Missing[] {
  return missing.flatMap(one => {
    const quantity = gone.reduce((left, pod) => left - amountOf(pod, one), one.quantity);
    return quantity > 0 ? [{ ...one, quantity }] : [];
  });
}

/** Takes the pod that comes nearest to what is missing, then anew for what is left. They are known to suffice. */
function nearest(pods: readonly Pod[], missing: readonly Missing[]): Pod[] {
  const left = [...pods];
  const taken: Pod[] = [];
  for (let still = missing; still.length > 0; still = without(missing, taken)) {
    const [best] = left.toSorted((a, b) => distance(a, still) - distance(b, still) || compareRequests(a, b));
    if (!best) throw new Error('pods that were enough together do not suffice one by one');
    taken.push(best);
    left.splice(left.indexOf(best), 1);
  }
  return taken;
}

/** Each thing that is missing counts alike, by the share of it that the pod would leave. */
function distance(pod: Pod, missing: readonly Missing[]): number {
  return missing.reduce((sum, one) => sum + Math.max(0, (one.quantity - amountOf(pod, one)) / one.quantity) ** 2, 0);
}

function compareRequests(a: Pod, b: Pod): number {
  const [of, than] = [podRequests(a), podRequests(b)];
  return of.memoryBytes - than.memoryBytes || of.cpuMilli - than.cpuMilli;
}

const amountOf = (pod: Pod, { key }: Missing): number => (key === 'pods' ? 1 : podRequests(pod)[key]);
