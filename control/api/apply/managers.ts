/**
 * metadata.managedFields as a table of who owns which fields, and back. An owner is told apart by name, operation,
 * subresource and, for updates, the version (apimachinery pkg/util/managedfields/internal has the rules).
 */
import type { ManagedFieldsEntry } from '../generated/types.ts';
import { decodeFields, encodeFields, FieldSet, FieldsError } from './field-set.ts';

export type Operation = 'Apply' | 'Update';

/** Who writes. */
export interface Manager {
  readonly name: string;
  readonly operation: Operation;
  readonly apiVersion: string;
  /** '' for the object itself. */
  readonly subresource: string;
}

/** What one manager owns. */
export interface Ownership {
  readonly manager: Manager;
  readonly fields: FieldSet;
  /** When it last changed something; undefined if nobody knows. */
  readonly time: string | undefined;
  /** How this lies in an object of the store, where it does: what nobody changed need not be written anew. */
  readonly stored?: Stored;
}

/** An entry, and what it says: it no longer holds for a copy in which any of that is another. */
interface Stored extends Pick<Ownership, 'manager' | 'fields' | 'time'> {
  readonly entry: ManagedFieldsEntry;
}

/** By {@link managerKey}. Never changed in place. */
export type Ownerships = ReadonlyMap<string, Ownership>;

export const NOBODY: Ownerships = new Map();

/** Appliers stay who they are whatever version they apply in. */
export function managerKey({ name, operation, apiVersion, subresource }: Manager): string {
  return `${operation}\n${name}\n${operation === 'Apply' ? '' : apiVersion}\n${subresource}`;
}

/** Entries that cannot be read. */
export class ManagedFieldsError extends Error {
  override readonly name = 'ManagedFieldsError';
}

/**
 * Reads metadata.managedFields: of an object of the store, whose entries {@link encodeManagers} has written, or as a client
 * sent them. Throws {@link ManagedFieldsError}.
 */
export function decodeManagers(
  entries: readonly ManagedFieldsEntry[] | undefined,
  from: 'store' | 'client' = 'client',
): Ownerships {
  if (!entries || entries.length === 0) return NOBODY;
  const managers = new Map<string, Ownership>();
  for (const [index, entry] of entries.entries()) {
    const ownership = decodeEntry(entry, index);
    const known = from === 'store' ? { ...ownership, stored: { ...ownership, entry } } : ownership;
    managers.set(managerKey(ownership.manager), known);
  }
  return managers;
}

function decodeEntry(entry: ManagedFieldsEntry, index: number): Ownership {
  const { operation, apiVersion, fieldsType = '' } = entry;
  if (operation !== 'Apply' && operation !== 'Update') {
    throw new ManagedFieldsError('operation must be `Apply` or `Update`');
  }
  if (!apiVersion) throw new ManagedFieldsError('apiVersion must not be empty');
  if (fieldsType === '') throw new ManagedFieldsError(`missing fieldsType in managed fields entry ${index}`);
  if (fieldsType !== 'FieldsV1') {
    throw new ManagedFieldsError(`invalid fieldsType ${JSON.stringify(fieldsType)} in managed fields entry ${index}`);
  }
  return {
    manager: { name: entry.manager ?? '', operation, apiVersion, subresource: entry.subresource ?? '' },
    fields: decodeSet(entry.fieldsV1),
    time: entry.time ?? undefined,
  };
}

function decodeSet(value: unknown): FieldSet {
  try {
    return value === undefined || value === null ? FieldSet.EMPTY : decodeFields(value);
  } catch (error) {
    if (error instanceof FieldsError) throw new ManagedFieldsError(error.message, { cause: error });
    throw error;
  }
}

/** metadata.managedFields of these owners, in Kubernetes' order; undefined for none. */
export function encodeManagers(managers: Ownerships): ManagedFieldsEntry[] | undefined {
  if (managers.size === 0) return undefined;
  const entries = Array.from(managers.values(), encodeEntry);
  return entries.length > 1 ? entries.sort(compareEntries) : entries;
}

function encodeEntry({ manager, fields, time, stored }: Ownership): ManagedFieldsEntry {
  if (stored && stored.manager === manager && stored.fields === fields && stored.time === time) return stored.entry;
  return {
    ...(manager.name && { manager: manager.name }),
    operation: manager.operation,
    apiVersion: manager.apiVersion,
    ...(time !== undefined && { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: encodeFields(fields) as ManagedFieldsEntry['fieldsV1'] & object, // any JSON object is a FieldsV1
    ...(manager.subresource && { subresource: manager.subresource }),
  };
}

const compareTexts = (a = '', b = '') => (a < b ? -1 : a > b ? 1 : 0);
function compareEntries(a: ManagedFieldsEntry, b: ManagedFieldsEntry): number {
  return (
    compareTexts(a.operation, b.operation) ||
    compareTexts(a.time, b.time) ||
    compareTexts(a.manager, b.manager) ||
    compareTexts(a.apiVersion, b.apiVersion) ||
    compareTexts(a.subresource, b.subresource)
  );
}

/** True if both say the same but for the times. */
export function isSameButTimes(
  a: readonly ManagedFieldsEntry[] | undefined,
  b: readonly ManagedFieldsEntry[] | undefined,
): boolean {
  const [left, right] = [a ?? [], b ?? []];
  return left.length === right.length && left.every((entry, index) => textOf(entry) === textOf(right[index]));
}

function textOf(entry: ManagedFieldsEntry | undefined): string {
  const { manager, operation, apiVersion, fieldsType, fieldsV1, subresource } = entry ?? {};
  return JSON.stringify([manager, operation, apiVersion, fieldsType, fieldsV1, subresource]);
}

/** Whose name the entries of old updates bear that were put together. */
const ANCIENT = 'ancient-changes';

/** Puts the oldest updates of each version together until no more than `max` are left. */
export function capUpdates(managers: Ownerships, max: number): Ownerships {
  const updates = [...managers].filter(([, { manager }]) => manager.operation === 'Update');
  if (updates.length <= max) return managers;
  updates.sort(([keyA, a], [keyB, b]) => compareTexts(a.time, b.time) || compareTexts(keyA, keyB));
  const capped = new Map(managers);
  const firsts = new Map<string, string>();
  let count = updates.length;
  for (const [key, { manager, fields, time }] of updates) {
    if (count <= max) break;
    const { apiVersion } = manager;
    const first = firsts.get(apiVersion);
    if (first === undefined) {
      firsts.set(apiVersion, key);
      continue;
    }
    const bucket: Manager = { name: ANCIENT, operation: 'Update', apiVersion, subresource: '' };
    const bucketKey = managerKey(bucket);
    const before = capped.get(bucketKey) ?? capped.get(first);
    if (!capped.has(bucketKey)) capped.delete(first);
    if (key !== bucketKey) capped.delete(key);
    capped.set(bucketKey, { manager: bucket, fields: fields.union(before?.fields ?? FieldSet.EMPTY), time });
    count--;
  }
  return capped;
}
