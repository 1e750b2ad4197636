import test from 'ava';
import type {
  Deployment,
  Pod,
  PodCondition,
  PodDisruptionBudget,
  ReplicaSet,
} from '../../control/api/generated/types.ts';
import type { KubernetesObject } from '../../control/api/kind.ts';
import { timestamp } from '../../control/client/clock.ts';
import { DESIRED_REPLICAS } from '../../control/controllers/deployment-util.ts';
import type { KeyValue } from '../../store/index.ts';
import { uidOf } from './facts.ts';
import { Judge, Violation } from './judge-always.ts';
import { Shown } from './shown.ts';
import { View } from './view.ts';

const MINUTE_MS = 60_000;

test('a deployment that recreates may not begin its new set beside old pods that its cache shows', t => {
  for (const how of ['created at once', 'sized later'] as const) {
    const world = new World();
    world.haveOldSet();
    world.put('pods', pod('old', 'old-1'));
    world.show('old', 'old-1');
    world.pass(MINUTE_MS);
    world.put('replicasets', set('old', 0));
    if (how === 'sized later') world.put('replicasets', set('new', 0));
    t.throws(
      () => world.put('replicasets', set('new', 2)),
      { instanceOf: Violation, message: /beside pod old-1/ },
      how,
    );
  }
});

test('a pod that leaves, or whose node cannot be reached, is an old pod as long as it is there', t => {
  const world = new World();
  world.haveOldSet();
  world.put('pods', pod('old', 'old-1'));
  world.show('old', 'old-1');
  world.pass(MINUTE_MS);
  world.put('replicasets', set('old', 0));
  world.put('pods', leaving(pod('old', 'old-1')));
  t.throws(() => world.put('replicasets', set('new', 2)), { instanceOf: Violation });
});

test('nor beside pods so old that every cache shows them', t => {
  const world = new World();
  world.haveOldSet();
  world.put('pods', pod('old', 'old-1'));
  world.pass(11 * MINUTE_MS);
  world.put('replicasets', set('old', 0));
  t.throws(() => world.put('replicasets', set('new', 2)), { instanceOf: Violation, message: /beside pod old-1/ });
});

test('it may do so beside what its cache does not show yet, and the set replaces its pods ever after', t => {
  const world = new World();
  world.haveOldSet();
  world.show('old');
  world.put('pods', pod('old', 'old-1'));
  world.pass(6_000);
  world.put('replicasets', set('old', 0));
  world.put('replicasets', set('new', 1));
  world.put('pods', pod('new', 'new-1'));
  world.show('old-1', 'new', 'new-1');
  world.put('pods', leaving(pod('old', 'old-1')));
  world.pass(44 * MINUTE_MS);
  world.put('pods', leaving(pod('new', 'new-1')));
  t.notThrows(() => world.put('pods', pod('new', 'new-2')));
});

test('it may do so once old pods have ended or are gone', t => {
  const world = new World();
  world.haveOldSet();
  for (const name of ['old-1', 'old-2']) world.put('pods', pod('old', name));
  world.show('old', 'old-1', 'old-2');
  world.pass(11 * MINUTE_MS);
  world.put('replicasets', set('old', 0));
  world.put('pods', pod('old', 'old-1', 'Failed'));
  world.remove('pods', 'old-2');
  t.notThrows(() => world.put('replicasets', set('new', 2)));
});

test('a set that has a size may be scaled beside old pods, and any set while the deployment is paused', t => {
  const scaled = new World();
  scaled.haveOldSet();
  scaled.put('replicasets', set('new', 2));
  scaled.put('pods', pod('old', 'old-1'));
  scaled.show('old', 'old-1');
  scaled.pass(MINUTE_MS);
  scaled.put('replicasets', set('old', 0));
  t.throws(() => scaled.put('replicasets', set('new', 3, 2)), { instanceOf: Violation }, 'no other wanted number');
  t.notThrows(() => scaled.put('replicasets', set('new', 4, 4)));

  const paused = new World();
  paused.haveOldSet();
  paused.put('pods', pod('old', 'old-1'));
  paused.show('old', 'old-1');
  paused.pass(MINUTE_MS);
  paused.put('deployments', deployment(2, true));
  paused.put('replicasets', set('old', 0));
  t.notThrows(() => paused.put('replicasets', set('new', 2)));
});

test('surge is a bound, also for sets that the cache does not show yet, as long as who sized them waits for that', t => {
  for (const [waitedMs, isBad] of [
    [29_000, true],
    [31_000, false],
  ] as const) {
    const world = new World();
    world.put('deployments', rolling(4));
    world.put('replicasets', set('old', 3));
    world.pass(waitedMs);
    const begin = () => world.put('replicasets', set('new', 4));
    if (isBad) t.throws(begin, { instanceOf: Violation, message: /asks for 7 pods where 5 are the most/ });
    else t.notThrows(begin);
  }
  const shown = new World();
  shown.put('deployments', rolling(4));
  shown.put('replicasets', set('old', 3));
  shown.show('old');
  shown.pass(MINUTE_MS);
  t.throws(() => shown.put('replicasets', set('new', 4)), { instanceOf: Violation });
});

