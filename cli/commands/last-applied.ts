/** `apply view-last-applied`, `set-last-applied`, `edit-last-applied`: what `apply` was told last. */
import type { Command } from 'commander';
import { failure } from '../client/errors.ts';
import {
  forEachObject,
  isOfFiles,
  type ManifestObject,
  manifestObjects,
  metadataOf,
  objectPath,
  type SelectionFlags,
  selectedObjects,
} from '../client/objects.ts';
import { withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { MUST_NAME_OBJECTS } from '../client/usage.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { jsonText, sorted, yamlText } from '../output/documents.ts';
import { LAST_APPLIED, lastApplied } from './apply-patch.ts';
import { ClusterCommand, list, withGlobalFlags } from './cluster-command.ts';
import {
  type Editable,
  type Edited,
  type EditFlags,
  editObjects,
  originalOf,
  printEdited,
  withEditFlags,
} from './edit-session.ts';
import { fieldValidation } from './field-validation.ts';

interface Flags extends WriteFlags, SelectionFlags {
  readonly createAnnotation?: boolean;
}

interface EditLastAppliedFlags extends EditFlags, SelectionFlags {
  readonly fieldManager?: string;
}

export function lastAppliedCommands(context: CommandContext): readonly Command[] {
  const view = new ClusterCommand('view-last-applied')
    .argument('[words...]')
    .usage('(TYPE [NAME | -l label] | TYPE/NAME | -f FILENAME)')
    .description('Shows what apply was told last.')
    .option('-o, --output <format>', 'yaml or json', 'yaml')
    .option('--all', 'all objects of the type in the namespace')
    .addHelpText('after', '\nExamples:\n  raftsman apply view-last-applied deployment/web -o json')
    .action(withSession<Flags>(context, viewLastApplied));
  const set = new ClusterCommand('set-last-applied')
    .argument('[words...]')
    .usage('-f FILENAME')
    .description('Makes a file what apply was told last, and changes nothing else.')
    .option('--create-annotation', 'also where nothing was applied before')
    .addHelpText('after', '\nExamples:\n  raftsman apply set-last-applied -f app.yaml --create-annotation')
    .action(withSession<Flags>(context, setLastApplied));
  const edit = new ClusterCommand('edit-last-applied')
    .argument('[words...]')
    .usage('(TYPE NAME | TYPE/NAME | -f FILENAME)')
    .description('Opens what apply was told last in an editor.')
    .option('--field-manager <name>', 'who owns the fields')
    .addHelpText('after', '\nExamples:\n  raftsman apply edit-last-applied deployment/web')
    .action(withSession<EditLastAppliedFlags>(context, editLastApplied));
  for (const command of [view, set, edit]) {
    command
      .option('-f, --filename <file>', 'the objects of this file', list)
      .option('-R, --recursive', 'read folders within folders')
      .option('-k, --kustomize <folder>', 'the objects of a kustomization')
      .option('-l, --selector <labels>', 'objects with these labels');
    if (command === set) withWriteFlags(command);
    if (command === edit) withEditFlags(withRecordFlag(command));
    withGlobalFlags(command);
  }
  return [view, set, edit];
}

async function viewLastApplied(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  if (flags.output !== 'yaml' && flags.output !== 'json') {
    throw failure(`Unexpected -o output mode: ${flags.output}, the flag 'output' must be one of yaml|json`);
  }
  for (const reference of await selectedObjects(session, words, { ...flags, isTypeEnough: true })) {
    const { annotations } = metadataOf(reference.object);
    if (annotations?.[LAST_APPLIED] === undefined) {
      session.print('');
      continue;
    }
    const configuration = lastApplied(reference.object) ?? {};
    session.print(
      flags.output === 'json' ? JSON.stringify(sorted(configuration), undefined, 2) : yamlText(configuration),
    );
  }
}

async function setLastApplied(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  if (words.length > 0) throw failure(`Unexpected args: [${words.join(' ')}]`);
  if (!isOfFiles(flags)) throw failure(MUST_NAME_OBJECTS);
  await forEachObject(
    session,
    await manifestObjects(session, { ...flags, isWhole: true }, 'set-last-applied'),
    manifest => annotate(session, manifest, flags),
  );
}

async function annotate(session: Session, manifest: ManifestObject, flags: Flags): Promise<void> {
  const current = await session.api.json('GET', objectPath(manifest));
  const before = metadataOf(current).annotations?.[LAST_APPLIED];
  if (before === undefined && !flags.createAnnotation) {
    throw failure(
      `no last-applied-configuration annotation found on resource: ${manifest.name}, to create the annotation, run the command with --create-annotation`,
    );
  }
  // Unlike `apply` this one takes the object as it stands in the file, without annotations where it has none.
  const text = `${JSON.stringify(sorted(manifest.object))}\n`;
  if (before === text) {
    session.print(`set-last-applied ${manifest.name}: no changes required.`);
    return;
  }
  const after =
    dryRunOf(flags) === 'client'
      ? current
      : await session.api.json('PATCH', objectPath(manifest), {
          contentType: 'application/merge-patch+json',
          body: { metadata: { annotations: { [LAST_APPLIED]: text } } },
          query: { fieldManager: 'kubectl-set-last-applied', dryRun: dryRunQuery(flags) },
        });
  printWritten(session, { ...manifest, object: after }, 'configured', flags);
}

/** What was applied last of all objects that have it is one text. */
async function editLastApplied(session: Session, words: readonly string[], flags: EditLastAppliedFlags): Promise<void> {
  // Given to `apply`, in front of this command's name.
  if (flags.dryRun !== undefined) throw failure('unknown flag: --dry-run');
  const objects: Editable[] = [];
  for (const reference of await selectedObjects(session, words, { ...flags, isTypeEnough: true, isWhole: true })) {
    const object = lastApplied(reference.object);
    if (object) objects.push({ ...reference, object });
  }
  if (objects.length === 0) {
    const { name } = session.context;
    throw failure(
      `no last-applied-configuration annotation found on resources, to create the annotation, use command \`${name} apply set-last-applied --create-annotation\``,
    );
  }
  const send = async (edited: Edited) => {
    const { object } = edited;
    const isSame = jsonText(originalOf(objects, edited).object) === jsonText(object);
    if (!isSame) {
      await session.api.json('PATCH', objectPath(edited), {
        contentType: 'application/merge-patch+json',
        body: { metadata: { annotations: { [LAST_APPLIED]: `${JSON.stringify(sorted(object))}\n` } } },
        query: {
          fieldManager: flags.fieldManager ?? 'kubectl-client-side-apply',
          fieldValidation: fieldValidation(flags.validate),
        },
      });
    }
    printEdited(session, edited, isSame ? 'skipped' : 'edited', flags);
  };
  await editObjects(session, objects, { flags, mode: { head: 'last-applied', send, isMended: false } });
}
