/**
 * All pods of the node: a worker for each pod that the API assigns here, and the removal of what belongs to none. Pods are
 * kept apart by uid, so that a pod's successor of the same name is a stranger to it.
 */
import type { Pod } from '../api.ts';
import { sleep } from '../clock.ts';
import { ORPHAN_SWEEP_MS, VOLUME_REFRESH_MS } from '../limits.ts';
import type { SandboxStatus } from '../runtime/runtime.ts';
import type { PodContext } from './context.ts';
import { PodWorker } from './worker.ts';

export interface PodManagerOptions {
  readonly context: PodContext;
  readonly volumeRefreshMs?: number;
  readonly orphanSweepMs?: number;
  /** Pods that have folders on this node's disk. */
  readonly storedPodUids: () => Promise<readonly string[]>;
}

export class PodManager {
  readonly #options: PodManagerOptions;
  readonly #context: PodContext;
  readonly #workers = new Map<string, PodWorker>();
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
    const worker = new PodWorker({
      context: this.#context,
      pod,
      onForgotten: () => this.#workers.delete(uid),
    });
    this.#workers.set(uid, worker);
    worker.start();
  }

  /** The API has it no more. */
  remove(pod: Pod): void {
    this.#workers.get(pod.metadata?.uid ?? '')?.remove();
  }

  /** The runtime has news of a pod. */
  poke(podUid: string): void {
    this.#workers.get(podUid)?.poke();
  }

  /** Now it is known which pods belong here; what belongs to none may go. */
  markSynced(): void {
    this.#synced = true;
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
      for (const { id } of view.of(uid)) await runtime.removeSandbox(id);
      await network.detach(uid);
      await volumes.unmount(uid);
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
