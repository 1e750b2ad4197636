/**
 * The cluster as the scheduler sees it: nodes with what is free on them. It is kept up to date pod by pod, so that a decision
 * costs nothing but itself. Pods that were given a node count from that moment, before the API confirms it (assumed).
 */
import assert from 'node:assert';
import type { ContainerPort, Namespace, Node, Pod } from '../api/generated/types.ts';
import { type Amounts, add, parseAmounts, podRequests } from '../client/quantities.ts';
import { DEFAULT_CPU_MILLICORES, DEFAULT_MEMORY_BYTES } from './limits.ts';

/** A pod with what the scheduler needs of it, computed once. */
export interface PodInfo {
  readonly pod: Pod;
  readonly requests: Amounts;
  /** With defaults for pods that ask for nothing: for comparing nodes. */
  readonly weighed: { readonly cpu: number; readonly memory: number };
  readonly hostPorts: readonly HostPort[];
}

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

export interface NodeInfo {
  readonly name: string;
  readonly node: Node;
  readonly allocatable: Amounts;
  /** Sums over `pods`. */
  readonly requested: Readonly<Record<string, number>>;
  readonly weighed: { readonly cpu: number; readonly memory: number };
  /** By UID. */
  readonly pods: ReadonlyMap<string, PodInfo>;
  /** Those of `pods` that care who is near them. */
  readonly affine: ReadonlyMap<string, PodInfo>;
  /** Pods by the UID of their controller. */
  readonly perOwner: ReadonlyMap<string, number>;
  /** Size by image name. */
  readonly images: ReadonlyMap<string, number>;
}

export interface Snapshot {
  readonly nodes: readonly NodeInfo[];
  /** How many nodes hold an image. */
  imageNodes(image: string): number;
  namespaceLabels(name: string): Readonly<Record<string, string>>;
  /** Where the search begins: it wanders, so that equal nodes take turns. */
  readonly offset: number;
}

interface MutableNode {
  readonly name: string;
  node: Node;
  allocatable: Amounts;
  requested: Record<string, number>;
  weighed: { cpu: number; memory: number };
  pods: Map<string, PodInfo>;
  affine: Map<string, PodInfo>;
  perOwner: Map<string, number>;
  images: Map<string, number>;
  /** False for a node that pods name but that does not exist (yet). */
  isPresent: boolean;
}

export class ClusterSnapshot implements Snapshot {
  readonly #nodes = new Map<string, MutableNode>();
  readonly #nodeOfPod = new Map<string, string>();
  readonly #imageNodes = new Map<string, number>();
  /** Labels by name. */
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  #list: readonly NodeInfo[] | undefined;
  offset = 0;

  get nodes(): readonly NodeInfo[] {
    this.#list ??= [...this.#nodes.values()].filter(({ isPresent }) => isPresent);
    return this.#list;
  }

  imageNodes(image: string): number {
    return this.#imageNodes.get(image) ?? 0;
  }

  namespaceLabels(name: string): Readonly<Record<string, string>> {
    return this.#namespaces.get(name) ?? {};
  }

  setNamespace({ metadata }: Namespace): void {
    this.#namespaces.set(metadata?.name ?? '', metadata?.labels ?? {});
  }

  removeNamespace(name: string): void {
    this.#namespaces.delete(name);
  }

  setNode(node: Node): void {
    const info = this.#obtain(node.metadata?.name ?? '');
    this.#countImages(info, -1);
    info.node = node;
    info.allocatable = parseAmounts(node.status?.allocatable);
    info.images = new Map(
      (node.status?.images ?? []).flatMap(({ names = [], sizeBytes = 0 }) => names.map(name => [name, sizeBytes])),
    );
    this.#countImages(info, 1);
    if (!info.isPresent) this.#list = undefined;
    info.isPresent = true;
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (!info) return;
    this.#countImages(info, -1);
    info.images = new Map();
    info.isPresent = false;
    this.#list = undefined;
    this.#forgetIfEmpty(info);
  }

  /** True if the pod counts on some node. */
  hasPod(uid: string): boolean {
    return this.#nodeOfPod.has(uid);
  }

  /** Counts the pod on a node; a pod that is counted already is replaced. */
  setPod(pod: Pod, nodeName: string): void {
    const uid = pod.metadata?.uid ?? '';
    this.removePod(uid);
    const info = this.#obtain(nodeName);
    const podInfo = describePod(pod);
    info.pods.set(uid, podInfo);
    if (isAffine(pod)) info.affine.set(uid, podInfo);
    this.#nodeOfPod.set(uid, nodeName);
    count(info, podInfo, 1);
  }

  removePod(uid: string): void {
    const nodeName = this.#nodeOfPod.get(uid);
    if (nodeName === undefined) return;
    this.#nodeOfPod.delete(uid);
    const info = this.#nodes.get(nodeName);
    const podInfo = info?.pods.get(uid);
    assert(info && podInfo, 'a pod that counts is on its node');
    info.pods.delete(uid);
    info.affine.delete(uid);
    count(info, podInfo, -1);
    this.#forgetIfEmpty(info);
  }

  #obtain(name: string): MutableNode {
    const known = this.#nodes.get(name);
    if (known) return known;
    const info: MutableNode = {
      name,
      node: {},
      allocatable: {},
      requested: {},
      weighed: { cpu: 0, memory: 0 },
      pods: new Map(),
      affine: new Map(),
      perOwner: new Map(),
      images: new Map(),
      isPresent: false,
    };
    this.#nodes.set(name, info);
    return info;
  }

  #forgetIfEmpty(info: MutableNode): void {
    if (!info.isPresent && info.pods.size === 0) this.#nodes.delete(info.name);
  }

  #countImages(info: MutableNode, sign: 1 | -1): void {
    for (const image of info.images.keys()) {
      const nodes = this.imageNodes(image) + sign;
      if (nodes > 0) this.#imageNodes.set(image, nodes);
      else this.#imageNodes.delete(image);
    }
  }
}

export function describePod(pod: Pod): PodInfo {
  const requests = podRequests(pod.spec);
  return {
    pod,
    requests,
    weighed: { cpu: requests.cpu || DEFAULT_CPU_MILLICORES, memory: requests.memory || DEFAULT_MEMORY_BYTES },
    hostPorts: (pod.spec?.containers ?? []).flatMap(({ ports = [] }) => ports.flatMap(hostPort)),
  };
}

function hostPort({ hostIP, hostPort: port, protocol }: ContainerPort): HostPort[] {
  return port ? [{ ip: hostIP || '0.0.0.0', protocol: protocol || 'TCP', port }] : [];
}

function count(info: MutableNode, { pod, requests, weighed }: PodInfo, sign: 1 | -1): void {
  add(info.requested, requests, sign);
  info.weighed.cpu += sign * weighed.cpu;
  info.weighed.memory += sign * weighed.memory;
  const owner = ownerUid(pod);
  if (owner === undefined) return;
  const pods = (info.perOwner.get(owner) ?? 0) + sign;
  if (pods > 0) info.perOwner.set(owner, pods);
  else info.perOwner.delete(owner);
}

const isAffine = ({ spec }: Pod) => Boolean(spec?.affinity?.podAffinity ?? spec?.affinity?.podAntiAffinity);

export function ownerUid(pod: Pod): string | undefined {
  return pod.metadata?.ownerReferences?.find(({ controller }) => controller)?.uid;
}
