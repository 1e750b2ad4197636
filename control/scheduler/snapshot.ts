/**
 * The cluster as the scheduler sees it: nodes with what is free on them. It is kept up to date pod by pod, so that a decision
 * costs nothing but itself. Pods that were given a node count from that moment, before the API confirms it (assumed).
 */
import assert from 'node:assert';
import type { Namespace, Node, Pod } from '../api/generated/types.ts';
import { NodeInfo } from './node-info.ts';
import { NodeOrder, NodeTopologies, type Topologies } from './node-order.ts';
import { bump, type Counts, HeldTerms, SelectorCounts } from './pod-counts.ts';
import { describePod, type PodInfo, sameResources } from './pod-info.ts';
import type { NamespaceLabels, PodSelector } from './pod-terms.ts';
import { VolumeCatalog } from './volumes.ts';
import { WorkloadSelectors } from './workload-selectors.ts';

/** What plugins may ask. */
export interface Snapshot extends NamespaceLabels {
  /** Zones take turns, so that any part of the list is spread over them. */
  readonly nodes: readonly NodeInfo[];
  node(name: string): NodeInfo | undefined;
  /** How many nodes hold an image. */
  imageNodes(image: string): number;
  /** Where the search begins: it wanders, so that equal nodes take turns. */
  readonly offset: number;
  /** Pods that a selector means, by node, or by domain of a topology. */
  podCounts(selector: PodSelector): Counts;
  domainCounts(selector: PodSelector, topologyKey: string): Counts;
  /** How nodes lie in these topologies. */
  topologies(keys: readonly string[]): Topologies;
  /** What `find` finds out about the nodes, but not about their pods; kept under the key until a node changes. */
  remembered<T>(key: string, find: () => T): T;
  /** True if some pod in place is of lower priority. */
  hasLowerThan(priority: number): boolean;
  /** What pods in place want: to be apart, to be together, and what they would like. */
  readonly away: HeldTerms;
  readonly near: HeldTerms;
  readonly preferred: HeldTerms;
  /** Nodes that repel some pods, and nodes that are only disliked: if there are none, nobody need look. */
  readonly hasTaints: boolean;
  readonly hasUnschedulable: boolean;
  /** Pods that are to have room on a node once their victims are gone. */
  nominatedOn(nodeName: string): ReadonlyMap<string, PodInfo> | undefined;
  /** The node that a pod is to have. */
  nominationOf(uid: string): string | undefined;
  readonly volumes: VolumeCatalog;
  readonly workloads: WorkloadSelectors;
  /** How many pods use a claim, under `namespace/name`. */
  claimUsers(claim: string): number;
}

/** Findings about the nodes that are remembered; each may be as large as the list of nodes. */
const FINDINGS_MAX = 32;
type Labels = Readonly<Record<string, string>>;
const NO_LABELS: Labels = Object.freeze({});

export class ClusterSnapshot implements Snapshot {
  readonly #nodes = new Map<string, NodeInfo>();
  readonly #nodeOfPod = new Map<string, NodeInfo>();
  readonly #imageNodes = new Map<string, number>();
  /** Labels by name. */
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  readonly #counts = new SelectorCounts(this, () => this.#placements());
  readonly #order = new NodeOrder();
  readonly #topologies = new NodeTopologies(() => this.nodes);
  readonly #findings = new Map<string, unknown>();
  /** How many pods there are of each priority. */
  readonly #priorities = new Map<number, number>();
  readonly #nominated = new Map<string, Map<string, PodInfo>>();
  readonly #nominationOf = new Map<string, string>();
  readonly #claimUsers = new Map<string, number>();
  readonly away = new HeldTerms(this);
  readonly near = new HeldTerms(this);
  readonly preferred = new HeldTerms(this);
  readonly volumes = new VolumeCatalog();
  readonly workloads = new WorkloadSelectors();
  #tainted = 0;
  #unschedulable = 0;
  offset = 0;

  get nodes(): readonly NodeInfo[] {
    return this.#order.list;
  }

  get hasTaints(): boolean {
    return this.#tainted > 0;
  }

  get hasUnschedulable(): boolean {
    return this.#unschedulable > 0;
  }

  node(name: string): NodeInfo | undefined {
    const info = this.#nodes.get(name);
    return info?.isPresent ? info : undefined;
  }

  imageNodes(image: string): number {
    return this.#imageNodes.get(image) ?? 0;
  }

  namespaceLabels(name: string): Readonly<Record<string, string>> {
    return this.#namespaces.get(name) ?? NO_LABELS;
  }

  podCounts(selector: PodSelector): Counts {
    return this.#counts.byNode(selector);
  }

  domainCounts(selector: PodSelector, topologyKey: string): Counts {
    return this.#counts.byDomain(selector, topologyKey);
  }

  topologies(keys: readonly string[]): Topologies {
    return this.#topologies.of(keys);
  }

