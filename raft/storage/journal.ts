/**
 * What both storages share: reading a log back with every check, and deciding what to write for each call. Pure: it is
 * given bytes and gives bytes; `level.ts` and `memory.ts` put them somewhere.
 */
import assert from 'node:assert';
import type { Entry, HardState, Membership, SnapshotMetadata } from '../core/types.ts';
import { type BaseRecord, decodeBase, decodeRecord, encodeBase, encodeRecord, type Head } from './record.ts';
import {
  LogCorruptError,
  type MemberIdentity,
  type RecoveredState,
  type SalvagedState,
  type SaveRequest,
} from './storage.ts';

/** What was found on disk. */
export interface Found {
  /** The youngest base; undefined in an empty directory. */
  readonly base: Uint8Array | undefined;
  /** By number. What lies below the base's first was of no use to it, and left there by a process that died before it was gone. */
  readonly records: readonly { readonly sequence: number; readonly bytes: Uint8Array }[];
  readonly head: Head | undefined;
}

/** What to write for one call, as one durable step. */
export interface Step {
  readonly record?: { readonly sequence: number; readonly bytes: Uint8Array };
  readonly base?: Uint8Array;
  /** Records below this number are of no use once the step is durable. */
  readonly firstSequence?: number;
  readonly head: Head;
}

interface Kept {
  readonly sequence: number;
  readonly chain: number;
  /** The last index that the record still holds, or NO_ENTRIES; lowered when a later record overrules its end. */
  lastIndex: number;
}

const NO_ENTRIES = 0;
const NO_HARD_STATE: HardState = { term: 0, votedFor: undefined, commit: 0 };
const NO_SNAPSHOT: SnapshotMetadata = { index: 0, term: 0, membership: { clusterId: '', members: [] } };

/** The state of one member's log, as far as writing the next step needs it. */
export class Journal {
  #identity: MemberIdentity | undefined;
  #snapshot = NO_SNAPSHOT;
  #hardState = NO_HARD_STATE;
  #lastIndex = 0;
  #nextSequence = 1;
  #chain = 0;
  /** Records on disk, oldest first. Invariant: contiguous numbers, up to `#nextSequence - 1`. */
  #kept: Kept[] = [];
  /** Where the chain of the records on disk begins. */
  #anchor = { firstSequence: 1, chain: 0 };

