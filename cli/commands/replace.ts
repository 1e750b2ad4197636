/** `raftsman replace -f`: puts whole objects in the place of those that exist. */
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import {
  forEachObject,
  isOfFiles,
  type ManifestObject,
  manifestObjects,
  metadataOf,
  objectPath,
  type SelectionFlags,
} from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { lastApplied, withLastApplied } from './apply-patch.ts';
import { ClusterCommand, durationMs, integer, repeated, withGlobalFlags } from './cluster-command.ts';
import { withoutVersion } from './create.ts';
import { policyOf, waitUntilGone } from './delete.ts';
import { fieldValidation } from './field-validation.ts';
import { sendRaw } from './raw.ts';

interface Flags extends WriteFlags, SelectionFlags {
  readonly force?: boolean;
  readonly gracePeriod: number;
  readonly cascade: string | boolean;
  readonly timeout?: number;
  readonly saveConfig?: boolean;
  readonly raw?: string;
  readonly subresource?: string;
  readonly fieldManager?: string;
  readonly validate?: string | true;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('replace')
    .argument('[words...]')
    .usage('-f FILENAME [flags]')
    .summary('put whole objects in place of others')
    .description('Replaces objects with those of a file, which must be complete.')
    .option('-f, --filename <file>', 'a file, a folder, a URL, or - for standard input', repeated)
    .option('-R, --recursive', 'read folders within folders')
    .option('--force', 'delete the objects first, then create them')
    .option('--grace-period <seconds>', 'with --force: how long pods have to stop', integer, -1)
    .option('--timeout <duration>', 'with --force: how long to wait until they are gone', durationMs)
    .option('--raw <path>', 'send the file to this path of the server')
    .option('--subresource <name>', 'replace this part of the object')
    .option('--field-manager <name>', 'who owns the fields')
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('--cascade [mode]', 'with --force: background, foreground or orphan', 'background')
    .option('--wait', 'with --force: wait until they are gone', true)
    .option('--save-config', 'remember the configuration for a later apply')
    .option('--validate [mode]', 'strict, warn or ignore: what to do about unknown fields')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman replace -f pod.json\n  raftsman get deploy web -o yaml | sed s/1.7.9/1.8/ | raftsman replace -f -\n  raftsman replace --force -f pod.json',
    )
    .action(withSession<Flags>(context, replace));
  program.addCommand(withWriteFlags(withGlobalFlags(command)));
}

async function replace(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  if (flags.raw !== undefined) return sendRaw(session, 'PUT', flags.raw, flags.filename);
  if (words.length > 0) throw usageFailure(self, `Unexpected args: [${words.join(' ')}]`);
  if (!isOfFiles(flags)) throw failure('must specify one of -f and -k');
  if (flags.gracePeriod >= 0 && !flags.force) throw failure('--grace-period must have --force specified');
  if (flags.timeout !== undefined && !flags.force) throw failure('--timeout must have --force specified');
  const manifests = (await manifestObjects(session, flags, 'replace')).map(manifest => ({
    ...manifest,
    object: flags.saveConfig || lastApplied(manifest.object) ? withLastApplied(manifest.object) : manifest.object,
  }));
  if (flags.force && dryRunOf(flags) === 'none') {
    for (const manifest of manifests) await removeFirst(session, manifest, flags);
    await forEachObject(session, manifests, manifest => write(session, manifest, flags, 'POST'), 'replacing');
    return;
  }
  await forEachObject(session, manifests, manifest => write(session, manifest, flags, 'PUT'), 'replacing');
}

async function write(session: Session, manifest: ManifestObject, flags: Flags, method: 'PUT' | 'POST'): Promise<void> {
  const { resource, namespace } = manifest;
  const object =
    dryRunOf(flags) === 'client'
      ? manifest.object
      : await session.api.json(
          method,
          method === 'PUT' ? objectPath(manifest, flags.subresource) : pathOf(resource, namespace),
          {
            body: method === 'PUT' ? await withVersion(session, manifest, flags) : withoutVersion(manifest.object),
            query: {
              fieldManager: flags.fieldManager ?? 'kubectl-replace',
              fieldValidation: fieldValidation(flags.validate),
              dryRun: dryRunQuery(flags),
            },
          },
        );
  printWritten(session, { ...manifest, object }, 'replaced', flags);
}

/** Without a version of its own it replaces what is there, whatever that is. */
async function withVersion(session: Session, manifest: ManifestObject, flags: Flags): Promise<JsonObject> {
  const metadata = metadataOf(manifest.object);
  if (metadata.resourceVersion) return manifest.object;
  const current = await session.api.json('GET', objectPath(manifest, flags.subresource));
  return { ...manifest.object, metadata: { ...metadata, resourceVersion: metadataOf(current).resourceVersion } };
}

async function removeFirst(session: Session, manifest: ManifestObject, flags: Flags): Promise<void> {
  try {
    const before = await session.api.json('GET', objectPath(manifest));
    await session.api.json('DELETE', objectPath(manifest), {
      body: {
        propagationPolicy: policyOf(session, flags.cascade),
        ...(flags.gracePeriod >= 0 && { gracePeriodSeconds: flags.gracePeriod }),
      },
    });
    session.print(`${manifest.resource.singular} "${manifest.name}" deleted`);
    const deadline = flags.timeout ? session.context.clock.now() + flags.timeout : undefined;
    await waitUntilGone(session, manifest, { uid: metadataOf(before).uid, deadline });
  } catch (error) {
    if (!(error instanceof ApiError && error.reason === 'NotFound')) throw error;
  }
}
