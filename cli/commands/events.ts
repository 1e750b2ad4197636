/** `raftsman events`: what happened, in the order in which it did. */
import type { Command } from 'commander';
import type { Event } from '../../control/api/generated/types.ts';
import { ageOf } from '../../control/api/printers/human-duration.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { listObjects } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { objectPrinter, PLAIN_FORMATS } from '../output/objects.ts';
import { TableWriter } from '../output/tables.ts';
import { ClusterCommand, list, withGlobalFlags } from './cluster-command.ts';

interface Flags {
  readonly allNamespaces?: boolean;
  readonly for?: string;
  readonly types?: readonly string[];
  readonly watch?: boolean;
  readonly output?: string;
  readonly headers: boolean;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('events')
    .argument('[words...]')
    .usage('[-A] [--for TYPE/NAME] [--types Normal,Warning] [-w]')
    .summary('show what happened')
    .description('Shows events, the latest last.')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('--for <type/name>', 'only those about this object')
    .option('--types <types>', 'only those of these types: Normal, Warning', list)
    .option('-w, --watch', 'go on and show new ones')
    .option('-o, --output <format>', 'yaml, json, name, jsonpath=…')
    .option('--no-headers', 'leave out the header')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman events\n  raftsman events --for pod/web-1 --watch\n  raftsman events -A --types=Warning',
    )
    .action(withSession<Flags>(context, events));
  program.addCommand(withGlobalFlags(command));
}

async function events(session: Session, _words: readonly string[], flags: Flags): Promise<void> {
  const unknown = flags.types?.find(type => !['normal', 'warning'].includes(type.toLowerCase()));
  if (unknown !== undefined) throw failure('valid --types are Normal or Warning');
  const resource = await session.discovery.find('events');
  const fieldSelector = flags.for === undefined ? undefined : await subjectSelector(session, flags.for);
  const isWanted = ({ type = '' }: Event) =>
    !flags.types || flags.types.some(wanted => wanted.toLowerCase() === type.toLowerCase());
  const selection = { fieldSelector, allNamespaces: flags.allNamespaces ?? false };
  const found = (await listObjects<Event>(session, resource, selection)).filter(isWanted).sort(inOrder);
  if (flags.output) {
    const objects = found.map(event => ({ resource, object: { apiVersion: 'v1', kind: 'Event', ...event } }));
    session.context.stdout.write(objectPrinter(flags.output, { allowed: PLAIN_FORMATS })({ objects, isList: true }));
    return;
  }
  if (found.length === 0 && !flags.watch) {
    session.error(flags.allNamespaces ? 'No events found.' : `No events found in ${session.namespace} namespace.`);
    return;
  }
  const table = new TableWriter(line => session.print(line));
  const header = [...(flags.allNamespaces ? ['NAMESPACE'] : []), 'LAST SEEN', 'TYPE', 'REASON', 'OBJECT', 'MESSAGE'];
  const rows = found.map(event => rowOf(event, session, flags));
  table.print(flags.headers ? [header, ...rows] : rows);
  if (flags.watch) await follow(session, { fieldSelector, flags, isWanted, seen: found }, table);
}

/** Shows what comes after the list; an event that was counted again is shown again. */
async function follow(
  session: Session,
  {
    fieldSelector,
    flags,
    isWanted,
    seen,
  }: {
    readonly fieldSelector: string | undefined;
    readonly flags: Flags;
    readonly isWanted: (event: Event) => boolean;
    readonly seen: readonly Event[];
  },
  table: TableWriter,
): Promise<void> {
  const versions = new Map(seen.map(({ metadata }) => [metadata.uid, metadata.resourceVersion]));
  const resource = await session.discovery.find('events');
  const path = pathOf(resource, flags.allNamespaces ? undefined : session.namespace);
  for await (const { type, object } of session.api.watch<Event>(path, { query: { fieldSelector } })) {
    const isKnown = versions.get(object.metadata?.uid) === object.metadata?.resourceVersion;
    if (type === 'BOOKMARK' || type === 'DELETED' || isKnown || !isWanted(object)) continue;
    table.print([rowOf(object, session, flags)]);
  }
}

async function subjectSelector(session: Session, subject: string): Promise<string> {
  const [type = '', name = '', ...more] = subject.split('/');
  if (type === '' || name === '' || more.length > 0) throw failure('--for must be in resource/name form');
  const resource = await session.discovery.find(type);
  return `involvedObject.kind=${resource.kind},involvedObject.name=${name}`;
}

const lastSeen = ({ series, lastTimestamp, eventTime, metadata }: Event): string =>
  series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '';

const inOrder = (a: Event, b: Event) => Date.parse(lastSeen(a)) - Date.parse(lastSeen(b));

function rowOf(event: Event, session: Session, flags: Flags): string[] {
  const now = session.context.clock.now();
  const count = event.series?.count ?? event.count ?? 1;
  const last = ageOf(lastSeen(event), now);
  const first = event.firstTimestamp ?? event.eventTime;
  const { kind = '', name = '' } = event.involvedObject;
  return [
    ...(flags.allNamespaces ? [event.metadata.namespace ?? ''] : []),
    count > 1 ? `${last} (x${count} over ${ageOf(first, now)})` : last,
    event.type ?? '',
    event.reason ?? '',
    `${kind}/${name}`,
    (event.message ?? '').trim(),
  ];
}
