/** `raftsman scale`: how many pods a controller keeps. */
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import { failure } from '../client/errors.ts';
import {
  forEachObject,
  type ObjectReference,
  objectPath,
  type SelectionFlags,
  selectedReferences,
} from '../client/objects.ts';
import { type RecordFlags, recordAfterwards, withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, durationMs, integer, repeated, withGlobalFlags } from './cluster-command.ts';

interface Flags extends WriteFlags, SelectionFlags, RecordFlags {
  readonly replicas?: number;
  readonly currentReplicas?: number;
  readonly resourceVersion?: string;
  readonly timeout: number;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('scale')
    .argument('[words...]')
    .usage('--replicas=COUNT (-f FILENAME | TYPE NAME) [flags]')
    .summary('change how many pods run')
    .description('Sets how many pods a deployment, replica set, replication controller or stateful set keeps.')
    .option('--replicas <count>', 'how many pods', integer)
    .option('--current-replicas <count>', 'only if there are so many now', integer)
    .option('--resource-version <version>', 'only if the object is still at this version')
    .option('--all', 'all objects of the type in the namespace')
    .option('-l, --selector <labels>', 'objects with these labels')
    .option('-f, --filename <file>', 'the objects of this file', repeated)
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('-R, --recursive', 'read folders within folders')
    .option('--timeout <duration>', 'how long to wait until there are so many; 0: not at all', durationMs, 0)
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman scale deployment/web --replicas=5\n  raftsman scale rs web --replicas=0 --current-replicas=3',
    )
    .action(withSession<Flags>(context, scale));
  program.addCommand(withWriteFlags(withRecordFlag(withGlobalFlags(command))));
}

interface Scale {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly replicas?: number };
}

/** @throws CommandError if it is not as whoever asked believes. */
function checkExpected({ metadata, spec }: Scale, { currentReplicas = -1, resourceVersion }: Flags): void {
  const current = spec?.replicas ?? 0;
  if (currentReplicas >= 0 && current !== currentReplicas) {
    throw failure(`Expected replicas to be ${currentReplicas}, was ${current}`);
  }
  const version = metadata?.resourceVersion ?? '';
  if (resourceVersion && version !== resourceVersion) {
    throw failure(`Expected resource version to be ${resourceVersion}, was ${version}`);
  }
}

const POLL_MS = 200;

/** Waits until there are as many, or somebody else wants another number. @throws CommandError */
async function untilSynced(
  session: Session,
  reference: ObjectReference,
  { replicas, timeoutMs }: { readonly replicas: number; readonly timeoutMs: number },
): Promise<void> {
  const deadline = session.context.clock.now() + timeoutMs;
  for (;;) {
    const { spec, status } = await session.api.json<Scale>('GET', objectPath(reference, 'scale'));
    const wanted = spec?.replicas ?? 0;
    if (wanted !== replicas || (status?.replicas ?? 0) === wanted) return;
    if (session.context.clock.now() >= deadline) {
      throw failure(`timed out waiting for ${JSON.stringify(reference.name)} to be synced`);
    }
    await session.context.delay(POLL_MS);
  }
}

async function scale(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const { replicas } = flags;
  if (replicas === undefined) throw failure('required flag(s) "replicas" not set');
  if (replicas < 0)
    throw failure('The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0');
  const references = await selectedReferences(session, words, flags);
  if (references.length === 0) throw failure('no objects passed to scale');
  let isFirst = true;
  await forEachObject(session, references, async reference => {
    const path = objectPath(reference, 'scale');
    const before = await session.api.json('GET', objectPath(reference)).catch(error => {
      throw error instanceof ApiError && isFirst
        ? failure(`no objects passed to scale ${error.message}`, error)
        : error;
    });
    if ((flags.currentReplicas ?? -1) >= 0 || flags.resourceVersion) {
      checkExpected(await session.api.json<Scale>('GET', path), flags);
    }
    if (dryRunOf(flags) !== 'client') {
      await session.api.json('PATCH', path, {
        contentType: 'application/merge-patch+json',
        body: {
          spec: { replicas },
          ...(flags.resourceVersion && { metadata: { resourceVersion: flags.resourceVersion } }),
        },
        query: { fieldManager: 'kubectl', dryRun: dryRunQuery(flags) },
      });
    }
    isFirst = false;
    if (flags.timeout > 0 && dryRunOf(flags) === 'none')
      await untilSynced(session, reference, { replicas, timeoutMs: flags.timeout });
    const scaled = flags.output ? await session.api.json('GET', objectPath(reference)) : before;
    const object =
      dryRunOf(flags) === 'none'
        ? await recordAfterwards(session, { ...reference, object: scaled }, { flags, manager: 'kubectl-scale' })
        : scaled;
    printWritten(session, { ...reference, object }, 'scaled', flags);
  });
}
