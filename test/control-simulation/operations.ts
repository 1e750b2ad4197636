/** What users do: they make, change and remove objects of every kind, badly timed and over each other's work. */
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Deployment, Job, Pod, PodDisruptionBudget, ReplicaSet } from '../../control/api/generated/types.ts';
import type { Kind } from '../../control/api/kind.ts';
import { objectKey } from '../../control/client/keys.ts';
import { BROKEN_IMAGE } from './hollow-node.ts';
import { APPS, HUGE_CPU, isExpected, NAMESPACES, type Operation, type Users, WITH_TEMPLATES } from './users.ts';

/** Somebody does something, by chance. @throws what went wrong with anything that was begun before */
export function act(users: Users): void {
  const total = OPERATIONS.reduce((sum, [weight]) => sum + weight, 0);
  let at = users.random() * total;
  const chosen = OPERATIONS.find(([weight]) => {
    at -= weight;
    return at < 0;
  });
  if (chosen) users.start(chosen[1]);
}

async function rollDeployment(users: Users): Promise<void> {
  const deployment = users.any<Deployment>('deployments');
  if (!deployment) return;
  const isBroken = users.chance(0.15);
  users.note(isBroken ? 'deployment with a broken image' : 'deployment rolled');
  if (deployment.spec?.strategy?.type === 'Recreate') users.note('deployment recreated');
  const container = { ...users.container(), ...(isBroken && { image: BROKEN_IMAGE }) };
  await users.change(kinds.deployments, objectKey(deployment), {
    spec: { template: { spec: { containers: [container] } } },
  });
  if (users.chance(0.3)) {
    users.note('deployment scaled while rolling');
    await users.pause(users.random() * 15_000);
    await users.change(kinds.deployments, objectKey(deployment), { spec: { replicas: users.between(0, 8) } });
  }
}

/** What `kubectl rollout undo` does: the template of an older ReplicaSet. */
async function undoDeployment(users: Users): Promise<void> {
  const deployment = users.any<Deployment>('deployments');
  const owned = users.view.ownedBy<ReplicaSet>('replicasets', deployment?.metadata?.uid ?? '');
  const older = users.choose(owned);
  if (!deployment || !older) return;
  users.note('deployment undone');
  const template = structuredClone(older.spec?.template ?? {});
  delete template.metadata?.labels?.['pod-template-hash'];
  await users.change(kinds.deployments, objectKey(deployment), { spec: { template } });
}

async function pauseDeployment(users: Users): Promise<void> {
  const deployment = users.any<Deployment>('deployments');
  if (!deployment) return;
  users.note('deployment paused');
  await users.change(kinds.deployments, objectKey(deployment), { spec: { paused: true } });
  await users.pause(users.random() * 120_000);
  await users.change(kinds.deployments, objectKey(deployment), { spec: { replicas: users.between(1, 6) } });
  await users.pause(users.random() * 60_000);
  await users.change(kinds.deployments, objectKey(deployment), { spec: { paused: null } });
}

async function scale(users: Users): Promise<void> {
  const [kind, plural] =
    users.choose([WITH_TEMPLATES[0], WITH_TEMPLATES[0], WITH_TEMPLATES[1], WITH_TEMPLATES[2], WITH_TEMPLATES[4]]) ??
    WITH_TEMPLATES[0];
  const owner = users.any(plural);
  if (owner) await users.change(kind as Kind, objectKey(owner), { spec: { replicas: users.between(0, 8) } });
}

/** It selects the same pods as the deployments of its namespace do not: its own, and orphans of those before it. */
async function makeReplicaSet(users: Users): Promise<void> {
  const metadata = users.somewhere('set');
  const spec = {
    replicas: users.between(0, 5),
    selector: { matchLabels: { app: 'set' } },
    template: users.template('set'),
  };
  const orphans = users.view
    .list<Pod>('pods')
    .some(
      pod =>
        pod.metadata?.namespace === metadata.namespace &&
        pod.metadata?.labels?.app === 'set' &&
        !pod.metadata.ownerReferences,
    );
  if (orphans) users.note('dependents adopted');
  if (users.chance(0.3)) {
    const selector = { app: 'set' };
    await users.make(kinds.replicationcontrollers, { metadata, spec: { ...spec, selector } });
  } else await users.make(kinds.replicasets, { metadata, spec });
}

async function makeDaemonSet(users: Users): Promise<void> {
  const app = 'agent';
  const rollingUpdate = users.chance(0.3)
    ? { maxSurge: 1, maxUnavailable: 0 }
    : { maxUnavailable: users.choose([1, 2, '50%']) ?? 1 };
  await users.make(kinds.daemonsets, {
    metadata: users.somewhere(app),
    spec: {
      selector: { matchLabels: { app } },
      template: users.template(app),
      updateStrategy: { type: 'RollingUpdate', rollingUpdate },
    },
  });
}

