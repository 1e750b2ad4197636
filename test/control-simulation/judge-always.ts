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
import { RolloutJudge } from './judge-rollouts.ts';
import { Readiness } from './readiness.ts';
import { Recent } from './recent.ts';
import type { Shown } from './shown.ts';
import { type Change, controllerUid, type View } from './view.ts';

/** Something was so that must never be. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export interface JudgeOptions {
  readonly view: View;
  readonly now: () => number;
  readonly note: (name: EventName) => void;
  /** What the leader's caches show. */
  readonly shown: () => Shown;
}

/** What anybody may still believe. */
const LAG_MS = 600_000;
const TRACKING = 'batch.kubernetes.io/job-tracking';

export class Judge {
  readonly #options: JudgeOptions;
  /** What users and controllers wished for in the last minutes, by the UID of the object that says so. */
  readonly #recent: Recent;
  readonly #excused = new Map<string, number[]>();
  readonly #readiness = new Readiness(LAG_MS);
  /** Ready pods that an eviction took, by UID; one of a pod that is leaving already takes nothing. */
  readonly #evicted = new Set<string>();
  readonly #succeeded = new Map<string, Set<string>>();
  /** Those of them that may not go before they are counted, and were not leaving when they succeeded. */
  readonly #tracked = new Map<string, Set<string>>();

  readonly #rollouts: RolloutJudge;

  constructor(options: JudgeOptions) {
    this.#options = options;
    this.#recent = new Recent(LAG_MS, options.now);
    this.#rollouts = new RolloutJudge({ ...options, lagMs: LAG_MS, recent: this.#recent, readiness: this.#readiness });
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
      return this.#rollouts.find(before as ReplicaSet | undefined, after as ReplicaSet);
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
      this.#recent.set(`${uid} most`, most);
      this.#recent.set(`${uid} least`, least);
      this.#recent.set(`${uid} paused`, Number((after as Deployment).spec?.paused ?? false));
    } else if (plural === 'jobs' && after) {
      this.#recent.set(`${uid} most`, (after as Job).spec?.parallelism ?? 1);
    } else if (replicas !== undefined) this.#recent.set(`${uid} most`, replicas);
    else if (plural === 'daemonsets' && after) {
      this.#recent.set(`${uid} most`, (after as DaemonSet).spec?.updateStrategy?.rollingUpdate?.maxSurge ? 2 : 1);
    } else if (plural === 'resourcequotas' && after) {
      const { spec, status } = after as ResourceQuota;
      if (status?.hard?.pods !== undefined) this.#recent.set(`${uid} most`, Number(spec?.hard?.pods));
    } else if (plural === 'poddisruptionbudgets' && after) {
      const { desiredHealthy = 0, currentHealthy = 0 } = (after as PodDisruptionBudget).status ?? {};
      this.#recent.set(`${uid} least`, desiredHealthy);
      this.#recent.set(`${uid} healthy`, currentHealthy);
    } else if (plural === 'pods') {
      this.#readiness.take(change, this.#options.now());
      this.#rememberPod(before as Pod | undefined, after as Pod | undefined);
    }
  }

  #rememberPod(before: Pod | undefined, after: Pod | undefined): void {
    const { note } = this.#options;
    // One that is not ready goes without taking from the budget.
    if (after && isEvicted(after) && !isLeaving(after) && isReady(after)) this.#evicted.add(uidOf(after));
    const known = after ?? before ?? {};
    this.#recent.set(`${podKey(known)} ready`, after && isActive(after) && isReady(after) ? 1 : 0);
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
    const most = this.#recent.most(`${owner.uid} most`);
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
      const name = `${nameOf(pod).slice(0, -String(ordinal).length)}${before}`;
      const other = siblings.find(sibling => nameOf(sibling) === name);
      // The cache of who makes the pod may still show one that was ready and is gone.
      const isShown = this.#recent.most(`${podKey({ metadata: { ...pod.metadata, name } })} ready`) === 1;
      if (!isShown && !(other && this.#wasReady(other)))
        return `${whose} got pod ${ordinal} before pod ${before} was ready`;
    }
    return undefined;
  }

  #findOverQuota(pod: Pod): string | undefined {
    const { view } = this.#options;
    const namespace = pod.metadata?.namespace;
    for (const quota of view.list<ResourceQuota>('resourcequotas')) {
      if (quota.metadata?.namespace !== namespace) continue;
      const most = this.#recent.most(`${uidOf(quota)} most`);
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
      const least = this.#recent.least(`${uidOf(budget)} least`) ?? 0;
      // Whoever is not ready counts for nothing, and may go while the budget says that it has enough (the server asks both
      // afresh, and never for pods that have not started).
      if (!isReady(pod)) {
        const said = this.#recent.most(`${uidOf(budget)} healthy`) ?? 0;
        if (pod.status?.phase === 'Running' && said < least)
          return `the eviction of ${nameOf(pod)}, which was not ready, from a budget that said ${said} healthy of ${least}`;
        continue;
      }
      const isCounted = (other: Pod) =>
        other.metadata?.namespace === namespace && selects(budget.spec?.selector, other);
      const present = podsIn(view, namespace).filter(
        other => isCounted(other) && isActive(other) && this.#wasReady(other),
      );
      // Evictions take from the budget at once; what others delete counts until the budget's controller has seen it go.
      const stays = (other: Pod) => isCounted(other) && !this.#evicted.has(uidOf(other));
      const healthy = Math.max(present.length, this.#readiness.mostAtOnce(stays, now()));
      if (healthy < least) return `the eviction of ${nameOf(pod)} left ${healthy} healthy pods of ${least}`;
    }
    return undefined;
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
    return this.#readiness.was(pod, this.#options.now());
  }

  #excuses(uid: string): number {
    const now = this.#options.now();
    return (this.#excused.get(uid) ?? []).filter(atMs => now - atMs < LAG_MS).length;
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

const podKey = ({ metadata }: Pod): string => `${metadata?.namespace}/${metadata?.name}`;
