/**
 * The wire format between members, version 1. A connection opens with one hello in each direction; then each WebSocket
 * message is a batch of items, all that one turn of the event loop had to say. Everything is msgpack in arrays, which
 * is compact and fast; the positions are fixed by the functions below.
 *
 * A batch is parsed into typed objects by hand, field by field, because this is the hot path of the whole store; a
 * frame that does not parse closes the connection.
 */
import { Packr } from 'msgpackr';
import { z } from 'zod';
import type { Message } from '../core/messages.ts';
import type { Entry, EntryKind, MemberId } from '../core/types.ts';

/** Raised when an older member could not understand a frame any more. */
const WIRE_VERSION = 1;

const packr = new Packr({ useRecords: false });

export interface Hello {
  readonly clusterId: string;
  readonly memberId: MemberId;
  /** What the connection is for. */
  readonly purpose: 'messages' | 'snapshot';
  /** Only in an answer: the caller was removed from the cluster, and the connection ends here. */
  readonly refusal?: 'removed' | undefined;
}

export type Item =
  | { readonly type: 'message'; readonly message: Message }
  | { readonly type: 'request'; readonly id: number; readonly method: string; readonly body: Uint8Array }
  | { readonly type: 'answer'; readonly id: number; readonly body: Uint8Array }
  | { readonly type: 'failure'; readonly id: number; readonly code: string; readonly message: string };

/** What arrived is not of this protocol. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly code = 'RAFT_FRAME';
}

const helloSchema = z.object({
  clusterId: z.string(),
  memberId: z.string(),
  purpose: z.enum(['messages', 'snapshot']),
  refusal: z.literal('removed').optional(),
});

export function encodeHello(hello: Hello): Uint8Array {
  const body = packr.pack({ ...hello });
  const frame = new Uint8Array(1 + body.length);
  frame[0] = WIRE_VERSION;
  frame.set(body, 1);
  return frame;
}

/** @throws {FrameError} another version, or no hello at all. */
export function decodeHello(frame: Uint8Array): Hello {
  if (frame[0] !== WIRE_VERSION) {
    throw new FrameError(`the peer speaks version ${frame[0]} of the protocol, this member version ${WIRE_VERSION}`);
  }
  const result = helloSchema.safeParse(unpack(frame.subarray(1)));
  if (!result.success) throw new FrameError('the first frame is no hello', { cause: result.error });
  return result.data;
}

/** The frame owns its bytes. */
export function encodeItems(items: readonly Item[]): Uint8Array {
  return Uint8Array.prototype.slice.call(packr.pack(items.map(itemToArray)));
}

/**
 * Entries and bodies are views into `frame`, which must therefore be the caller's own copy.
 * @throws {FrameError}
 */
export function decodeItems(frame: Uint8Array): Item[] {
  const items = unpack(frame);
  if (!Array.isArray(items)) throw new FrameError('a frame is a list of items');
  return items.map(item => arrayToItem(new Fields(item)));
}

/** msgpack for anything small, such as a snapshot's head; owns its bytes. */
export function encodeValue(value: unknown): Uint8Array {
  return Uint8Array.prototype.slice.call(packr.pack(value));
}

/** @throws {FrameError} */
export function unpack(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes);
  } catch (error) {
    throw new FrameError('a frame is not msgpack', { cause: error });
  }
}

const ENTRY_KINDS: readonly EntryKind[] = ['command', 'noop', 'membership'];
const MESSAGE_TYPES: readonly Message['type'][] = [
  'preVoteRequest',
  'voteRequest',
  'preVoteResponse',
  'voteResponse',
  'appendRequest',
  'appendResponse',
  'snapshotStatus',
  'timeoutNow',
];

function itemToArray(item: Item): unknown[] {
  switch (item.type) {
    case 'message':
      return [0, ...messageToArray(item.message)];
    case 'request':
      return [1, item.id, item.method, item.body];
    case 'answer':
      return [2, item.id, item.body];
    case 'failure':
      return [3, item.id, item.code, item.message];
  }
}

function arrayToItem(fields: Fields): Item {
  switch (fields.number()) {
    case 0:
      return { type: 'message', message: arrayToMessage(fields) };
    case 1:
      return { type: 'request', id: fields.number(), method: fields.string(), body: fields.bytes() };
    case 2:
      return { type: 'answer', id: fields.number(), body: fields.bytes() };
    case 3:
      return { type: 'failure', id: fields.number(), code: fields.string(), message: fields.string() };
    default:
      throw new FrameError('an item of an unknown kind');
  }
}

