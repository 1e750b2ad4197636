/** A node with what runs on it: sums are kept as pods come and go, so that a question costs nothing but itself. */
import type { Node } from '../api/generated/types.ts';
import { matchesLabels } from '../client/labels.ts';
import {
  addQuantities,
  addResources,
  emptyResources,
  type HostPort,
  type PodInfo,
  type Resources,
} from './pod-info.ts';

const NO_NODE: Node = Object.freeze({});
const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});

export class NodeInfo {
  readonly name: string;
  node: Node = NO_NODE;
  labels: Readonly<Record<string, string>> = NO_LABELS;
  /** False for a node that pods name but that does not exist (yet). */
  isPresent = false;
  allocatable: Readonly<Resources> = emptyResources();
  podsMax = 0;
  readonly requested: Resources = emptyResources();
  readonly weighed = { cpu: 0, memory: 0 };
  /** By UID. */
  readonly pods = new Map<string, PodInfo>();
  /** Size by image name. */
  images: ReadonlyMap<string, number> = new Map();
  /** How many pods hold each port, under `protocol/port`, by address. */
  readonly #ports = new Map<string, Map<string, number>>();

  constructor(name: string) {
    this.name = name;
  }

  setNode(node: Node): void {
    this.node = node;
    this.labels = node.metadata?.labels ?? NO_LABELS;
    this.isPresent = true;
    const allocatable = emptyResources();
    addQuantities(allocatable, node.status?.allocatable);
    this.podsMax = allocatable.scalars.get('pods') ?? 0;
    allocatable.scalars.delete('pods');
    this.allocatable = allocatable;
    this.images = new Map(
      (node.status?.images ?? []).flatMap(({ names = [], sizeBytes = 0 }) => names.map(name => [name, sizeBytes])),
    );
  }

  addPod(pod: PodInfo): void {
    this.pods.set(pod.uid, pod);
    this.#count(pod, 1);
  }

  removePod(pod: PodInfo): void {
    if (this.pods.delete(pod.uid)) this.#count(pod, -1);
  }

  /** True if nothing on the node holds a port that collides with this one. */
  isPortFree({ ip, protocol, port }: HostPort): boolean {
    const holders = this.#ports.get(`${protocol}/${port}`);
    if (!holders) return true;
    return ip !== ANY_ADDRESS && !holders.has(ip) && !holders.has(ANY_ADDRESS);
  }

  /** The same node to play with. */
  copy(): NodeInfo {
    const copy = new NodeInfo(this.name);
    copy.node = this.node;
    copy.labels = this.labels;
    copy.isPresent = this.isPresent;
    copy.allocatable = this.allocatable;
    copy.podsMax = this.podsMax;
    copy.images = this.images;
    for (const pod of this.pods.values()) copy.addPod(pod);
    return copy;
  }

  /** True if the node has all of these labels. */
  hasLabels(labels: Readonly<Record<string, string>>): boolean {
    return matchesLabels(labels, this.labels);
  }

  #count(pod: PodInfo, sign: 1 | -1): void {
    addResources(this.requested, pod.requests, sign);
    this.weighed.cpu += sign * pod.weighed.cpu;
    this.weighed.memory += sign * pod.weighed.memory;
    for (const port of pod.hostPorts) this.#countPort(port, sign);
  }

  #countPort({ ip, protocol, port }: HostPort, sign: 1 | -1): void {
    const name = `${protocol}/${port}`;
    const holders = this.#ports.get(name) ?? new Map<string, number>();
    const count = (holders.get(ip) ?? 0) + sign;
    if (count > 0) holders.set(ip, count);
    else holders.delete(ip);
    if (holders.size > 0) this.#ports.set(name, holders);
    else this.#ports.delete(name);
  }
}

const ANY_ADDRESS = '0.0.0.0';

/** True if no two pods of a node can have these ports. */
export function collide(a: HostPort, b: HostPort): boolean {
  if (a.protocol !== b.protocol || a.port !== b.port) return false;
  return a.ip === b.ip || a.ip === ANY_ADDRESS || b.ip === ANY_ADDRESS;
}
