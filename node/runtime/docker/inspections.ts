/**
 * What is known of each container, so that a `list` of many containers asks the engine once and inspects only what
 * changed. An inspection is kept while the event stream is open and told of no change; without the stream nothing is.
 */
import type Dockerode from 'dockerode';
import { type Clock, delay } from '../clock.ts';
import { isNotFound } from './engine.ts';
import type { EngineChange } from './events.ts';
import { inspectPatienceMs } from './limits.ts';
import { type Inspected, inspectedOf } from './status.ts';

const killedExitCode = 137;

export interface InspectionsOptions {
  readonly clock: Clock;
  /** Ends what the first process of a container left behind; gives how many. */
  readonly endLeftBehind: (containerId: string) => Promise<number>;
}

export class Inspections {
  readonly #docker: Dockerode;
  readonly #clock: Clock;
  readonly #endLeftBehind: InspectionsOptions['endLeftBehind'];
  readonly #known = new Map<string, Inspected>();
  readonly #changesSeen = new Map<string, number>();
  /**
   * The engine tells of killing for memory in an event; if the exit overtakes it inside the engine, its inspection never
   * says so.
   */
  readonly #outOfMemory = new Set<string>();
  #watching = false;

  constructor(docker: Dockerode, { clock, endLeftBehind }: InspectionsOptions) {
    this.#docker = docker;
    this.#clock = clock;
    this.#endLeftBehind = endLeftBehind;
  }

  watchOpened(): void {
    this.#known.clear();
    this.#watching = true;
  }

  watchClosed(): void {
    this.#known.clear();
    this.#watching = false;
  }

  changed({ containerId, action }: EngineChange): void {
    this.#known.delete(containerId);
    if (action === 'oom') this.#outOfMemory.add(containerId);
    const seen = this.#changesSeen.get(containerId);
    if (seen !== undefined) this.#changesSeen.set(containerId, seen + 1);
  }

  /** Undefined if there is no such container (any more). `state` is what the engine's list says of it. */
  async inspect(containerId: string, state: string): Promise<Inspected | undefined> {
    const known = this.#known.get(containerId);
    if (known !== undefined && known.status === state) return known;
    const changes = this.#changesSeen.get(containerId) ?? 0;
    this.#changesSeen.set(containerId, changes);
    const inspected = await this.#inspectPatiently(containerId, state);
    // A change that was told meanwhile may be newer than the answer.
    const isCurrent = this.#watching && this.#changesSeen.get(containerId) === changes;
    if (inspected !== undefined && isCurrent) this.#known.set(containerId, inspected);
    return inspected;
  }

  /** The engine may wait for what a container that ended has left behind (see `left-behind.ts`). */
  async #inspectPatiently(containerId: string, state: string): Promise<Inspected | undefined> {
    const answered = new AbortController();
    const answer = this.inspectNow(containerId).finally(() => answered.abort());
    const lookAfter = async () => {
      // A start or a removal may take as long as it likes.
      while (state === 'running') {
        await delay(this.#clock, inspectPatienceMs, answered.signal);
        if (answered.signal.aborted) return;
        await this.#endLeftBehind(containerId).catch(() => 0);
      }
    };
    void lookAfter();
    return await answer;
  }

  async inspectNow(containerId: string): Promise<Inspected | undefined> {
    try {
      const inspected = inspectedOf(await this.#docker.getContainer(containerId).inspect());
      const oomKilled = inspected.exitCode === killedExitCode && this.#outOfMemory.has(containerId);
      return oomKilled ? { ...inspected, oomKilled } : inspected;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Forgets containers that are gone: memory is bounded by what exists. */
  retain(containerIds: ReadonlySet<string>): void {
    for (const id of this.#known.keys()) if (!containerIds.has(id)) this.#known.delete(id);
    for (const id of this.#changesSeen.keys()) if (!containerIds.has(id)) this.#changesSeen.delete(id);
    for (const id of this.#outOfMemory) if (!containerIds.has(id)) this.#outOfMemory.delete(id);
  }
}
