/** `raftsman history`: the versions that an object had, as far as the cluster keeps them. */
import type { Command } from 'commander';
import { ageOf } from '../../control/api/printers/human-duration.ts';
import type { JsonObject } from '../client/api.ts';
import { resolveTargets } from '../client/arguments.ts';
import { failure } from '../client/errors.ts';
import { objectAt, revisionOf, type Version, versionsOf } from '../client/history.ts';
import { displayName, metadataOf, type ObjectReference } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { jsonText } from '../output/documents.ts';
import { objectPrinter } from '../output/objects.ts';
import { TableWriter } from '../output/tables.ts';
import { ClusterCommand, withGlobalFlags } from './cluster-command.ts';

interface Flags {
  readonly output?: string;
  readonly headers: boolean;
}

export interface HistoryFlags {
  readonly from?: string;
  readonly to?: string;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('history')
    .argument('[words...]')
    .usage('(TYPE NAME | TYPE/NAME) [flags]')
    .summary('show the versions that an object had')
    .description(
      'Shows the versions that an object had, the latest last, as far as the cluster keeps its history.\nObjects that were deleted have a history as well.',
    )
    .option('-o, --output <format>', 'the versions themselves: yaml, json, jsonpath=…')
    .option('--no-headers', 'leave out the header')
    .addHelpText(
      'after',
      `
Examples:
  raftsman history deployment web
  raftsman get deployment web --as-of=5m -o yaml
  raftsman diff deployment web --from=4711 --to=4800`,
    )
    .action(withSession<Flags>(context, history));
  program.addCommand(withGlobalFlags(command));
}

async function history(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const reference = await findAsOf(session, words);
  const versions = await versionsOf(session, reference);
  if (versions.length === 0) {
    throw failure(`${displayName(reference)} was not there as far back as the cluster keeps its history`);
  }
  if (flags.output) {
    const objects = versions.map(({ object }) => ({ resource: reference.resource, object }));
    session.context.stdout.write(objectPrinter(flags.output)({ objects, isList: true }));
    return;
  }
  const header = ['REVISION', 'AGE', 'CHANGE', 'BY', 'FIELDS'];
  const now = session.context.clock.now();
  const rows = versions.map((version, index) => rowOf(version, versions[index - 1], now));
  new TableWriter(line => session.print(line.trimEnd())).print(flags.headers ? [header, ...rows] : rows);
}

/** The one object that the words name; it need not exist any more. */
export async function findAsOf(session: Session, words: readonly string[]): Promise<ObjectReference> {
  const { targets } = await resolveTargets(words, session.discovery);
  const [target, ...more] = targets;
  if (target?.name === undefined || more.length > 0) throw failure('name one object: TYPE NAME or TYPE/NAME');
  return { resource: target.resource, namespace: session.namespace, name: target.name };
}

/** An object as it was at a moment: a revision, a time, or how long ago. */
export async function objectAsOf(
  session: Session,
  reference: ObjectReference,
  moment: string,
): Promise<JsonObject | undefined> {
  return objectAt(session, reference, await revisionOf(session, moment));
}

interface ManagedFields {
  readonly manager?: string;
  readonly time?: string;
}

const CHANGES: Readonly<Record<Version['type'], string>> = {
  ADDED: 'created',
  MODIFIED: 'changed',
  DELETED: 'deleted',
};

function rowOf(version: Version, before: Version | undefined, now: number): string[] {
  const { time, managers } = lastWrite(version.object, before?.object);
  const isFirst = before === undefined || before.type === 'DELETED';
  const isOlder = isFirst && version.type === 'ADDED' && metadataOf(version.object).creationTimestamp !== time;
  const fields = isFirst || version.type === 'DELETED' ? [] : changedPaths(before.object, version.object);
  return [
    String(version.revision),
    version.type === 'DELETED' ? '' : ageOf(time, now),
    isOlder ? 'before that' : CHANGES[version.type],
    version.type === 'DELETED' ? '' : managers.join(','),
    summary(fields),
  ];
}

/** Who wrote last, and when: what `managedFields` tells. */
function lastWrite(object: JsonObject, before: JsonObject | undefined) {
  const { managedFields = [], creationTimestamp } = (object.metadata ?? {}) as {
    managedFields?: ManagedFields[];
    creationTimestamp?: string;
  };
  const known = new Set(
    ((before?.metadata as { managedFields?: ManagedFields[] } | undefined)?.managedFields ?? []).map(entry =>
      JSON.stringify(entry),
    ),
  );
  const fresh = managedFields.filter(entry => !known.has(JSON.stringify(entry)));
  const entries = fresh.length > 0 ? fresh : managedFields;
  const time = entries.map(entry => entry.time ?? '').reduce((a, b) => (a > b ? a : b), creationTimestamp ?? '');
  const managers = [...new Set(entries.filter(entry => entry.time === time).map(entry => entry.manager ?? ''))];
  return { time, managers };
}

/** How many fields are named before the rest is counted. */
const FIELDS_SHOWN_MAX = 3;

function summary(fields: readonly string[]): string {
  const more = fields.length - FIELDS_SHOWN_MAX;
  return fields.slice(0, FIELDS_SHOWN_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** Fields of every write, which tell nothing. */
const UNTOLD: ReadonlySet<string> = new Set([
  'metadata.managedFields',
  'metadata.resourceVersion',
  'metadata.generation',
]);

/** The paths at which two objects differ, with short values: `spec.replicas: 2 → 3`. */
export function changedPaths(before: unknown, after: unknown, path = ''): string[] {
  if (UNTOLD.has(path) || jsonText(before) === jsonText(after)) return [];
  if (!isMap(before) || !isMap(after)) return [`${path}${valuesText(before, after)}`];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return keys.flatMap(key => changedPaths(before[key], after[key], path === '' ? key : `${path}.${key}`));
}

function valuesText(before: unknown, after: unknown): string {
  const isShort = (value: unknown) =>
    value === undefined || typeof value !== 'object' || (isMap(value) && Object.keys(value).length === 0);
  const shown = (value: unknown) => (value === undefined ? 'none' : clipped(String(value)));
  return isShort(before) && isShort(after) ? `: ${shown(before)} → ${shown(after)}` : '';
}

const VALUE_LENGTH_MAX = 24;
const clipped = (text: string) =>
  text.length > VALUE_LENGTH_MAX || text.includes('\n') ? `${text.slice(0, VALUE_LENGTH_MAX).split('\n')[0]}…` : text;
const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
