/** Runs many seeds on all processors. Each seed is the same run wherever and beside whatever it is run. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { addCounts, type Counts } from './coverage.ts';
import type { FailureKind, Order, Outcome } from './worker.ts';

export interface RunOptions {
  readonly first: number;
  readonly count: number;
  readonly jobs?: number;
  readonly hours?: number;
  /** Begins nothing more once there is none. */
  readonly isTimeLeft?: () => boolean;
  /** Begins nothing more after the first failure. */
  readonly isOneFailureEnough?: boolean;
  readonly onFailure?: (failure: Failure) => void;
}

export interface Failure {
  readonly seed: number;
  readonly kind: FailureKind | 'harness';
  readonly message: string;
}

export interface Totals {
  readonly seeds: number;
  readonly failures: readonly Failure[];
  readonly operations: number;
  readonly revisions: number;
  readonly simulatedMs: number;
  readonly healedAfterMsMax: number;
  readonly coverage: Counts;
}

const SEEDS_PER_ORDER = 4;
/** What a seed leaves in its worker's memory adds up to gigabytes over a thousand: each worker is let go after so many. */
const SEEDS_PER_WORKER = 60;
/** Almost nothing outlives its seed, so a large nursery saves most of the work of the garbage collector. */
const YOUNG_MB = 64;
/** A seed takes a second or two; one that has not ended by then never will, be the machine as busy as it may. */
const SEED_MS_MAX = 300_000;

export function runSeeds(options: RunOptions): Promise<Totals> {
  return new Run(options).done;
}

class Run {
  readonly done: Promise<Totals>;
  readonly #options: RunOptions;
  readonly #workers = new Set<Worker>();
  readonly #failures: Failure[] = [];
  #next: number;
  #sums = { seeds: 0, operations: 0, revisions: 0, simulatedMs: 0, healedAfterMsMax: 0 };
  #coverage: Counts = {};
  #resolve: (totals: Totals) => void = () => {};

  constructor(options: RunOptions) {
    this.#options = options;
    this.#next = options.first;
    this.done = new Promise(resolve => {
      this.#resolve = resolve;
    });
    const jobs = Math.min(options.jobs ?? availableParallelism(), Math.ceil(options.count / SEEDS_PER_ORDER));
    for (let job = 0; job < jobs; job++) this.#employ();
  }

  #employ(): void {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    });
    this.#workers.add(worker);
    let seed = this.#next;
    let begun = 0;
    let watch: NodeJS.Timeout | undefined;
    const dismiss = () => {
      clearTimeout(watch);
      if (!this.#workers.delete(worker)) return;
      void worker.terminate();
      if (this.#workers.size === 0) this.#end();
    };
    const fail = (message: string) => {
      this.#fail({ seed, kind: 'harness', message });
      dismiss();
    };
    worker.on('message', (outcome: Outcome) => {
      if (!this.#workers.has(worker)) return;
      clearTimeout(watch);
      if (outcome.type === 'begun') {
        ({ seed } = outcome);
        begun++;
        watch = setTimeout(() => fail(`it has not ended after ${SEED_MS_MAX / 1000} s`), SEED_MS_MAX);
        watch.unref();
      } else if (outcome.type === 'idle') {
        if (begun >= SEEDS_PER_WORKER && this.#hasMore()) {
          this.#employ();
          dismiss();
        } else if (!this.#order(worker)) dismiss();
      } else this.#note(outcome);
    });
    worker.on('error', error => fail(String(error)));
    if (!this.#order(worker)) dismiss();
  }

  get #left(): number {
    return this.#options.first + this.#options.count - this.#next;
  }

  #hasMore(): boolean {
    const { isOneFailureEnough, isTimeLeft = () => true } = this.#options;
    return this.#left > 0 && isTimeLeft() && !(isOneFailureEnough && this.#failures.length > 0);
  }

  #order(worker: Worker): boolean {
    const { hours } = this.#options;
    if (!this.#hasMore()) return false;
    const order: Order = {
      first: this.#next,
      count: Math.min(this.#left, SEEDS_PER_ORDER),
      ...(hours === undefined ? {} : { hours }),
    };
    this.#next += order.count;
    worker.postMessage(order);
    return true;
  }

  #note(outcome: Extract<Outcome, { type: 'passed' | 'failed' }>): void {
    this.#sums.seeds++;
    if (outcome.type === 'failed') {
      this.#fail(outcome);
      return;
    }
    const { operations, revisions, simulatedMs, healedAfterMs, coverage } = outcome.report;
    this.#sums.operations += operations;
    this.#sums.revisions += revisions;
    this.#sums.simulatedMs += simulatedMs;
    this.#sums.healedAfterMsMax = Math.max(this.#sums.healedAfterMsMax, healedAfterMs);
    this.#coverage = addCounts(this.#coverage, coverage);
  }

  #fail({ seed, kind, message }: Failure): void {
    this.#failures.push({ seed, kind, message });
    this.#options.onFailure?.({ seed, kind, message });
    if (!this.#options.isOneFailureEnough) return;
    // Nobody waits for what else is under way.
    for (const worker of this.#workers) void worker.terminate();
    this.#workers.clear();
    this.#end();
  }

  #end(): void {
    const failures = [...this.#failures].sort((one, other) => one.seed - other.seed);
    this.#resolve({ ...this.#sums, failures, coverage: this.#coverage });
  }
}