function messageToArray(message: Message): unknown[] {
  const head = [MESSAGE_TYPES.indexOf(message.type), message.from, message.to, message.term];
  switch (message.type) {
    case 'preVoteRequest':
    case 'voteRequest':
      return [...head, message.lastLogIndex, message.lastLogTerm, message.transfer];
    case 'preVoteResponse':
    case 'voteResponse':
      return [...head, message.granted];
    case 'appendRequest': {
      const { previousIndex, previousTerm, commit, readContext, entries, acknowledgedIndex } = message;
      const flat = entries.flatMap(entryToArray);
      return [...head, previousIndex, previousTerm, commit, readContext, flat, acknowledgedIndex];
    }
    case 'appendResponse': {
      const { success, matchIndex, hintTerm, previousIndex, readContext, needsSnapshot } = message;
      return [...head, success, matchIndex, hintTerm, previousIndex, readContext, needsSnapshot];
    }
    case 'snapshotStatus':
      return [...head, message.success, message.matchIndex];
    case 'timeoutNow':
      return head;
  }
}

function arrayToMessage(fields: Fields): Message {
  const type = MESSAGE_TYPES[fields.number()];
  const envelope = { from: fields.string(), to: fields.string(), term: fields.number() };
  switch (type) {
    case 'preVoteRequest':
    case 'voteRequest':
      return {
        ...envelope,
        type,
        lastLogIndex: fields.number(),
        lastLogTerm: fields.number(),
        transfer: fields.boolean(),
      };
    case 'preVoteResponse':
    case 'voteResponse':
      return { ...envelope, type, granted: fields.boolean() };
    case 'appendRequest': {
      const previousIndex = fields.number();
      const previousTerm = fields.number();
      const commit = fields.number();
      const readContext = fields.number();
      const entries = arrayToEntries(fields.list(), previousIndex);
      // Members of the first version do not say.
      const acknowledgedIndex = fields.hasMore ? fields.number() : 0;
      return { ...envelope, type, previousIndex, previousTerm, commit, readContext, entries, acknowledgedIndex };
    }
    case 'appendResponse':
      return {
        ...envelope,
        type,
        success: fields.boolean(),
        matchIndex: fields.number(),
        hintTerm: fields.number(),
        previousIndex: fields.number(),
        readContext: fields.number(),
        needsSnapshot: fields.boolean(),
      };
    case 'snapshotStatus':
      return { ...envelope, type, success: fields.boolean(), matchIndex: fields.number() };
    case 'timeoutNow':
      return { ...envelope, type };
    case undefined:
      throw new FrameError('a message of an unknown kind');
  }
}

/** Indices are not sent: an append's entries follow its `previousIndex` without a gap. */
function entryToArray(entry: Entry): [number, number, Uint8Array] {
  return [entry.term, ENTRY_KINDS.indexOf(entry.kind), entry.data];
}

function arrayToEntries(flat: unknown, previousIndex: number): Entry[] {
  const fields = new Fields(flat);
  const entries: Entry[] = [];
  while (fields.hasMore) {
    const term = fields.number();
    const kind = ENTRY_KINDS[fields.number()];
    if (kind === undefined) throw new FrameError('an entry of an unknown kind');
    entries.push({ index: previousIndex + 1 + entries.length, term, kind, data: fields.bytes() });
  }
  return entries;
}

/** Reads an array position by position, checking each type. */
class Fields {
  readonly #values: readonly unknown[];
  #position = 0;

  constructor(values: unknown) {
    if (!Array.isArray(values)) throw new FrameError('a list was expected');
    this.#values = values;
  }

  get hasMore(): boolean {
    return this.#position < this.#values.length;
  }

  number(): number {
    const value = this.#values[this.#position++];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw new FrameError('a whole number was expected');
    }
    return value;
  }

  string(): string {
    const value = this.#values[this.#position++];
    if (typeof value !== 'string') throw new FrameError('a string was expected');
    return value;
  }

  boolean(): boolean {
    const value = this.#values[this.#position++];
    if (typeof value !== 'boolean') throw new FrameError('a boolean was expected');
    return value;
  }

  bytes(): Uint8Array {
    const value = this.#values[this.#position++];
    if (!(value instanceof Uint8Array)) throw new FrameError('bytes were expected');
    return value;
  }

  list(): readonly unknown[] {
    const value = this.#values[this.#position++];
    if (!Array.isArray(value)) throw new FrameError('a list was expected');
    return value;
  }
}
