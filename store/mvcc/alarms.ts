/** The alarms that are raised, each once. What they forbid is decided here, from the replicated state alone. */
import type { Alarm, AlarmFilter } from '../client/client.ts';
import { type Refusal, refused } from './command.ts';

export class AlarmTable {
  readonly #alarms = new Map<string, Alarm>();

  get size(): number {
    return this.#alarms.size;
  }

  has(alarm: Alarm): boolean {
    return this.#alarms.has(nameOf(alarm));
  }

  set(alarm: Alarm): void {
    this.#alarms.set(nameOf(alarm), alarm);
  }

  remove(alarm: Alarm): void {
    this.#alarms.delete(nameOf(alarm));
  }

  /** In the order of their names, which is the same on every member. */
  list(filter: AlarmFilter = {}): readonly Alarm[] {
    const names = [...this.#alarms.keys()].sort();
    return names.flatMap(name => {
      const alarm = this.#alarms.get(name);
      return alarm !== undefined && matches(alarm, filter) ? [alarm] : [];
    });
  }

  /** Why nothing may be put now; undefined if it may. */
  putRefusal(): { readonly ok: false; readonly refusal: Refusal } | undefined {
    let full: Alarm | undefined;
    for (const alarm of this.#alarms.values()) {
      if (alarm.type !== 'NOSPACE') continue;
      if (alarm.cause === 'quota') {
        return refused('STORE_QUOTA_EXCEEDED', 'the store is full: delete some keys, then it takes puts again');
      }
      full = alarm;
    }
    if (full === undefined) return undefined;
    const message = `the disk of member ${full.memberId} is nearly full: free some space there; until then only deletes pass`;
    return refused('STORE_NO_SPACE', message);
  }
}

function matches(alarm: Alarm, { type, memberId, cause }: AlarmFilter): boolean {
  return (
    (type === undefined || type === alarm.type) &&
    (memberId === undefined || memberId === alarm.memberId) &&
    (cause === undefined || cause === alarm.cause)
  );
}

function nameOf({ type, memberId, cause }: Alarm): string {
  return `${type} ${cause} ${memberId}`;
}
