/** What a thread of this process tells of itself, and how it goes through its heap. Composed in by the programs only. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { IdleMachine } from './idle-collection.ts';

/** The heap is that of the thread that asks, the processor's time that of all. */
export const ownProcess: IdleMachine = {
  every: (intervalMs, callback) => {
    const timer = setInterval(callback, intervalMs);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
  processorMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  heapBytes: () => process.memoryUsage().heapTotal,
  collect: () => {
    // The one way to ask for it without a flag at the start.
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
  },
};
