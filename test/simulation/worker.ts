/** One thread that simulates the seeds it is handed, and tells of each. */
import { parentPort } from 'node:worker_threads';
import { SafetyViolation } from './safety-violation.ts';
import { LivenessViolation, type SimulationOptions, type SimulationReport, simulate } from './world.ts';

/** What to simulate. */
export type Order = Omit<SimulationOptions, 'trace' | 'seed'> & { readonly first: number; readonly count: number };

/**
 * What ended a run: a judge, no progress after the healing, an error or failed assertion of the product, or the harness
 * itself, which says nothing about the product.
 */
export type FailureKind = 'violation' | 'noProgress' | 'product' | 'harness';

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
      tell({ type: 'failed', seed, kind: await kindOf(error, { ...options, seed }), message: String(error) });
    }
  }
  tell({ type: 'idle' });
}

/** Stacks cost too much to be kept in each run, so a run that needs one is run again. */
async function kindOf(error: unknown, options: SimulationOptions): Promise<FailureKind> {
  if (error instanceof SafetyViolation) return 'violation';
  if (error instanceof LivenessViolation) return 'noProgress';
  try {
    await simulate({ ...options, trace: () => {} });
    return 'harness';
  } catch (again) {
    return String(again) === String(error) && isOfProduct(again) ? 'product' : 'harness';
  }
}

/** The innermost frame in sources of ours says who threw. */
function isOfProduct(error: unknown): boolean {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const innermost = stack.split('\n').find(line => /\/(raft|store|test)\/[^:]*\.ts:\d/.test(line));
  return innermost !== undefined && !innermost.includes('/test/');
}

const port = parentPort;
port?.on('message', (order: Order) => {
  carryOut(order, outcome => port.postMessage(outcome)).catch((error: unknown) => {
    throw error;
  });
});
