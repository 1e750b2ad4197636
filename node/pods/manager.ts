/**
 * All pods of the node: a worker for each pod that the API assigns here, and the removal of what belongs to none. Pods are
 * kept apart by uid, so that a pod's successor of the same name is a stranger to it.
 */
import type { Pod } from '../api.ts';
import { sleep } from '../clock.ts';
import {
  GRACE_SECONDS_DEFAULT,
  ORPHAN_SWEEP_MS,
  PREEMPTION_WAIT_MS_MIN,
  PREEMPTION_WAIT_SHARE,
  VOLUME_REFRESH_MS,
} from '../limits.ts';
import type { SandboxStatus } from '../runtime/runtime.ts';
import { type Judgement, judgeAdmission } from './admission.ts';
import type { PodContext, StatusSink } from './context.ts';
import { PREEMPTION } from './preemption.ts';
import { isOver } from './status.ts';
import { PodWorker } from './worker.ts';

export interface PodManagerOptions {
  readonly context: PodContext;
  readonly volumeRefreshMs?: number;
  readonly orphanSweepMs?: number;
  /** Pods that have folders on this node's disk. */
  readonly storedPodUids: () => Promise<readonly string[]>;
  /** Nothing of a pod is left on this node. */
  readonly onForgotten?: (podUid: string) => void;
}

export class PodManager {
  readonly #options: PodManagerOptions;
  readonly #context: PodContext;
  readonly #workers = new Map<string, PodWorker>();
  /** Pods that came before all were known: who was first counts. */
  #early: Pod[] = [];
  #synced = false;

  constructor(options: PodManagerOptions) {
    this.#options = options;
    this.#context = options.context;
  }

  /** The API has this pod for this node. */
  apply(pod: Pod): void {
    const uid = pod.metadata?.uid ?? '';
    const known = this.#workers.get(uid);
    if (known) {
      known.update(pod);
      return;
    }
    if (this.#synced) this.#begin(pod);
    else this.#early = [...this.#early.filter(({ metadata }) => metadata?.uid !== uid), pod];
  }

  /**
   * A pod of the node's own: it waits for nothing of the API, neither for other pods nor for network policies, which know it
   * only once it has a mirror. It tells its status elsewhere.
   */
  beginStatic(pod: Pod, statuses: StatusSink): void {
    this.#begin(pod, { ...this.#context, statuses, admit: () => Promise.resolve() });
  }

  #begin(pod: Pod, context = this.#context): void {
    const uid = pod.metadata?.uid ?? '';
    const judgement = this.#isNew(pod) ? this.#judge(pod) : undefined;
    const victims = judgement?.refusal ? [] : (judgement?.victims ?? []);
    const worker = new PodWorker({
      context,
      pod,
      refusal: judgement?.refusal,
      room: victims.length > 0 ? this.#makeRoom(pod, victims) : undefined,
      onForgotten: () => {
        this.#workers.delete(uid);
        this.#options.onForgotten?.(uid);
      },
    });
    this.#workers.set(uid, worker);
    worker.start();
  }

