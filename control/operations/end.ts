/** What a master's process ends with, and what it still does before: once nothing of it runs any more. */
import { setAside } from '../../store/index.ts';
import { codeOf } from './errors.ts';
import { paths } from './layout.ts';
import { leaveForGood } from './removed.ts';

export interface End {
  readonly dataDir: string;
  readonly name: string;
  readonly at: Date;
}

/** @returns what to throw on, so that the process ends with the right words and exit code */
export async function describeEnd(error: unknown, { dataDir, name, at }: End): Promise<unknown> {
  switch (codeOf(error)) {
    case 'RAFT_REMOVED':
      return leaveForGood(dataDir, { name, at });
    case 'STORE_STATE_CORRUPT':
      // Found while it ran, on a member that is not alone: the next start finds no state and fetches it from the others.
      await setAside(paths.store(dataDir), ['state'], { reason: 'damaged', at });
      return error;
    default:
      return error;
  }
}