async function rollDaemonSet(users: Users): Promise<void> {
  const set = users.any('daemonsets');
  if (!set) return;
  users.note('daemon set rolled');
  await users.change(kinds.daemonsets, objectKey(set), {
    spec: { template: { spec: { containers: [users.container()] } } },
  });
}

async function makeStatefulSet(users: Users): Promise<void> {
  const app = 'store';
  await users.make(kinds.statefulsets, {
    metadata: users.somewhere(app),
    spec: {
      serviceName: app,
      replicas: users.between(0, 4),
      selector: { matchLabels: { app } },
      template: users.template(app),
      podManagementPolicy: users.choose(['OrderedReady', 'Parallel']) ?? 'OrderedReady',
    },
  });
}

async function rollStatefulSet(users: Users): Promise<void> {
  const set = users.any('statefulsets');
  if (!set) return;
  users.note('stateful set rolled');
  await users.change(kinds.statefulsets, objectKey(set), {
    spec: { template: { spec: { containers: [users.container()] } } },
  });
}

async function makeJob(users: Users): Promise<void> {
  const name = `job-${users.between(1, 3)}`;
  const isIndexed = users.chance(0.4);
  const container = {
    ...users.container(),
    args: ['work', String(users.between(5, 120)), users.choose(['0', '0.2', '0.2', '0.7']) ?? '0'],
  };
  await users.make(kinds.jobs, {
    metadata: users.somewhere(name),
    spec: {
      completions: users.between(1, 5),
      parallelism: users.between(1, 4),
      completionMode: isIndexed ? 'Indexed' : 'NonIndexed',
      backoffLimit: users.choose([1, 3, 6]) ?? 3,
      suspend: users.chance(0.1),
      ...(users.chance(0.3) && { ttlSecondsAfterFinished: 60 }),
      ...(users.chance(0.1) && { activeDeadlineSeconds: 120 }),
      template: {
        metadata: { labels: { app: 'job' } },
        spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 5, containers: [container] },
      },
    },
  });
}

async function suspendJob(users: Users): Promise<void> {
  const job = users.any<Job>('jobs');
  if (!job) return;
  users.note('job suspended');
  await users.change(kinds.jobs, objectKey(job), { spec: { suspend: true } });
  await users.pause(users.random() * 60_000);
  await users.change(kinds.jobs, objectKey(job), { spec: { suspend: false, parallelism: users.between(1, 5) } });
}

async function makeCronJob(users: Users): Promise<void> {
  const container = { ...users.container(), args: ['work', '60', '0.1'] };
  await users.make(kinds.cronjobs, {
    metadata: users.somewhere('cron'),
    spec: {
      schedule: users.choose(['*/20 * * * *', '5 * * * *', '30 2 * * *']) ?? '5 * * * *',
      concurrencyPolicy: users.choose(['Allow', 'Forbid', 'Replace']) ?? 'Allow',
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 1,
      jobTemplate: {
        spec: {
          backoffLimit: 1,
          template: { metadata: { labels: { app: 'job' } }, spec: { restartPolicy: 'Never', containers: [container] } },
        },
      },
    },
  });
}

async function makeService(users: Users): Promise<void> {
  const app = users.choose([...APPS, 'set', 'store']) ?? 'web';
  await users.make(kinds.services, {
    metadata: users.somewhere(app),
    spec: {
      selector: { app },
      ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }],
      ...(users.chance(0.3) && { clusterIP: 'None' }),
      ...(users.chance(0.2) && { publishNotReadyAddresses: true }),
    },
  });
}

async function changeService(users: Users): Promise<void> {
  const service = users.any('services');
  if (!service) return;
  users.note('service changed');
  const app = users.choose([...APPS, 'set', 'nobody']) ?? 'web';
  await users.change(kinds.services, objectKey(service), { spec: { selector: { app } } });
}

/** Mostly for a deployment that is there: its app is its name. */
async function makeBudget(users: Users): Promise<void> {
  const guarded = users.chance(0.8) ? users.any<Deployment>('deployments') : undefined;
  const app = guarded?.metadata?.name ?? users.choose([...APPS, 'set']) ?? 'web';
  const amount = users.choose<number | string>([1, 2, '50%']) ?? 1;
  await users.make(kinds.poddisruptionbudgets, {
    metadata: guarded ? objectKey(guarded) : users.somewhere(app),
    spec: {
      selector: { matchLabels: { app } },
      ...(users.chance(0.5) ? { minAvailable: amount } : { maxUnavailable: amount }),
    },
  });
}

async function makeQuota(users: Users): Promise<void> {
  const hard = { pods: String(users.between(2, 14)), 'requests.cpu': '3', 'count/jobs.batch': '3' };
  await users.make(kinds.resourcequotas, { metadata: users.somewhere('quota'), spec: { hard } });
}

async function changeQuota(users: Users): Promise<void> {
  const quota = users.any('resourcequotas');
  if (quota)
    await users.change(kinds.resourcequotas, objectKey(quota), {
      spec: { hard: { pods: String(users.between(2, 20)) } },
    });
}

