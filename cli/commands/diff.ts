/** `raftsman diff`: what `apply` would change, or what changed between two revisions of an object. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { groupVersionOf, pathOf } from '../client/discovery.ts';
import { CommandError, describeApiError, failure } from '../client/errors.ts';
import {
  type ManifestObject,
  manifestObjects,
  type ObjectReference,
  objectPath,
  type SelectionFlags,
} from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import type { CommandContext } from '../context.ts';
import { yamlText } from '../output/documents.ts';
import { definitionOf, lastApplied, threeWayPatch } from './apply-patch.ts';
import { ClusterCommand, integer, list, withGlobalFlags } from './cluster-command.ts';
import { findAsOf, type HistoryFlags, objectAsOf } from './history.ts';

interface Flags extends SelectionFlags {
  readonly serverSide?: boolean;
  readonly forceConflicts?: boolean;
  readonly fieldManager?: string;
  readonly showManagedFields?: boolean;
  readonly prune?: boolean;
  readonly from?: string;
  readonly to?: string;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('diff')
    .argument('[words...]')
    .usage('-f FILENAME | TYPE NAME --from=REVISION|TIME [--to=REVISION|TIME]')
    .summary('show what apply would change, or what has changed')
    .description(
      'Shows what `apply` would change; with --from, how an object has changed between two moments of its history.\n' +
        'Ends with 0 if there is no difference, 1 if there is one, more if something failed.',
    )
    .option('-f, --filename <file>', 'a file, a folder, a URL, or - for standard input', list)
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('-R, --recursive', 'read folders within folders')
    .option('-l, --selector <labels>', 'only the objects with these labels')
    .option('--server-side', 'let the server merge')
    .option('--force-conflicts', 'take over fields of others (with --server-side)')
    .option('--field-manager <name>', 'who owns the fields')
    .option('--show-managed-fields', 'compare managedFields as well')
    .option('--concurrency <number>', 'of no effect: one object is compared after the other', integer, 1)
    .option('--from <moment>', 'a revision, a time, or how long ago: 5m')
    .option('--to <moment>', 'the same; default: now')
    .addHelpText(
      'after',
      `
Examples:
  raftsman diff -f app.yaml
  raftsman diff deployment web --from=10m
  raftsman diff configmap settings --from=4711 --to=4800

KUBECTL_EXTERNAL_DIFF names another program than diff.`,
    )
    .action(withSession<Flags>(context, diff));
  program.addCommand(withGlobalFlags(command));
}

/** kubectl's exit code of what failed: a difference is 1. */
const EXIT_FAILED = 2;

async function diff(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  if (flags.from !== undefined || flags.to !== undefined) return diffMoments(session, words, flags);
  try {
    if (words.length > 0) throw usageFailure(self, `Unexpected args: [${words.join(' ')}]`);
    if (!flags.filename?.length && !flags.kustomize) throw failure('must specify one of -f and -k');
    const pairs: Pair[] = [];
    for (const manifest of await manifestObjects(session, { ...flags, isWhole: true }, 'diff')) {
      pairs.push(await pairOf(session, manifest, flags));
    }
    compare(session, pairs);
  } catch (error) {
    // 1 says that there is a difference.
    if (error instanceof CommandError && error.exitCode === 1 && error.message !== '') {
      throw new CommandError(error.message, { exitCode: EXIT_FAILED, cause: error });
    }
    if (error instanceof ApiError) {
      throw new CommandError(describeApiError(error), { exitCode: EXIT_FAILED, cause: error });
    }
    throw error;
  }
}

/** How an object was at two moments. */
async function diffMoments(session: Session, words: readonly string[], flags: Flags & HistoryFlags): Promise<void> {
  if (flags.from === undefined) throw failure('--from must say since when: a revision, a time, or how long ago');
  const reference = await findAsOf(session, words);
  const from = await objectAsOf(session, reference, flags.from);
  const to = flags.to === undefined ? await fetch(session, reference) : await objectAsOf(session, reference, flags.to);
  compare(session, [{ name: fileName(reference), live: shown(from, flags), merged: shown(to, flags) }], ['FROM', 'TO']);
}

async function fetch(session: Session, reference: ObjectReference): Promise<JsonObject | undefined> {
  try {
    return await session.api.json('GET', objectPath(reference));
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'NotFound') return undefined;
    throw error;
  }
}

interface Pair {
  readonly name: string;
  readonly live: JsonObject | undefined;
  readonly merged: JsonObject | undefined;
}

const fileName = ({ resource, namespace, name }: ObjectReference): string =>
  [groupVersionOf(resource).replace('/', '.'), resource.kind, namespace, name].join('.');

