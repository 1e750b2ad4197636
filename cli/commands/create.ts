/** `raftsman create`: objects from files; the generators for single kinds are in `create-kinds.ts`. */
import type { Command } from 'commander';
import type { JsonObject } from '../client/api.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import {
  forEachObject,
  isOfFiles,
  type ManifestObject,
  manifestObjects,
  metadataOf,
  type SelectionFlags,
} from '../client/objects.ts';
import { recorded, withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import { dryRunOf, dryRunQuery, printWritten, withDryRunFlag } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { lastApplied, withLastApplied } from './apply-patch.ts';
import { ClusterCommand, list, withGlobalFlags } from './cluster-command.ts';
import { createKinds } from './create-kinds.ts';
import { type Edited, type EditFlags, editObjects, withEditFlags } from './edit-session.ts';
import { fieldValidation } from './field-validation.ts';
import { sendRaw } from './raw.ts';

interface Flags extends EditFlags, SelectionFlags {
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
    .option('-l, --selector <labels>', 'only the objects with these labels')
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('--raw <path>', 'send the file to this path of the server')
    .option('--edit', 'change each object in an editor first')
    .option('--field-manager <name>', 'who owns the fields')
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
  program.addCommand(withDryRunFlag(withEditFlags(withRecordFlag(withGlobalFlags(command)))));
}

async function create(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  if (flags.raw !== undefined && flags.edit) throw failure('--raw and --edit are mutually exclusive');
  if (!isOfFiles(flags)) {
    if (words.length === 0) throw failure('must specify one of -f and -k');
    throw usageFailure(self, `Unexpected args: [${words.join(' ')}]`);
  }
  if (words.length > 0) throw usageFailure(self, `Unexpected args: [${words.join(' ')}]`);
  if (flags.raw !== undefined) return sendRaw(session, 'POST', flags.raw, flags.filename);
  if (flags.edit) return editAndCreate(session, flags);
  await forEachObject(
    session,
    await manifestObjects(session, flags, 'create'),
    async manifest => {
      const isNoted = flags.saveConfig || lastApplied(manifest.object) !== undefined;
      const object = isNoted ? withLastApplied(manifest.object) : manifest.object;
      await createObject(session, { ...manifest, object: recorded(session, object, flags) }, flags);
    },
    'creating',
  );
}

/** Each object is a text of its own. As with kubectl --selector leaves none out; but a dry run creates nothing here. */
async function editAndCreate(session: Session, flags: Flags): Promise<void> {
  const { selector: _ignored, ...chosen } = flags;
  const send = async (edited: Edited) => {
    session.documentCount = 0;
    await createObject(session, edited, flags);
  };
  await forEachObject(session, await manifestObjects(session, chosen, 'edit'), ({ source: _file, ...object }) =>
    editObjects(session, [object], { flags, mode: { head: 'object', send, isMended: false } }),
  );
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
        body: withoutVersion(manifest.object),
        query: {
          fieldManager: flags.fieldManager ?? flags.manager ?? 'kubectl-create',
          fieldValidation: fieldValidation(flags.validate),
          dryRun: dryRunQuery(flags),
        },
      });
  const name = metadataOf(created).name || manifest.name;
  printWritten(session, { resource: manifest.resource, name, object: created }, flags.operation ?? 'created', flags);
  return created;
}

/** What was written out of a cluster can be created again: a new object has no version yet. */
export function withoutVersion(object: JsonObject): JsonObject {
  const { resourceVersion: _version, ...metadata } = metadataOf(object);
  return { ...object, metadata };
}
