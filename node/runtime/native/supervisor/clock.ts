/** Time and signals for the supervisor. */
import { type Clock, systemClock } from '../../clock.ts';
import { signalProcess } from '../../processes.ts';

export interface SupervisorClock extends Clock {
  /** Since the epoch, finer than milliseconds and never the same twice. */
  nanoseconds(): bigint;
  /** SIGKILL; nothing if it is gone. */
  kill(pid: number): void;
}

export function createSupervisorClock(): SupervisorClock {
  const offset = BigInt(systemClock.now()) * 1_000_000n - monotonic();
  let last = 0n;
  return {
    ...systemClock,
    nanoseconds() {
      const now = monotonic() + offset;
      last = now > last ? now : last + 1n;
      return last;
    },
    kill(pid) {
      signalProcess(pid, 'SIGKILL');
    },
  };
}

function monotonic(): bigint {
  return BigInt(Math.round(performance.now() * 1e6));
}
