/**
 * What the runtime has, by pod: read as a whole on each hint of a change and every few seconds anyway, so that a missed
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
  #byPod = new Map<string, SandboxStatus[]>();
  #signatures = new Map<string, string>();
  #enteredMs: number | undefined;
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;

  constructor(options: RuntimeViewOptions) {
    this.#options = options;
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
    if (!this.#running) {
      this.#running = this.#list().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#queued ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#queued = undefined;
        return this.refresh();
      });
    return this.#queued;
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
      await this.#refreshSafely();
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { runtime, clock, logger } = this.#options;
    while (!signal.aborted) {
      try {
        for await (const _event of runtime.events(signal)) {
          if (signal.aborted) return;
          void this.#refreshSafely();
        }
      } catch (error) {
        if (!signal.aborted) logger.warn({ error }, 'runtime events interrupted');
      }
      await sleep(clock, 1000, signal);
    }
  }

  async #refreshSafely(): Promise<void> {
    try {
      await this.refresh();
    } catch (error) {
      this.#options.logger.warn({ error }, 'the runtime could not be listed');
    }
  }

  async #list(): Promise<void> {
    const sandboxes = await this.#options.runtime.list();
    const byPod = new Map<string, SandboxStatus[]>();
    for (const sandbox of sandboxes) {
      const known = byPod.get(sandbox.pod.uid);
      if (known) known.push(sandbox);
      else byPod.set(sandbox.pod.uid, [sandbox]);
    }
    const signatures = new Map<string, string>();
    for (const [uid, list] of byPod) {
      list.sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt);
      signatures.set(uid, JSON.stringify(list));
    }
    const before = this.#signatures;
    this.#byPod = byPod;
    this.#signatures = signatures;
    for (const uid of new Set([...before.keys(), ...signatures.keys()]))
      if (before.get(uid) !== signatures.get(uid)) this.#options.onChange(uid);
  }
}
