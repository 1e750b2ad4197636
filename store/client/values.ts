/** Takes the value that a command's result must hold out of it. */
import assert from 'node:assert';
import type { CommandValue } from '../mvcc/command.ts';
import type { Alarm, TransactionResult } from './client.ts';

export function transactionValue(value: CommandValue): TransactionResult {
  assert(value.type === 'transaction', 'a transaction answers with its result');
  return value.result;
}

export function leaseValue(value: CommandValue): { readonly id: number; readonly ttlSeconds: number } {
  assert(value.type === 'lease', 'a lease command answers with the lease');
  return { id: value.id, ttlSeconds: value.ttlSeconds };
}

export function alarmsValue(value: CommandValue): readonly Alarm[] {
  assert(value.type === 'alarms', 'an alarm command answers with the alarms');
  return value.alarms;
}
