/** How a DaemonSet's rolling update goes from node to node (k/k pkg/controller/daemon/update.go). Pure. */
import type { Pod } from '../api/generated/types.ts';
import { isPodReady } from './pods.ts';

/** A node that has pods of the set, or should have one. */
export interface Situation {
  readonly node: string;
  readonly shouldRun: boolean;
  /** The pod of the present template, and that of an earlier one. */
  readonly current: Pod | undefined;
  readonly old: Pod | undefined;
  readonly isCurrentAvailable: boolean;
  readonly isOldAvailable: boolean;
}

export interface DaemonUpdate {
  /** Names of nodes. */
  readonly create: readonly string[];
  readonly delete: readonly Pod[];
}

/** Takes old pods away, the unavailable ones at once, the others as far as enough remain available. */
export function planReplacement(situations: readonly Situation[], maxUnavailable: number): DaemonUpdate {
  const unavailable = situations.filter(
    each => each.shouldRun && !each.isCurrentAvailable && !each.isOldAvailable,
  ).length;
  const candidates = situations.filter(({ old, current }) => old && !current);
  const broken = candidates.filter(({ isOldAvailable }) => !isOldAvailable).flatMap(({ old }) => old ?? []);
  const working = candidates.filter(({ isOldAvailable }) => isOldAvailable).flatMap(({ old }) => old ?? []);
  return { create: [], delete: [...broken, ...working.slice(0, Math.max(0, maxUnavailable - unavailable))] };
}

/**
 * Brings new pods beside old ones first, and takes the old ones away when the new ones serve. A pod on a node that is no longer
 * wanted goes only when as many are available elsewhere as there should be.
 */
export function planSurge(
  situations: readonly Situation[],
  { surge, wanted }: { readonly surge: number; readonly wanted: number },
): DaemonUpdate {
  const surging = situations.filter(
    ({ old, current, isCurrentAvailable }) => old && current && !isCurrentAvailable,
  ).length;
  const replaced = situations.flatMap(({ old, current, isCurrentAvailable }) =>
    old && current && (isCurrentAvailable || !isPodReady(old)) ? [old] : [],
  );
  const alone = situations.filter(({ old, current }) => old && !current);
  const unwanted = alone.filter(({ shouldRun }) => !shouldRun);
  const broken = alone.filter(each => each.shouldRun && !each.isOldAvailable);
  const working = alone.filter(each => each.shouldRun && each.isOldAvailable);
  const available = situations.filter(({ old, isOldAvailable, isCurrentAvailable }) =>
    old ? isOldAvailable : isCurrentAvailable,
  ).length;
  const spare = Math.max(0, available - wanted);
  return {
    create: [...broken, ...working.slice(0, Math.max(0, surge - surging - broken.length))].map(({ node }) => node),
    delete: [
      ...replaced,
      ...unwanted.filter(({ isOldAvailable }) => !isOldAvailable).flatMap(({ old }) => old ?? []),
      ...unwanted
        .filter(({ isOldAvailable }) => isOldAvailable)
        .slice(0, spare)
        .flatMap(({ old }) => old ?? []),
    ],
  };
}
