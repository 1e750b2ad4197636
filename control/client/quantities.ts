/** Amounts of resources as numbers, for comparing and adding. Pure. */
import type { Container, PodSpec, Quantity } from '../api/generated/types.ts';

/** Amounts by resource name, in base units: cores, bytes, pieces. */
export type Amounts = Readonly<Record<string, number>>;

const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The value of a quantity; NaN for what is none. The API server has validated what comes from it. */
export function parseQuantity(quantity: Quantity | undefined): number {
  if (quantity === undefined) return 0;
  if (typeof quantity === 'number') return quantity;
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(quantity.trim());
  const factor = SUFFIXES[match?.[2] ?? ''];
  return match && factor !== undefined ? Number(match[1]) * factor : Number.NaN;
}

/** CPU in thousandths, so that sums of small shares are exact; all else as it is. */
function parseAmounts(quantities: Readonly<Record<string, Quantity>> | undefined): Record<string, number> {
  const amounts: Record<string, number> = {};
  for (const name in quantities) {
    const value = parseQuantity(quantities[name]);
    amounts[name] = name === 'cpu' ? Math.ceil(value * 1000 - 1e-6) : Math.ceil(value);
  }
  return amounts;
}

/**
 * What a pod asks of its node (k/k: PodRequests): its containers and sidecars together, or its hungriest moment of
 * initialisation if that is more, and the overhead of its sandbox.
 */
export function podRequests(spec: PodSpec | undefined): Record<string, number> {
  const running: Record<string, number> = {};
  const peak: Record<string, number> = {};
  for (const container of spec?.containers ?? []) add(running, containerRequests(container));
  const sidecars: Record<string, number> = {};
  for (const container of spec?.initContainers ?? []) {
    const requests = containerRequests(container);
    const isSidecar = container.restartPolicy === 'Always';
    if (isSidecar) add(sidecars, requests);
    const moment = { ...sidecars };
    if (!isSidecar) add(moment, requests);
    raise(peak, moment);
  }
  add(running, sidecars);
  raise(running, peak);
  add(running, parseAmounts(spec?.overhead));
  return running;
}

function containerRequests({ resources }: Container): Record<string, number> {
  return { ...parseAmounts(resources?.limits), ...parseAmounts(resources?.requests) };
}

export function add(total: Record<string, number>, more: Amounts, sign: 1 | -1 = 1): void {
  for (const name in more) total[name] = (total[name] ?? 0) + sign * (more[name] ?? 0);
}

function raise(total: Record<string, number>, floor: Amounts): void {
  for (const name in floor) total[name] = Math.max(total[name] ?? 0, floor[name] ?? 0);
}
