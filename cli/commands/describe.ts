/** `raftsman describe`: an object, what belongs to it, and its events, for people. */
import type { Command } from 'commander';
import type { Event } from '../../control/api/generated/types.ts';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { resolveTargets } from '../client/arguments.ts';
import { pathOf, type Resource } from '../client/discovery.ts';
import { bareMessage, describeApiError, failure } from '../client/errors.ts';
import {
  isOfFiles,
  listObjects,
  metadataOf,
  objectPath,
  type SelectionFlags,
  selectedReferences,
} from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import type { DescribeHelp } from '../describe/description.ts';
import { describeGeneric } from '../describe/generic.ts';
import { describers } from '../describe/kinds.ts';
import { eventLines } from '../describe/lines.ts';
import { expandTabs } from '../output/tabs.ts';
import { ClusterCommand, integer, repeated, withGlobalFlags } from './cluster-command.ts';

interface Flags extends SelectionFlags {
  readonly showEvents: boolean;
  readonly chunkSize: number;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('describe')
    .argument('[types-and-names...]')
    .usage('(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)')
    .summary('show an object in detail, with its events')
    .description('Shows objects in detail: their parts, what belongs to them, and their events.')
    .option('-l, --selector <labels>', 'objects with these labels')
    .option('-A, --all-namespaces', 'in all namespaces')
    .option('-f, --filename <file>', 'the objects of this file', repeated)
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('-R, --recursive', 'read folders within folders')
    .option('--chunk-size <count>', 'ask for at most so many at once', integer, 500)
    .option('--show-events', 'show events', true)
    .option('--no-show-events', 'leave out the events')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman describe pod web-1\n  raftsman describe nodes\n  raftsman describe deploy/web -n prod',
    )
    .action(withSession<Flags>(context, describe));
  program.addCommand(withGlobalFlags(command));
}

interface Found {
  readonly resource: Resource;
  readonly object: JsonObject;
}

async function describe(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  if (words.length === 0 && !isOfFiles(flags)) {
    throw failure(
      'You must specify the type of resource to describe. Use "raftsman api-resources" for a complete list of supported resources.',
    );
  }
  const { found: all, failures } = await find(session, words, flags);
  // Of two words kubectl takes the second for a prefix once an object is missing, and then tells of nothing else.
  const found = words.length === 2 && words.every(word => word.includes('/')) && failures.length > 0 ? [] : all;
  if (found.length === 0 && failures.length === 0 && session.mistakes.length === 0)
    session.error(flags.allNamespaces ? 'No resources found' : `No resources found in ${session.namespace} namespace.`);
  for (const [index, { resource, object }] of found.entries()) {
    if (index > 0) session.context.stdout.write('\n\n');
    for (const line of await describeObject(session, resource, object, flags)) session.print(line);
  }
  failures.push(...session.mistakes.splice(0).map(bareMessage));
  for (const text of failures) session.error(text);
  if (failures.length > 0) session.context.setExitCode(1);
}

async function find(
  session: Session,
  words: readonly string[],
  flags: Flags,
): Promise<{ found: Found[]; failures: string[] }> {
  if (isOfFiles(flags)) {
    const references = await selectedReferences(session, words, flags);
    const found: Found[] = [];
    const failures: string[] = [];
    for (const reference of references) {
      try {
        found.push({ ...reference, object: await session.api.json('GET', objectPath(reference)) });
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        failures.push(describeApiError(error));
      }
    }
    return { found, failures };
  }
  const found: Found[] = [];
  const failures: string[] = [];
  for (const { resource, name } of (await resolveTargets(words, session.discovery)).targets) {
    const completed = (object: JsonObject): Found => ({
      resource,
      object: {
        apiVersion: resource.group ? `${resource.group}/${resource.version}` : resource.version,
        kind: resource.kind,
        ...object,
      },
    });
    if (name !== undefined && flags.selector !== undefined) {
      throw failure('name cannot be provided when a selector is specified');
    }
    if (name === undefined) {
      found.push(...(await listObjects(session, resource, flags)).map(completed));
      continue;
    }
    try {
      found.push(completed(await session.api.json('GET', pathOf(resource, session.namespace, name))));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // A prefix of the name will do.
      const alike = (await listObjects(session, resource, flags)).filter(object =>
        metadataOf(object).name?.startsWith(name),
      );
      if (error.reason !== 'NotFound' || alike.length === 0) {
        failures.push(describeApiError(error));
      } else found.push(...alike.map(completed));
    }
  }
  return { found, failures };
}

async function describeObject(
  session: Session,
  resource: Resource,
  object: JsonObject,
  flags: Flags,
): Promise<string[]> {
  const help = helpOf(session);
  const describer = describers[`${resource.group}/${resource.kind}`] ?? describeGeneric;
  const lines = [...(await describer(object, help))];
  if (flags.showEvents && hasEvents(resource))
    lines.push(...eventLines(await eventsOf(session, resource, object), help.now));
  return expandTabs(lines);
}

/** Kinds of which kubectl shows no events. */
const NO_EVENTS: ReadonlySet<string> = new Set([
  'ClusterRole',
  'ClusterRoleBinding',
  'LimitRange',
  'Namespace',
  'NetworkPolicy',
  'ResourceQuota',
  'Role',
  'RoleBinding',
  'Secret',
]);

function hasEvents({ kind }: Resource): boolean {
  return !NO_EVENTS.has(kind);
}

async function eventsOf(session: Session, resource: Resource, object: JsonObject): Promise<Event[]> {
  const { name = '', namespace, uid } = metadataOf(object);
  const selector = (id: string | undefined) =>
    Object.entries({
      'involvedObject.kind': resource.kind,
      'involvedObject.name': name,
      'involvedObject.namespace': namespace,
      'involvedObject.uid': id,
    })
      .filter(([, value]) => value)
      .map(([key, value]) => `${key}=${value}`)
      .join(',');
  const events = await session.discovery.find('events');
  const list = (id: string | undefined) =>
    listObjects<Event>(session, events, {
      fieldSelector: selector(id),
      ...(namespace ? { namespace } : { allNamespaces: true }),
    });
  // Agents report on nodes by name before they know the uid.
  const found = resource.kind === 'Node' ? [...(await list(uid)), ...(await list(name))] : await list(uid);
  return found.filter((event, index) => found.findIndex(other => other.metadata.uid === event.metadata.uid) === index);
}

function helpOf(session: Session): DescribeHelp {
  return {
    now: session.context.clock.now(),
    async list<T>(word: string, selection: { selector?: string; fieldSelector?: string; namespace?: string }) {
      try {
        const resource = await session.discovery.find(word);
        return (await listObjects(session, resource, {
          ...selection,
          ...(selection.namespace ? {} : { allNamespaces: true }),
        })) as T[];
      } catch (error) {
        // What may not be read, or is not served, is left out.
        if (error instanceof ApiError) return [];
        throw error;
      }
    },
    async maybeList<T>(word: string, namespace: string) {
      const resource = (await session.discovery.resources()).find(({ name }) => name === word);
      return resource && ((await listObjects(session, resource, { namespace })) as T[]);
    },
    async get<T>(word: string, name: string, namespace: string) {
      try {
        return await session.api.json<T>('GET', pathOf(await session.discovery.find(word), namespace, name));
      } catch (error) {
        if (error instanceof ApiError) return undefined;
        throw error;
      }
    },
  };
}
