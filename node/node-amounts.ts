/**
 * What a node has and gives. The agent measures some of it; others, such as whoever advertises a device, write extended
 * resources into the node's capacity, and the agent lets pods have them, as kubelet does. Pure.
 */

export type Amounts = Readonly<Record<string, string | number>>;

interface Known {
  readonly capacity?: Amounts;
  readonly allocatable?: Amounts;
}

/** The capacity and what of it pods may have: what was measured, and what others wrote into the capacity. */
export function nodeAmounts(measured: Amounts, before: Known | undefined): { capacity: Amounts; allocatable: Amounts } {
  const amounts = sorted({ ...before?.capacity, ...measured });
  return { capacity: amounts, allocatable: amounts };
}

/** The names that pods could have before and that the capacity does not hold any more: a patch has to take them away. */
export function goneAmounts(allocatable: Amounts, before: Known | undefined): string[] {
  return Object.keys(before?.allocatable ?? {}).filter(name => !(name in allocatable));
}

/** In the order of names, so that equal amounts are equal as text. */
export function sorted(amounts: Amounts): Amounts {
  return Object.fromEntries(Object.entries(amounts).sort(([a], [b]) => (a < b ? -1 : 1)));
}
