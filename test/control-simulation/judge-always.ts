/**
 * What must hold at any time, looked at with each change that the API takes in. Caches may lag, so users' wishes of the last
 * minutes all count; and a creation whose answer was lost may be made a second time before the first is seen.
 */
import type {
  DaemonSet,
  Deployment,
  Job,
  Node,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ResourceQuota,
  StatefulSet,
} from '../../control/api/generated/types.ts';
import type { KubernetesObject } from '../../control/api/kind.ts';
import { DESIRED_REPLICAS } from '../../control/controllers/deployment-util.ts';
import type { EventName } from './coverage.ts';
import {
  boundsOf,
  cpuMillis,
  daemonNode,
  indexOf,
  isActive,
  isFinished,
  isLeaving,
  isReady,
  millis,
  podsIn,
  selects,
  uidOf,
} from './facts.ts';
import { Readiness } from './readiness.ts';
import { type Change, controllerUid, type View } from './view.ts';

/** Something was so that must never be. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export interface JudgeOptions {
  readonly view: View;
  readonly now: () => number;
  readonly note: (name: EventName) => void;
}

/** What anybody may still believe. */
const LAG_MS = 600_000;
const TRACKING = 'batch.kubernetes.io/job-tracking';

export class Judge {
  readonly #options: JudgeOptions;
  /** Values of the last minutes, by what they are of. */
  readonly #recent = new Map<string, { readonly untilMs: number; readonly value: number }[]>();
  readonly #present = new Map<string, number>();
  readonly #excused = new Map<string, number[]>();
  readonly #readyMs = new Map<string, number>();
  readonly #readiness = new Readiness(LAG_MS);
  /** Pods that an eviction took, by UID; one of a pod that is leaving already takes nothing. */
  readonly #evicted = new Set<string>();
  readonly #succeeded = new Map<string, Set<string>>();
  /** Those of them that may not go before they are counted, and were not leaving when they succeeded. */
  readonly #tracked = new Map<string, Set<string>>();

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** A pod was created whose author does not know of it. */
  excuse(body: Uint8Array | string | undefined): void {
    if (body === undefined) return;
    const pod = JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString()) as Pod;
    const uid = controllerUid(pod);
    if (uid === undefined || pod.kind !== 'Pod') return;
    this.#options.note('creation with a lost answer');
    this.#excused.set(uid, [...(this.#excused.get(uid) ?? []), this.#options.now()]);
  }

  /** @throws Violation */
  look(change: Change): void {
    this.#remember(change);
    const found = this.#find(change);
    if (found !== undefined) throw new Violation(`${found} (revision ${change.revision})`);
  }

  #find(change: Change): string | undefined {
    const { plural, before, after } = change;
    const unnatural = findUnnatural(change);
    if (unnatural !== undefined) return unnatural;
    if (plural === 'pods' && after) {
      const [old, pod] = [before as Pod | undefined, after as Pod];
      if (!old) return this.#findSurplus(pod) ?? this.#findOverQuota(pod);
      if (!old.spec?.nodeName && pod.spec?.nodeName) return this.#findCrowd(pod.spec.nodeName);
      if (!isLeaving(old) && isLeaving(pod) && isEvicted(pod)) return this.#findBrokenBudget(pod);
    }
    if (plural === 'replicasets' && after)
      return this.#findBadRollout(before as ReplicaSet | undefined, after as ReplicaSet);
    if (plural === 'jobs' && after) return this.#findFalseCount(before as Job | undefined, after as Job);
    return undefined;
  }

  /** Keeps what later looks need. */
  #remember(change: Change): void {
    const { plural, before, after } = change;
    const object = after ?? before;
    if (!object) return;
    const uid = uidOf(object);
    const replicas = (after as ReplicaSet | undefined)?.spec?.replicas;
    if (plural === 'deployments' && after) {
      const { most, least } = boundsOf(after as Deployment);
      this.#set(`${uid} most`, most);
      this.#set(`${uid} least`, least);
    } else if (plural === 'jobs' && after) {
      this.#set(`${uid} most`, (after as Job).spec?.parallelism ?? 1);
    } else if (replicas !== undefined) this.#set(`${uid} most`, replicas);
    else if (plural === 'daemonsets' && after) {
      this.#set(`${uid} most`, (after as DaemonSet).spec?.updateStrategy?.rollingUpdate?.maxSurge ? 2 : 1);
    } else if (plural === 'resourcequotas' && after) {
      const { spec, status } = after as ResourceQuota;
      if (status?.hard?.pods !== undefined) this.#set(`${uid} most`, Number(spec?.hard?.pods));
    } else if (plural === 'poddisruptionbudgets' && after) {
      this.#set(`${uid} least`, (after as PodDisruptionBudget).status?.desiredHealthy ?? 0);
    } else if (plural === 'pods') {
      this.#readiness.take(change, this.#options.now());
      this.#rememberPod(before as Pod | undefined, after as Pod | undefined);
    }
  }

  #rememberPod(before: Pod | undefined, after: Pod | undefined): void {
    const { note, now } = this.#options;
    const pod = after ?? before;
    if (!pod) return;
    if (after && isEvicted(after) && !isLeaving(after)) this.#evicted.add(uidOf(after));
    if ((before && isReady(before)) || (after && isReady(after))) this.#readyMs.set(uidOf(pod), now());
    if (!after && before?.spec?.nodeName && !this.#options.view.get('nodes', before.spec.nodeName))
      note('pod removed with its node');
    if (before && after && !isLeaving(before) && isLeaving(after) && after.metadata?.ownerReferences) {
      const node = this.#options.view.get<Node>('nodes', after.spec?.nodeName ?? '');
      const isSilent = node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status !== 'True');
      if (isSilent) note('pod moved from a dead node');
    }
    if (after?.status?.phase !== 'Succeeded') return;
    const owner = controllerUid(after);
    if (owner === undefined) return;
    const all = this.#succeeded.get(owner) ?? new Set();
    // One that was leaving before it succeeded may have been counted as failed by then, as Kubernetes does (isPodFailed).
    if (after.metadata?.finalizers?.includes(TRACKING) && !isLeaving(after))
      this.#tracked.set(owner, (this.#tracked.get(owner) ?? new Set()).add(uidOf(after)));
    all.add(uidOf(after));
    this.#succeeded.set(owner, all);
  }

  /** More pods than their owner asks for. */
  #findSurplus(pod: Pod): string | undefined {
    const { view } = this.#options;
    const owner = pod.metadata?.ownerReferences?.find(({ controller }) => controller);
    if (!owner) return undefined;
    const most = this.#most(`${owner.uid} most`);
    if (most === undefined) return `pod ${nameOf(pod)} was created for ${owner.kind} ${owner.name}, which never was`;
    const siblings = view.ownedBy<Pod>('pods', owner.uid).filter(isActive);
    const allowed = most + this.#excuses(owner.uid);
    const whose = `${owner.kind} ${pod.metadata?.namespace}/${owner.name}`;
    if (owner.kind === 'DaemonSet') {
      const node = daemonNode(pod);
      const there = siblings.filter(sibling => daemonNode(sibling) === node);
      return there.length > allowed ? `${whose} has ${there.length} pods for ${node}` : undefined;
    }
    if (siblings.length > allowed) return `${whose} has ${siblings.length} pods where ${most} are the most`;
    if (owner.kind === 'Job') return this.#findJobSurplus(pod, siblings, whose);
    if (owner.kind === 'StatefulSet') return this.#findDisorder(pod, siblings, whose);
    if (owner.kind === 'ReplicaSet') return this.#findCoexistence(pod, whose);
    return undefined;
  }

  #findJobSurplus(pod: Pod, siblings: readonly Pod[], whose: string): string | undefined {
    const { view } = this.#options;
    const uid = controllerUid(pod) ?? '';
    const job = view.list<Job>('jobs').find(({ metadata }) => metadata?.uid === uid);
    if (!job) return undefined;
    const excuses = this.#excuses(uid);
    // A pod that nothing held may have gone unseen.
    const done = this.#tracked.get(uid)?.size ?? 0;
    const { completions, completionMode } = job.spec ?? {};
    if (completions !== undefined && siblings.length + done > completions + excuses)
      return `${whose} has ${siblings.length} pods at work and ${done} done of ${completions}`;
    if (completionMode !== 'Indexed') return undefined;
    const same = siblings.filter(sibling => indexOf(sibling) === indexOf(pod));
    return same.length > 1 + excuses ? `${whose} has ${same.length} pods for index ${indexOf(pod)}` : undefined;
  }

  /** In order, each pod waits for those before it. */
  #findDisorder(pod: Pod, siblings: readonly Pod[], whose: string): string | undefined {
    const set = this.#options.view
      .list<StatefulSet>('statefulsets')
      .find(({ metadata }) => metadata?.uid === controllerUid(pod));
    if (set?.spec?.podManagementPolicy !== 'OrderedReady') return undefined;
    const start = set.spec.ordinals?.start ?? 0;
    const ordinal = Number(nameOf(pod).split('-').at(-1));
    for (let before = start; before < ordinal; before++) {
      const other = siblings.find(sibling => nameOf(sibling).endsWith(`-${before}`));
      if (!other || !this.#wasReady(other)) return `${whose} got pod ${ordinal} before pod ${before} was ready`;
    }
    return undefined;
  }

  /** A deployment of type Recreate has no two kinds of pods. */
  #findCoexistence(pod: Pod, whose: string): string | undefined {
    const { view, now } = this.#options;
    const set = view.list<ReplicaSet>('replicasets').find(({ metadata }) => metadata?.uid === controllerUid(pod));
    const deployment = view
      .list<Deployment>('deployments')
      .find(({ metadata }) => set !== undefined && metadata?.uid === controllerUid(set));
    if (deployment?.spec?.strategy?.type !== 'Recreate') return undefined;
    const others = view
      .ownedBy<ReplicaSet>('replicasets', uidOf(deployment))
      .filter(other => other !== set)
      .flatMap(other => view.ownedBy<Pod>('pods', uidOf(other)))
      .filter(other => !isFinished(other) && now() - Date.parse(other.metadata?.creationTimestamp ?? '') > LAG_MS);
    return others.length > 0
      ? `${whose} of a deployment of type Recreate got a pod beside ${nameOf(others[0])}`
      : undefined;
  }

  #findOverQuota(pod: Pod): string | undefined {
    const { view } = this.#options;
    const namespace = pod.metadata?.namespace;
    for (const quota of view.list<ResourceQuota>('resourcequotas')) {
      if (quota.metadata?.namespace !== namespace) continue;
      const most = this.#most(`${uidOf(quota)} most`);
      const used = podsIn(view, namespace).filter(isActive).length;
      if (most !== undefined && used > most && used > Number(quota.status?.used?.pods ?? 0))
        return `namespace ${namespace} has ${used} pods of ${most}`;
    }
    return undefined;
  }

  /** More on a node than it has room for. */
  #findCrowd(name: string): string | undefined {
    const { view } = this.#options;
    const node = view.get<Node>('nodes', name);
    if (!node) return undefined;
    const pods = view.list<Pod>('pods').filter(pod => pod.spec?.nodeName === name && !isFinished(pod));
    const { cpu, pods: places } = node.status?.allocatable ?? {};
    const used = pods.reduce((sum, pod) => sum + cpuMillis(pod), 0);
    if (used > millis(cpu)) return `${name} has pods for ${used}m of ${cpu}`;
    return pods.length > Number(places) ? `${name} has ${pods.length} pods` : undefined;
  }

  /** An eviction that left fewer healthy pods than the budget wants. */
  #findBrokenBudget(pod: Pod): string | undefined {
    const { view, now } = this.#options;
    const namespace = pod.metadata?.namespace;
    for (const budget of view.list<PodDisruptionBudget>('poddisruptionbudgets')) {
      if (budget.metadata?.namespace !== namespace || !selects(budget.spec?.selector, pod)) continue;
      const least = this.#least(`${uidOf(budget)} least`) ?? 0;
      const isCounted = (other: Pod) =>
        other.metadata?.namespace === namespace && selects(budget.spec?.selector, other);
      const present = podsIn(view, namespace).filter(
        other => isCounted(other) && isActive(other) && this.#wasReady(other),
      );
      // Evictions take from the budget at once; what others delete counts until the budget's controller has seen it go.
      const stays = (other: Pod) => isCounted(other) && !this.#evicted.has(uidOf(other));
      const healthy = Math.max(present.length, this.#readiness.mostAtOnce(stays, now()));
      if (healthy < least && this.#wasReady(pod))
        return `the eviction of ${nameOf(pod)} left ${healthy} healthy pods of ${least}`;
    }
    return undefined;
  }

  /** A rollout that has too many pods, or takes away too many. */
  #findBadRollout(before: ReplicaSet | undefined, after: ReplicaSet): string | undefined {
    const { view } = this.#options;
    const uid = controllerUid(after);
    if (uid === undefined) return undefined;
    const [old, wanted] = [before?.spec?.replicas ?? 0, after.spec?.replicas ?? 0];
    if (wanted === old) return undefined;
    const sets = view.ownedBy<ReplicaSet>('replicasets', uid);
    const whose = `deployment of ${nameOf(after)}`;
    const total = sets.reduce((sum, { spec }) => sum + (spec?.replicas ?? 0), 0);
    if (wanted > old) {
      const most = this.#most(`${uid} most`) ?? 0;
      return total > most ? `the ${whose} asks for ${total} pods where ${most} are the most` : undefined;
    }
    // One that is scaled in the middle of a rollout takes from all its sets by their share, as Kubernetes does, without
    // asking how many of whose pods are available.
    const scaleOf = (set: ReplicaSet | undefined) => set?.metadata?.annotations?.[DESIRED_REPLICAS];
    if (scaleOf(before) !== scaleOf(after)) return undefined;
    const least = this.#least(`${uid} least`) ?? 0;
    const deployment = view.list<Deployment>('deployments').find(other => uidOf(other) === uid);
    const certain = (set: ReplicaSet) => this.#available(set, deployment?.spec?.minReadySeconds ?? 0);
    const hopeful = sets.reduce((sum, set) => sum + Math.min(set.spec?.replicas ?? 0, this.#hopeful(set)), 0);
    const formerly = sets.reduce(
      (sum, set) => sum + Math.min(set === after ? old : (set.spec?.replicas ?? 0), certain(set)),
      0,
    );
    return hopeful < Math.min(least, formerly)
      ? `the ${whose} keeps ${hopeful} pods that may be available, of ${formerly}, where ${least} are the least`
      : undefined;
  }

  /** Pods of a set that are available, whatever is known of them. */
  #available(set: ReplicaSet, minReadySeconds: number): number {
    const { view, now } = this.#options;
    const sinceMs = ({ status }: Pod) =>
      Date.parse(status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? '');
    return view
      .ownedBy<Pod>('pods', uidOf(set))
      .filter(pod => isActive(pod) && isReady(pod) && now() - sinceMs(pod) >= minReadySeconds * 1000).length;
  }

  /** Pods of a set that anybody may believe to be available: its status is all that a rollout looks at, and may be old. */
  #hopeful(set: ReplicaSet): number {
    const { view, now } = this.#options;
    const present = view.ownedBy<Pod>('pods', uidOf(set)).filter(pod => isActive(pod) && this.#wasReady(pod));
    const believed = this.#readiness.mostAtOnce(pod => controllerUid(pod) === uidOf(set), now());
    return Math.max(present.length, believed);
  }

  /** A job that counts what never was, or counts backwards. */
  #findFalseCount(before: Job | undefined, after: Job): string | undefined {
    const whose = `job ${after.metadata?.namespace}/${after.metadata?.name}`;
    const [old, now] = [before?.status?.succeeded ?? 0, after.status?.succeeded ?? 0];
    const real = this.#succeeded.get(uidOf(after))?.size ?? 0;
    for (const type of ['Complete', 'Failed'] as const) {
      const is = ({ status }: Job) =>
        status?.conditions?.some(one => one.type === type && one.status === 'True') ?? false;
      if (before && is(before) && !is(after)) return `${whose} is not ${type} any more`;
      if (!is(after) || (before && is(before))) continue;
      this.#options.note(
        type === 'Failed'
          ? 'job failed'
          : after.spec?.completionMode === 'Indexed'
            ? 'indexed job finished'
            : 'job finished',
      );
    }
    if (now < old) return `${whose} had ${old} successes, and now ${now}`;
    return now > real ? `${whose} counts ${now} successes of ${real}` : undefined;
  }

  #wasReady(pod: Pod): boolean {
    const { now } = this.#options;
    return isReady(pod) || now() - (this.#readyMs.get(uidOf(pod)) ?? Number.NEGATIVE_INFINITY) < LAG_MS;
  }

  #excuses(uid: string): number {
    const now = this.#options.now();
    return (this.#excused.get(uid) ?? []).filter(atMs => now - atMs < LAG_MS).length;
  }

  #set(name: string, value: number): void {
    const present = this.#present.get(name);
    if (present === value) return;
    this.#present.set(name, value);
    if (present === undefined) return;
    const now = this.#options.now();
    const kept = (this.#recent.get(name) ?? []).filter(({ untilMs }) => now - untilMs < LAG_MS);
    this.#recent.set(name, [...kept, { untilMs: now, value: present }]);
  }

  #values(name: string): number[] {
    const present = this.#present.get(name);
    if (present === undefined) return [];
    const now = this.#options.now();
    const recent = (this.#recent.get(name) ?? []).filter(({ untilMs }) => now - untilMs < LAG_MS);
    return [present, ...recent.map(({ value }) => value)];
  }

  #most(name: string): number | undefined {
    const values = this.#values(name);
    return values.length === 0 ? undefined : Math.max(...values);
  }

  #least(name: string): number | undefined {
    const values = this.#values(name);
    return values.length === 0 ? undefined : Math.min(...values);
  }
}

/** What no object ever does, whoever writes it. */
function findUnnatural({ plural, key, before, after }: Change): string | undefined {
  if (!before || !after || uidOf(before) !== uidOf(after)) return undefined;
  if (isLeaving(before) && !isLeaving(after)) return `${plural} ${key} is not being deleted any more`;
  if (plural === 'pods') {
    const [old, pod] = [before as Pod, after as Pod];
    if (old.spec?.nodeName && old.spec.nodeName !== pod.spec?.nodeName)
      return `pod ${key} moved from ${old.spec.nodeName}`;
    if (isFinished(old) && !isFinished(pod)) return `pod ${key} had ended and is ${pod.status?.phase}`;
  }
  const observed = (after as { status?: { observedGeneration?: number } }).status?.observedGeneration ?? 0;
  return observed > (after.metadata?.generation ?? 0) && observed > 0 && after.metadata?.generation !== undefined
    ? `${plural} ${key} has observed generation ${observed} of ${after.metadata.generation}`
    : undefined;
}

const isEvicted = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, reason }) => type === 'DisruptionTarget' && reason === 'EvictionByEvictionAPI') ??
  false;

const nameOf = (object: KubernetesObject | undefined): string => object?.metadata?.name ?? '';
