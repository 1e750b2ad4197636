/** Keeps the pods of StatefulSets: reads them from the cache, asks {@link planStatefulSet} for the next steps, takes them. */
import {
  persistentvolumeclaims as claimsKind,
  pods as podsKind,
  controllerrevisions as revisionsKind,
  statefulsets as statefulSetsKind,
} from '../api/generated/kinds.ts';
import type { ControllerRevision, PersistentVolumeClaim, Pod, StatefulSet } from '../api/generated/types.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { Expectations } from '../client/expectations.ts';
import type { Informer } from '../client/informer.ts';
import { keyOf } from '../client/keys.ts';
import { isEmptySelector, matchesSelector } from '../client/labels.ts';
import { EXPECTATION_TTL_MS } from '../client/limits.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import {
  keepRevision,
  planRevision,
  type RevisionOwner,
  removeRevision,
  revisionData,
  surplusRevisions,
} from './controller-history.ts';
import { isEqual } from './equal.ts';
import { followPods } from './follow-pods.ts';
import {
  byControllerUid,
  CONTROLLER_INDEX,
  NAMESPACE_INDEX,
  ORPHAN_INDEX,
  orphansByNamespace,
  performClaims,
  planClaims,
} from './owners.ts';
import type { PodControl } from './pod-control.ts';
import { performSteps } from './stateful-set-control.ts';
import { isClaimOf, ordinalOf, revisionOfPod } from './stateful-set-identity.ts';
import { planStatefulSet } from './stateful-set-plan.ts';
import { revisionDataHash } from './template-hash.ts';

interface Parts extends PodControl {
  readonly context: ControllerContext;
  readonly sets: Informer<StatefulSet>;
  readonly pods: Informer<Pod>;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly revisions: Informer<ControllerRevision>;
}

const NAME = 'statefulset-controller';

export function statefulSetController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const queue = newQueue(context);
  const expectations = new Expectations(clock);
  const sets = informers.for(statefulSetsKind);
  const pods = informers.for(podsKind);
  const claims = informers.for(claimsKind);
  const revisions = informers.for(revisionsKind);
  revisions.addIndex(CONTROLLER_INDEX, byControllerUid);
  revisions.addIndex(ORPHAN_INDEX, orphansByNamespace);
  followPods({
    pods,
    owners: sets,
    kind: statefulSetsKind,
    queue,
    expectations,
    selectorOf: ({ spec }) => spec?.selector,
  });
  // A pod may have to wait until an old claim is gone.
  claims.addHandler({
    deleted: ({ metadata }) => {
      for (const set of sets.byIndex(NAMESPACE_INDEX, metadata?.namespace ?? '')) {
        if (isClaimOf(set, metadata?.name ?? '')) queue.add(keyOf(set));
      }
    },
  });
  const recorder = context.recorder(NAME);
  const parts: Parts = { context, client, recorder, expectations, sets, pods, claims, revisions };
  return queueController(context, { name: NAME, queue, reconcile: key => reconcile(parts, key) });
}

async function reconcile(parts: Parts, key: string): Promise<ReconcileResult | undefined> {
  const { context, client, expectations, sets, claims } = parts;
  const set = sets.get(key);
  if (!set || isEmptySelector(set.spec?.selector)) return undefined;
  // Asked before the claims: they wait, and what is seen meanwhile must not pass for complete.
  const mayWrite = expectations.areMet(set.metadata?.uid ?? '');
  const revisions = await ownRevisions(parts, set);
  const pods = await ownPods(parts, set);
  const { currentRevision, updateRevision, collisionCount } = await keepRevisions(parts, set, revisions);
  const plan = planStatefulSet({
    set,
    pods,
    claim: name => claims.get(`${set.metadata?.namespace}/${name}`),
    currentRevision,
    updateRevision,
    collisionCount,
    nowMs: context.clock.now(),
  });
  const failure = mayWrite ? await performSteps(parts, set, plan) : undefined;
  if (!isEqual(plan.status, set.status)) {
    await client.update(statefulSetsKind, { ...set, status: plan.status }, { subresource: 'status' });
  }
  const live = new Set([currentRevision, updateRevision].map(({ metadata }) => metadata?.name ?? ''));
  await forgetRevisions(parts, set, { revisions, live: new Set([...live, ...pods.map(revisionOfPod)]) });
  if (failure) throw failure;
  return { afterMs: mayWrite ? plan.afterMs : EXPECTATION_TTL_MS };
}

