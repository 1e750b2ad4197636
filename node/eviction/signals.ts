/**
 * When a node is short of something: thresholds on memory, disk and process ids, and the conditions that tell of them.
 * After an observation a condition holds for a while, so that it does not come and go. Pure.
 */
import type { Pressure } from '../pods/admission.ts';

/** How much there is and how much of it is left. */
export interface Supply {
  readonly capacity: number;
  readonly available: number;
}

export const SIGNALS = [
  'memory.available',
  'nodefs.available',
  'nodefs.inodesFree',
  // Of the disk that holds the runtime's images, which may be the same.
  'imagefs.available',
  'imagefs.inodesFree',
  'pid.available',
] as const;
export type Signal = (typeof SIGNALS)[number];

/** What was measured; a signal that cannot be measured is left out and is never short. */
export type Observations = Partial<Record<Signal, Supply>>;

export interface Threshold {
  readonly signal: Signal;
  /** An amount, or a share of the capacity. */
  readonly atLeast: { readonly amount: number } | { readonly share: number };
  /** As it was written: `100Mi`, `10%`. */
  readonly text: string;
  /** A soft threshold: pods go only after it was crossed for so long. Without, they go at once. */
  readonly graceMs?: number;
}

/**
 * Where a node becomes short. Memory is a kubelet's own threshold. Of the disk a kubelet keeps 10 and 15 percent free; k3s
 * found that too much where the disk is not the cluster's alone, and takes 5, as here.
 */
export const DEFAULT_THRESHOLDS: readonly Threshold[] = [
  { signal: 'memory.available', atLeast: { amount: 100 * 2 ** 20 }, text: '100Mi' },
  { signal: 'nodefs.available', atLeast: { share: 0.05 }, text: '5%' },
  { signal: 'nodefs.inodesFree', atLeast: { share: 0.05 }, text: '5%' },
  { signal: 'imagefs.available', atLeast: { share: 0.05 }, text: '5%' },
  { signal: 'imagefs.inodesFree', atLeast: { share: 0.05 }, text: '5%' },
  { signal: 'pid.available', atLeast: { share: 0.01 }, text: '1%' },
];

export interface Shortage {
  readonly threshold: Threshold;
  readonly quantity: number;
  readonly supply: Supply;
}

const PRESSURES: Readonly<Record<Signal, Pressure>> = {
  'memory.available': 'MemoryPressure',
  'nodefs.available': 'DiskPressure',
  'nodefs.inodesFree': 'DiskPressure',
  'imagefs.available': 'DiskPressure',
  'imagefs.inodesFree': 'DiskPressure',
  'pid.available': 'PIDPressure',
};

/** What users call it in messages. */
const RESOURCES: Readonly<Record<Signal, string>> = {
  'memory.available': 'memory',
  'nodefs.available': 'ephemeral-storage',
  'nodefs.inodesFree': 'inodes',
  'imagefs.available': 'ephemeral-storage',
  'imagefs.inodesFree': 'inodes',
  'pid.available': 'pids',
};

/** The thresholds that are crossed now, memory first as it is what kills. */
export function shortagesIn(thresholds: readonly Threshold[], observed: Observations): Shortage[] {
  return thresholds.flatMap(threshold => {
    const supply = observed[threshold.signal];
    if (!supply) return [];
    const { atLeast } = threshold;
    const quantity = 'amount' in atLeast ? atLeast.amount : atLeast.share * supply.capacity;
    return supply.available < quantity ? [{ threshold, quantity, supply }] : [];
  });
}

export const pressureOf = ({ threshold }: Shortage): Pressure => PRESSURES[threshold.signal];
export const resourceOf = ({ threshold }: Shortage): string => RESOURCES[threshold.signal];

/** Since when each threshold has been crossed without a pause. */
export type CrossedSince = ReadonlyMap<Threshold, number>;

export function crossedSince(before: CrossedSince, shortages: readonly Shortage[], now: number): CrossedSince {
  return new Map(shortages.map(({ threshold }) => [threshold, before.get(threshold) ?? now]));
}

/** The shortages for which pods have to go by now. */
export function dueShortages(shortages: readonly Shortage[], since: CrossedSince, now: number): Shortage[] {
  return shortages.filter(({ threshold }) => now - (since.get(threshold) ?? now) >= (threshold.graceMs ?? 0));
}

/** Since when each pressure was last seen. */
export type LastSeen = ReadonlyMap<Pressure, number>;

/** The pressures that count: those seen now and those not long ago. */
export function pressuresAt(
  lastSeen: LastSeen,
  shortages: readonly Shortage[],
  at: { readonly now: number; readonly transitionMs: number },
): LastSeen {
  const next = new Map([...lastSeen].filter(([, seen]) => at.now - seen < at.transitionMs));
  for (const shortage of shortages) next.set(pressureOf(shortage), at.now);
  return next;
}

/** Bytes as Kubernetes prints them, `0` to `Ki` to `Ei`, whole. */
export function binaryQuantity(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
  let value = Math.max(0, Math.floor(bytes));
  let unit = 0;
  while (value >= 1024 && value % 1024 === 0 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value}${units[unit]}`;
}
