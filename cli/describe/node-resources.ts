/** What the pods of a node ask for, and how much of the node that is. */
import type { Container, Node, Pod } from '../../control/api/generated/types.ts';
import { ageOf } from '../../control/api/printers/human-duration.ts';
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  milliValue,
  parseQuantity,
  type Quantity,
  wholeValue,
} from '../../control/api/schema/quantity.ts';

type Amounts = Map<string, Quantity>;
type Field = 'requests' | 'limits';

const ZERO = parseQuantity('0');
const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** The pods with their shares, then the sums. */
export function nodeResourceLines({ status }: Node, pods: readonly Pod[], now: number): string[] {
  const allocatable = readAmounts(status?.allocatable ?? status?.capacity);
  const shares = pods.map(pod => ({ pod, requests: podAmounts(pod, 'requests'), limits: podAmounts(pod, 'limits') }));
  const totals = { requests: sum(shares.map(share => share.requests)), limits: sum(shares.map(share => share.limits)) };
  const share = (amounts: Amounts, resource: string) => {
    const amount = amounts.get(resource) ?? ZERO;
    return `${formatQuantity(amount)} (${percentOf(resource, amount, allocatable.get(resource) ?? ZERO)}%)`;
  };
  const names = [...allocatable.keys()].sort(byName);
  const isStandard = (name: string) => ['cpu', 'memory', 'ephemeral-storage', 'pods'].includes(name);
  return [
    `Non-terminated Pods:\t(${pods.length} in total)`,
    '  Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge',
    '  ---------\t----\t\t------------\t----------\t---------------\t-------------\t---',
    ...shares.map(({ pod: { metadata }, requests, limits }) =>
      [
        `  ${metadata?.namespace}\t${metadata?.name}\t`,
        share(requests, 'cpu'),
        share(limits, 'cpu'),
        share(requests, 'memory'),
        share(limits, 'memory'),
        ageOf(metadata?.creationTimestamp, now),
      ].join('\t'),
    ),
    'Allocated resources:',
    '  (Total limits may be over 100 percent, i.e., overcommitted.)',
    '  Resource\tRequests\tLimits',
    '  --------\t--------\t------',
    ...['cpu', 'memory', 'ephemeral-storage', ...names.filter(name => name.startsWith('hugepages-'))].map(
      name => `  ${name}\t${share(totals.requests, name)}\t${share(totals.limits, name)}`,
    ),
    ...names
      .filter(name => !isStandard(name) && !name.startsWith('hugepages-'))
      .map(
        name =>
          `  ${name}\t${formatQuantity(totals.requests.get(name) ?? ZERO)}\t${formatQuantity(totals.limits.get(name) ?? ZERO)}`,
      ),
  ];
}

function percentOf(resource: string, amount: Quantity, whole: Quantity): number {
  const value = resource === 'cpu' ? milliValue : wholeValue;
  return value(whole) === 0 ? 0 : Math.trunc((value(amount) / value(whole)) * 100);
}

/**
 * What a pod takes at most at any time: all its containers with its sidecars, or one init container with the sidecars
 * started before it, whichever is more; and its overhead.
 */
function podAmounts({ spec }: Pod, field: Field): Amounts {
  const total = sum((spec?.containers ?? []).map(container => containerAmounts(container, field)));
  let sidecars: Amounts = new Map();
  let start: Amounts = new Map();
  for (const container of spec?.initContainers ?? []) {
    const own = containerAmounts(container, field);
    if (container.restartPolicy === 'Always') {
      addTo(total, own);
      sidecars = sum([sidecars, own]);
      start = largest(start, sidecars);
    } else start = largest(start, sum([sidecars, own]));
  }
  const amounts = largest(total, start);
  for (const [name, amount] of readAmounts(spec?.overhead)) {
    // Without a limit an overhead does not make one.
    const before = amounts.get(name);
    if (field === 'requests' || before) amounts.set(name, addQuantities(before ?? ZERO, amount));
  }
  return amounts;
}

const containerAmounts = (container: Container, field: Field) => readAmounts(container.resources?.[field]);

function readAmounts(amounts: Readonly<Record<string, string | number>> | undefined): Amounts {
  return new Map(Object.entries(amounts ?? {}).map(([name, amount]) => [name, parseQuantity(String(amount))]));
}

function sum(all: readonly Amounts[]): Amounts {
  const total: Amounts = new Map();
  for (const amounts of all) addTo(total, amounts);
  return total;
}

function addTo(total: Amounts, more: Amounts): void {
  for (const [name, amount] of more) {
    const before = total.get(name);
    total.set(name, before ? addQuantities(before, amount) : amount);
  }
}

function largest(a: Amounts, b: Amounts): Amounts {
  const result = new Map(a);
  for (const [name, amount] of b) {
    const before = result.get(name);
    if (!before || compareQuantities(amount, before) > 0) result.set(name, amount);
  }
  return result;
}