async function pairOf(session: Session, manifest: ManifestObject, flags: Flags): Promise<Pair> {
  const live = await fetch(session, manifest);
  const merged = flags.serverSide
    ? await applyDry(session, manifest, flags)
    : live === undefined
      ? await createDry(session, manifest, flags)
      : await patchDry(session, manifest, live, flags);
  const [before, after] = manifest.resource.kind === 'Secret' ? masked(live, merged) : [live, merged];
  return { name: fileName(manifest), live: shown(before, flags), merged: shown(after, flags) };
}

function applyDry(session: Session, manifest: ManifestObject, flags: Flags): Promise<JsonObject> {
  return session.api.json('PATCH', objectPath(manifest), {
    contentType: 'application/apply-patch+yaml',
    body: manifest.object,
    query: {
      fieldManager: flags.fieldManager ?? 'kubectl',
      force: flags.forceConflicts ? true : undefined,
      dryRun: 'All',
    },
  });
}

function createDry(session: Session, manifest: ManifestObject, flags: Flags): Promise<JsonObject> {
  return session.api.json('POST', pathOf(manifest.resource, manifest.namespace), {
    body: manifest.object,
    query: { fieldManager: flags.fieldManager ?? 'kubectl-client-side-apply', dryRun: 'All' },
  });
}

async function patchDry(
  session: Session,
  manifest: ManifestObject,
  live: JsonObject,
  flags: Flags,
): Promise<JsonObject> {
  const definition = definitionOf(manifest.resource);
  // As in what apply keeps: without its own annotation, but with the map that would hold it.
  const { annotations, ...metadata } = (manifest.object.metadata ?? {}) as JsonObject;
  const modified = { ...manifest.object, metadata: { ...metadata, annotations: annotations ?? {} } };
  const body = threeWayPatch({ original: lastApplied(live) ?? {}, modified, current: live }, definition);
  return session.api.json('PATCH', objectPath(manifest), {
    contentType: definition ? 'application/strategic-merge-patch+json' : 'application/merge-patch+json',
    body,
    query: { fieldManager: flags.fieldManager ?? 'kubectl-client-side-apply', dryRun: 'All' },
  });
}

function shown(object: JsonObject | undefined, flags: Flags): JsonObject | undefined {
  if (!object || flags.showManagedFields) return object;
  const { managedFields: _hidden, ...metadata } = (object.metadata ?? {}) as JsonObject;
  return { ...object, metadata };
}

/** Values of secrets are not shown; that one differs is. */
function masked(live: JsonObject | undefined, merged: JsonObject): [JsonObject | undefined, JsonObject] {
  const before = (live?.data ?? {}) as Record<string, string>;
  const after = (merged.data ?? {}) as Record<string, string>;
  const mask = (data: Record<string, string>, other: Record<string, string>, mark: string) =>
    Object.fromEntries(
      Object.entries(data).map(([key, value]) => [
        key,
        other[key] === undefined || other[key] === value ? '***' : `*** (${mark})`,
      ]),
    );
  return [
    live && (live.data ? { ...live, data: mask(before, after, 'before') } : live),
    merged.data ? { ...merged, data: mask(after, before, 'after') } : merged,
  ];
}

/** Lets the program `diff` compare two folders of files. */
function compare(
  session: Session,
  pairs: readonly Pair[],
  names: readonly [string, string] = ['LIVE', 'MERGED'],
): void {
  const [live, merged] = names.map(name => mkdtempSync(join(tmpdir(), `${name}-`))) as [string, string]; // two names
  try {
    for (const pair of pairs) {
      // What is not there yet is an empty file to kubectl.
      writeFileSync(join(live, pair.name), pair.live ? `${yamlText(pair.live)}\n` : '');
      if (pair.merged) writeFileSync(join(merged, pair.name), `${yamlText(pair.merged)}\n`);
    }
    const [program = 'diff', ...args] = (session.context.env.KUBECTL_EXTERNAL_DIFF ?? 'diff -u -N').split(/\s+/);
    const result = spawnSync(program, [...args, live, merged], { encoding: 'utf8' });
    if (result.error) {
      throw new CommandError(`error: failed to run ${JSON.stringify(program)}: executable file not found in $PATH`, {
        exitCode: EXIT_FAILED,
        cause: result.error,
      });
    }
    session.context.stdout.write(result.stdout);
    session.context.stderr.write(result.stderr);
    if (result.status === 1) session.context.setExitCode(1);
    else if (result.status !== 0) {
      throw new CommandError(`error: ${program} ended with exit code ${result.status}`, { exitCode: EXIT_FAILED });
    }
  } finally {
    for (const folder of [live, merged]) rmSync(folder, { recursive: true, force: true });
  }
}
