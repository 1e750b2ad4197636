/** What must be so once everything has healed and come to rest. Pure: a view in, sentences out. */
import type {
  ConfigMap,
  CronJob,
  DaemonSet,
  Deployment,
  EndpointSlice,
  Endpoints,
  Job,
  Node,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ResourceQuota,
  Service,
  StatefulSet,
} from '../../control/api/generated/types.ts';
import type { KubernetesObject } from '../../control/api/kind.ts';
import {
  cpuMillis,
  daemonNode,
  isActive,
  isFinished,
  isLeaving,
  isReady,
  matches,
  millis,
  podsIn,
  selects,
  uidOf,
  wantedHealthy,
} from './facts.ts';
import { controllerUid, type View } from './view.ts';

type Rule = (view: View) => Iterable<string>;

/** Everything that is not as the objects ask for it. */
export function problemsAtTheEnd(view: View): string[] {
  return RULES.flatMap(rule => [...rule(view)]);
}

const nameOf = ({ kind, metadata }: KubernetesObject) =>
  `${kind} ${metadata?.namespace ? `${metadata.namespace}/` : ''}${metadata?.name}`;

function* nothingLeaves(view: View): Iterable<string> {
  for (const { object } of view.all()) {
    if (isLeaving(object))
      yield `${nameOf(object)} is still leaving, held by ${object.metadata?.finalizers?.join() || 'nothing'}`;
  }
}

function* nobodyIsOrphaned(view: View): Iterable<string> {
  const all = view.all();
  const uids = new Set(all.map(({ object }) => uidOf(object)));
  for (const { object } of all) {
    const owners = object.metadata?.ownerReferences ?? [];
    const lost = owners.filter(({ uid }) => !uids.has(uid));
    if (owners.length > 0 && lost.length > 0)
      yield `${nameOf(object)} belongs to ${lost[0]?.kind} ${lost[0]?.name}, which is gone`;
  }
}

function* namespacesAreWhole(view: View): Iterable<string> {
  const present = new Set(view.list('namespaces').map(({ metadata }) => metadata?.name));
  for (const { object } of view.all()) {
    const { namespace } = object.metadata ?? {};
    if (namespace !== undefined && !present.has(namespace)) yield `${nameOf(object)} is in a namespace that is gone`;
  }
  for (const name of present) {
    if (!view.get('serviceaccounts', `${name}/default`)) yield `namespace ${name} has no service account`;
    if (!view.get<ConfigMap>('configmaps', `${name}/kube-root-ca.crt`)) yield `namespace ${name} has no root authority`;
  }
}

function* podsAreWhereTheyCanRun(view: View): Iterable<string> {
  for (const pod of view.list<Pod>('pods')) {
    if (isFinished(pod)) continue;
    if (!pod.spec?.nodeName) yield `${nameOf(pod)} has no node`;
    else if (!isReadyNode(view.get<Node>('nodes', pod.spec.nodeName)))
      yield `${nameOf(pod)} is on ${pod.spec.nodeName}, which is dead`;
    else if (!isReady(pod)) yield `${nameOf(pod)} is not ready`;
  }
}

function* nodesAreTold(view: View): Iterable<string> {
  const ranges = new Set<string>();
  for (const node of view.list<Node>('nodes')) {
    const range = node.spec?.podCIDR ?? '';
    if (range === '' || ranges.has(range)) yield `${nameOf(node)} has range "${range}"`;
    ranges.add(range);
    const taints = node.spec?.taints ?? [];
    if (isReadyNode(node) && taints.length > 0) yield `${nameOf(node)} is ready and tainted ${taints[0]?.key}`;
  }
}

