/** Users: they make, change and remove objects of every kind, badly timed and over each other's work. */
import { readFileSync } from 'node:fs';
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Deployment, Job, Pod, PodTemplateSpec, ReplicaSet } from '../../control/api/generated/types.ts';
import type { Kind, KubernetesObject } from '../../control/api/kind.ts';
import { ApiError } from '../../control/api/status.ts';
import type { ObjectKey } from '../../control/client/client.ts';
import type { Clock } from '../../control/client/clock.ts';
import { objectKey } from '../../control/client/keys.ts';
import type { RestClient } from '../../control/client/rest.ts';
import { integerBetween, pick, type Random } from '../simulation/random.ts';
import type { EventName } from './coverage.ts';
import { cpuMillis, millis, uidOf } from './facts.ts';
import { BROKEN_IMAGE } from './hollow-node.ts';
import { Violation } from './judge-always.ts';
import { controllerUid, type View } from './view.ts';

export interface UsersOptions {
  readonly client: RestClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly view: View;
  readonly note: (name: EventName) => void;
  readonly tell: (line: string) => void;
}

const NAMESPACES = ['red', 'blue'];
const APPS = ['web', 'api'];
const PROPAGATIONS = ['Background', 'Background', 'Foreground', 'Orphan'] as const;
/** What a server may say to a user who is late, or asks for what cannot be. */
const EXPECTED: ReadonlySet<string> = new Set([
  'NotFound',
  'AlreadyExists',
  'Conflict',
  'Forbidden',
  'TooManyRequests',
]);
const MERGE = 'application/merge-patch+json' as const;
/** Pods of this kind of size fit nowhere. */
const HUGE_CPU = '7000m';
const ROOMY = { pods: '500', 'requests.cpu': '500', 'count/jobs.batch': '500' };

/** By then every controller has seen the last change of a template: longer than any watch is silent or backs off. */
const TEMPLATE_SEEN_MS = 60_000;

type Operation = (users: Users) => Promise<void>;

export class Users {
  readonly #options: UsersOptions;
  readonly #underWay = new Set<Promise<void>>();
  operations = 0;
  #images = 1;
  #failure: unknown;

  constructor(options: UsersOptions) {
    this.#options = options;
  }

  async prepare(): Promise<void> {
    for (const name of NAMESPACES) await this.make(kinds.namespaces, { metadata: { name } });
    for (let count = 0; count < 3; count++) this.start(this.makeDeployment());
  }

  /** Somebody does something; whatever comes of it comes later. */
  act(): void {
    if (this.#failure !== undefined) throw this.#failure;
    const total = OPERATIONS.reduce((sum, [weight]) => sum + weight, 0);
    let at = this.random() * total;
    const chosen = OPERATIONS.find(([weight]) => {
      at -= weight;
      return at < 0;
    });
    if (!chosen) return;
    this.start(chosen[1](this));
  }

  /** What the server answers to users who are late is no failure; anything else is one. */
  start(work: Promise<void>): void {
    this.operations++;
    const tracked = work
      .catch((error: unknown) => {
        if (error instanceof ApiError && EXPECTED.has(error.reason)) {
          if (error.reason === 'Forbidden' && /exceeded quota/.test(error.message)) this.note('quota full');
          return;
        }
        this.#failure ??=
          error instanceof ApiError ? new Violation(`a user was told ${error.reason}: ${error.message}`) : error;
      })
      .finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  /** What was broken on purpose is mended, so that everything can come to its end. */
  async heal(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure;
    const { client, view } = this.#options;
    for (const quota of view.list('resourcequotas')) {
      await client.patch(kinds.resourcequotas, objectKey(quota), { type: MERGE, body: { spec: { hard: ROOMY } } });
    }
    for (const [kind, plural] of WITH_TEMPLATES) {
      for (const owner of view.list<Deployment>(plural)) {
        if (owner.metadata?.deletionTimestamp || owner.metadata?.ownerReferences) continue;
        const spec = { template: { spec: { containers: [this.container()] } } };
        const paused = plural === 'deployments' ? { paused: null } : {};
        await this.#quietly(
          client.patch(kind as Kind, objectKey(owner), { type: MERGE, body: { spec: { ...spec, ...paused } } }),
        );
      }
    }
    // What is due again and again would never let the world stand still.
    for (const cron of view.list('cronjobs')) {
      await this.#quietly(
        client.patch(kinds.cronjobs, objectKey(cron), { type: MERGE, body: { spec: { suspend: true } } }),
      );
    }
    for (const job of view.list<Job>('jobs')) {
      if (!job.spec?.suspend) continue;
      await this.#quietly(
        client.patch(kinds.jobs, objectKey(job), { type: MERGE, body: { spec: { suspend: false } } }),
      );
    }
    // A replacement must not be made after the template of before.
    await this.pause(TEMPLATE_SEEN_MS);
    for (const pod of view.list<Pod>('pods')) {
      if (this.#isStuck(pod)) await this.#quietly(client.delete(kinds.pods, objectKey(pod), { gracePeriodSeconds: 0 }));
    }
  }

