/**
 * Deletes what has lost all its owners, and carries out foreground and orphaning deletion. It watches every kind that
 * discovery names, metadata only; before it deletes it asks the API, never the cache alone.
 */
import type { OwnerReference } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { hasReason } from '../api/status.ts';
import { sleep } from '../client/clock.ts';
import { type ReconcileResult, runController } from '../client/controller.ts';
import type { EventRecorder } from '../client/events.ts';
import { Informer } from '../client/informer.ts';
import type { WorkQueue } from '../client/workqueue.ts';
import { type Controller, type ControllerContext, newQueue, readerOf } from './context.ts';
import type { DiscoveredKinds } from './discovered-kinds.ts';
import { FOREGROUND, GarbageGraph, type GraphNode, keptForGraph, ORPHAN } from './garbage-graph.ts';
import { type OwnerState, planGarbage } from './garbage-plan.ts';
import { ABSENT_OWNERS_MAX, GARBAGE_SYNC_MS, GARBAGE_WORKERS, OWNER_GRACE_MS } from './limits.ts';
import { refersTo } from './owners.ts';

export function garbageCollector(context: ControllerContext, kinds: DiscoveredKinds): Controller {
  const collector = new GarbageCollector(context, kinds);
  return { name: 'garbage-collector-controller', run: () => collector.run() };
}

interface Monitor {
  readonly informer: Informer<KubernetesObject>;
  stop(): void;
}

class GarbageCollector {
  readonly #context: ControllerContext;
  readonly #kinds: DiscoveredKinds;
  readonly #graph = new GarbageGraph();
  readonly #recorder: EventRecorder;
  readonly #queue: WorkQueue;
  readonly #monitors = new Map<string, Monitor>();
  /** The kinds that the monitors are of. */
  #watched: readonly Kind[] | undefined;
  readonly #running = new Set<Promise<void>>();
  /** References that the API said lead nowhere: UIDs never come back. */
  readonly #absent = new Set<string>();
  /** Objects, by UID, with an owner of a kind that is not known: they are due when kinds come. */
  readonly #unresolved = new Set<string>();

  constructor(context: ControllerContext, kinds: DiscoveredKinds) {
    this.#context = context;
    this.#kinds = kinds;
    this.#recorder = context.recorder('garbage-collector-controller');
    this.#queue = newQueue(context);
  }