function* setsAreFull(view: View): Iterable<string> {
  for (const plural of ['replicasets', 'replicationcontrollers']) {
    for (const set of view.list<ReplicaSet>(plural)) {
      const pods = view.ownedBy<Pod>('pods', uidOf(set)).filter(isActive);
      const wanted = set.spec?.replicas ?? 1;
      if (pods.length !== wanted) yield `${nameOf(set)} has ${pods.length} pods of ${wanted}`;
      const { replicas = 0, readyReplicas = 0, availableReplicas = 0, observedGeneration } = set.status ?? {};
      if (replicas !== wanted || readyReplicas !== wanted || availableReplicas !== wanted)
        yield `${nameOf(set)} says ${replicas}, ${readyReplicas} and ${availableReplicas} of ${wanted}`;
      if (observedGeneration !== set.metadata?.generation) yield `${nameOf(set)} has not been looked at`;
    }
  }
}

function* deploymentsAreRolledOut(view: View): Iterable<string> {
  for (const deployment of view.list<Deployment>('deployments')) {
    const wanted = deployment.spec?.replicas ?? 1;
    const sets = view.ownedBy<ReplicaSet>('replicasets', uidOf(deployment));
    const image = imageOf(deployment);
    const current = sets.filter(set => imageOf(set) === image);
    if (current.length !== 1) yield `${nameOf(deployment)} has ${current.length} sets of its template`;
    if (current[0] && current[0].spec?.replicas !== wanted)
      yield `${nameOf(deployment)} has ${current[0].spec?.replicas} of ${wanted} in its new set`;
    const old = sets.filter(set => !current.includes(set));
    if (old.some(({ spec }) => spec?.replicas !== 0)) yield `${nameOf(deployment)} has pods in old sets`;
    const limit = deployment.spec?.revisionHistoryLimit ?? 10;
    if (old.length > limit) yield `${nameOf(deployment)} keeps ${old.length} old sets of ${limit}`;
    const {
      replicas = 0,
      updatedReplicas = 0,
      availableReplicas = 0,
      unavailableReplicas = 0,
    } = deployment.status ?? {};
    if (replicas !== wanted || updatedReplicas !== wanted || availableReplicas !== wanted || unavailableReplicas !== 0)
      yield `${nameOf(deployment)} says ${replicas}, ${updatedReplicas}, ${availableReplicas} and ${unavailableReplicas} of ${wanted}`;
    if (deployment.status?.observedGeneration !== deployment.metadata?.generation)
      yield `${nameOf(deployment)} has not been looked at`;
    const progress = deployment.status?.conditions?.find(({ type }) => type === 'Progressing');
    if (progress?.status !== 'True') yield `${nameOf(deployment)} is said not to progress: ${progress?.reason}`;
  }
}

function* daemonsAreEverywhere(view: View): Iterable<string> {
  const nodes = view.list<Node>('nodes').filter(isReadyNode);
  for (const set of view.list<DaemonSet>('daemonsets')) {
    const pods = view.ownedBy<Pod>('pods', uidOf(set)).filter(isActive);
    for (const { metadata } of nodes) {
      const there = pods.filter(pod => daemonNode(pod) === metadata?.name);
      if (there.length !== 1) yield `${nameOf(set)} has ${there.length} pods on ${metadata?.name}`;
      if (there[0] && imageOf({ spec: { template: there[0] } }) !== imageOf(set))
        yield `${nameOf(set)} has an old pod on ${metadata?.name}`;
    }
    const { desiredNumberScheduled, numberReady, numberAvailable, updatedNumberScheduled = 0 } = set.status ?? {};
    const said = [desiredNumberScheduled, numberReady, numberAvailable ?? 0, updatedNumberScheduled];
    if (said.some(number => number !== nodes.length)) yield `${nameOf(set)} says ${said.join()} of ${nodes.length}`;
    if (set.status?.observedGeneration !== set.metadata?.generation) yield `${nameOf(set)} has not been looked at`;
  }
}

