/**
 * Reads what a stopped member has, all of it: its state with every entry of its log applied, also those that it did not
 * know to be committed, because after the loss of the others nobody can tell any more. Changes nothing on disk.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  DataLockedError,
  LevelStorage,
  LogCorruptError,
  type MemberIdentity,
  type MembershipEntry,
  type RecoveredState,
  type SalvagedState,
} from '../../raft/index.ts';
import { type StateBackend, StateCorruptError } from '../backend/backend.ts';
import { LevelBackend } from '../backend/level.ts';
import { type BatchHead, decodeBatch } from '../codec/change.ts';
import { decodeLogged } from '../codec/command.ts';
import { ImageLoader } from '../codec/image.ts';
import { membershipsOf } from '../member/latest-membership.ts';
import { Mvcc } from '../mvcc/mvcc.ts';
import type { Origin } from './build.ts';

/** What a survivor has. */
export interface Survivor extends Origin {
  readonly identity: MemberIdentity;
  /** Its own entry in the last membership that it knows; undefined if it is in none. */
  readonly entry: MembershipEntry | undefined;
  /** Entries that were applied here beyond what was known to be committed. */
  readonly uncommittedEntries: number;
  /** What damage took from its log; undefined where the log is whole. */
  readonly lost: LostEntries | undefined;
}

/** What cannot be had from a damaged log any more. */
export interface LostEntries {
  /** All up to here is kept. */
  readonly afterIndex: number;
  /** There was at least one entry with this index; undefined where nothing tells that there was anything more. */
  readonly throughIndex: number | undefined;
  /** Records of the log behind the part that is whole, as far as anything tells of them. Some may be in the state already. */
  readonly records: number;
}

/** There is nothing here that a cluster could be made of. `message` says why and what to do. */
export class SurvivorError extends Error {
  override readonly name = 'SurvivorError';
  readonly code = 'STORE_SURVIVOR';
}

/** The log is damaged, and something may be lost for good: an operator has to say that this is accepted. */
export class DamagedLogError extends SurvivorError {
  readonly lost: LostEntries;

  constructor(message: string, lost: LostEntries) {
    super(message);
    this.lost = lost;
  }
}

/**
 * What a damaged log held behind the damage had terms of its own, which nobody can read any more. The new cluster's terms
 * begin so much later, hence above them.
 */
const TERM_BUMP = 1_000_000;

/**
 * @param directory what `openStore` calls `dataDir`
 * @param options.acceptLoss go on with what is whole of a damaged log
 * @throws {SurvivorError} {DataLockedError} {StateLockedError} {StateCorruptError} and those of newer formats
 * @throws {DamagedLogError} the log is damaged, and the loss was not accepted
 */
export async function readSurvivor(
  directory: string,
  options: { readonly acceptLoss?: boolean } = {},
): Promise<Survivor> {
  const recovered = await readLogOrRest(join(directory, 'raft'));
  const { identity } = recovered;
  if (identity === undefined) {
    throw new SurvivorError(
      `${directory} holds no member of a store: name the data directory of a master that had one`,
    );
  }
  const { state, head } = await readState(new LevelBackend({ directory: join(directory, 'state') }));
  const startIndex = recovered.snapshot.index;
  if (head.appliedIndex < startIndex) {
    throw new SurvivorError(
      `the state in ${directory} ends at entry ${head.appliedIndex}, but its log begins after ${startIndex}: it was being rebuilt when it stopped and lacks what lies between. Reset another master, or restore a snapshot`,
    );
  }
  // Behind a state that is further than what the damaged log knows to be committed, its entries may be of another history.
  const usable =
    recovered.lost !== undefined && head.appliedIndex > recovered.hardState.commit
      ? { ...recovered, entries: recovered.entries.filter(({ index }) => index <= head.appliedIndex) }
      : recovered;
  const through = applyLog(state, usable, head.appliedIndex);
  const lost = lostBehind(recovered, through);
  if (lost !== undefined && options.acceptLoss !== true) throw new DamagedLogError(lossMessage(directory, lost), lost);
  const lastTerm = Math.max(recovered.entries.at(-1)?.term ?? recovered.snapshot.term, recovered.lost?.term ?? 0);
  return {
    state,
    head: { ...head, appliedIndex: through },
    term: Math.max(recovered.hardState.term, lastTerm) + (lost === undefined ? 0 : TERM_BUMP),
    identity,
    entry: lastEntryOf(recovered),
    uncommittedEntries: Math.max(0, through - Math.max(recovered.hardState.commit, head.appliedIndex)),
    lost,
  };
}

