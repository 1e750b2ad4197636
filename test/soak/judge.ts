/**
 * Says whether a history is strictly serializable. The store numbers its writes, and the watches told them all, so the
 * order is given and only has to be checked: each answer must be the one that this order gives, and nothing may have been
 * placed before something that had ended when it began.
 */
import type { ChangeLog, RecordedCall } from './history.ts';

/** A call with the place in the order that its answer, or the log, gives it. */
interface Placed {
  readonly call: RecordedCall;
  readonly revision: number;
  readonly isWrite: boolean;
}

/** @returns everything that is wrong, in words. An empty list means that the history is as it must be. */
export function judge(calls: readonly RecordedCall[], log: ChangeLog): string[] {
  const states = new States(log);
  const violations: string[] = [];
  const explained = new Set<number>();
  const placed: Placed[] = [];
  for (const call of calls) {
    const place = placeOf(call, states, violations);
    if (place === undefined) continue;
    placed.push(place);
    if (place.isWrite) explained.add(place.revision);
  }
  violations.push(...unexplained(calls, log, explained), ...outOfTime(placed));
  return violations;
}

/** What each key held at each revision. */
class States {
  readonly #byKey = new Map<string, { readonly revision: number; readonly value: string | undefined }[]>();
  readonly #byValue = new Map<string, number>();

  constructor(log: ChangeLog) {
    for (const [revision, changes] of log.entries) {
      for (const { key, value } of changes) {
        const versions = this.#byKey.get(key) ?? [];
        this.#byKey.set(key, versions);
        versions.push({ revision, value });
        if (value !== undefined) this.#byValue.set(value, revision);
      }
    }
  }

  /** The last change of the key at or before a revision. */
  at(key: string, revision: number): { readonly revision: number; readonly value: string | undefined } {
    const versions = this.#byKey.get(key) ?? [];
    let low = 0;
    let high = versions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((versions[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return versions[low - 1] ?? { revision: 0, value: undefined };
  }

  /** Where a value was written, if ever. */
  writtenAt(value: string): number | undefined {
    return this.#byValue.get(value);
  }
}

/** Checks one call's answer against the order; says where it stands in it. */
function placeOf(call: RecordedCall, states: States, violations: string[]): Placed | undefined {
  const { intent, outcome } = call;
  const complain = (what: string) => void violations.push(`${intent.type} of ${intent.key}: ${what}`);
  switch (outcome.type) {
    case 'notDone': {
      const at = 'value' in intent ? states.writtenAt(intent.value) : undefined;
      if (at !== undefined) complain(`was refused, yet it is in the log at revision ${at}`);
      return undefined;
    }
    case 'unknown': {
      const at = 'value' in intent ? states.writtenAt(intent.value) : undefined;
      return at === undefined ? undefined : { call, revision: at, isWrite: true };
    }
    case 'seen': {
      const { revision, value, modRevision } = outcome;
      const truth = states.at(intent.key, revision);
      if (truth.value !== value)
        complain(`saw ${value ?? 'nothing'} at revision ${revision}, where ${truth.value ?? 'nothing'} was`);
      else if (value !== undefined && truth.revision !== modRevision)
        complain(`saw the modification revision ${modRevision} instead of ${truth.revision}`);
      return { call, revision, isWrite: false };
    }
    case 'different': {
      if (intent.type === 'compareAndSet' && heldAt(states, intent.key, outcome.revision) === intent.expectedRevision)
        complain(`was told that revision ${intent.expectedRevision} is not there at ${outcome.revision}, but it is`);
      return { call, revision: outcome.revision, isWrite: false };
    }
    case 'done':
      return placeOfWrite(call, outcome.revision, states, complain);
  }
}

function placeOfWrite(
  call: RecordedCall,
  revision: number,
  states: States,
  complain: (what: string) => void,
): Placed | undefined {
  const { intent } = call;
  if (intent.type === 'delete') {
    const after = states.at(intent.key, revision);
    if (after.value !== undefined || after.revision !== revision)
      complain(`was acknowledged at ${revision}, but is not in the log`);
    return { call, revision, isWrite: true };
  }
  const value = 'value' in intent ? intent.value : undefined;
  if (value === undefined || states.writtenAt(value) !== revision) {
    complain(`was acknowledged at revision ${revision} and is lost`);
    return undefined;
  }
  if (intent.type === 'compareAndSet') {
    const before = heldAt(states, intent.key, revision - 1);
    if (before !== intent.expectedRevision) complain(`expected ${intent.expectedRevision}, but ${before} was there`);
  }
  return { call, revision, isWrite: true };
}

/** What a comparison of the modification revision sees: 0 for a key that is not there. */
function heldAt(states: States, key: string, revision: number): number {
  const held = states.at(key, revision);
  return held.value === undefined ? 0 : held.revision;
}

/** Changes that nobody asked for: values never written, deletions without a delete. */
function unexplained(calls: readonly RecordedCall[], log: ChangeLog, explained: ReadonlySet<number>): string[] {
  const deletes = new Map<string, number>();
  const values = new Set<string>();
  for (const { intent, outcome } of calls) {
    if ('value' in intent) values.add(intent.value);
    if (intent.type === 'delete' && outcome.type === 'unknown')
      deletes.set(intent.key, (deletes.get(intent.key) ?? 0) + 1);
  }
  const violations: string[] = [];
  for (const [revision, changes] of log.entries) {
    if (explained.has(revision)) continue;
    for (const { key, value } of changes) {
      if (value !== undefined) {
        if (!values.has(value)) violations.push(`revision ${revision} put ${value} at ${key}, which nobody wrote`);
        continue;
      }
      const left = deletes.get(key) ?? 0;
      if (left === 0) violations.push(`revision ${revision} deleted ${key}, which nobody asked for`);
      deletes.set(key, left - 1);
    }
  }
  return violations;
}

/** Calls that stand in the order before something that had ended when they began. */
function outOfTime(placed: readonly Placed[]): string[] {
  const moments = placed.flatMap(place => [
    { atMs: place.call.calledAtMs, isReturn: false, place },
    ...(Number.isFinite(place.call.returnedAtMs) ? [{ atMs: place.call.returnedAtMs, isReturn: true, place }] : []),
  ]);
  // Of two things at one moment the call comes first: they count as concurrent.
  moments.sort((one, other) => one.atMs - other.atMs || Number(one.isReturn) - Number(other.isReturn));
  const violations: string[] = [];
  let ended = 0;
  for (const { isReturn, place } of moments) {
    const { revision, isWrite, call } = place;
    if (isReturn) ended = Math.max(ended, revision);
    else if (revision < ended || (isWrite && revision === ended)) {
      violations.push(
        `${call.intent.type} of ${call.intent.key} stands at revision ${revision}, but ${ended} had been seen when it began`,
      );
    }
  }
  return violations;
}