function* jobsHaveEnded(view: View): Iterable<string> {
  for (const job of view.list<Job>('jobs')) {
    const has = (wanted: string) =>
      job.status?.conditions?.some(({ type, status }) => type === wanted && status === 'True');
    const pods = view.ownedBy<Pod>('pods', uidOf(job));
    if (!has('Complete') && !has('Failed')) yield `${nameOf(job)} has not ended: ${JSON.stringify(job.status)}`;
    else if (pods.some(isActive)) yield `${nameOf(job)} has ended, and has pods`;
    if (has('Complete') && has('Failed')) yield `${nameOf(job)} has succeeded and failed`;
    if (has('Complete') && job.status?.succeeded !== job.spec?.completions)
      yield `${nameOf(job)} is complete with ${job.status?.succeeded} of ${job.spec?.completions}`;
    const { succeeded, failed } = job.status?.uncountedTerminatedPods ?? {};
    if (succeeded?.length || failed?.length) yield `${nameOf(job)} has not counted all its pods`;
    if ((has('Complete') || has('Failed')) && job.status?.active)
      yield `${nameOf(job)} has ended, and says that it is active`;
  }
  for (const pod of view.list<Pod>('pods')) {
    if (isFinished(pod) && pod.metadata?.finalizers?.length)
      yield `${nameOf(pod)} has ended, and is held by ${pod.metadata.finalizers.join()}`;
  }
}

function* statefulSetsAreInOrder(view: View): Iterable<string> {
  for (const set of view.list<StatefulSet>('statefulsets')) {
    const wanted = set.spec?.replicas ?? 1;
    const pods = view.ownedBy<Pod>('pods', uidOf(set)).filter(isActive);
    const names = Array.from({ length: wanted }, (_, ordinal) => `${set.metadata?.name}-${ordinal}`);
    const real = pods.map(({ metadata }) => metadata?.name ?? '').sort();
    if (real.join() !== names.sort().join()) yield `${nameOf(set)} has pods ${real.join() || 'none'} of ${wanted}`;
    if (pods.some(pod => imageOf({ spec: { template: pod } }) !== imageOf(set))) yield `${nameOf(set)} has an old pod`;
    const { replicas = 0, readyReplicas = 0, updatedReplicas = 0 } = set.status ?? {};
    if ([replicas, readyReplicas, updatedReplicas].some(number => number !== wanted))
      yield `${nameOf(set)} says ${replicas}, ${readyReplicas} and ${updatedReplicas} of ${wanted}`;
    if (set.status?.currentRevision !== set.status?.updateRevision) yield `${nameOf(set)} is not rolled out`;
  }
}

function* cronJobsKeepLittle(view: View): Iterable<string> {
  for (const cron of view.list<CronJob>('cronjobs')) {
    const jobs = view.ownedBy<Job>('jobs', uidOf(cron));
    if (jobs.length > 3) yield `${nameOf(cron)} has ${jobs.length} jobs`;
  }
}

function* servicesLeadToReadyPods(view: View): Iterable<string> {
  for (const service of view.list<Service>('services')) {
    if (!service.spec?.selector) continue;
    const { namespace, name } = service.metadata ?? {};
    const wanted = podsIn(view, namespace)
      .filter(pod => matches(service.spec?.selector, pod) && isActive(pod) && pod.status?.podIP)
      .map(pod => pod.status?.podIP ?? '')
      .sort()
      .join();
    const told = (view.get<Endpoints>('endpoints', `${namespace}/${name}`)?.subsets ?? [])
      .flatMap(({ addresses = [] }) => addresses.map(({ ip }) => ip))
      .sort()
      .join();
    if (told !== wanted) yield `${nameOf(service)} has endpoints ${told} of ${wanted}`;
    const sliced = view
      .list<EndpointSlice>('endpointslices')
      .filter(
        ({ metadata }) =>
          metadata?.namespace === namespace && metadata?.labels?.['kubernetes.io/service-name'] === name,
      )
      .flatMap(({ endpoints }) => (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false))
      .flatMap(({ addresses }) => addresses)
      .sort()
      .join();
    if (sliced !== wanted) yield `${nameOf(service)} has slices ${sliced} of ${wanted}`;
  }
}

