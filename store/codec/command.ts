/** Commands as bytes: what the log carries. The first byte is the format, so that later versions can add to it. */
import type { Branches, Compare, Operation, RangeRequest, Transaction } from '../client/client.ts';
import type { Caller } from '../mvcc/auth.ts';
import type { Command } from '../mvcc/command.ts';
import { readAlarm, readAlarmFilter, writeAlarm, writeAlarmFilter } from './alarm.ts';
import { readAuthAction, writeAuthAction } from './auth.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { Slabs } from './slabs.ts';

const FORMAT = 1;
/** A command on somebody's behalf: who that is comes first. */
const FORMAT_BY_CALLER = 2;
const COMMANDS = [
  'transaction',
  'leaseGrant',
  'leaseKeepAlive',
  'leaseRevoke',
  'leaseExpire',
  'compact',
  'alarm',
  'auth',
] as const;
const TARGETS = ['modRevision', 'createRevision', 'version', 'lease', 'value'] as const;
const COMPARISONS = ['=', '!=', '<', '>'] as const;
const ALARM_ACTIONS = ['raise', 'disarm'] as const;
/** `putKeeping` is a put that keeps the value or the lease. */
const OPERATIONS = ['put', 'delete', 'range', 'putKeeping', 'transaction'] as const;
/** Set in the byte of a compare's target if the compare is of a range. */
const COMPARES_RANGE = 0x80;
const KEEPS_VALUE = 1;
const KEEPS_LEASE = 2;

const writer = new ByteWriter();
const slabs = new Slabs();

/** A command as the log has it. */
export interface LoggedCommand {
  readonly command: Command;
  readonly by: Caller | undefined;
}

/** Encodes a command that was found valid. @param by on whose behalf it is; undefined for the cluster itself */
export function encodeCommand(command: Command, by?: Caller): Buffer {
  writer.byte(by === undefined ? FORMAT : FORMAT_BY_CALLER);
  if (by !== undefined) {
    writer.text(by.user);
    writer.count(by.authRevision);
  }
  writer.byte(COMMANDS.indexOf(command.type));
  switch (command.type) {
    case 'transaction':
      writeTransaction(command.transaction);
      break;
    case 'leaseGrant':
      writer.count(command.ttlSeconds);
      if (command.id !== undefined) writer.count(command.id);
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
    case 'auth':
      writeAuthAction(writer, command.change);
      break;
  }
  const bytes = slabs.copy(writer.peek());
  writer.clear();
  return bytes;
}

/** Decodes an entry of the log; its values are views into `bytes`. @throws {RangeError} they are not a command of a known format */
export function decodeLogged(bytes: Uint8Array): LoggedCommand {
  const reader = new ByteReader(bytes);
  const format = reader.byte();
  if (format !== FORMAT_BY_CALLER) return { command: readCommand(format, reader), by: undefined };
  const by = { user: reader.text(), authRevision: reader.count() };
  return { command: readCommand(FORMAT, reader), by };
}

/**
 * Decodes a command that is on nobody's behalf. Its values are views into `bytes`.
 * @throws {RangeError} the bytes are not a command of a known format
 */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes);
  return readCommand(reader.byte(), reader);
}

function readCommand(format: number, reader: ByteReader): Command {
  if (format !== FORMAT) throw new RangeError(`a command of format ${format} is not known here: upgrade this member`);
  const type = named(COMMANDS, reader.byte());
  switch (type) {
    case 'transaction':
      return { type, transaction: readTransaction(reader) };
    case 'leaseGrant':
      return readLeaseGrant(reader);
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
    case 'auth':
      return { type, change: readAuthAction(reader) };
  }
}

function readLeaseGrant(reader: ByteReader): Command {
  const ttlSeconds = reader.count();
  return reader.isAtEnd ? { type: 'leaseGrant', ttlSeconds } : { type: 'leaseGrant', ttlSeconds, id: reader.count() };
}

function writeTransaction(transaction: Transaction): void {
  const { fenceTerm } = transaction;
  writer.count(fenceTerm === undefined ? 0 : fenceTerm + 1);
  writeBranches(transaction);
}

