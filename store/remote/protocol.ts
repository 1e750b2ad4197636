/**
 * What a remote client and a store server say to each other over one WebSocket: msgpack frames, each an array of the
 * messages of one turn. Whatever occurs often travels as arrays without field names.
 */
import { Packr } from 'msgpackr';
import type {
  Alarm,
  KeyValue,
  OperationResult,
  RangeRequest,
  RangeResult,
  StoreStatus,
  TransactionResult,
  WatchBatch,
  WatchEvent,
  WatchRequest,
} from '../client/client.ts';
import type { CommandValue } from '../mvcc/command.ts';
import { keyBytes, keyFromBytes } from '../mvcc/keys.ts';

/**
 * The WebSocket subprotocols; each names a version of this format. Version 2 added `call`, `snapshot`, `shared` and
 * `takes`; a member of version 1 is still understood, and told apart where they are needed.
 */
export const PROTOCOLS = ['raftsman-store-2', 'raftsman-store-1'] as const;
/** What a connection must have agreed on for what version 2 added. */
export const PROTOCOL_WITH_CALLS: string = PROTOCOLS[0];

export type WatchStart = Omit<WatchRequest, 'signal'>;

/** From the client. `id` names the request or the watch. `execute` carries an encoded command. */
export type ClientMessage =
  | readonly [id: number, kind: 'execute', command: Uint8Array]
  | readonly [id: number, kind: 'range', request: PackedBounds<RangeRequest>]
  | readonly [id: number, kind: 'status', nothing: null]
  | readonly [id: number, kind: 'watch', request: PackedBounds<WatchStart>]
  /** One of the rare calls; see `calls.ts`. */
  | readonly [id: number, kind: 'call', call: readonly [name: string, args: readonly unknown[]]]
  /** Answered with parts of a snapshot, as many as the window allows, and an end. */
  | readonly [id: number, kind: 'snapshot', nothing: null]
  /** One more batch of a watch, or part of a snapshot, was taken by its reader. */
  | readonly [id: number, kind: 'taken', nothing: null]
  /** The same of many watches: each id stands for one batch. */
  | readonly [nothing: 0, kind: 'takes', ids: readonly number[]]
  | readonly [id: number, kind: 'cancel', nothing: null];

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly compactedRevision?: number;
}

/** From the server. */
export type ServerMessage =
  | readonly [id: number, kind: 'value', value: PackedValue]
  | readonly [id: number, kind: 'ranged', result: PackedRange]
  | readonly [id: number, kind: 'status', status: StoreStatus]
  | readonly [id: number, kind: 'batch', batch: PackedBatch]
  /** One batch for many watches, so that it is packed, sent and unpacked once. */
  | readonly [nothing: 0, kind: 'shared', body: readonly [ids: readonly number[], batch: PackedBatch]]
  | readonly [id: number, kind: 'called', result: unknown]
  | readonly [id: number, kind: 'part', part: Uint8Array]
  | readonly [id: number, kind: 'end', nothing: null]
  | readonly [id: number, kind: 'error', error: WireError];

/** A key that is no text travels as its bytes. */
export type PackedKey = string | Uint8Array;
type PackedBounds<Request> = Omit<Request, 'key' | 'end'> & { readonly key: PackedKey; readonly end?: PackedKey };
type PackedItem = readonly [
  key: PackedKey,
  value: Uint8Array,
  createRevision: number,
  modRevision: number,
  version: number,
  lease: number,
];
type PackedRange = readonly [revision: number, items: readonly PackedItem[], more: boolean, count: number];
type PackedOperation =
  | readonly ['put', PackedItem | null]
  | readonly ['delete', readonly PackedItem[]]
  | readonly ['range', PackedRange]
  | readonly ['transaction', succeeded: boolean, results: readonly PackedOperation[]];
type PackedValue =
  | readonly ['transaction', revision: number, succeeded: boolean, results: readonly PackedOperation[]]
  | readonly ['lease', id: number, ttlSeconds: number]
  | readonly ['alarms', readonly Alarm[]]
  | readonly ['done'];
type PackedEvent = readonly [isDelete: boolean, item: PackedItem, previous: PackedItem | null];
type PackedBatch = readonly [revision: number, events: readonly PackedEvent[]];

const packr = new Packr({ useRecords: false });

export function packFrame(messages: readonly (ClientMessage | ServerMessage)[]): Uint8Array {
  return packr.pack(messages);
}