  /**
   * Reads a log back.
   * @throws {LogCorruptError} {DataVersionError} as `RaftStorage.open` says
   */
  recover(found: Found): RecoveredState {
    if (found.base === undefined) return this.#recoverEmpty(found);
    this.#takeBase(decodeBase(found.base));
    const entries: Entry[] = [];
    for (const record of this.#useful(found)) this.#takeRecord(record, entries);
    this.#checkHead(found.head);
    checkTerms(this.#snapshot, entries);
    return this.#recovered(entries);
  }

  /**
   * Reads what is certainly as it was written: the records from the first one up to the first that is damaged or missing.
   * Only for looking at what is left: nobody may go on writing behind it.
   * @throws {LogCorruptError} not even the beginning is whole
   * @throws {DataVersionError} a newer version wrote it
   */
  salvage(found: Found): SalvagedState {
    if (found.base === undefined) throw corrupt('it has lost its beginning');
    this.#takeBase(decodeBase(found.base));
    const entries: Entry[] = [];
    try {
      for (const record of this.#useful(found)) this.#takeRecord(record, entries);
      this.#checkHead(found.head);
    } catch (error) {
      if (!(error instanceof LogCorruptError)) throw error;
    }
    checkTerms(this.#snapshot, entries);
    const lastSequence = this.#nextSequence - 1;
    const behind = found.records.filter(({ sequence }) => sequence > lastSequence);
    const known = Math.max(behind.at(-1)?.sequence ?? 0, found.head?.sequence ?? 0, lastSequence);
    return { ...this.#recovered(entries), lost: { records: known - lastSequence, ...witnessed(behind) } };
  }

  /** A base is durable before the records that it makes useless go, one after the other. */
  #useful({ records }: Found): Found['records'] {
    return records.filter(({ sequence }) => sequence >= this.firstSequence);
  }

  #recovered(entries: readonly Entry[]): RecoveredState {
    return { hardState: this.#hardState, entries, snapshot: this.#snapshot, identity: this.#identity };
  }

  #takeRecord({ sequence, bytes }: Found['records'][number], entries: Entry[]): void {
    const decoded = decodeRecord(bytes);
    if (sequence !== this.#nextSequence || decoded.record.sequence !== sequence) {
      throw corrupt(`record ${this.#nextSequence} is missing`);
    }
    if (decoded.record.previousChain !== this.#chain) {
      throw corrupt(`record ${sequence} does not follow from the one before`);
    }
    this.#replay(decoded.record.entries, entries);
    this.#accept({ hardState: decoded.record.hardState, entries: decoded.record.entries, chain: decoded.chain });
  }

  planInitialize(identity: MemberIdentity, membership: Membership): Step {
    assert(this.#identity === undefined, 'a data directory is initialised once');
    return this.#planBase({
      identity,
      snapshot: { ...NO_SNAPSHOT, membership },
      hardState: NO_HARD_STATE,
      firstSequence: 1,
    });
  }

  /** Undefined if there is nothing to write. */
  planSave(request: SaveRequest): Step | undefined {
    assert(this.#identity !== undefined, 'a member is initialised before it saves');
    const entries = request.entries ?? [];
    if (entries.length === 0 && request.hardState === undefined) return undefined;
    this.#checkEntries(entries);
    const sequence = this.#nextSequence;
    const encoded = encodeRecord({ sequence, previousChain: this.#chain, hardState: request.hardState, entries });
    this.#accept({ hardState: request.hardState, entries, chain: encoded.chain });
    return { record: { sequence, bytes: encoded.bytes }, head: { sequence, chain: encoded.chain } };
  }

  planCompact(snapshot: SnapshotMetadata): Step {
    const { index } = snapshot;
    assert(this.#identity !== undefined, 'a member is initialised before it compacts');
    assert(index >= this.#snapshot.index && index <= this.#lastIndex, 'compaction lies within the log');
    const rest = this.#kept.findIndex(record => record.lastIndex > index);
    const gone = rest === -1 ? this.#kept.splice(0) : this.#kept.splice(0, rest);
    const last = gone.at(-1);
    // The chain goes on from the youngest record that is dropped; if none is, from where it began before.
    const anchor = last === undefined ? this.#anchor : { firstSequence: last.sequence + 1, chain: last.chain };
    const { identity } = this;
    return this.#planBase({ identity, snapshot, hardState: this.#hardState, ...anchor });
  }

  planReset(snapshot: SnapshotMetadata, hardState: HardState): Step {
    this.#kept = [];
    this.#lastIndex = snapshot.index;
    const { identity } = this;
    return this.#planBase({ identity, snapshot, hardState, firstSequence: this.#nextSequence });
  }

  /**
   * How far the log has come. A head that is older, because the process died between the two writes, is to be brought up to
   * this on opening: from then on the member speaks of what it found, so losing that has to be noticed.
   */
  get head(): Head {
    return { sequence: this.#nextSequence - 1, chain: this.#chain };
  }

  /** The number of the first record that is of use. */
  get firstSequence(): number {
    return this.#anchor.firstSequence;
  }

  get identity(): MemberIdentity {
    assert(this.#identity !== undefined, 'the member is initialised');
    return this.#identity;
  }

  /** @param base without a chain value, the base's own CRC begins a new chain: nothing older can be taken for its tail. */
  #planBase(base: Omit<BaseRecord, 'chain'> & { readonly chain?: number }): Step {
    const chain = base.chain ?? encodeBase({ ...base, chain: 0 }).chain;
    const full: BaseRecord = { ...base, chain };
    this.#identity = full.identity;
    this.#snapshot = full.snapshot;
    this.#hardState = full.hardState;
    this.#anchor = { firstSequence: full.firstSequence, chain };
    this.#lastIndex = Math.max(this.#lastIndex, full.snapshot.index);
    if (this.#kept.length === 0) {
      this.#nextSequence = full.firstSequence;
      this.#chain = chain;
    }
    return {
      base: encodeBase(full).bytes,
      firstSequence: full.firstSequence,
      head: this.head,
    };
  }

  #takeBase(base: BaseRecord): void {
    this.#identity = base.identity;
    this.#snapshot = base.snapshot;
    this.#hardState = base.hardState;
    this.#lastIndex = base.snapshot.index;
    this.#nextSequence = base.firstSequence;
    this.#chain = base.chain;
    this.#anchor = { firstSequence: base.firstSequence, chain: base.chain };
  }

  #recoverEmpty(found: Found): RecoveredState {
    if (found.records.length > 0) throw corrupt('the log has records but no beginning');
    if (found.head !== undefined) throw corrupt('the log has been emptied');
    return { hardState: NO_HARD_STATE, entries: [], snapshot: NO_SNAPSHOT, identity: undefined };
  }

  #accept(step: { hardState: HardState | undefined; entries: readonly Entry[]; chain: number }): void {
    const { entries } = step;
    const first = entries[0];
    if (step.hardState !== undefined) this.#hardState = step.hardState;
    if (first !== undefined) {
      for (let at = this.#kept.length - 1; at >= 0; at--) {
        const kept = this.#kept[at];
        if (kept === undefined || kept.lastIndex === NO_ENTRIES) continue;
        if (kept.lastIndex < first.index) break;
        kept.lastIndex = first.index - 1;
      }
      this.#lastIndex = Math.max(first.index + entries.length - 1, this.#snapshot.index);
    }
    const lastIndex = first === undefined ? NO_ENTRIES : this.#lastIndex;
    this.#kept.push({ sequence: this.#nextSequence, chain: step.chain, lastIndex });
    this.#chain = step.chain;
    this.#nextSequence++;
  }

  #replay(added: readonly Entry[], entries: Entry[]): void {
    const first = added[0];
    if (first === undefined) return;
    const { index } = this.#snapshot;
    if (first.index > index + entries.length + 1) throw corrupt(`entry ${index + entries.length + 1} is missing`);
    entries.length = Math.max(0, Math.min(entries.length, first.index - 1 - index));
    for (const [offset, entry] of added.entries()) {
      if (entry.index !== first.index + offset) throw corrupt(`entry ${first.index + offset} is missing`);
      if (entry.index > index) entries.push(entry);
    }
  }

  #checkEntries(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index > this.#snapshot.index, 'what is compacted is not written again');
    assert(first.index <= this.#lastIndex + 1, 'the log has no hole');
    for (const [offset, entry] of entries.entries()) {
      assert(entry.index === first.index + offset, 'entries follow each other');
    }
  }

  #checkHead(head: Head | undefined): void {
    if (head === undefined) return;
    if (head.sequence >= this.#nextSequence)
      throw corrupt(`records up to ${head.sequence} were written, but the end is lost`);
    const kept = this.#kept.find(record => record.sequence === head.sequence);
    if (kept !== undefined && kept.chain !== head.chain)
      throw corrupt(`record ${head.sequence} is not the one written`);
  }
}

/** What can still be read of the records behind the damage says at least how far the log had come. */
function witnessed(records: Found['records']): { readonly index: number; readonly term: number } {
  let index = 0;
  let term = 0;
  for (const { bytes } of records) {
    try {
      const { entries, hardState } = decodeRecord(bytes).record;
      index = Math.max(index, entries.at(-1)?.index ?? 0);
      term = Math.max(term, entries.at(-1)?.term ?? 0, hardState?.term ?? 0);
    } catch (error) {
      if (!(error instanceof LogCorruptError)) throw error;
    }
  }
  return { index, term };
}

function checkTerms(snapshot: SnapshotMetadata, entries: readonly Entry[]): void {
  let term = snapshot.term;
  for (const entry of entries) {
    if (entry.term < term) throw corrupt(`entry ${entry.index} has an older term than the one before`);
    term = entry.term;
  }
}

function corrupt(what: string): LogCorruptError {
  return new LogCorruptError(
    `the Raft log is damaged: ${what}. This member must not vote: remove its data directory and join it again as a new member`,
  );
}
