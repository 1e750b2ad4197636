/** A process for tests to kill: opens a member alone, writes without pause and says on standard output what was done. */

import { systemClock } from '../clock.ts';
import { openStore } from '../member/open.ts';
import type { OpenStoreOptions } from '../member/options.ts';

/** What the parent gives as JSON in the first argument. */
export type CrashChildOptions = Pick<OpenStoreOptions, 'dataDir' | 'name' | 'peer' | 'clientUrl'>;

const WRITERS = 16;

/** The process around it: its randomness, and its standard output. */
export interface CrashChildWorld {
  readonly random: () => number;
  /** Given the number of each acknowledged write, one a line. */
  readonly say: (line: string) => void;
}

/** Writes until killed. */
export async function writeForEver(options: CrashChildOptions, world: CrashChildWorld): Promise<void> {
  const { random, say } = world;
  const store = await openStore({
    ...options,
    beginning: { type: 'bootstrap' },
    clock: systemClock,
    random,
    onFatal: error => {
      throw error;
    },
    raft: { heartbeatMs: 20, electionTimeoutMs: 100, compactEntries: 200, tailEntries: 50 },
  });
  let next = (await store.client.range({ key: '/w/', end: '/w0', countOnly: true })).count;
  const write = async () => {
    for (;;) {
      const number = next++;
      await store.client.put(`/w/${number}`, Buffer.from(`${number}`));
      say(`${number}\n`);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
}
