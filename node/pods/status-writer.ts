/**
 * Writes pod statuses to the API server: for each pod at most one request at a time and always the newest status, so that
 * a slow server sees fewer writes and never older ones after newer ones. Failures are retried with back-off for ever:
 * a node that cannot reach the API keeps its pods running and tells of them later.
 */
import { ApiError, type Client, hasReason, type Pod, type PodStatus, pods } from '../api.ts';
import { type Clock, sleep } from '../clock.ts';
import { STATUS_WRITES_MAX } from '../limits.ts';
import type { Logger } from '../logger.ts';
import { Semaphore } from '../semaphore.ts';
import { retryDelayMs } from './back-off.ts';
import { PASSING_CONDITIONS } from './conditions.ts';

interface Entry {
  readonly pod: Pod;
  written: string | undefined;
  /** Types of conditions that the server has of this node. */
  conditions: ReadonlySet<string>;
  wanted: { readonly text: string; readonly status: PodStatus };
  writing: Promise<void> | undefined;
}

export interface StatusWriterOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #slots = new Semaphore(STATUS_WRITES_MAX);
  readonly #closing = new AbortController();

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** Says what the status now is; it is written soon. */
  set(pod: Pod, status: PodStatus): void {
    const uid = pod.metadata?.uid ?? '';
    const text = JSON.stringify(status);
    const entry = this.#entries.get(uid);
    if (entry?.wanted.text === text) return;
    if (entry) entry.wanted = { text, status };
    else {
      const conditions = typesOf(pod.status);
      this.#entries.set(uid, { pod, written: undefined, conditions, wanted: { text, status }, writing: undefined });
    }
    void this.flush(uid);
  }

  /** Resolves when the newest status of the pod has been written, or the pod turned out to be gone, or on close. */
  flush(podUid: string): Promise<void> {
    const entry = this.#entries.get(podUid);
    if (!entry || entry.written === entry.wanted.text) return Promise.resolve();
    entry.writing ??= this.#write(podUid, entry);
    return entry.writing;
  }

  forget(podUid: string): void {
    this.#entries.delete(podUid);
  }

  /** Stops retrying. */
  close(): void {
    this.#closing.abort();
  }

  async #write(uid: string, entry: Entry): Promise<void> {
    const { signal } = this.#closing;
    let failures = 0;
    while (entry.written !== entry.wanted.text && !signal.aborted && this.#entries.get(uid) === entry) {
      const { text } = entry.wanted;
      try {
        await this.#slots.run(() => this.#patch(entry));
        entry.written = text;
        failures = 0;
      } catch (error) {
        if (isFinal(error)) {
          entry.written = text;
          continue;
        }
        failures++;
        this.#options.logger.debug({ error, pod: entry.pod.metadata?.name, failures }, 'pod status not written');
        await sleep(this.#options.clock, retryDelayMs(failures, 200, 10_000), signal);
      }
    }
    // In the same turn as the last look at `wanted`, or a status set in between would wait for the next one.
    entry.writing = undefined;
  }

  async #patch(entry: Entry): Promise<void> {
    const { pod, wanted, conditions } = entry;
    const { name = '', namespace, uid } = pod.metadata ?? {};
    await this.#options.client.patch(
      pods,
      { name, ...(namespace && { namespace }) },
      {
        type: 'application/strategic-merge-patch+json',
        // The uid makes the server refuse if the name belongs to another pod by now.
        body: { metadata: { uid }, status: explicit(wanted.status, conditions) },
      },
      { subresource: 'status' },
    );
    entry.conditions = typesOf(wanted.status);
  }
}

/** The pod is gone, or another one has its name; trying again would not help. */
function isFinal(error: unknown): boolean {
  if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict') || hasReason(error, 'Invalid')) return true;
  return error instanceof ApiError && error.code === 400;
}

function typesOf(status: PodStatus | undefined): ReadonlySet<string> {
  return new Set((status?.conditions ?? []).map(({ type }) => type));
}

/** The patch merges: what is no longer said has to be taken back with nulls, in the status and in each condition. */
function explicit(status: PodStatus, before: ReadonlySet<string>): object {
  const types = typesOf(status);
  const gone = PASSING_CONDITIONS.filter(type => before.has(type) && !types.has(type));
  const conditions = status.conditions && [
    ...status.conditions.map(condition => ({ reason: null, message: null, ...condition })),
    ...gone.map(type => ({ type, $patch: 'delete' })),
  ];
  return { reason: null, message: null, ...status, ...(conditions && { conditions }) };
}
