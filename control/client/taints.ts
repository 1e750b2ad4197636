/** Taints of nodes and the tolerations of pods. Pure. */
import type { Taint, Toleration } from '../api/generated/types.ts';

/** True if the toleration covers the taint (k/k: Toleration.ToleratesTaint). An empty key with Exists covers all. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  switch (toleration.operator || 'Equal') {
    case 'Equal':
      return Boolean(toleration.key) && (toleration.value ?? '') === (taint.value ?? '');
    case 'Exists':
      return true;
    default:
      return false;
  }
}

/** The first taint of one of these effects that nothing tolerates. */
export function untoleratedTaint(
  taints: readonly Taint[],
  tolerations: readonly Toleration[],
  effects: readonly string[],
): Taint | undefined {
  for (const taint of taints) {
    if (effects.includes(taint.effect) && !tolerations.some(toleration => tolerates(toleration, taint))) return taint;
  }
  return undefined;
}

/** Keeps pods off a node: by the scheduler, and for NoExecute also those that run there. */
export const REPELLING_EFFECTS: readonly string[] = ['NoSchedule', 'NoExecute'];

export const TAINT_NOT_READY = 'node.kubernetes.io/not-ready';
export const TAINT_UNREACHABLE = 'node.kubernetes.io/unreachable';
export const TAINT_UNSCHEDULABLE = 'node.kubernetes.io/unschedulable';