/** An eviction by hand, and what came of it; its answer is the budget's. */
async function evict(users: Users, pod: Pod): Promise<'granted' | 'refused' | 'failed'> {
  const key = objectKey(pod);
  try {
    await users.client.createSubresource(kinds.pods, key, 'eviction', {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: key,
    });
    users.note('eviction granted');
    return 'granted';
  } catch (error) {
    // Several budgets over one pod are refused with a 500, as in Kubernetes; here none overlap.
    if (!isExpected(error)) throw error;
    if (error.reason !== 'TooManyRequests') return 'failed';
    users.note('eviction refused by a budget');
    return 'refused';
  }
}

/** All at once, as `kubectl drain` does: each one asks the budget before its controller has counted the one before. */
export async function evictTogether(users: Users, pods: readonly Pod[]): Promise<void> {
  const ends = await Promise.all(pods.map(pod => evict(users, pod)));
  if (ends.includes('granted') && ends.includes('refused')) users.note('budget spent by evictions at once');
}

/** Most often of pods that a budget guards, and one that has something to give if there is one. */
async function evictSome(users: Users): Promise<void> {
  const generous = users.view
    .list<PodDisruptionBudget>('poddisruptionbudgets')
    .filter(({ status }) => status !== undefined && status.disruptionsAllowed > 0);
  const budget = users.chance(0.8) ? users.choose(generous) : undefined;
  const app = budget?.metadata?.name ?? users.choose(APPS);
  const isMeant = ({ metadata }: Pod) =>
    metadata?.labels?.app === app &&
    !metadata?.deletionTimestamp &&
    (!budget || metadata?.namespace === budget.metadata?.namespace);
  const pods = users.view.list<Pod>('pods').filter(isMeant).slice(0, users.between(1, 5));
  for (const pod of pods) users.tell(`user evicts ${pod.metadata?.name}`);
  await evictTogether(users, pods);
}

async function killPod(users: Users): Promise<void> {
  const pod = users.choose(users.view.list<Pod>('pods'));
  if (!pod) return;
  users.note('pod killed by a user');
  users.tell(`user deletes pod ${pod.metadata?.name}`);
  await users.client.delete(kinds.pods, objectKey(pod), users.chance(0.3) ? { gracePeriodSeconds: 0 } : {});
}

async function makePod(users: Users): Promise<void> {
  const isHuge = users.chance(0.3);
  if (isHuge) users.note('pod unschedulable');
  const container = { ...users.container(), ...(isHuge && { resources: { requests: { cpu: HUGE_CPU } } }) };
  await users.make(kinds.pods, {
    metadata: {
      ...users.somewhere(`alone-${users.between(1, 3)}`),
      labels: { app: users.chance(0.2) ? 'set' : 'alone' },
    },
    spec: { containers: [container], terminationGracePeriodSeconds: 5 },
  });
}

async function removeNamespace(users: Users): Promise<void> {
  const name = users.choose(NAMESPACES) ?? 'red';
  users.note('namespace deleted');
  users.tell(`user deletes namespace ${name}`);
  await users.client.delete(kinds.namespaces, { name });
  for (let attempt = 0; attempt < 60; attempt++) {
    await users.pause(20_000);
    if (users.view.get('namespaces', name)) continue;
    await users.make(kinds.namespaces, { metadata: { name } });
    users.note('namespace made again');
    return;
  }
}

/** Weights, and what is done. */
const OPERATIONS: readonly (readonly [number, Operation])[] = [
  [8, users => users.makeDeployment()],
  [12, rollDeployment],
  [3, undoDeployment],
  [2, pauseDeployment],
  [8, scale],
  [2, users => users.remove(kinds.deployments, 'deployments')],
  [4, makeReplicaSet],
  [2, users => users.remove(kinds.replicasets, 'replicasets')],
  [1, users => users.remove(kinds.replicationcontrollers, 'replicationcontrollers')],
  [3, makeDaemonSet],
  [3, rollDaemonSet],
  [1, users => users.remove(kinds.daemonsets, 'daemonsets')],
  [4, makeStatefulSet],
  [3, rollStatefulSet],
  [1, users => users.remove(kinds.statefulsets, 'statefulsets')],
  [8, makeJob],
  [2, suspendJob],
  [2, users => users.remove(kinds.jobs, 'jobs')],
  [1, makeCronJob],
  [1, users => users.remove(kinds.cronjobs, 'cronjobs')],
  [5, makeService],
  [2, changeService],
  [1, users => users.remove(kinds.services, 'services')],
  [4, makeBudget],
  [1, users => users.remove(kinds.poddisruptionbudgets, 'poddisruptionbudgets')],
  [2, makeQuota],
  [2, changeQuota],
  [1, users => users.remove(kinds.resourcequotas, 'resourcequotas')],
  [5, evictSome],
  [4, killPod],
  [3, makePod],
  [1.5, removeNamespace],
];
