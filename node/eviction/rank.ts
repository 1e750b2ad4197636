/** Which pod goes first when the node is short: k/k's order of eviction (pkg/kubelet/eviction/helpers.go). Pure. */
import { formatQuantity, type Pod, parseQuantity } from '../api.ts';
import { isCritical } from '../pods/admission.ts';
import { quantityValue } from '../pods/quantity.ts';
import { podRequests } from '../pods/requests.ts';
import { binaryQuantity, resourceOf, type Shortage } from './signals.ts';

/** What a pod and its containers use of what is short. */
export interface Consumer {
  readonly pod: Pod;
  readonly used: number;
  readonly containers: readonly { readonly name: string; readonly used: number }[];
}

/**
 * The pods that may go, the first to go first: those that use more than they asked for, then the less important, then those
 * that are furthest above their request. What the cluster cannot do without stays.
 */
export function evictionOrder(shortage: Shortage, consumers: readonly Consumer[]): Consumer[] {
  const isMeasured = shortage.threshold.signal !== 'pid.available';
  const excess = ({ pod, used }: Consumer) => used - (isMeasured ? requestOf(shortage, pod) : 0);
  const exceeds = (consumer: Consumer) => (isMeasured && excess(consumer) > 0 ? 0 : 1);
  const priority = ({ pod }: Consumer) => pod.spec?.priority ?? 0;
  return consumers
    .filter(({ pod }) => !isCritical(pod))
    .toSorted((a, b) => exceeds(a) - exceeds(b) || priority(a) - priority(b) || excess(b) - excess(a));
}

function requestOf({ threshold }: Shortage, pod: Pod): number {
  const { memoryBytes, storageBytes } = podRequests(pod);
  return threshold.signal === 'memory.available' ? memoryBytes : storageBytes;
}

/** What the pod's status says of it. */
export function evictionMessage(shortage: Shortage, { pod, containers }: Consumer): string {
  const resource = resourceOf(shortage);
  const isBytes = !/(?:inodesFree|^pid\.available)$/.test(shortage.threshold.signal);
  const print = (amount: number) => (isBytes ? binaryQuantity(amount) : String(Math.floor(amount)));
  const opening = `The node was low on resource: ${resource}. Threshold quantity: ${print(shortage.quantity)}, available: ${print(shortage.supply.available)}. `;
  return opening + (MEASURED.has(resource) ? containers.map(used => cause(resource, pod, used)).join('') : '');
}

/** Of these it is told which containers take more than they asked for. */
const MEASURED: ReadonlySet<string> = new Set(['memory', 'ephemeral-storage']);

function cause(resource: string, { spec }: Pod, { name, used }: { name: string; used: number }): string {
  const all = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const request = all.find(container => container.name === name)?.resources?.requests?.[resource] ?? '0';
  if (used <= (quantityValue(request) ?? 0)) return '';
  // A kubelet prints memory in powers of two, and disks in those of ten.
  const amount = resource === 'memory' ? binaryQuantity(used) : formatQuantity(parseQuantity(String(Math.floor(used))));
  const asked = formatQuantity(parseQuantity(String(request)));
  return `Container ${name} was using ${amount}, request is ${asked}, has larger consumption of ${resource}. `;
}
