/** `raftsman create`: objects from files; the generators for single kinds are in `create-kinds.ts`. */
import type { Command } from 'commander';
import type { JsonObject } from '../client/api.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import {
  forEachObject,
  type ManifestObject,
  manifestObjects,
  metadataOf,
  type SelectionFlags,
} from '../client/objects.ts';
import { type RecordFlags, recorded, withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { withLastApplied } from './apply-patch.ts';
import { ClusterCommand, list, withGlobalFlags } from './cluster-command.ts';
import { createKinds } from './create-kinds.ts';
import { sendRaw } from './raw.ts';

interface Flags extends WriteFlags, SelectionFlags, RecordFlags {
  readonly saveConfig?: boolean;
  readonly validate?: string | true;
  readonly fieldManager?: string;
  readonly raw?: string;
  readonly edit?: boolean;
}

/** How a command other than `create` makes its objects. */
interface CreationFlags extends Flags {
  /** What is told to have happened. */
  readonly operation?: string;
  /** Who owns the fields, unless --field-manager says. */
  readonly manager?: string;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('create')
    .argument('[words...]')
    .usage('-f FILENAME | KIND NAME [flags]')
    .summary('create objects')
    .description('Creates objects from a file, from standard input, or of a kind from flags.')
    .enablePositionalOptions()
    .option('-f, --filename <file>', 'a file, a folder, a URL, or - for standard input', list)
    .option('-R, --recursive', 'read folders within folders')
    .option('--save-config', 'remember the configuration for a later apply')
    .option('--validate [mode]', 'strict, warn or ignore: what to do about unknown fields')
    .option('-l, --selector <labels>', 'only the objects with these labels')
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('--raw <path>', 'send the file to this path of the server')
    .option('--edit', 'change it in an editor first')
    .option('--field-manager <name>', 'who owns the fields')
    .option('--windows-line-endings', 'accepted for kubectl’s sake')
    .addHelpText(
      'after',
      `
Examples:
  raftsman create -f pod.yaml
  cat pod.json | raftsman create -f -
  raftsman create deployment web --image=nginx --replicas=3`,
    )
    .action(withSession<Flags>(context, create));
  for (const kind of createKinds) kind(command, context);
  program.addCommand(withWriteFlags(withRecordFlag(withGlobalFlags(command))));
}

async function create(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  if (flags.raw !== undefined && flags.edit) throw failure('--raw and --edit are mutually exclusive');
  if (!flags.filename?.length && flags.kustomize === undefined) {
    if (words.length === 0) throw failure('must specify one of -f and -k');
    throw usageFailure(self, `Unexpected args: [${words.join(' ')}]`);
  }
  if (words.length > 0) throw usageFailure(self, `Unexpected args: [${words.join(' ')}]`);
  if (flags.raw !== undefined) return sendRaw(session, 'POST', flags.raw, flags.filename);
  await forEachObject(
    session,
    await manifestObjects(session, flags, 'create'),
    async manifest => {
      const object = flags.saveConfig ? withLastApplied(manifest.object) : manifest.object;
      await createObject(session, { ...manifest, object: recorded(session, object, flags) }, flags);
    },
    'creating',
  );
}

/** `strict`, `warn`, `ignore`, and what kubectl once called true and false. */
export function fieldValidation(mode: string | boolean | undefined): string {
  switch (mode) {
    case undefined:
    case true:
    case 'true':
    case 'strict':
      return 'Strict';
    case 'warn':
      return 'Warn';
    case false:
    case 'false':
    case 'ignore':
      return 'Ignore';
    default:
      throw failure(
        `invalid - validate option ${JSON.stringify(mode)}; must be one of: strict (or true), warn, ignore (or false)`,
      );
  }
}

/** Creates one object and says so. */
export async function createObject(
  session: Session,
  manifest: Pick<ManifestObject, 'resource' | 'namespace' | 'name' | 'object'>,
  flags: CreationFlags,
): Promise<JsonObject> {
  const isDry = dryRunOf(flags) === 'client';
  const created = isDry
    ? manifest.object
    : await session.api.json('POST', pathOf(manifest.resource, manifest.namespace), {
        body: manifest.object,
        query: {
          fieldManager: flags.fieldManager ?? flags.manager ?? 'kubectl-create',
          fieldValidation: fieldValidation(flags.validate),
          dryRun: dryRunQuery(flags),
        },
      });
  const name = metadataOf(created).name ?? manifest.name;
  printWritten(session, { resource: manifest.resource, name, object: created }, flags.operation ?? 'created', flags);
  return created;
}
