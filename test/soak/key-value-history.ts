/** The soak's history in the words of the general linearizability checker. */
import type { KeyValueOperation } from '../../store/testing/key-value-model.ts';
import type { ChangeLog, RecordedCall } from './history.ts';

/**
 * Gets, puts, deletes, and compare-and-sets by what they did: one that held is a put (its comparison is of revisions, which
 * this model does not know), one that did not hold says nothing. Writes without an answer that never reached the log did
 * not happen, which spares the search from trying them everywhere.
 */
export function keyValueHistory(calls: readonly RecordedCall[], log: ChangeLog): KeyValueOperation[] {
  const written = new Set(log.entries.flatMap(([, changes]) => changes.map(({ value }) => value)));
  return calls.flatMap(({ intent, outcome, calledAtMs: calledAt, returnedAtMs: returnedAt }): KeyValueOperation[] => {
    const { key } = intent;
    const unknown = { calledAt, returnedAt: Number.POSITIVE_INFINITY, output: undefined };
    const done = { calledAt, returnedAt, output: { value: undefined } };
    switch (outcome.type) {
      case 'seen':
        return [{ input: { type: 'get', key }, calledAt, returnedAt, output: { value: outcome.value } }];
      case 'done':
        if (intent.type === 'delete') return [{ input: { type: 'delete', key }, ...done }];
        return 'value' in intent ? [{ input: { type: 'put', key, value: intent.value }, ...done }] : [];
      case 'unknown':
        if (intent.type === 'delete') return [{ input: { type: 'delete', key }, ...unknown }];
        if (!('value' in intent) || !written.has(intent.value)) return [];
        return [{ input: { type: 'put', key, value: intent.value }, ...unknown }];
      default:
        return [];
    }
  });
}
