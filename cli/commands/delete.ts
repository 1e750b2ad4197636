/** `raftsman delete`: removes objects, and waits until they are gone. */
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { kindWithGroup } from '../client/discovery.ts';
import { describeApiError, failure } from '../client/errors.ts';
import {
  isOfFiles,
  metadataOf,
  type ObjectReference,
  objectPath,
  type SelectionFlags,
  selectedReferences,
} from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { MUST_NAME_OBJECTS } from '../client/usage.ts';
import { dryRunOf, dryRunQuery, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, durationMs, integer, list, withGlobalFlags } from './cluster-command.ts';
import { sendRaw } from './raw.ts';

interface Flags extends WriteFlags, SelectionFlags {
  readonly gracePeriod: number;
  readonly force?: boolean;
  readonly now?: boolean;
  readonly wait: boolean;
  readonly cascade: string;
  readonly ignoreNotFound?: boolean;
  readonly raw?: string;
  readonly interactive?: boolean;
  readonly timeout?: number;
}

const POLL_MS = 200;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('delete')
    .argument('[types-and-names...]')
    .usage('([-f FILENAME] | TYPE [(NAME | -l label | --all)])')
    .summary('delete objects')
    .description('Deletes objects by file, by name or by selector, and waits until they are gone.')
    .option('-f, --filename <file>', 'the objects of this file', list)
    .option('-R, --recursive', 'read folders within folders')
    .option('-l, --selector <labels>', 'objects with these labels')
    .option('--field-selector <fields>', 'objects with these field values')
    .option('--all', 'all objects of the type in the namespace')
    .option('-A, --all-namespaces', 'in all namespaces')
    .option('--grace-period <seconds>', 'how long pods have to stop', integer, -1)
    .option('--force', 'do not wait for the node to say that it is gone')
    .option('--now', 'stop within a second')
    .option('--wait', 'wait until it is gone', true)
    .option('--no-wait', 'do not wait')
    .option('--timeout <duration>', 'how long to wait', durationMs)
    .option('--cascade [mode]', 'background, foreground or orphan: what becomes of what it owns', 'background')
    .option('--ignore-not-found', 'what does not exist is no error')
    .option('--raw <path>', 'send DELETE to this path of the server')
    .option('-i, --interactive', 'ask before anything is deleted')
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman delete pod web-1\n  raftsman delete -f app.yaml\n  raftsman delete pods,services -l app=web\n  raftsman delete pods --all',
    )
    .action(withSession<Flags>(context, remove));
  program.addCommand(withWriteFlags(withGlobalFlags(command)));
}

async function remove(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  if (flags.raw !== undefined) return sendRaw(session, 'DELETE', flags.raw, flags.filename);
  if (flags.all && (flags.selector !== undefined || flags.fieldSelector !== undefined)) {
    throw failure("setting 'all' parameter but found a non empty selector. ");
  }
  if (flags.all && words.length > 1) throw failure('name cannot be provided when a selector is specified');
  if (flags.output && flags.output !== 'name') {
    throw failure(`unexpected -o output mode: ${flags.output}. We only support '-o name'`);
  }
  const graceSeconds = graceOf(session, flags);
  const propagationPolicy = policyOf(session, flags.cascade);
  if (words.length === 0 && !isOfFiles(flags)) {
    throw failure(MUST_NAME_OBJECTS);
  }
  const references = await selectedReferences(session, words, flags);
  if (references.length === 0 && session.mistakes.length === 0) session.print('No resources found');
  if (flags.interactive && !(await confirmed(session, references))) {
    session.print('deletion is cancelled');
    return;
  }
  const going: { reference: ObjectReference; uid: string | undefined }[] = [];
  let isWarned = !session.isNamespaceExplicit;
  for (const reference of references) {
    if (!isWarned && !reference.resource.isNamespaced) {
      session.error('Warning: deleting cluster-scoped resources, not scoped to the provided namespace');
      isWarned = true;
    }
    try {
      const uid = await removeOne(session, reference, { graceSeconds, propagationPolicy, flags });
      going.push({ reference, uid });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (flags.ignoreNotFound && error.reason === 'NotFound') continue;
      const source = 'source' in reference ? `error when deleting "${String(reference.source)}"` : '';
      session.error(describeApiError(error, source));
      session.context.setExitCode(1);
    }
  }
  if (!flags.wait || dryRunOf(flags) !== 'none') return;
  const deadline = flags.timeout ? session.context.clock.now() + flags.timeout : undefined;
  for (const { reference, uid } of going) await waitUntilGone(session, reference, { uid, deadline });
}

