/** Changes as bytes: what an applied batch leaves on disk. */
import type { KeyValue } from '../client/client.ts';
import { type Change, type Counters, isTombstone, type Lease } from '../mvcc/command.ts';
import { NO_BYTES } from '../mvcc/version-table.ts';
import { readAlarm, writeAlarm } from './alarm.ts';
import { readAuthChange, writeAuthChange } from './auth.ts';
import { ByteReader, type ByteWriter } from './bytes.ts';

/** What is persisted with each batch besides the changes. Never derived from them. */
export interface BatchHead {
  readonly appliedIndex: number;
  readonly counters: Counters;
  /** The running hash over all changes of keys. */
  readonly hash: number;
}

const REVISION = 1;
const LEASE = 2;
const LEASE_GONE = 3;
const COMPACTED = 4;
const ALARM = 5;
const ALARM_GONE = 6;
const AUTH = 7;

export function writeBatchHead(writer: ByteWriter, head: BatchHead): void {
  writer.count(head.appliedIndex);
  writer.count(head.counters.revision);
  writer.count(head.counters.compactedRevision);
  writer.count(head.counters.leaseCounter);
  writer.uint32(head.hash);
}

export function readBatchHead(reader: ByteReader): BatchHead {
  const appliedIndex = reader.count();
  const counters = { revision: reader.count(), compactedRevision: reader.count(), leaseCounter: reader.count() };
  return { appliedIndex, counters, hash: reader.uint32() };
}

export function writeChange(writer: ByteWriter, change: Change): void {
  switch (change.type) {
    case 'revision':
      writer.byte(REVISION);
      writer.count(change.revision);
      writer.count(change.items.length);
      for (const item of change.items) writeItem(writer, item);
      return;
    case 'lease':
      writer.byte(LEASE);
      writeLease(writer, change.lease);
      return;
    case 'leaseGone':
      writer.byte(LEASE_GONE);
      writer.count(change.id);
      return;
    case 'compacted':
      writer.byte(COMPACTED);
      writer.count(change.revision);
      return;
    case 'alarm':
      writer.byte(ALARM);
      writeAlarm(writer, change.alarm);
      return;
    case 'alarmGone':
      writer.byte(ALARM_GONE);
      writeAlarm(writer, change.alarm);
      return;
    default:
      writer.byte(AUTH);
      writeAuthChange(writer, change);
  }
}

function readChange(reader: ByteReader): Change {
  const type = reader.byte();
  switch (type) {
    case REVISION: {
      const revision = reader.count();
      const items: KeyValue[] = [];
      for (let left = reader.count(); left > 0; left--) items.push(readItem(reader));
      return { type: 'revision', revision, items };
    }
    case LEASE:
      return { type: 'lease', lease: readLease(reader) };
    case LEASE_GONE:
      return { type: 'leaseGone', id: reader.count() };
    case COMPACTED:
      return { type: 'compacted', revision: reader.count() };
    case ALARM:
      return { type: 'alarm', alarm: readAlarm(reader) };
    case ALARM_GONE:
      return { type: 'alarmGone', alarm: readAlarm(reader) };
    case AUTH:
      return readAuthChange(reader);
    default:
      throw new RangeError(`a change of kind ${type} is not known here`);
  }
}

/** Decodes a whole batch: its head and its changes. */
export function decodeBatch(bytes: Uint8Array): { readonly head: BatchHead; readonly changes: readonly Change[] } {
  const reader = new ByteReader(bytes);
  const head = readBatchHead(reader);
  const changes: Change[] = [];
  while (!reader.isAtEnd) changes.push(readChange(reader));
  return { head, changes };
}

export function writeItem(writer: ByteWriter, item: KeyValue): void {
  writer.key(item.key);
  writer.count(item.modRevision);
  writer.count(item.version);
  if (isTombstone(item)) return;
  writer.count(item.createRevision);
  writer.count(item.lease);
  writer.bytes(item.value);
}

export function readItem(reader: ByteReader): KeyValue {
  const key = reader.key();
  const modRevision = reader.count();
  const version = reader.count();
  if (version === 0) return { key, value: NO_BYTES, createRevision: 0, modRevision, version, lease: 0 };
  const createRevision = reader.count();
  const lease = reader.count();
  return { key, value: reader.bytes(), createRevision, modRevision, version, lease };
}

export function writeLease(writer: ByteWriter, lease: Lease): void {
  writer.count(lease.id);
  writer.count(lease.ttlSeconds);
  writer.count(lease.renewals);
}

export function readLease(reader: ByteReader): Lease {
  return { id: reader.count(), ttlSeconds: reader.count(), renewals: reader.count() };
}
