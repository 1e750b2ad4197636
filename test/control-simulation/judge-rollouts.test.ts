import test from 'ava';
import type { Deployment, Pod, ReplicaSet } from '../../control/api/generated/types.ts';
import type { KubernetesObject } from '../../control/api/kind.ts';
import { timestamp } from '../../control/client/clock.ts';
import { DESIRED_REPLICAS } from '../../control/controllers/deployment-util.ts';
import type { KeyValue } from '../../store/index.ts';
import { Judge, Violation } from './judge-always.ts';
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

/** What the API takes in, a judge that looks at it, and what the leader's cache shows of it. */
class World {
  readonly #view = new View();
  readonly #shown = new Map<string, number>();
  readonly #judge: Judge;
  #nowMs = Date.UTC(2026, 0, 5);
  #revision = 0;

  constructor() {
    this.#judge = new Judge({
      view: this.#view,
      now: () => this.#nowMs,
      note: () => {},
      shownSinceMs: uid => this.#shown.get(uid),
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

  /** The leader's cache shows these from now on, by UID. */
  show(...uids: readonly string[]): void {
    for (const uid of uids) this.#shown.set(uid, this.#nowMs);
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

/** A set whose name is its UID, of a size for a wanted number. */
function set(name: string, replicas: number, sizedFor = replicas): ReplicaSet {
  return {
    metadata: {
      name,
      uid: name,
      annotations: { [DESIRED_REPLICAS]: String(sizedFor) },
      ownerReferences: [owner('Deployment', 'web')],
    },
    spec: { replicas, selector: {} },
  };
}

function pod(of: string, name: string, phase = 'Running'): Pod {
  return {
    metadata: { name, uid: name, ownerReferences: [owner('ReplicaSet', of)] },
    spec: { containers: [], nodeName: 'node-1' },
    status: { phase },
  };
}

function leaving(object: Pod): Pod {
  return { ...object, metadata: { ...object.metadata, deletionTimestamp: '2026-01-05T00:00:05Z' } };
}

const owner = (kind: string, uid: string) => ({ apiVersion: 'apps/v1', kind, name: uid, uid, controller: true });
