/** One thread that simulates the seeds it is handed, and tells of each. */
import { parentPort } from 'node:worker_threads';
import { Violation } from './judge-always.ts';
import { type SimulationOptions, type SimulationReport, simulate, UnhealedWorld } from './world.ts';

/** What to simulate. */
export type Order = Omit<SimulationOptions, 'trace' | 'seed'> & { readonly first: number; readonly count: number };

/** What ended a run: a judge, a world that did not heal, or an error, which may be the harness's own. */
export type FailureKind = 'violation' | 'unhealed' | 'error';

export type Outcome =
  | { readonly type: 'begun'; readonly seed: number }
  | { readonly type: 'passed'; readonly report: SimulationReport }
  | { readonly type: 'failed'; readonly seed: number; readonly kind: FailureKind; readonly message: string }
  | { readonly type: 'idle' };

async function carryOut({ first, count, ...options }: Order, tell: (outcome: Outcome) => void): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    tell({ type: 'begun', seed });
    try {
      tell({ type: 'passed', report: await simulate({ ...options, seed }) });
    } catch (error) {
      tell({ type: 'failed', seed, kind: kindOf(error), message: String(error) });
    }
  }
  tell({ type: 'idle' });
}

function kindOf(error: unknown): FailureKind {
  if (error instanceof Violation) return 'violation';
  return error instanceof UnhealedWorld ? 'unhealed' : 'error';
}

// Stacks cost more than what most of the work here does; a seed that is told with its story has them.
Error.stackTraceLimit = 0;

const port = parentPort;
port?.on('message', (order: Order) => {
  carryOut(order, outcome => port.postMessage(outcome)).catch((error: unknown) => {
    throw error;
  });
});
