/** Commands as bytes: what the log carries. The first byte is the format, so that later versions can add to it. */
import type { Compare, Operation, RangeRequest, Transaction } from '../client/client.ts';
import type { Command } from '../mvcc/command.ts';
import { readAlarm, readAlarmFilter, writeAlarm, writeAlarmFilter } from './alarm.ts';
import { ByteReader, ByteWriter } from './bytes.ts';

const FORMAT = 1;
const COMMANDS = [
  'transaction',
  'leaseGrant',
  'leaseKeepAlive',
  'leaseRevoke',
  'leaseExpire',
  'compact',
  'alarm',
] as const;
const TARGETS = ['modRevision', 'createRevision', 'version', 'lease', 'value'] as const;
const COMPARISONS = ['=', '!=', '<', '>'] as const;
const ALARM_ACTIONS = ['raise', 'disarm'] as const;
const OPERATIONS = ['put', 'delete', 'range'] as const;

const writer = new ByteWriter();

/** Encodes a command that was found valid. */
export function encodeCommand(command: Command): Buffer {
  writer.byte(FORMAT);
  writer.byte(COMMANDS.indexOf(command.type));
  switch (command.type) {
    case 'transaction':
      writeTransaction(command.transaction);
      break;
    case 'leaseGrant':
      writer.count(command.ttlSeconds);
      break;
    case 'leaseKeepAlive':
    case 'leaseRevoke':
      writer.count(command.id);
      break;
    case 'leaseExpire':
      writer.count(command.fenceTerm);
      writer.count(command.leases.length);
      for (const { id, renewals } of command.leases) {
        writer.count(id);
        writer.count(renewals);
      }
      break;
    case 'compact':
      writer.count(command.revision);
      break;
    case 'alarm':
      writer.byte(ALARM_ACTIONS.indexOf(command.action));
      if (command.action === 'raise') writeAlarm(writer, command.alarm);
      else writeAlarmFilter(writer, command.filter);
      break;
  }
  return writer.take();
}

/** Decodes a command. @throws {RangeError} the bytes are not a command of a known format */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes);
  const format = reader.byte();
  if (format !== FORMAT) throw new RangeError(`a command of format ${format} is not known here: upgrade this member`);
  const type = named(COMMANDS, reader.byte());
  switch (type) {
    case 'transaction':
      return { type, transaction: readTransaction(reader) };
    case 'leaseGrant':
      return { type, ttlSeconds: reader.count() };
    case 'leaseKeepAlive':
    case 'leaseRevoke':
      return { type, id: reader.count() };
    case 'leaseExpire': {
      const fenceTerm = reader.count();
      const leases = list(reader, () => ({ id: reader.count(), renewals: reader.count() }));
      return { type, fenceTerm, leases };
    }
    case 'compact':
      return { type, revision: reader.count() };
    case 'alarm': {
      const action = named(ALARM_ACTIONS, reader.byte());
      return action === 'raise'
        ? { type, action, alarm: readAlarm(reader) }
        : { type, action, filter: readAlarmFilter(reader) };
    }
  }
}

function writeTransaction(transaction: Transaction): void {
  const { compare = [], then, otherwise = [], fenceTerm } = transaction;
  writer.count(fenceTerm === undefined ? 0 : fenceTerm + 1);
  writer.count(compare.length);
  for (const one of compare) writeCompare(one);
  writer.count(then.length);
  for (const operation of then) writeOperation(operation);
  writer.count(otherwise.length);
  for (const operation of otherwise) writeOperation(operation);
}

function readTransaction(reader: ByteReader): Transaction {
  const fence = reader.count();
  const compare = list(reader, () => readCompare(reader));
  const then = list(reader, () => readOperation(reader));
  const otherwise = list(reader, () => readOperation(reader));
  return fence === 0 ? { compare, then, otherwise } : { compare, then, otherwise, fenceTerm: fence - 1 };
}

function writeCompare(compare: Compare): void {
  writer.byte(TARGETS.indexOf(compare.target));
  writer.byte(COMPARISONS.indexOf(compare.op));
  writer.text(compare.key);
  if (compare.target === 'value') writer.bytes(compare.value);
  else writer.count(compare.value);
}

function readCompare(reader: ByteReader): Compare {
  const target = named(TARGETS, reader.byte());
  const op = named(COMPARISONS, reader.byte());
  const key = reader.text();
  return target === 'value' ? { key, target, op, value: reader.bytes() } : { key, target, op, value: reader.count() };
}

function writeOperation(operation: Operation): void {
  writer.byte(OPERATIONS.indexOf(operation.type));
  if (operation.type === 'range') {
    writeRange(operation.range);
    return;
  }
  writer.text(operation.key);
  if (operation.type === 'put') {
    writer.count(operation.lease ?? 0);
    writer.bytes(operation.value);
  } else writeEnd(operation.end);
}

function readOperation(reader: ByteReader): Operation {
  const type = named(OPERATIONS, reader.byte());
  if (type === 'range') return { type, range: readRange(reader) };
  const key = reader.text();
  if (type === 'put') {
    const lease = reader.count();
    return { type, key, value: reader.bytes(), lease };
  }
  return { type, key, ...readEnd(reader) };
}

const KEYS_ONLY = 1;
const COUNT_ONLY = 2;

function writeRange(range: RangeRequest): void {
  writer.text(range.key);
  writeEnd(range.end);
  writer.count(range.revision ?? 0);
  writer.count(range.limit ?? 0);
  writer.byte((range.keysOnly === true ? KEYS_ONLY : 0) | (range.countOnly === true ? COUNT_ONLY : 0));
}

function readRange(reader: ByteReader): RangeRequest {
  const key = reader.text();
  const end = readEnd(reader);
  const revision = reader.count();
  const limit = reader.count();
  const flags = reader.byte();
  return {
    key,
    ...end,
    revision,
    limit,
    keysOnly: (flags & KEYS_ONLY) !== 0,
    countOnly: (flags & COUNT_ONLY) !== 0,
  };
}

function writeEnd(end: string | undefined): void {
  writer.byte(end === undefined ? 0 : 1);
  if (end !== undefined) writer.text(end);
}

function readEnd(reader: ByteReader): { readonly end?: string } {
  return reader.byte() === 0 ? {} : { end: reader.text() };
}

function list<Item>(reader: ByteReader, read: () => Item): Item[] {
  const items: Item[] = [];
  for (let left = reader.count(); left > 0; left--) items.push(read());
  return items;
}

function named<Name>(names: readonly Name[], number: number): Name {
  const name = names[number];
  if (name === undefined) throw new RangeError('a command is not known here: upgrade this member');
  return name;
}