  async run(): Promise<void> {
    const { signal, clock, logger, metrics } = this.#context;
    await this.#discover();
    if (!(await this.#waitForMonitors())) return;
    const working = runController({
      name: 'garbage-collector-controller',
      queue: this.#queue,
      workers: GARBAGE_WORKERS,
      logger,
      signal,
      metrics,
      now: () => clock.now(),
      reconcile: uid => this.#reconcile(uid),
    });
    while (!signal.aborted) {
      await this.#kinds.nextChange(signal);
      if (!signal.aborted) await this.#discover();
    }
    await working;
    await Promise.all(this.#running);
  }

  /** Starts watching kinds that are new, stops with those that are gone. Failures wait for the next time. */
  async #discover(): Promise<void> {
    const { logger, signal } = this.#context;
    try {
      await this.#kinds.refresh();
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error }, 'discovery failed');
      return;
    }
    const kinds = this.#kinds.deletable;
    if (kinds === this.#watched) return;
    this.#watched = kinds;
    for (const uid of this.#unresolved) this.#queue.add(uid);
    this.#unresolved.clear();
    const present = new Set<string>();
    for (const kind of kinds) {
      if (kind.group === '' && kind.plural === 'events') continue;
      // A custom resource may come to be served in another version only.
      const name = `${kind.group}/${kind.version}/${kind.plural}`;
      present.add(name);
      if (!this.#monitors.has(name)) this.#monitors.set(name, this.#monitor(kind));
    }
    for (const [name, monitor] of this.#monitors) {
      if (present.has(name)) continue;
      monitor.stop();
      this.#monitors.delete(name);
    }
  }

  /** Whole objects that another controller keeps are not kept twice. */
  #monitor(kind: Kind): Monitor {
    const existing = this.#context.informers.existing(kind);
    const informer =
      existing ??
      new Informer({
        ...this.#context,
        client: readerOf(this.#context),
        kind,
        metadataOnly: true,
        keep: keptForGraph,
      });
    informer.addHandler({
      added: object => this.#seen(kind, object),
      updated: object => this.#seen(kind, object),
      deleted: object => this.#gone(object),
    });
    if (existing) return { informer, stop: () => {} };
    const stop = new AbortController();
    const running = informer
      .run(AbortSignal.any([stop.signal, this.#context.signal]))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
    return { informer, stop: () => stop.abort() };
  }

  /** A kind that cannot be listed, as when its converter is down, must not hold up all others for ever. */
  async #waitForMonitors(): Promise<boolean> {
    const { clock, signal, logger } = this.#context;
    const synced = new AbortController();
    const waiting = AbortSignal.any([signal, synced.signal]);
    const timeout = sleep(clock, GARBAGE_SYNC_MS, waiting);
    const all = Promise.all([...this.#monitors.values()].map(({ informer }) => informer.waitForSync(waiting)));
    await Promise.race([timeout, all]);
    const missing = [...this.#monitors].filter(([, { informer }]) => !informer.hasSynced).map(([name]) => name);
    if (!signal.aborted && missing.length > 0)
      logger.warn({ kinds: missing }, 'garbage is collected without some kinds');
    synced.abort();
    await all;
    return !signal.aborted;
  }

  #seen(kind: Kind, object: KubernetesObject): void {
    const { node, old } = this.#graph.set(kind, object);
    if (node.orphansDependents || node.awaitsDependents) this.#queue.add(node.uid);
    if (node.awaitsDependents)
      for (const dependent of this.#graph.dependentsOf(node.uid)) this.#queue.add(dependent.uid);
    if (node.owners.length > 0 && JSON.stringify(node.owners) !== JSON.stringify(old?.owners)) {
      // An owner may be on its way in another kind's watch; one that is not is looked up.
      if (node.owners.some(({ uid }) => !this.#graph.get(uid))) this.#queue.addAfter(node.uid, OWNER_GRACE_MS);
      else if (!node.owners.every(owner => this.#isCertainlyPresent(owner, node))) this.#queue.add(node.uid);
    }
    // A reference that was dropped may have been the last to block; or a circle of waiting objects has been closed.
    const freed = node.awaitsDependents ? [...(old?.owners ?? []), ...node.owners] : (old?.owners ?? []);
    for (const { uid } of freed) if (this.#graph.get(uid)?.awaitsDependents) this.#queue.add(uid);
  }

  #gone(object: KubernetesObject): void {
    const uid = object.metadata?.uid ?? '';
    const node = this.#graph.remove(uid);
    this.#unresolved.delete(uid);
    for (const dependent of this.#graph.dependentsOf(uid)) this.#queue.add(dependent.uid);
    for (const owner of node?.owners ?? [])
      if (this.#graph.get(owner.uid)?.awaitsDependents) this.#queue.add(owner.uid);
  }

  async #reconcile(uid: string): Promise<ReconcileResult | undefined> {
    const node = this.#graph.get(uid);
    if (!node) return undefined;
    if (node.orphansDependents) return this.#orphanDependents(node);
    if (node.awaitsDependents) return this.#finishForeground(node);
    if (node.isLeaving || node.owners.every(owner => this.#isCertainlyPresent(owner, node))) return undefined;
    const object = await this.#read(node);
    if (!object) return undefined;
    const states = new Map<string, OwnerState>();
    for (const owner of object.metadata?.ownerReferences ?? []) {
      const state = await this.#stateOf(owner, node);
      // Neither there nor gone for certain, as when its kind is unknown: such an object is left alone.
      if (state === undefined) {
        this.#unresolved.add(uid);
        return undefined;
      }
      states.set(owner.uid, state);
    }
    const hasDependents = this.#graph.dependentsOf(uid).length > 0;
    const action = planGarbage(object, owner => states.get(owner.uid) ?? 'present', hasDependents);
    if (action.do === 'release') await this.#patch(node, object, { ownerReferences: orNull(action.ownerReferences) });
    if (action.do === 'delete') await this.#delete(node, object, action.propagationPolicy);
    return undefined;
  }

  /** The cache shows the owner, and nothing that would end the ownership: no need to ask the API. */
  #isCertainlyPresent(reference: OwnerReference, dependent: GraphNode): boolean {
    const owner = this.#graph.get(reference.uid);
    return owner !== undefined && !owner.awaitsDependents && isMeant(reference, owner) && canOwn(owner, dependent);
  }

  async #stateOf(owner: OwnerReference, dependent: GraphNode): Promise<OwnerState | undefined> {
    const { apiVersion, kind: kindName, name, uid } = owner;
    const { namespace } = dependent;
    // All of the reference counts: one that has the UID of an object and the name of another must not speak for the first.
    const place = [apiVersion, kindName, namespace, name, uid].join(' ');
    if (this.#absent.has(place)) return 'absent';
    const known = this.#graph.get(uid);
    if (known && isMeant(owner, known)) {
      if (canOwn(known, dependent)) return known.awaitsDependents ? 'waiting' : 'present';
      this.#tellWrongNamespace(owner, dependent);
    }
    const kind = this.#kinds.find(apiVersion, kindName);
    if (!kind || (kind.namespaced && !namespace)) return undefined;
    try {
      const found = await this.#context.client.get(kind, { ...(kind.namespaced && namespace && { namespace }), name });
      if (found.metadata?.uid === uid) return 'present';
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
    this.#remember(place);
    return 'absent';
  }

  #remember(place: string): void {
    this.#absent.add(place);
    if (this.#absent.size <= ABSENT_OWNERS_MAX) return;
    const [oldest] = this.#absent;
    if (oldest !== undefined) this.#absent.delete(oldest);
  }

  #tellWrongNamespace(owner: OwnerReference, { kind, namespace, name, uid }: GraphNode): void {
    const object = {
      apiVersion: kind.group ? `${kind.group}/${kind.version}` : kind.version,
      kind: kind.kind,
      metadata: { name, uid, ...(namespace && { namespace }) },
    };
    const reference = `${owner.apiVersion}/${owner.kind}, namespace: ${namespace ?? ''}, name: ${owner.name}, uid: ${owner.uid}`;
    this.#recorder.record(object, {
      type: 'Warning',
      reason: 'OwnerRefInvalidNamespace',
      message: `ownerRef [${reference}] does not exist in namespace "${namespace ?? ''}"`,
    });
  }

  /** Lets all dependents go, then the owner. */
  async #orphanDependents(owner: GraphNode): Promise<undefined> {
    for (const dependent of this.#graph.dependentsOf(owner.uid)) {
      const object = await this.#read(dependent);
      const references = object?.metadata?.ownerReferences ?? [];
      if (!object || !references.some(({ uid }) => uid === owner.uid)) continue;
      await this.#patch(dependent, object, {
        ownerReferences: orNull(references.filter(({ uid }) => uid !== owner.uid)),
      });
    }
    await this.#dropFinalizer(owner, ORPHAN);
    return undefined;
  }

  /** Lets the owner go once nothing blocks it; until then its blockers are due. */
  async #finishForeground(owner: GraphNode): Promise<undefined> {
    const blockers = this.#graph.blockersOf(owner.uid);
    if (blockers.length === 0) await this.#dropFinalizer(owner, FOREGROUND);
    for (const blocker of blockers) if (!blocker.isLeaving) this.#queue.add(blocker.uid);
    return undefined;
  }

  async #dropFinalizer(node: GraphNode, finalizer: string): Promise<void> {
    const object = await this.#read(node);
    const finalizers = object?.metadata?.finalizers ?? [];
    if (!object || !finalizers.includes(finalizer)) return;
    await this.#patch(node, object, { finalizers: orNull(finalizers.filter(other => other !== finalizer)) });
  }

  /** The object as it is now; undefined if it is gone or was replaced. */
  async #read(node: GraphNode): Promise<KubernetesObject | undefined> {
    try {
      const object = await this.#context.client.get(node.kind, keyFor(node));
      return object.metadata?.uid === node.uid ? object : undefined;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Changes metadata of exactly the version that was read. */
  async #patch(node: GraphNode, { metadata }: KubernetesObject, change: object): Promise<void> {
    const body = { metadata: { uid: metadata?.uid, resourceVersion: metadata?.resourceVersion, ...change } };
    await ignoringAbsence(
      this.#context.client.patch(node.kind, keyFor(node), { type: 'application/merge-patch+json', body }),
    );
  }

  async #delete(
    node: GraphNode,
    { metadata }: KubernetesObject,
    propagationPolicy: 'Background' | 'Foreground' | 'Orphan',
  ) {
    // The version too: somebody may have given it an owner since it was read.
    const { resourceVersion } = metadata ?? {};
    await ignoringAbsence(
      this.#context.client.delete(node.kind, keyFor(node), {
        uid: node.uid,
        ...(resourceVersion && { resourceVersion }),
        propagationPolicy,
      }),
    );
  }
}

/** The reference names this very object, in whatever version of its kind. */
const isMeant = (reference: OwnerReference, { kind, name }: GraphNode) =>
  reference.name === name && refersTo(reference, kind);
/** An owner stands in the dependent's namespace, or in none. */
const canOwn = (owner: GraphNode, dependent: GraphNode) =>
  owner.namespace === undefined || owner.namespace === dependent.namespace;

const keyFor = ({ namespace, name }: GraphNode) => ({ ...(namespace && { namespace }), name });
/** A merge patch removes a list with null. */
const orNull = <T>(list: readonly T[]) => (list.length > 0 ? list : null);

async function ignoringAbsence(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error;
  }
}