/** Unpacks a frame. @throws where it is not an array of messages */
export function unpackFrame(frame: Uint8Array): readonly unknown[] {
  const messages: unknown = packr.unpack(frame);
  if (!Array.isArray(messages)) throw new TypeError('a frame must hold an array');
  return messages;
}

export function packRange(result: RangeResult): PackedRange {
  return [result.revision, result.items.map(packItem), result.more, result.count];
}

export function unpackRange([revision, items, more, count]: PackedRange): RangeResult {
  return { revision, items: items.map(unpackItem), more, count };
}

export function packValue(value: CommandValue): PackedValue {
  if (value.type === 'transaction') {
    const { revision, succeeded, results } = value.result;
    return ['transaction', revision, succeeded, results.map(packOperation)];
  }
  if (value.type === 'alarms') return ['alarms', value.alarms];
  return value.type === 'lease' ? ['lease', value.id, value.ttlSeconds] : ['done'];
}

export function unpackValue(value: PackedValue): CommandValue {
  switch (value[0]) {
    case 'transaction': {
      const [type, revision, succeeded, results] = value;
      const result: TransactionResult = { revision, succeeded, results: results.map(unpackOperation) };
      return { type, result };
    }
    case 'lease':
      return { type: 'lease', id: value[1], ttlSeconds: value[2] };
    case 'alarms':
      return { type: 'alarms', alarms: value[1] };
    case 'done':
      return { type: 'done' };
  }
}

export function packBatch(batch: WatchBatch): PackedBatch {
  const events = batch.events.map(
    ({ type, item, previous }): PackedEvent => [
      type === 'delete',
      packItem(item),
      previous === undefined ? null : packItem(previous),
    ],
  );
  return [batch.revision, events];
}

export function unpackBatch([revision, events]: PackedBatch): WatchBatch {
  return {
    revision,
    events: events.map(
      ([isDelete, item, previous]): WatchEvent => ({
        type: isDelete ? 'delete' : 'put',
        item: unpackItem(item),
        previous: previous === null ? undefined : unpackItem(previous),
      }),
    ),
  };
}

function packOperation(result: OperationResult): PackedOperation {
  switch (result.type) {
    case 'put':
      return ['put', result.previous === undefined ? null : packItem(result.previous)];
    case 'delete':
      return ['delete', result.deleted.map(packItem)];
    case 'range':
      return ['range', packRange(result.result)];
    case 'transaction':
      return ['transaction', result.succeeded, result.results.map(packOperation)];
  }
}

function unpackOperation(result: PackedOperation): OperationResult {
  switch (result[0]) {
    case 'put':
      return { type: 'put', previous: result[1] === null ? undefined : unpackItem(result[1]) };
    case 'delete':
      return { type: 'delete', deleted: result[1].map(unpackItem) };
    case 'range':
      return { type: 'range', result: unpackRange(result[1]) };
    case 'transaction':
      return { type: 'transaction', succeeded: result[1], results: result[2].map(unpackOperation) };
  }
}

function packItem(item: KeyValue): PackedItem {
  return [packKey(item.key), item.value, item.createRevision, item.modRevision, item.version, item.lease];
}

function unpackItem([key, value, createRevision, modRevision, version, lease]: PackedItem): KeyValue {
  return { key: unpackKey(key), value, createRevision, modRevision, version, lease };
}

export function packKey(key: string): PackedKey {
  return key.isWellFormed() ? key : keyBytes(key);
}

export function unpackKey(key: PackedKey): string {
  return typeof key === 'string' ? key : keyFromBytes(key);
}

/** The key and the end of a request, made ready to travel. */
export function packBounds<Request extends { readonly key: string; readonly end?: string }>(
  request: Request,
): PackedBounds<Request> {
  const { key, end, ...rest } = request;
  return { ...rest, key: packKey(key), ...(end !== undefined && { end: packKey(end) }) };
}

export function unpackBounds<Request extends { readonly key: PackedKey; readonly end?: PackedKey }>(
  request: Request,
): Omit<Request, 'key' | 'end'> & { readonly key: string; readonly end?: string } {
  const { key, end, ...rest } = request;
  // What came over the wire may hold null where nothing was.
  return { ...rest, key: unpackKey(key), ...(end !== undefined && end !== null && { end: unpackKey(end) }) };
}