  /**
   * Whether nothing will ever run the pod, nor take it away. A deployment rolls its broken pods away by itself; a set without
   * one, such as an orphan, keeps those that it has, whatever becomes of its template.
   */
  #isStuck(pod: Pod): boolean {
    const { view } = this.#options;
    const isBroken = pod.spec?.containers[0]?.image === BROKEN_IMAGE;
    // A set whose selector a plain pod matches may have taken it in.
    if (pod.metadata?.generateName === undefined) return isBroken || cpuMillis(pod) >= millis(HUGE_CPU);
    const set = view.list<ReplicaSet>('replicasets').find(other => uidOf(other) === controllerUid(pod));
    return isBroken && !(set && controllerUid(set));
  }

  get random(): Random {
    return this.#options.random;
  }

  get client(): RestClient {
    return this.#options.client;
  }

  get view(): View {
    return this.#options.view;
  }

  note(name: EventName): void {
    this.#options.note(name);
  }

  pause(delayMs: number): Promise<void> {
    return new Promise(resolve => void this.#options.clock.setTimeout(resolve, delayMs));
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  between(min: number, max: number): number {
    return integerBetween(this.random, min, max);
  }

  choose<T>(items: readonly T[]): T | undefined {
    return pick(this.random, items);
  }

  /** One of the objects that users make themselves. */
  any<T extends KubernetesObject>(plural: string): T | undefined {
    const own = this.view
      .list<T>(plural)
      .filter(({ metadata }) => NAMESPACES.includes(metadata?.namespace ?? '') && !metadata?.ownerReferences);
    return this.choose(own);
  }

  somewhere(name: string): ObjectKey & { readonly namespace: string } {
    return { namespace: this.choose(NAMESPACES) ?? 'red', name };
  }

  async make<T extends KubernetesObject>(kind: Kind<T>, object: T): Promise<void> {
    this.tell(`user creates ${kind.singular} ${object.metadata?.namespace ?? ''}/${object.metadata?.name}`);
    await this.client.create(kind, object);
  }

  async change<T extends KubernetesObject>(kind: Kind<T>, key: ObjectKey, body: object): Promise<void> {
    this.tell(`user changes ${kind.singular} ${key.namespace}/${key.name} ${JSON.stringify(body)}`);
    await this.client.patch(kind, key, { type: MERGE, body });
  }

  async remove(kind: Kind, plural: string): Promise<void> {
    const object = this.any(plural);
    if (!object) return;
    const propagationPolicy = this.choose(PROPAGATIONS) ?? 'Background';
    if (propagationPolicy === 'Foreground') this.note('owner deleted in the foreground');
    if (propagationPolicy === 'Orphan') this.note('owner orphaned its dependents');
    this.tell(
      `user deletes ${kind.singular} ${object.metadata?.namespace}/${object.metadata?.name} (${propagationPolicy})`,
    );
    await this.client.delete(kind, objectKey(object), { propagationPolicy });
  }

  tell(line: string): void {
    this.#options.tell(line);
  }

  container(): { name: string; image: string; resources: { requests: Record<string, string> } } {
    return { name: 'c', image: `good:${this.#images++}`, resources: { requests: { cpu: '100m', memory: '64Mi' } } };
  }

  template(app: string): PodTemplateSpec {
    return {
      metadata: { labels: { app } },
      spec: { terminationGracePeriodSeconds: 5, containers: [this.container()] },
    };
  }

  async makeDeployment(): Promise<void> {
    const app = this.choose(APPS) ?? 'web';
    const share = () => this.choose<number | string>([0, 1, 2, '25%', '50%']) ?? 1;
    const rollingUpdate = { maxSurge: share(), maxUnavailable: share() };
    if (Number.parseInt(String(rollingUpdate.maxSurge), 10) === 0 && rollingUpdate.maxUnavailable === 0)
      rollingUpdate.maxSurge = 1;
    const strategy = this.chance(0.2) ? { type: 'Recreate' } : { type: 'RollingUpdate', rollingUpdate };
    await this.make(kinds.deployments, {
      metadata: this.somewhere(app),
      spec: {
        replicas: this.between(0, 6),
        selector: { matchLabels: { app } },
        template: this.template(app),
        strategy,
        minReadySeconds: this.choose([0, 0, 10]) ?? 0,
        progressDeadlineSeconds: this.choose([60, 600]) ?? 600,
        revisionHistoryLimit: this.choose([1, 3, 10]) ?? 10,
      },
    });
  }

  async #quietly(work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => {
      if (!(error instanceof ApiError && EXPECTED.has(error.reason))) throw error;
    });
  }
}