function* addressesAreOnesOwn(view: View): Iterable<string> {
  const addresses = new Set<string>();
  for (const service of view.list<Service>('services')) {
    const address = service.spec?.clusterIP ?? '';
    if (address === 'None') continue;
    if (address === '' || addresses.has(address)) yield `${nameOf(service)} has address "${address}"`;
    addresses.add(address);
    if (!view.get('ipaddresses', address)) yield `${nameOf(service)} holds ${address} without an IPAddress`;
  }
  for (const { metadata } of view.list('ipaddresses')) {
    if (!addresses.has(metadata?.name ?? '')) yield `IPAddress ${metadata?.name} belongs to nobody`;
  }
}

function* quotasAreExact(view: View): Iterable<string> {
  for (const quota of view.list<ResourceQuota>('resourcequotas')) {
    const { namespace } = quota.metadata ?? {};
    const pods = podsIn(view, namespace).filter(pod => !isFinished(pod));
    const real = {
      pods: pods.length,
      'requests.cpu': pods.reduce((sum, pod) => sum + cpuMillis(pod), 0) / 1000,
      'count/jobs.batch': view.list('jobs').filter(({ metadata }) => metadata?.namespace === namespace).length,
    };
    for (const [name, value] of Object.entries(real)) {
      if (quota.spec?.hard?.[name] === undefined) continue;
      const used = millis(quota.status?.used?.[name]) / 1000;
      if (used !== value) yield `${nameOf(quota)} says ${name}=${quota.status?.used?.[name]} of ${value}`;
      const told = quota.status?.hard?.[name];
      if (String(told) !== String(quota.spec.hard[name]))
        yield `${nameOf(quota)} says that ${told} ${name} are allowed`;
    }
  }
}

function* budgetsAreExact(view: View): Iterable<string> {
  for (const budget of view.list<PodDisruptionBudget>('poddisruptionbudgets')) {
    const { observedGeneration, currentHealthy, desiredHealthy, disruptionsAllowed, disruptedPods, conditions } =
      budget.status ?? {};
    if (observedGeneration !== budget.metadata?.generation) yield `${nameOf(budget)} has not been looked at`;
    if (Object.keys(disruptedPods ?? {}).length > 0) yield `${nameOf(budget)} waits for pods to go`;
    // Pods without a controller that can be asked for its size are none that a share can be taken of.
    if (conditions?.some(({ reason }) => reason === 'SyncFailed')) continue;
    const pods = podsIn(view, budget.metadata?.namespace).filter(
      pod => selects(budget.spec?.selector, pod) && !isFinished(pod),
    );
    const healthy = pods.filter(pod => isReady(pod) && !isLeaving(pod)).length;
    // A share is one of what controllers want: pods without one are told of, and not counted.
    const isShare = budget.spec?.maxUnavailable !== undefined || typeof budget.spec?.minAvailable === 'string';
    const expected = isShare
      ? pods.filter(({ metadata }) => metadata?.ownerReferences?.some(owner => owner.controller))
      : pods;
    const wanted = wantedHealthy(budget, expected.length);
    if (currentHealthy !== healthy || (desiredHealthy ?? 0) !== wanted)
      yield `${nameOf(budget)} says ${currentHealthy} healthy of ${desiredHealthy}; they are ${healthy} of ${wanted}`;
    if (disruptionsAllowed !== (expected.length === 0 ? 0 : Math.max(0, healthy - wanted)))
      yield `${nameOf(budget)} allows ${disruptionsAllowed} disruptions`;
  }
}

const isReadyNode = (node: Node | undefined): boolean =>
  node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;

const imageOf = (owner: { spec?: { template?: { spec?: { containers?: readonly { image?: string }[] } } } }) =>
  owner.spec?.template?.spec?.containers?.[0]?.image;

export const controllerOf = controllerUid;

const RULES: readonly Rule[] = [
  nothingLeaves,
  nobodyIsOrphaned,
  namespacesAreWhole,
  podsAreWhereTheyCanRun,
  nodesAreTold,
  setsAreFull,
  deploymentsAreRolledOut,
  daemonsAreEverywhere,
  jobsHaveEnded,
  statefulSetsAreInOrder,
  cronJobsKeepLittle,
  servicesLeadToReadyPods,
  addressesAreOnesOwn,
  quotasAreExact,
  budgetsAreExact,
];
