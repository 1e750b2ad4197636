/**
 * What the runtime has, by pod: read on each hint of a change, and as a whole every few seconds anyway, so that a missed
 * event costs time and not truth. Listens at the runtime's events and tells which pods look different than before.
 */
import { type Clock, sleep } from '../clock.ts';
import { RUNTIME_RELIST_MS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { Runtime, SandboxStatus } from '../runtime/runtime.ts';

export interface RuntimeViewOptions {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A pod's sandboxes or containers are not what they were. */
  readonly onChange: (podUid: string) => void;
  readonly relistMs?: number;
}

export class RuntimeView {
  readonly #options: RuntimeViewOptions;
  readonly #byPod = new Map<string, SandboxStatus[]>();
  readonly #signatures = new Map<string, string>();
  readonly #whole: SharedLook;
  readonly #pods = new Map<string, SharedLook>();
  /** Looks are numbered as they begin. What is known of a pod is never replaced by what an earlier look saw. */
  #looks = 0;
  #wholeLook = 0;
  /** The looks at single pods that began after the last look at everything. */
  readonly #podLooks = new Map<string, number>();
  #enteredMs: number | undefined;

  constructor(options: RuntimeViewOptions) {
    this.#options = options;
    this.#whole = new SharedLook(() => this.#list());
  }

  /** When the last look of {@link run} began; undefined before the first. Long ago only if the runtime does not answer. */
  get enteredMs(): number | undefined {
    return this.#enteredMs;
  }

  /** A pod's sandboxes, newest first. */
  of(podUid: string): readonly SandboxStatus[] {
    return this.#byPod.get(podUid) ?? [];
  }

  /** Pods of which the runtime has anything. */
  podUids(): readonly string[] {
    return [...this.#byPod.keys()];
  }

  /** Resolves after a list that began after this call. Calls that come while one runs share the next. */
  refresh(): Promise<void> {
    return this.#whole.look();
  }

  /**
   * The same for what is known of one pod. Where the runtime can tell of one pod alone, nothing of others is waited for: an engine
   * may answer for a container that it starts only once it runs.
   */
  async refreshPod(podUid: string): Promise<void> {
    if (!this.#options.runtime.listPod) return this.refresh();
    const shared = this.#pods.get(podUid) ?? new SharedLook(() => this.#listPod(podUid));
    this.#pods.set(podUid, shared);
    try {
      await shared.look();
    } finally {
      if (shared.isIdle) this.#pods.delete(podUid);
    }
  }

  /** Follows the runtime until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#poll(signal), this.#listen(signal)]);
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const { clock, relistMs = RUNTIME_RELIST_MS } = this.#options;
    while (!signal.aborted) {
      await sleep(clock, relistMs, signal);
      if (signal.aborted) return;
      this.#enteredMs = clock.now();
      await this.#safely(this.refresh());
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { runtime, clock, logger } = this.#options;
    while (!signal.aborted) {
      try {
        for await (const { podUid } of runtime.events(signal)) {
          if (signal.aborted) return;
          void this.#safely(podUid === undefined ? this.refresh() : this.refreshPod(podUid));
        }
      } catch (error) {
        if (!signal.aborted) logger.warn({ error }, 'runtime events interrupted');
      }
      await sleep(clock, 1000, signal);
    }
  }

  async #safely(look: Promise<void>): Promise<void> {
    try {
      await look;
    } catch (error) {
      this.#options.logger.warn({ error }, 'the runtime could not be listed');
    }
  }

  async #list(): Promise<void> {
    const look = ++this.#looks;
    const sandboxes = await this.#options.runtime.list();
    const byPod = Map.groupBy(sandboxes, ({ pod }) => pod.uid);
    const changed = [...new Set([...this.#byPod.keys(), ...byPod.keys()])].filter(
      uid => (this.#podLooks.get(uid) ?? 0) < look && this.#set(uid, byPod.get(uid) ?? []),
    );
    this.#wholeLook = look;
    for (const [uid, own] of this.#podLooks) if (own < look) this.#podLooks.delete(uid);
    for (const uid of changed) this.#options.onChange(uid);
  }

  async #listPod(podUid: string): Promise<void> {
    const look = ++this.#looks;
    const sandboxes = (await this.#options.runtime.listPod?.(podUid)) ?? [];
    if (look < this.#wholeLook) return;
    this.#podLooks.set(podUid, look);
    if (this.#set(podUid, [...sandboxes])) this.#options.onChange(podUid);
  }

  /** True if it is not what was known. */
  #set(podUid: string, sandboxes: SandboxStatus[]): boolean {
    sandboxes.sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt);
    const signature = sandboxes.length === 0 ? undefined : JSON.stringify(sandboxes);
    if (signature === this.#signatures.get(podUid)) return false;
    if (signature === undefined) {
      this.#byPod.delete(podUid);
      this.#signatures.delete(podUid);
    } else {
      this.#byPod.set(podUid, sandboxes);
      this.#signatures.set(podUid, signature);
    }
    return true;
  }
}

/** One look at a time; calls that come while one is under way share the next. */
class SharedLook {
  readonly #begin: () => Promise<void>;
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;

  constructor(begin: () => Promise<void>) {
    this.#begin = begin;
  }

  get isIdle(): boolean {
    return this.#running === undefined && this.#queued === undefined;
  }

  /** Resolves after a look that began after this call. */
  look(): Promise<void> {
    if (!this.#running) {
      this.#running = this.#begin().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#queued ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#queued = undefined;
        return this.look();
      });
    return this.#queued;
  }
}