function lostBehind({ lost, entries }: LogOrRest, through: number): LostEntries | undefined {
  if (lost === undefined) return undefined;
  const throughIndex = Math.max(lost.index, entries.at(-1)?.index ?? 0);
  return {
    afterIndex: through,
    throughIndex: throughIndex > through ? throughIndex : undefined,
    records: lost.records,
  };
}

function lossMessage(directory: string, { afterIndex, throughIndex, records }: LostEntries): string {
  const what =
    throughIndex === undefined
      ? `whether anything was written after it cannot be told (${records} records are damaged or gone)`
      : `entries ${afterIndex + 1} to ${throughIndex}, and whatever came after them, are lost here`;
  return `the log in ${directory} is damaged: all up to entry ${afterIndex} is whole, ${what}. If another master is left, reset that one; a snapshot may be younger, too. To go on with what is whole, accept the loss (--accept-loss)`;
}

/** A log, or what is certainly whole of it. */
type LogOrRest = RecoveredState & { readonly lost?: SalvagedState['lost'] };

async function readLogOrRest(directory: string): Promise<LogOrRest> {
  try {
    return await readLog(directory);
  } catch (error) {
    if (!(error instanceof LogCorruptError)) throw error;
    try {
      return await new LevelStorage({ directory }).salvage();
    } catch (worse) {
      if (!(worse instanceof LogCorruptError)) throw worse;
      throw new SurvivorError(
        `the log in ${directory} is damaged so that nothing in it can be trusted: reset another master, or restore a snapshot`,
        { cause: worse },
      );
    }
  }
}

/**
 * Whether a process holds this data; other trouble with it is of no interest here.
 * @throws {DataLockedError}
 */
export async function refuseIfInUse(directory: string): Promise<void> {
  if (!existsSync(join(directory, 'raft'))) return;
  try {
    await readLog(join(directory, 'raft'));
  } catch (error) {
    if (error instanceof DataLockedError) throw error;
  }
}

async function readLog(directory: string): Promise<RecoveredState> {
  const storage = new LevelStorage({ directory });
  try {
    return await storage.open();
  } finally {
    await storage.close();
  }
}

async function readState(backend: StateBackend): Promise<{ readonly state: Mvcc; readonly head: BatchHead }> {
  try {
    const stored = await backend.open();
    let state = new Mvcc();
    let head: BatchHead = { appliedIndex: 0, counters: state.counters, hash: 0 };
    if (stored.checkpoint !== undefined) {
      const loader = new ImageLoader();
      for await (const chunk of stored.checkpoint) loader.push(chunk);
      ({ state, head } = loader.finish());
    }
    for await (const batch of stored.batches) {
      const decoded = decodeBatch(batch);
      for (const change of decoded.changes) state.replay(change);
      head = decoded.head;
    }
    return { state, head };
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('STORE_STATE_')) throw error;
    throw new StateCorruptError(
      `the state on disk is damaged (${error instanceof Error ? error.message : String(error)}): reset another master, or restore a snapshot`,
      { cause: error },
    );
  } finally {
    await backend.close();
  }
}

/** Applies what the log has beyond the state. @returns the last index */
function applyLog(state: Mvcc, { entries, snapshot }: RecoveredState, appliedIndex: number): number {
  for (const entry of entries) {
    if (entry.index <= appliedIndex || entry.kind !== 'command') continue;
    try {
      const { command, by } = decodeLogged(entry.data);
      state.apply(command, { term: entry.term, by });
    } catch (error) {
      throw new SurvivorError(`entry ${entry.index} of the log cannot be understood: use the version that wrote it`, {
        cause: error,
      });
    }
  }
  return Math.max(appliedIndex, entries.at(-1)?.index ?? snapshot.index);
}

/** Addresses change by entries of the log, so the youngest membership that names this member counts. */
function lastEntryOf(recovered: RecoveredState): MembershipEntry | undefined {
  return membershipsOf(recovered)
    .flatMap(({ members }) => members.filter(({ id }) => id === recovered.identity?.memberId))
    .at(-1);
}