/** Takes over pods that have the set's labels and one of its names, lets go of the rest; gives what it owns. */
function ownPods({ client, pods }: Parts, set: StatefulSet): Promise<readonly Pod[]> {
  const candidates = [
    ...pods.byIndex(CONTROLLER_INDEX, set.metadata?.uid ?? ''),
    ...pods.byIndex(ORPHAN_INDEX, set.metadata?.namespace ?? ''),
  ];
  const claims = planClaims(set, set.spec?.selector, candidates, pod => ordinalOf(set, pod) !== undefined);
  return performClaims({ client, owner: set, ownerKind: statefulSetsKind, kind: podsKind, claims });
}

/** Takes over revisions that have the set's labels; one that lost them stays and does not count. */
function ownRevisions({ client, revisions }: Parts, set: StatefulSet): Promise<readonly ControllerRevision[]> {
  const candidates = [
    ...revisions.byIndex(CONTROLLER_INDEX, set.metadata?.uid ?? ''),
    ...revisions.byIndex(ORPHAN_INDEX, set.metadata?.namespace ?? ''),
  ].filter(({ metadata }) => matchesSelector(set.spec?.selector, metadata?.labels));
  const claims = planClaims(set, set.spec?.selector, candidates);
  return performClaims({ client, owner: set, ownerKind: statefulSetsKind, kind: revisionsKind, claims });
}

interface Revisions {
  readonly currentRevision: ControllerRevision;
  readonly updateRevision: ControllerRevision;
  readonly collisionCount: number;
}

/** The revision of the template, and the one that the last rollout ended with. The history of a set that leaves stays as it is. */
async function keepRevisions(
  { client }: Parts,
  set: StatefulSet,
  revisions: readonly ControllerRevision[],
): Promise<Revisions> {
  const owner: RevisionOwner = {
    object: set,
    kind: statefulSetsKind,
    template: set.spec?.template,
    hashLabel: HASH_LABEL,
    collisionCount: set.status?.collisionCount ?? 0,
    hash: count => revisionDataHash(revisionData(set.spec?.template), count),
  };
  const { revision: updateRevision, collisionCount } = set.metadata?.deletionTimestamp
    ? { revision: planRevision(owner, revisions).current, collisionCount: owner.collisionCount }
    : await keepRevision(client, owner, revisions);
  const currentRevision = revisions.find(({ metadata }) => metadata?.name === set.status?.currentRevision);
  return { updateRevision, currentRevision: currentRevision ?? updateRevision, collisionCount };
}

/** The label of a revision that tells its hash (k/k history.ControllerRevisionHashLabel). */
const HASH_LABEL = 'controller.kubernetes.io/hash';

/** Removes the oldest beyond the limit; those in use do not count. */
async function forgetRevisions(
  { client }: Parts,
  set: StatefulSet,
  { revisions, live }: { readonly revisions: readonly ControllerRevision[]; readonly live: ReadonlySet<string> },
): Promise<void> {
  if (set.metadata?.deletionTimestamp) return;
  const isLive = ({ metadata }: ControllerRevision) => live.has(metadata?.name ?? '');
  const old = revisions.filter(revision => !isLive(revision));
  const surplus = surplusRevisions(old, { limit: set.spec?.revisionHistoryLimit, isLive });
  for (const revision of surplus) await removeRevision(client, revision);
}