test('a rollout keeps what its sets say to be available, and may take away what they do not say yet', t => {
  for (const [said, isBad] of [
    [4, true],
    [1, false],
  ] as const) {
    const world = new World();
    world.put('deployments', rolling(4));
    world.put('replicasets', set('old', 4, 4, said));
    for (const name of ['a', 'b', 'c', 'd']) world.put('pods', ready(pod('old', name)));
    world.show('old');
    world.pass(MINUTE_MS);
    const shrink = () => world.put('replicasets', set('old', 3, 4));
    if (isBad) t.throws(shrink, { instanceOf: Violation, message: /keeps 3 pods that may be available, of 4/ });
    else t.notThrows(shrink);
  }
});

test('an eviction takes no ready pod below its budget, and one that is not ready where the budget has enough', t => {
  for (const { isReady, said, isBad } of [
    { isReady: true, said: 2, isBad: true },
    { isReady: false, said: 2, isBad: false },
    { isReady: false, said: 1, isBad: true },
  ]) {
    const world = new World();
    world.haveOldSet();
    world.put('poddisruptionbudgets', budget({ desiredHealthy: 2, currentHealthy: said }));
    for (const name of ['a', 'b']) world.put('pods', ready(pod('old', name)));
    if (!isReady) world.put('pods', pod('old', 'a'));
    const taken = evicted(isReady ? ready(pod('old', 'a')) : pod('old', 'a'));
    world.put('pods', taken);
    const evict = () => world.put('pods', leaving(taken));
    if (isBad) t.throws(evict, { instanceOf: Violation, message: /the eviction of a/ });
    else t.notThrows(evict);
  }
});

/** What the API takes in, a judge that looks at it, and what the leader's cache shows of it. */
class World {
  readonly #view = new View();
  readonly #shown = new Shown(() => this.#nowMs);
  readonly #judge: Judge;
  #nowMs = Date.UTC(2026, 0, 5);
  #revision = 0;

  constructor() {
    this.#judge = new Judge({
      view: this.#view,
      now: () => this.#nowMs,
      note: () => {},
      shown: () => this.#shown,
    });
  }

  haveOldSet(): void {
    this.put('deployments', deployment(4));
    this.put('replicasets', set('old', 2));
  }

  /** @throws Violation */
  put(plural: string, object: KubernetesObject): void {
    const key = `default/${object.metadata?.name}`;
    const before = this.#view.get(plural, key);
    const creationTimestamp = before?.metadata?.creationTimestamp ?? timestamp(this.#nowMs);
    this.#take('put', plural, key, { ...object, metadata: { ...object.metadata, creationTimestamp } });
  }

  remove(plural: string, name: string): void {
    this.#take('delete', plural, `default/${name}`);
  }

  /** The leader's cache shows these from now on, as they are. */
  show(...uids: readonly string[]): void {
    for (const { object } of this.#view.all()) if (uids.includes(uidOf(object))) this.#shown.note(object);
  }

  pass(ms: number): void {
    this.#nowMs += ms;
  }

  #take(type: 'put' | 'delete', plural: string, key: string, object: KubernetesObject = {}): void {
    const revision = ++this.#revision;
    const item: KeyValue = {
      key: `/registry/any/${plural}/${key}`,
      value: Buffer.from(JSON.stringify(object)),
      createRevision: revision,
      modRevision: revision,
      version: 1,
      lease: 0,
    };
    for (const change of this.#view.take({ revision, events: [{ type, item, previous: undefined }] }))
      this.#judge.look(change);
  }
}

function deployment(replicas: number, paused = false): Deployment {
  return {
    metadata: { name: 'web', uid: 'web' },
    spec: { replicas, paused, strategy: { type: 'Recreate' }, selector: {}, template: {} },
  };
}

/** One pod more than wanted, none less. */
function rolling(replicas: number): Deployment {
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  return { metadata: { name: 'web', uid: 'web' }, spec: { replicas, strategy, selector: {}, template: {} } };
}

function budget(status: { readonly desiredHealthy: number; readonly currentHealthy: number }): PodDisruptionBudget {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'budget' },
    spec: { selector: { matchLabels: { app: 'web' } } },
    status: { ...status, disruptionsAllowed: 0, expectedPods: 2 },
  };
}

/** A set whose name is its UID, of a size for a wanted number, that says so many of its pods to be available. */
function set(name: string, replicas: number, sizedFor = replicas, availableReplicas = 0): ReplicaSet {
  return {
    metadata: {
      name,
      uid: name,
      annotations: { [DESIRED_REPLICAS]: String(sizedFor) },
      ownerReferences: [owner('Deployment', 'web')],
    },
    spec: { replicas, selector: {} },
    status: { replicas, availableReplicas },
  };
}

function pod(of: string, name: string, phase = 'Running'): Pod {
  return {
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      labels: { app: 'web' },
      ownerReferences: [owner('ReplicaSet', of)],
    },
    spec: { containers: [], nodeName: 'node-1' },
    status: { phase },
  };
}

function ready(object: Pod): Pod {
  return withCondition(object, { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-05T00:00:00Z' });
}

function evicted(object: Pod): Pod {
  return withCondition(object, { type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' });
}

function withCondition(object: Pod, condition: PodCondition): Pod {
  return { ...object, status: { ...object.status, conditions: [...(object.status?.conditions ?? []), condition] } };
}

function leaving(object: Pod): Pod {
  return { ...object, metadata: { ...object.metadata, deletionTimestamp: '2026-01-05T00:00:05Z' } };
}

const owner = (kind: string, uid: string) => ({ apiVersion: 'apps/v1', kind, name: uid, uid, controller: true });