/** Asks a person. */
async function confirmed(session: Session, references: readonly ObjectReference[]): Promise<boolean> {
  session.print('You are about to delete the following '.concat(`${references.length} resource(s):`));
  for (const { resource, name } of references) session.print(`${kindWithGroup(resource)}/${name}`);
  session.context.stdout.write('Do you want to continue? (y/n): ');
  for await (const chunk of session.context.stdin) return /^y/i.test(String(chunk).trim());
  return false;
}

function graceOf(session: Session, flags: Flags): number | undefined {
  if (flags.now && flags.gracePeriod >= 0) throw failure('--now and --grace-period cannot be specified together');
  let seconds = flags.now ? 1 : flags.gracePeriod;
  // A grace period of 0 gives up on the node's word: kubectl wants it said twice.
  if (seconds === 0 && !flags.force) seconds = 1;
  if (flags.force && seconds < 0) seconds = 0;
  if (flags.force && seconds > 0)
    throw failure('--force and --grace-period greater than 0 cannot be specified together');
  if (seconds === 0) {
    session.error(
      'Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.',
    );
  }
  return seconds < 0 ? undefined : seconds;
}

/** What becomes of what an object owns. @throws CommandError */
export function policyOf(session: Session, cascade: string | boolean): string {
  switch (cascade) {
    case 'true':
      session.error(
        'warning: --cascade=true is deprecated (boolean value) and can be replaced with --cascade=background.',
      );
      return 'Background';
    case true:
    case 'background':
      return 'Background';
    case 'false':
      session.error(
        'warning: --cascade=false is deprecated (boolean value) and can be replaced with --cascade=orphan.',
      );
      return 'Orphan';
    case 'orphan':
      return 'Orphan';
    case 'foreground':
      return 'Foreground';
    default:
      throw failure(`invalid cascade value (${cascade}). Must be "background", "foreground", or "orphan"`);
  }
}

async function removeOne(
  session: Session,
  reference: ObjectReference,
  how: { readonly graceSeconds: number | undefined; readonly propagationPolicy: string; readonly flags: Flags },
): Promise<string | undefined> {
  const { graceSeconds, propagationPolicy, flags } = how;
  const mode = dryRunOf(flags);
  // Whether it is there at all is not asked.
  const answer: JsonObject =
    mode === 'client'
      ? {}
      : await session.api.json('DELETE', objectPath(reference), {
          body: {
            kind: 'DeleteOptions',
            apiVersion: 'v1',
            propagationPolicy,
            ...(graceSeconds !== undefined && { gracePeriodSeconds: graceSeconds }),
            // A body hides the query, so that it must say so itself.
            ...(mode === 'server' && { dryRun: ['All'] }),
          },
          query: { dryRun: dryRunQuery(flags) },
        });
  const suffix = mode === 'client' ? ' (dry run)' : mode === 'server' ? ' (server dry run)' : '';
  if (flags.output === 'name') session.print(`${kindWithGroup(reference.resource)}/${reference.name}`);
  else {
    const verb = graceSeconds === 0 ? 'force deleted' : 'deleted';
    session.print(`${kindWithGroup(reference.resource)} "${reference.name}" ${verb}${suffix}`);
  }
  const { uid } = (answer.kind === 'Status' ? (answer.details ?? {}) : metadataOf(answer)) as { uid?: string };
  return uid;
}

/** An object of the same name that came after does not count. */
export async function waitUntilGone(
  session: Session,
  reference: ObjectReference,
  {
    uid,
    deadline,
    isEnough = () => false,
  }: {
    readonly uid: string | undefined;
    readonly deadline: number | undefined;
    /** Whether there is no need to wait any longer for an object that is still there. */
    readonly isEnough?: (object: JsonObject) => boolean;
  },
): Promise<void> {
  for (;;) {
    try {
      const object = await session.api.json('GET', objectPath(reference));
      if ((uid !== undefined && metadataOf(object).uid !== uid) || isEnough(object)) return;
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'NotFound') return;
      throw error;
    }
    if (deadline !== undefined && session.context.clock.now() >= deadline) {
      throw failure(`timed out waiting for the condition on ${reference.resource.name}/${reference.name}`);
    }
    await session.context.delay(POLL_MS);
  }
}