function writeBranches({ compare = [], then, otherwise = [] }: Branches): void {
  writer.count(compare.length);
  for (const one of compare) writeCompare(one);
  writer.count(then.length);
  for (const operation of then) writeOperation(operation);
  writer.count(otherwise.length);
  for (const operation of otherwise) writeOperation(operation);
}

function readTransaction(reader: ByteReader): Transaction {
  const fence = reader.count();
  const branches = readBranches(reader);
  return fence === 0 ? branches : { ...branches, fenceTerm: fence - 1 };
}

function readBranches(reader: ByteReader): Branches {
  const compare = list(reader, () => readCompare(reader));
  const then = list(reader, () => readOperation(reader));
  const otherwise = list(reader, () => readOperation(reader));
  return { compare, then, otherwise };
}

function writeCompare(compare: Compare): void {
  writer.byte(TARGETS.indexOf(compare.target) | (compare.end === undefined ? 0 : COMPARES_RANGE));
  writer.byte(COMPARISONS.indexOf(compare.op));
  writer.key(compare.key);
  if (compare.end !== undefined) writer.key(compare.end);
  if (compare.target === 'value') writer.bytes(compare.value);
  else writer.count(compare.value);
}

function readCompare(reader: ByteReader): Compare {
  const first = reader.byte();
  const target = named(TARGETS, first & ~COMPARES_RANGE);
  const op = named(COMPARISONS, reader.byte());
  const range = { key: reader.key(), ...((first & COMPARES_RANGE) === 0 ? {} : { end: reader.key() }) };
  return target === 'value'
    ? { ...range, target, op, value: reader.bytes() }
    : { ...range, target, op, value: reader.count() };
}

function writeOperation(operation: Operation): void {
  switch (operation.type) {
    case 'put':
      writePut(operation);
      return;
    case 'delete':
      writer.byte(OPERATIONS.indexOf('delete'));
      writer.key(operation.key);
      writeEnd(operation.end);
      return;
    case 'range':
      writer.byte(OPERATIONS.indexOf('range'));
      writeRange(operation.range);
      return;
    case 'transaction':
      writer.byte(OPERATIONS.indexOf('transaction'));
      writeBranches(operation);
      return;
  }
}

function writePut(put: Extract<Operation, { type: 'put' }>): void {
  const keeps = (put.keepValue === true ? KEEPS_VALUE : 0) | (put.keepLease === true ? KEEPS_LEASE : 0);
  writer.byte(OPERATIONS.indexOf(keeps === 0 ? 'put' : 'putKeeping'));
  if (keeps !== 0) writer.byte(keeps);
  writer.key(put.key);
  writer.count(put.lease ?? 0);
  writer.bytes(put.value);
}

function readOperation(reader: ByteReader): Operation {
  const type = named(OPERATIONS, reader.byte());
  switch (type) {
    case 'put':
      return { type, key: reader.key(), lease: reader.count(), value: reader.bytes() };
    case 'putKeeping': {
      const keeps = reader.byte();
      return {
        type: 'put',
        key: reader.key(),
        lease: reader.count(),
        value: reader.bytes(),
        keepValue: (keeps & KEEPS_VALUE) !== 0,
        keepLease: (keeps & KEEPS_LEASE) !== 0,
      };
    }
    case 'delete':
      return { type, key: reader.key(), ...readEnd(reader) };
    case 'range':
      return { type, range: readRange(reader) };
    case 'transaction':
      return { type, ...readBranches(reader) };
  }
}

const KEYS_ONLY = 1;
const COUNT_ONLY = 2;

function writeRange(range: RangeRequest): void {
  writer.key(range.key);
  writeEnd(range.end);
  writer.count(range.revision ?? 0);
  writer.count(range.limit ?? 0);
  writer.byte((range.keysOnly === true ? KEYS_ONLY : 0) | (range.countOnly === true ? COUNT_ONLY : 0));
}

function readRange(reader: ByteReader): RangeRequest {
  const key = reader.key();
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
  if (end !== undefined) writer.key(end);
}

function readEnd(reader: ByteReader): { readonly end?: string } {
  return reader.byte() === 0 ? {} : { end: reader.key() };
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
