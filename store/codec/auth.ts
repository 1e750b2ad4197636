/** Users, roles and what is done to them, as bytes. */
import type { AuthAction, AuthChange, AuthHead, AuthRole, AuthUser, KeyPermission } from '../mvcc/auth.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';

// Their places in these lists are on disk: append only.
const ACTIONS = [
  'enable',
  'disable',
  'userAdd',
  'userPassword',
  'userDelete',
  'roleAdd',
  'roleDelete',
  'userGrant',
  'userRevoke',
  'roleGrant',
  'roleRevoke',
] as const satisfies readonly AuthAction['action'][];
const CHANGES = [
  'authHead',
  'authUser',
  'authUserGone',
  'authRole',
  'authRoleGone',
] as const satisfies readonly AuthChange['type'][];
const ACCESSES = ['read', 'write', 'readwrite'] as const satisfies readonly KeyPermission['access'][];

export function writeAuthAction(writer: ByteWriter, action: AuthAction): void {
  writer.byte(ACTIONS.indexOf(action.action));
  if (action.action === 'disable') return;
  if (action.action === 'enable') {
    writer.bytes(action.secret);
    return;
  }
  writer.text(action.name);
  if ('password' in action) writer.text(action.password);
  else if ('role' in action) writer.text(action.role);
  else if (action.action === 'roleGrant') writePermission(writer, action.permission);
  else if (action.action === 'roleRevoke') writeRange(writer, action);
}

/** @throws {RangeError} a later version wrote it */
export function readAuthAction(reader: ByteReader): AuthAction {
  const action = named(ACTIONS, reader.byte());
  switch (action) {
    case 'enable':
      return { action, secret: owned(reader.bytes()) };
    case 'disable':
      return { action };
    case 'userAdd':
    case 'userPassword':
      return { action, name: reader.text(), password: reader.text() };
    case 'userDelete':
    case 'roleAdd':
    case 'roleDelete':
      return { action, name: reader.text() };
    case 'userGrant':
    case 'userRevoke':
      return { action, name: reader.text(), role: reader.text() };
    case 'roleGrant':
      return { action, name: reader.text(), permission: readPermission(reader) };
    case 'roleRevoke':
      return { action, name: reader.text(), ...readRange(reader) };
  }
}

export function writeAuthChange(writer: ByteWriter, change: AuthChange): void {
  writer.byte(CHANGES.indexOf(change.type));
  switch (change.type) {
    case 'authHead':
      writeHead(writer, change.head);
      return;
    case 'authUser':
      writeUser(writer, change.user);
      return;
    case 'authRole':
      writeRole(writer, change.role);
      return;
    case 'authUserGone':
    case 'authRoleGone':
      writer.text(change.name);
      return;
  }
}

/** @throws {RangeError} a later version wrote it */
export function readAuthChange(reader: ByteReader): AuthChange {
  const type = named(CHANGES, reader.byte());
  switch (type) {
    case 'authHead':
      return { type, head: readHead(reader) };
    case 'authUser':
      return { type, user: readUser(reader) };
    case 'authRole':
      return { type, role: readRole(reader) };
    case 'authUserGone':
    case 'authRoleGone':
      return { type, name: reader.text() };
  }
}

function writeHead(writer: ByteWriter, { isEnabled, revision, secret }: AuthHead): void {
  writer.byte(isEnabled ? 1 : 0);
  writer.count(revision);
  writer.bytes(secret);
}

function readHead(reader: ByteReader): AuthHead {
  return { isEnabled: reader.byte() === 1, revision: reader.count(), secret: owned(reader.bytes()) };
}

function writeUser(writer: ByteWriter, { name, password, roles, since }: AuthUser): void {
  writer.text(name);
  writer.text(password);
  writer.count(since);
  writer.count(roles.length);
  for (const role of roles) writer.text(role);
}

function readUser(reader: ByteReader): AuthUser {
  const [name, password, since] = [reader.text(), reader.text(), reader.count()];
  return { name, password, since, roles: list(reader, () => reader.text()) };
}

function writeRole(writer: ByteWriter, { name, permissions }: AuthRole): void {
  writer.text(name);
  writer.count(permissions.length);
  for (const permission of permissions) writePermission(writer, permission);
}

function readRole(reader: ByteReader): AuthRole {
  return { name: reader.text(), permissions: list(reader, () => readPermission(reader)) };
}

function writePermission(writer: ByteWriter, permission: KeyPermission): void {
  writer.byte(ACCESSES.indexOf(permission.access));
  writeRange(writer, permission);
}

function readPermission(reader: ByteReader): KeyPermission {
  return { access: named(ACCESSES, reader.byte()), ...readRange(reader) };
}

type Ranged = Pick<KeyPermission, 'key' | 'end'>;

function writeRange(writer: ByteWriter, { key, end }: Ranged): void {
  writer.key(key);
  writer.byte(end === undefined ? 0 : 1);
  if (end !== undefined) writer.key(end);
}

function readRange(reader: ByteReader): Ranged {
  const key = reader.key();
  return reader.byte() === 0 ? { key } : { key, end: reader.key() };
}

function list<Item>(reader: ByteReader, read: () => Item): Item[] {
  const items: Item[] = [];
  for (let left = reader.count(); left > 0; left--) items.push(read());
  return items;
}

function named<Name>(names: readonly Name[], number: number): Name {
  const name = names[number];
  if (name === undefined)
    throw new RangeError('something about users and roles is not known here: upgrade this member');
  return name;
}

/** It is kept, and must not keep the entry that it came in. */
function owned(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}
