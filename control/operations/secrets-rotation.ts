/**
 * A new key for the Secrets in the store, in steps of which each may be the last before a crash: first every master has the
 * key, then the masters use it, then the values are rewritten. A master can so read whatever another writes, at every moment.
 * What was interrupted is seen in the key sets themselves: a key that is newer than the active one.
 */
import {
  createEncryptionKey,
  type EncryptionKeys,
  mergeEncryptionKeys,
  NO_KEYS,
  pendingKey,
} from '../pki/encryption-keys.ts';
import { OperationError } from './errors.ts';

/** One master's key set, wherever it is. */
export interface KeyHolder {
  readonly name: string;
  read(): Promise<EncryptionKeys>;
  /** Durable when it resolves; gives all that the master knows then. */
  merge(keys: EncryptionKeys): Promise<EncryptionKeys>;
}

export interface RotationOptions {
  /** All masters there are at the moment, this one among them. */
  readonly holders: () => readonly KeyHolder[];
  readonly now: () => number;
}

/** Masters that join while keys are spread get them in the next round. */
const ROUNDS_MAX = 5;

/**
 * Makes a key the active one on all masters: the one that an interrupted rotation has left, else a new one.
 * @throws {OperationError} a master does not answer: nothing has changed that would keep any master from reading
 */
export async function rotateKeys(
  options: RotationOptions,
): Promise<{ readonly key: string; readonly masters: string[] }> {
  const known = union(await all(options.holders(), holder => holder.read()));
  const next = pendingKey(known) ?? createEncryptionKey(known, options.now());
  const spread = mergeEncryptionKeys(known, { keys: [next], active: null });
  const reached = new Set<string>();
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const missing = options.holders().filter(({ name }) => !reached.has(name));
    if (missing.length === 0) break;
    await all(missing, holder => holder.merge(spread));
    for (const { name } of missing) reached.add(name);
  }
  // Every master can read what is written under it from here on.
  await all(options.holders(), holder => holder.merge({ ...spread, active: next.id }));
  return { key: next.id, masters: [...reached].sort() };
}

/**
 * Brings all masters to what any of them knows, and finishes what was interrupted; a set of masters without any key gets one.
 * @throws {OperationError} a master does not answer
 */
export async function settleKeys(options: RotationOptions): Promise<void> {
  const holders = options.holders();
  const sets = await all(holders, holder => holder.read());
  const known = union(sets);
  if (known.active === null || pendingKey(known)) {
    await rotateKeys(options);
    return;
  }
  const isBehind = (set: EncryptionKeys | undefined) =>
    set?.active !== known.active || set.keys.length !== known.keys.length;
  await all(
    holders.filter((_, index) => isBehind(sets[index])),
    holder => holder.merge(known),
  );
}

function union(sets: readonly EncryptionKeys[]): EncryptionKeys {
  return sets.reduce(mergeEncryptionKeys, NO_KEYS);
}

async function all<T>(holders: readonly KeyHolder[], ask: (holder: KeyHolder) => Promise<T>): Promise<T[]> {
  const answers = await Promise.allSettled(holders.map(ask));
  const silent = holders.flatMap(({ name }, index) => {
    const answer = answers[index];
    return answer?.status === 'rejected' ? [{ name, reason: answer.reason as unknown }] : [];
  });
  const [first] = silent;
  if (first) {
    const names = silent.map(({ name }) => name).join(', ');
    throw new OperationError(
      `every master has to have the new key before one uses it, and ${names} cannot be reached (${
        first.reason instanceof Error ? first.reason.message : String(first.reason)
      }): start it again, or take it out with \`raftsman member remove\`, and repeat the command`,
      { cause: first.reason },
    );
  }
  return answers.flatMap(answer => (answer.status === 'fulfilled' ? [answer.value] : []));
}
