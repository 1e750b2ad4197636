/** One thread that simulates the seeds it is handed, and tells of each. */
import { parentPort } from 'node:worker_threads';
import { type SimulationOptions, type SimulationReport, simulate } from './world.ts';

/** What to simulate. */
export type Order = Omit<SimulationOptions, 'trace' | 'seed'> & { readonly first: number; readonly count: number };

export type Outcome =
  | { readonly type: 'begun'; readonly seed: number }
  | { readonly type: 'passed'; readonly report: SimulationReport }
  | { readonly type: 'failed'; readonly seed: number; readonly message: string }
  | { readonly type: 'idle' };

async function carryOut({ first, count, ...options }: Order, tell: (outcome: Outcome) => void): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    tell({ type: 'begun', seed });
    try {
      tell({ type: 'passed', report: await simulate({ ...options, seed }) });
    } catch (error) {
      tell({ type: 'failed', seed, message: String(error) });
    }
  }
  tell({ type: 'idle' });
}

const port = parentPort;
port?.on('message', (order: Order) => {
  carryOut(order, outcome => port.postMessage(outcome)).catch((error: unknown) => {
    throw error;
  });
});