  remembered<T>(key: string, find: () => T): T {
    // Each key is used for one sort of finding.
    if (this.#findings.has(key)) return this.#findings.get(key) as T;
    const found = find();
    if (this.#findings.size >= FINDINGS_MAX) this.#findings.clear();
    this.#findings.set(key, found);
    return found;
  }

  hasLowerThan(priority: number): boolean {
    for (const each of this.#priorities.keys()) if (each < priority) return true;
    return false;
  }

  claimUsers(claim: string): number {
    return this.#claimUsers.get(claim) ?? 0;
  }

  setNamespace({ metadata }: Namespace): void {
    const labels = metadata?.labels ?? NO_LABELS;
    const name = metadata?.name ?? '';
    if (JSON.stringify(this.#namespaces.get(name)) === JSON.stringify(labels)) return;
    this.#namespaces.set(name, labels);
    this.#counts.namespacesChanged();
  }

  removeNamespace(name: string): void {
    if (this.#namespaces.delete(name)) this.#counts.namespacesChanged();
  }

  setNode(node: Node): void {
    const info = this.#obtain(node.metadata?.name ?? '');
    const before = info.isPresent ? info.labels : undefined;
    this.#countNode(info, -1);
    info.setNode(node);
    this.#countNode(info, 1);
    if (before) this.#order.move(info, before, info.labels);
    else this.#order.add(info, info.labels);
    this.#nodeChanged(info.name, before, info.labels);
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (!info?.isPresent) return;
    this.#countNode(info, -1);
    info.isPresent = false;
    this.#order.remove(info, info.labels);
    this.#nodeChanged(name, info.labels, undefined);
    this.#forgetIfEmpty(info);
  }

  /** True if the pod counts on some node. */
  hasPod(uid: string): boolean {
    return this.#nodeOfPod.has(uid);
  }

  /** Counts the pod on a node; a pod that is counted already is replaced. */
  setPod(pod: Pod, nodeName: string): void {
    const info = describePod(pod);
    const counted = this.#nodeOfPod.get(info.uid);
    const before = counted?.name === nodeName ? counted.pods.get(info.uid) : undefined;
    // Most changes are to a pod's status: what was counted stays.
    if (counted && before && countsAlike(before, info)) {
      counted.pods.set(info.uid, info);
      return;
    }
    this.removePod(info.uid);
    this.denominate(info.uid);
    const node = this.#obtain(nodeName);
    node.addPod(info);
    this.#nodeOfPod.set(info.uid, node);
    this.#countPod(info, nodeName, 1);
  }

  removePod(uid: string): void {
    const node = this.#nodeOfPod.get(uid);
    if (!node) return;
    this.#nodeOfPod.delete(uid);
    const pod = node.pods.get(uid);
    assert(pod, 'a pod that counts is on its node');
    node.removePod(pod);
    this.#countPod(pod, node.name, -1);
    this.#forgetIfEmpty(node);
  }

  nominatedOn(nodeName: string): ReadonlyMap<string, PodInfo> | undefined {
    if (this.#nominated.size === 0) return undefined;
    return this.#nominated.get(nodeName);
  }

  nominationOf(uid: string): string | undefined {
    return this.#nominationOf.get(uid);
  }

  /** The pod is to go to this node when it can. */
  nominate(pod: PodInfo, nodeName: string): void {
    this.denominate(pod.uid);
    const pods = this.#nominated.get(nodeName) ?? new Map<string, PodInfo>();
    pods.set(pod.uid, pod);
    this.#nominated.set(nodeName, pods);
    this.#nominationOf.set(pod.uid, nodeName);
  }

  /** True if the pod was nominated. */
  denominate(uid: string): boolean {
    const nodeName = this.#nominationOf.get(uid);
    if (nodeName === undefined) return false;
    this.#nominationOf.delete(uid);
    const pods = this.#nominated.get(nodeName);
    pods?.delete(uid);
    if (pods?.size === 0) this.#nominated.delete(nodeName);
    return true;
  }

  /** `before` and `now` are labels; undefined while the node does not exist. */
  #nodeChanged(name: string, before: Labels | undefined, now: Labels | undefined): void {
    this.#findings.clear();
    if (before && now && sameLabels(before, now)) return;
    this.#topologies.changed(before, now);
    for (const each of [this.#counts, this.away, this.near, this.preferred]) each.nodeMoved(name, before, now);
  }

  *#placements(): Iterable<readonly [PodInfo, string]> {
    for (const node of this.#nodes.values()) for (const pod of node.pods.values()) yield [pod, node.name];
  }

  #obtain(name: string): NodeInfo {
    const known = this.#nodes.get(name);
    if (known) return known;
    const info = new NodeInfo(name);
    this.#nodes.set(name, info);
    return info;
  }

  #forgetIfEmpty(info: NodeInfo): void {
    if (!info.isPresent && info.pods.size === 0) this.#nodes.delete(info.name);
  }

  #countPod(pod: PodInfo, nodeName: string, sign: 1 | -1): void {
    this.#counts.change(pod, nodeName, sign);
    bump(this.#priorities, pod.priority, sign);
    if (pod.terms) {
      this.away.change(pod.terms.away, nodeName, sign);
      this.near.change(pod.terms.near, nodeName, sign);
      this.preferred.change(pod.terms.preferred, nodeName, sign);
    }
    for (const claim of pod.claims) {
      const key = `${pod.namespace}/${claim}`;
      const users = this.claimUsers(key) + sign;
      if (users > 0) this.#claimUsers.set(key, users);
      else this.#claimUsers.delete(key);
    }
  }

  #countNode(info: NodeInfo, sign: 1 | -1): void {
    if (!info.isPresent) return;
    if (info.node.spec?.taints?.length) this.#tainted += sign;
    if (info.node.spec?.unschedulable) this.#unschedulable += sign;
    for (const image of info.images.keys()) {
      const nodes = this.imageNodes(image) + sign;
      if (nodes > 0) this.#imageNodes.set(image, nodes);
      else this.#imageNodes.delete(image);
    }
  }
}

/** All else that is counted of a pod in place cannot change. */
function countsAlike(a: PodInfo, b: PodInfo): boolean {
  return (
    a.isTerminating === b.isTerminating &&
    sameResources(a.requests, b.requests) &&
    a.weighed.cpu === b.weighed.cpu &&
    a.weighed.memory === b.weighed.memory &&
    sameLabels(a.labels, b.labels)
  );
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  if (a === b) return true;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every(key => a[key] === b[key]);
}