  /** True if nothing of the pod was ever made here. */
  #isNew(pod: Pod): boolean {
    const isDone = isOver(pod) || pod.metadata?.deletionTimestamp !== undefined;
    return !isDone && pod.status?.startTime === undefined && this.sandboxesOf(pod.metadata?.uid ?? '').length === 0;
  }

  /** Ends the victims; resolves when they have stopped, or had the time that they may take. Never rejects. */
  async #makeRoom(pod: Pod, victims: readonly Pod[]): Promise<void> {
    const { clock, logger } = this.#context;
    const names = victims.map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`);
    logger.info({ pod: pod.metadata?.name, victims: names }, 'pods end so that a critical pod finds room');
    const graceMs = victims.map(({ spec }) => (spec?.terminationGracePeriodSeconds ?? GRACE_SECONDS_DEFAULT) * 1000);
    const waitMs = Math.max(PREEMPTION_WAIT_MS_MIN, Math.max(...graceMs) * PREEMPTION_WAIT_SHARE);
    const timer = new AbortController();
    const ends = victims.map(({ metadata }) => this.#workers.get(metadata?.uid ?? '')?.preempt(PREEMPTION));
    await Promise.race([Promise.all(ends), sleep(clock, waitMs, timer.signal)]);
    timer.abort();
  }

  #judge(pod: Pod): Judgement {
    const { node, ownNode, pressures, neighbours } = this.#context;
    return judgeAdmission({
      pod,
      node: ownNode(),
      operatingSystem: node.operatingSystem,
      allocatable: node,
      others: neighbours(pod.metadata?.uid ?? ''),
      pressures: pressures(),
      hasAppArmor: node.hasAppArmor,
    });
  }

  /** The other pods that this node took and that have not ended, with what they were given. */
  neighbours(podUid: string): readonly Pod[] {
    return this.list().flatMap(worker => (worker.uid === podUid || !worker.allocated ? [] : [worker.allocated]));
  }

  /** Names of the images that pods which have not ended run, or want to. */
  images(): readonly string[] {
    return this.neighbours('').flatMap(({ spec }) =>
      [...(spec?.initContainers ?? []), ...(spec?.containers ?? []), ...(spec?.ephemeralContainers ?? [])].flatMap(
        ({ image }) => image ?? [],
      ),
    );
  }

  /** The API has it no more. */
  remove(pod: Pod): void {
    const uid = pod.metadata?.uid ?? '';
    this.#early = this.#early.filter(({ metadata }) => metadata?.uid !== uid);
    this.#workers.get(uid)?.remove();
  }

  /** The runtime has news of a pod. */
  poke(podUid: string): void {
    this.#workers.get(podUid)?.poke();
  }

  /** Now it is known which pods belong here; what belongs to none may go. */
  markSynced(): void {
    this.#synced = true;
    const early = this.#early;
    this.#early = [];
    // What runs already is taken as it is, and before anything new.
    const isNew = new Map(early.map(pod => [pod, this.#isNew(pod)]));
    const bornAt = ({ metadata }: Pod) => Date.parse(metadata?.creationTimestamp ?? '') || 0;
    early.sort((a, b) => Number(isNew.get(a)) - Number(isNew.get(b)) || bornAt(a) - bornAt(b));
    for (const pod of early) this.#begin(pod);
  }

  list(): readonly PodWorker[] {
    return [...this.#workers.values()];
  }

  find(namespace: string, name: string): PodWorker | undefined {
    const named = this.list().filter(({ pod }) => pod.metadata?.namespace === namespace && pod.metadata.name === name);
    // Of a pod and its successor the one that is not going away is meant.
    return named.find(({ pod }) => !pod.metadata?.deletionTimestamp) ?? named[0];
  }

  /** What the runtime has of a pod, newest sandbox first. */
  sandboxesOf(podUid: string): readonly SandboxStatus[] {
    return this.#context.view.of(podUid);
  }

  /** Refreshes volumes and sweeps orphans until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { volumeRefreshMs = VOLUME_REFRESH_MS, orphanSweepMs = ORPHAN_SWEEP_MS } = this.#options;
    await Promise.all([
      this.#repeat('volume refresh', volumeRefreshMs, signal, () => this.#refreshVolumes(signal)),
      this.#repeat('orphan sweep', orphanSweepMs, signal, () => this.sweep()),
    ]);
  }

  /** Removes sandboxes, addresses and folders of pods that no worker answers for. */
  async sweep(): Promise<void> {
    if (!this.#synced) return;
    const { view, runtime, network, volumes, logger } = this.#context;
    await view.refresh();
    const stored = await this.#options.storedPodUids();
    for (const uid of new Set([...view.podUids(), ...stored])) {
      if (this.#workers.has(uid)) continue;
      logger.info({ podUid: uid }, 'removing what is left of a pod that is no more');
      try {
        for (const { id } of view.of(uid)) await runtime.removeSandbox(id);
        await network.detach(uid);
        await volumes.unmount(uid);
      } catch (error) {
        // A driver that is away keeps what is left of other pods from going no longer than until its own is tried again.
        logger.warn({ error, podUid: uid }, 'something is left of a pod that is no more');
      }
    }
    await network.collectGarbage(new Set(this.#workers.keys()));
  }

  /** Ends all workers; containers go on. */
  async close(): Promise<void> {
    await Promise.all(this.list().map(worker => worker.close()));
  }

  async #refreshVolumes(signal: AbortSignal): Promise<void> {
    for (const worker of this.list()) {
      if (signal.aborted) return;
      await worker.refreshVolumes();
    }
  }

  async #repeat(name: string, everyMs: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#context.clock, everyMs, signal);
      if (signal.aborted) return;
      try {
        await work();
      } catch (error) {
        this.#context.logger.warn({ error }, `${name} failed`);
      }
    }
  }
}