const WITH_TEMPLATES = [
  [kinds.deployments, 'deployments'],
  [kinds.replicasets, 'replicasets'],
  [kinds.replicationcontrollers, 'replicationcontrollers'],
  [kinds.daemonsets, 'daemonsets'],
  [kinds.statefulsets, 'statefulsets'],
] as const satisfies readonly (readonly [Kind, string])[];

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

async function makeBudget(users: Users): Promise<void> {
  const app = users.choose([...APPS, 'set']) ?? 'web';
  const amount = users.choose<number | string>([1, 2, '50%']) ?? 1;
  await users.make(kinds.poddisruptionbudgets, {
    metadata: users.somewhere(app),
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

/** An eviction by hand; its answer is the budget's. */
export async function evict(users: Users, pod: Pod): Promise<boolean> {
  const key = objectKey(pod);
  try {
    await users.client.createSubresource(kinds.pods, key, 'eviction', {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: key,
    });
    users.note('eviction granted');
    return true;
  } catch (error) {
    // Several budgets over one pod are refused with a 500, as in Kubernetes; here none overlap.
    if (!(error instanceof ApiError && EXPECTED.has(error.reason))) throw error;
    if (error.reason === 'TooManyRequests') users.note('eviction refused by a budget');
    return error.reason === 'NotFound';
  }
}

async function evictSome(users: Users): Promise<void> {
  const app = users.choose(APPS);
  const pods = users.view.list<Pod>('pods').filter(({ metadata }) => metadata?.labels?.app === app);
  for (const pod of pods.slice(0, users.between(1, 5))) {
    users.tell(`user evicts ${pod.metadata?.name}`);
    await evict(users, pod);
  }
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

/** Controllers that are not there yet are not asked for anything. */
const CONTROLLERS = readFileSync(new URL('../../control/controllers/all.ts', import.meta.url), 'utf8');
const hasStatefulSets = Number(CONTROLLERS.includes('statefulset-controller'));
const hasCronJobs = Number(CONTROLLERS.includes('cronjob-controller'));

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
  [4 * hasStatefulSets, makeStatefulSet],
  [3 * hasStatefulSets, rollStatefulSet],
  [1, users => users.remove(kinds.statefulsets, 'statefulsets')],
  [8, makeJob],
  [2, suspendJob],
  [2, users => users.remove(kinds.jobs, 'jobs')],
  [1 * hasCronJobs, makeCronJob],
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
