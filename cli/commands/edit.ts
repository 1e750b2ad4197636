/** `raftsman edit`: opens objects in an editor, and sends what was changed. */
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { describeApiError, failure } from '../client/errors.ts';
import {
  displayName,
  forEachObject,
  type ObjectReference,
  objectPath,
  type SelectionFlags,
  selectedObjects,
} from '../client/objects.ts';
import { type RecordFlags, recorded, withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { printWritten, type WriteFlags, withoutManagedFields, withWriteFlags } from '../client/write.ts';
import { yaml } from '../client/yaml.ts';
import type { CommandContext } from '../context.ts';
import { jsonText, yamlText } from '../output/documents.ts';
import { definitionOf, threeWayPatch } from './apply-patch.ts';
import { ClusterCommand, list, withGlobalFlags } from './cluster-command.ts';
import { editText } from './editor.ts';

interface Flags extends WriteFlags, SelectionFlags, RecordFlags {
  readonly subresource?: string;
  readonly fieldManager?: string;
  readonly saveConfig?: boolean;
}

/** How often a person is asked to mend what the server refused. */
const ATTEMPTS_MAX = 10;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('edit')
    .argument('[words...]')
    .usage('(TYPE NAME | TYPE/NAME | -f FILENAME)')
    .summary('change objects in an editor')
    .description(
      'Opens objects in the editor that KUBE_EDITOR or EDITOR names (vi otherwise), and sends what was changed.',
    )
    .option('-f, --filename <file>', 'the objects of this file', list)
    .option('-R, --recursive', 'read folders within folders')
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('-l, --selector <labels>', 'objects with these labels')
    .option('--subresource <name>', 'change this part of the object')
    .option('--field-manager <name>', 'who owns the fields')
    .option('--save-config', 'accepted for kubectl’s sake')
    .option('--validate [mode]', 'accepted for kubectl’s sake')
    .option('--output-patch', 'print the patch')
    .option('--windows-line-endings', 'accepted for kubectl’s sake')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman edit deployment/web\n  KUBE_EDITOR="code --wait" raftsman edit cm settings',
    )
    .action(withSession<Flags>(context, edit));
  program.addCommand(withWriteFlags(withRecordFlag(withGlobalFlags(command))));
}

async function edit(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const objects = await selectedObjects(session, words, { ...flags, isTypeEnough: true });
  if (objects.length === 0) throw failure('edit cancelled, no objects found');
  await forEachObject(session, objects, object => editOne(session, object, flags));
}

const HEAD = [
  "# Please edit the object below. Lines beginning with a '#' will be ignored,",
  '# and an empty file will abort the edit. If an error occurs while saving this file will be',
  '# reopened with the relevant failures.',
  '#',
];

async function editOne(
  session: Session,
  reference: ObjectReference & { readonly object: JsonObject },
  flags: Flags,
): Promise<void> {
  const { subresource } = flags;
  const read = subresource ? await session.api.json('GET', objectPath(reference, subresource)) : reference.object;
  const before = withoutManagedFields(read);
  let text = `${yamlText(before)}\n`;
  let trouble: readonly string[] = [];
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const shown = [...HEAD, ...trouble.map(line => `# ${line}`), ''].join('\n') + text;
    const edited = await editText(session, shown, displayName(reference));
    const kept = edited
      .split('\n')
      .filter(line => !line.startsWith('#'))
      .join('\n');
    if (kept.trim() === '') {
      session.error('Edit cancelled, saved file was empty.');
      return;
    }
    if (kept.trim() === text.trim()) {
      session.error('Edit cancelled, no changes made.');
      return;
    }
    text = kept;
    try {
      await send(session, reference, { before, text, flags });
      return;
    } catch (error) {
      trouble = troubleOf(error, reference);
      for (const line of trouble) session.error(line);
    }
  }
  throw failure(`${displayName(reference)} could not be changed in ${ATTEMPTS_MAX} attempts`);
}

/** What a person can mend; all else is thrown on. */
function troubleOf(error: unknown, reference: ObjectReference): string[] {
  if (error instanceof SyntaxError) return [`error: ${displayName(reference)}: ${error.message}`];
  if (error instanceof ApiError && (error.reason === 'Invalid' || error.reason === 'BadRequest')) {
    return describeApiError(error).split('\n');
  }
  throw error;
}

async function send(
  session: Session,
  reference: ObjectReference,
  { before, text, flags }: { readonly before: JsonObject; readonly text: string; readonly flags: Flags },
): Promise<void> {
  const after = parsed(text);
  if (jsonText(after) === jsonText(before)) {
    printWritten(session, { ...reference, object: after }, 'skipped', flags);
    return;
  }
  const definition = definitionOf(reference.resource);
  const modified = recorded(session, after, flags);
  const body = threeWayPatch({ original: before, modified, current: before }, definition);
  const object = await session.api.json('PATCH', objectPath(reference, flags.subresource), {
    contentType: definition ? 'application/strategic-merge-patch+json' : 'application/merge-patch+json',
    body,
    query: { fieldManager: flags.fieldManager ?? 'kubectl-edit' },
  });
  printWritten(session, { ...reference, object }, 'edited', flags);
}

/** @throws SyntaxError for what is no object. */
function parsed(text: string): JsonObject {
  let value: unknown;
  try {
    value = yaml().parse(text);
  } catch (error) {
    throw new SyntaxError(
      `error converting YAML to JSON: ${error instanceof Error ? error.message.split('\n')[0] : error}`,
    );
  }
  if (typeof value !== 'object' || value === null) throw new SyntaxError('it is no object');
  return value as JsonObject; // just checked
}
