/** What the store answers and announces, as text: short to compare, and readable where it differs. */
import type { KeyValue, OperationResult, TransactionResult, WatchEvent } from '../../store/index.ts';
import type { ApplyResult } from '../../store/mvcc/command.ts';

export function itemText(item: KeyValue): string {
  const { key, value, createRevision, modRevision, version, lease } = item;
  return `${key}=${Buffer.from(value).toString()}@${createRevision}/${modRevision}/${version}/${lease}`;
}

export function itemsText(items: readonly KeyValue[]): string {
  return items.map(itemText).join(' ');
}

export function eventText({ type, item }: WatchEvent): string {
  return type === 'put' ? `put ${itemText(item)}` : `delete ${item.key}@${item.modRevision}`;
}

export function transactionText({ revision, succeeded, results }: TransactionResult): string {
  return `revision ${revision} ${succeeded ? 'then' : 'otherwise'} ${results.map(operationText).join('; ')}`;
}

/** The answer to any command; a refusal is its code alone. */
export function resultText(result: ApplyResult): string {
  if (!result.ok) return result.refusal.code;
  const { value } = result;
  if (value.type === 'transaction') return transactionText(value.result);
  if (value.type === 'alarms') return `alarms ${value.alarms.map(alarm => Object.values(alarm).join(' ')).sort()}`;
  return value.type === 'lease' ? `lease ${value.id} for ${value.ttlSeconds} s` : 'done';
}

function operationText(result: OperationResult): string {
  switch (result.type) {
    case 'put':
      return `put over ${result.previous === undefined ? 'nothing' : itemText(result.previous)}`;
    case 'delete':
      return `deleted ${itemsText(result.deleted)}`;
    case 'range':
      return `found ${itemsText(result.result.items)}`;
    case 'transaction':
      return `within: ${result.results.map(operationText).join(', ')}`;
  }
}
