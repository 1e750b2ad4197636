/**
 * How the work of one pod is carried out: what is awaited, what runs beside the worker, and what of that ending the pod cuts
 * short. What fails goes into the record, with its time; the step decides when to try again.
 */
import type { Pod } from '../api.ts';
import type { PodContext } from './context.ts';
import type { PodRecord } from './record.ts';

export interface PodWorkOptions {
  readonly context: Pick<PodContext, 'clock' | 'logger'>;
  readonly record: PodRecord;
  /** Work beside the worker is over. */
  readonly onChange: () => void;
}

export class PodWork {
  readonly #context: Pick<PodContext, 'clock' | 'logger'>;
  readonly #record: PodRecord;
  readonly #onChange: () => void;
  /** Pulls and hooks that ending the pod cuts short, by container name. */
  readonly #jobs = new Map<string, AbortController>();
  #isClosed = false;

  constructor({ context, record, onChange }: PodWorkOptions) {
    this.#context = context;
    this.#record = record;
    this.#onChange = onChange;
  }

  /** Awaits work whose failure is noted as the pod's setback, and success as the end of that. Never rejects. */
  async attempt(pod: Pod, work: () => Promise<void>, tell?: (text: string) => void): Promise<void> {
    try {
      await work();
      this.#record.setback = undefined;
    } catch (error) {
      this.#noteSetback(error);
      tell?.(textOf(error));
      this.#context.logger.warn(
        { error, pod: pod.metadata?.name, namespace: pod.metadata?.namespace },
        'a step failed',
      );
    }
  }

  /** Begins work. Its failure is noted as the pod's setback. */
  run(work: () => Promise<void>): void {
    void work()
      .catch((error: unknown) => this.#noteSetback(error))
      .finally(() => {
        if (!this.#isClosed) this.#onChange();
      });
  }

  /** Begins work on a container that ending the pod may cut short. */
  job(container: string, work: (signal: AbortSignal) => Promise<void>): void {
    const abort = new AbortController();
    this.#jobs.set(container, abort);
    this.run(async () => {
      try {
        await work(abort.signal);
      } finally {
        if (this.#jobs.get(container) === abort) this.#jobs.delete(container);
      }
    });
  }

  /** The pod ends: no job is of use any more. */
  cutShort(): void {
    for (const job of this.#jobs.values()) job.abort();
  }

  /** Nobody hears of work any more. */
  close(): void {
    this.#isClosed = true;
    this.cutShort();
  }

  #noteSetback(error: unknown): void {
    const count = (this.#record.setback?.count ?? 0) + 1;
    this.#record.setback = { count, at: this.#context.clock.now(), message: textOf(error) };
  }
}

/** What an error says. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
