/**
 * Pods that outgrow the disk space they were allowed: limits of emptyDir volumes, of the whole pod, of its containers
 * (k/k: pkg/kubelet/eviction/eviction_manager.go, localStorageEviction). Pure.
 */
import {
  addQuantities,
  type Container,
  compareQuantities,
  formatQuantity,
  type ParsedQuantity,
  type Pod,
  parseQuantity,
} from '../api.ts';
import { quantityValue } from '../pods/quantity.ts';
import { isSidecar } from '../pods/requests.ts';

const RESOURCE = 'ephemeral-storage';

/** What a container keeps on the disk. */
export interface ContainerBytes {
  readonly logBytes: number;
  readonly writableBytes: number;
}

/** What a pod keeps on the disk. */
export interface PodStorage {
  /** Bytes of the emptyDir volumes on the disk or in memory, by name. */
  readonly emptyDirs: ReadonlyMap<string, number>;
  /** By name; those that run. */
  readonly containers: ReadonlyMap<string, ContainerBytes>;
  /** What the files take that the agent gives each container and that it can write: /etc/hosts and the like (CVE-2020-8557). */
  readonly ownBytes: number;
}

/** Why a pod has to go; the signal is what a kubelet counts it under. */
export interface StorageExcess {
  readonly signal: 'emptydirfs.limit' | 'ephemeralpodfs.limit' | 'ephemeralcontainerfs.limit';
  readonly message: string;
}

/** True if there is anything to measure. */
export function hasStorageLimits(pod: Pod): boolean {
  return (
    (pod.spec?.volumes ?? []).some(({ emptyDir }) => emptyDir?.sizeLimit !== undefined) || podLimit(pod) !== undefined
  );
}

/** What the pod's volumes, containers and own files take on the disk together. */
export function storageBytes({ spec }: Pod, { emptyDirs, containers, ownBytes }: PodStorage): number {
  const onDisk = (spec?.volumes ?? []).filter(({ emptyDir }) => emptyDir && emptyDir.medium !== 'Memory');
  const volumes = onDisk.reduce((sum, { name }) => sum + (emptyDirs.get(name) ?? 0), ownBytes);
  return [...containers.values()].reduce((sum, bytes) => sum + containerBytes(bytes), volumes);
}

/** A container's log and writable layer together. */
export const containerBytes = ({ logBytes, writableBytes }: ContainerBytes): number => logBytes + writableBytes;

/** Why the pod has to go; undefined if it may stay. */
export function storageExcess(pod: Pod, usage: PodStorage): StorageExcess | undefined {
  return volumeExcess(pod, usage) ?? podExcess(pod, usage) ?? containerExcess(pod, usage);
}

function volumeExcess({ spec }: Pod, { emptyDirs }: PodStorage): StorageExcess | undefined {
  for (const { name, emptyDir } of spec?.volumes ?? []) {
    const limit = quantityValue(emptyDir?.sizeLimit);
    if (!limit || (emptyDirs.get(name) ?? 0) <= limit) continue;
    const message = `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir?.sizeLimit}". `;
    return { signal: 'emptydirfs.limit', message };
  }
  return undefined;
}

function podExcess(pod: Pod, usage: PodStorage): StorageExcess | undefined {
  const limit = podLimit(pod);
  if (limit === undefined || !exceeds(storageBytes(pod, usage), limit)) return undefined;
  const message = `Pod ephemeral local storage usage exceeds the total limit of containers ${formatQuantity(limit)}. `;
  return { signal: 'ephemeralpodfs.limit', message };
}

function containerExcess({ spec }: Pod, { containers }: PodStorage): StorageExcess | undefined {
  for (const container of spec?.containers ?? []) {
    const limit = limitOf(container);
    const bytes = containers.get(container.name);
    if (limit === undefined || limit.unscaled === 0n || !bytes || !exceeds(containerBytes(bytes), limit)) continue;
    const message = `Container ${container.name} exceeded its local ephemeral storage limit "${formatQuantity(limit)}". `;
    return { signal: 'ephemeralcontainerfs.limit', message };
  }
  return undefined;
}

/**
 * The limits of the containers that have one, together, or of the start's hungriest moment (k/k: component-helpers' PodLimits):
 * a container without a limit does not take the pod's away. Undefined if none has one.
 */
function podLimit({ spec }: Pod): ParsedQuantity | undefined {
  let total = (spec?.containers ?? []).map(limitOf).reduce(plus, undefined);
  let sidecars: ParsedQuantity | undefined;
  let peak: ParsedQuantity | undefined;
  for (const container of spec?.initContainers ?? []) {
    const own = limitOf(container);
    if (isSidecar(container)) {
      total = plus(total, own);
      sidecars = plus(sidecars, own);
      peak = larger(peak, sidecars);
    } else peak = larger(peak, plus(own, sidecars));
  }
  const limit = larger(total, peak);
  const overhead = spec?.overhead?.[RESOURCE];
  return limit && limit.unscaled !== 0n && overhead !== undefined ? plus(limit, parsed(overhead)) : limit;
}

function limitOf({ resources }: Pick<Container, 'resources'>): ParsedQuantity | undefined {
  const limit = resources?.limits?.[RESOURCE];
  return limit === undefined ? undefined : parsed(limit);
}

const parsed = (quantity: string | number): ParsedQuantity => parseQuantity(String(quantity));

function plus(a: ParsedQuantity | undefined, b: ParsedQuantity | undefined): ParsedQuantity | undefined {
  return a && b ? addQuantities(a, b) : (a ?? b);
}

function larger(a: ParsedQuantity | undefined, b: ParsedQuantity | undefined): ParsedQuantity | undefined {
  return a && b ? (compareQuantities(b, a) > 0 ? b : a) : (a ?? b);
}

const exceeds = (bytes: number, limit: ParsedQuantity): boolean =>
  compareQuantities(parseQuantity(String(bytes)), limit) > 0;
