/**
 * metadata.managedFields of every write: who owns which fields of an object afterwards. The rules are in
 * control/api/apply; here the request says who writes, and the registry which versions there are.
 */

import { managerName } from '../../api/apply/manager-name.ts';
import {
  decodeManagers,
  encodeManagers,
  ManagedFieldsError,
  NOBODY,
  type Ownerships,
} from '../../api/apply/managers.ts';
import { ownableFields } from '../../api/apply/reset-fields.ts';
import { type TrackedObject, trackUpdate, type Version, type Write } from '../../api/apply/track.ts';
import { type FieldType, typeOfDefinition } from '../../api/apply/types.ts';
import { zeroObject } from '../../api/apply/zero.ts';
import type { ManagedFieldsEntry } from '../../api/generated/types.ts';
import type { KindDeclaration, KubernetesObject } from '../../api/kind.ts';
import { badRequest } from '../../api/status.ts';
import { type Core, type ResourceRequest, timestamp } from '../core.ts';
import { apiVersionOf, fromStored, storedKind, toStored } from '../keys.ts';

export type ManagedFields = ManagedFieldsEntry[] | undefined;

/** The write that a request is, by its own manager or another. */
export function writeOf(
  core: Core,
  { kind, info, exchange }: ResourceRequest,
  operation: Write['manager']['operation'],
  name?: string,
): Write {
  const given = exchange.query.get('fieldManager') ?? '';
  return {
    manager: {
      name: name ?? managerName(given, exchange.headers['user-agent']),
      operation,
      apiVersion: apiVersionOf(kind),
      subresource: info.subresource,
    },
    type: typeOf(kind),
    ownable: ownableFields(kind, info.subresource),
    now: timestamp(core.clock),
    isSchemaChanging: kind.fieldType !== undefined,
    version: apiVersion => versionOf(core, kind, { apiVersion, subresource: info.subresource }),
  };
}

const typeOf = (kind: KindDeclaration): FieldType => kind.fieldType ?? typeOfDefinition(kind.definition);

/** What an object of the kind is before anybody has said anything. */
export const emptyObject = (kind: KindDeclaration): TrackedObject =>
  kind.fieldType ? {} : zeroObject(kind.definition);

/** The kind in another version that is served, if its objects are stored as those of `kind` are. */
function versionOf(
  { kinds }: Core,
  kind: KindDeclaration,
  { apiVersion, subresource }: { readonly apiVersion: string; readonly subresource: string },
): Version | undefined {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const other = kinds.find(group, version, kind.plural);
  if (!other) return undefined;
  const [ours, theirs] = [storedKind(kind), storedKind(other)];
  if (ours.group !== theirs.group || ours.version !== theirs.version || ours.kind !== theirs.kind) return undefined;
  return {
    type: typeOf(other),
    ownable: ownableFields(other, subresource),
    convert: object => convert(object, kind, other),
    restore: object => convert(object, other, kind),
  };
}

function convert(object: TrackedObject, from: KindDeclaration, to: KindDeclaration): TrackedObject {
  const stored = toStored(from, structuredClone(object) as KubernetesObject);
  return asTracked(fromStored(to, stored));
}

/** An object as the rules see it: any map, without managedFields. Shares its parts with the object. */
export function asTracked(object: KubernetesObject): TrackedObject {
  const { managedFields: _, ...metadata } = object.metadata ?? {};
  return { ...object, metadata };
}

/** The owners in entries that may be anybody's; nobody where they cannot be read. */
export function readOwners(entries: ManagedFields, from: 'store' | 'client' = 'client'): Ownerships {
  try {
    return decodeManagers(entries, from);
  } catch (error) {
    if (error instanceof ManagedFieldsError) return NOBODY;
    throw error;
  }
}

/** Values of no known type may be nested deeper than the stack goes: that is the client's mistake. Throws 400. */
export function withinStack<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof RangeError) throw badRequest('exceeded max depth');
    throw cause;
  }
}

/** managedFields of an object about to be created: its creator owns all that it says. */
export function ownersOfNew(core: Core, request: ResourceRequest, object: KubernetesObject): ManagedFields {
  const write = writeOf(core, request, 'Update');
  const managers = readOwners(object.metadata?.managedFields ?? undefined);
  const before = emptyObject(request.kind);
  return withinStack(() => encodeManagers(trackUpdate(write, { before, after: asTracked(object), managers })));
}

/**
 * managedFields after a change. A client may write them itself, through the object's own path; one that leaves them out
 * means no harm. An object of which nobody owns anything stays so: an empty entry is how a client asks for that.
 */
export function ownersOfChanged(
  core: Core,
  request: ResourceRequest,
  { old, object }: { readonly old: KubernetesObject; readonly object: KubernetesObject },
): ManagedFields {
  const managers = presentOwners(request, old, object);
  if (managers.size === 0) return undefined;
  const write = writeOf(core, request, 'Update');
  const states = { before: asTracked(old), after: asTracked(object) };
  return withinStack(() => encodeManagers(trackUpdate(write, { ...states, managers })));
}

function presentOwners({ info }: ResourceRequest, old: KubernetesObject, object: KubernetesObject): Ownerships {
  const sent = object.metadata?.managedFields ?? [];
  if (info.subresource === '') {
    const [only] = sent;
    if (sent.length === 1 && only && Object.keys(only).length === 0) return NOBODY;
    const given = readOwners(sent);
    if (given.size > 0) return given;
  }
  return readOwners(old.metadata?.managedFields, 'store');
}

/** Sets managedFields, or takes them away. */
export function setManagedFields(object: KubernetesObject, entries: ManagedFields): void {
  object.metadata ??= {};
  if (entries) object.metadata.managedFields = entries;
  else delete object.metadata.managedFields;
}
