/** `raftsman edit`: opens objects in an editor, and sends what was changed. */
import type { Command } from 'commander';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { objectPath, type SelectionFlags, selectedObjects } from '../client/objects.ts';
import { withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { jsonText } from '../output/documents.ts';
import { goJson } from '../output/go-syntax.ts';
import { definitionOf, threeWayPatch } from './apply-patch.ts';
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

interface Flags extends EditFlags, SelectionFlags {
  readonly subresource?: string;
  readonly fieldManager?: string;
  readonly outputPatch?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('edit')
    .argument('[words...]')
    .usage('(TYPE NAME | TYPE/NAME | -f FILENAME)')
    .summary('change objects in an editor')
    .description(
      'Opens objects, several as one list, in the editor that KUBE_EDITOR or EDITOR names (vi otherwise), and sends what was changed.',
    )
    .option('-f, --filename <file>', 'the objects of this file', list)
    .option('-R, --recursive', 'read folders within folders')
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('-l, --selector <labels>', 'objects with these labels')
    .option('--subresource <name>', 'change this part of the object')
    .option('--field-manager <name>', 'who owns the fields')
    .option('--save-config', 'remember the configuration for a later apply')
    .option('--output-patch', 'print the patch')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman edit deployment/web\n  KUBE_EDITOR="code --wait" raftsman edit cm settings',
    )
    .action(withSession<Flags>(context, edit));
  program.addCommand(withEditFlags(withRecordFlag(withGlobalFlags(command))));
}

async function edit(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const selected = await selectedObjects(session, words, { ...flags, isTypeEnough: true, isWhole: true });
  if (selected.length === 0) throw failure('edit cancelled, no objects found');
  const objects: Editable[] = [];
  for (const one of selected) {
    const path = objectPath(one, flags.subresource);
    objects.push(flags.subresource ? { ...one, object: await session.api.json('GET', path) } : one);
  }
  const send = (edited: Edited) => sendPatch(session, edited, originalOf(objects, edited), flags);
  await editObjects(session, objects, { flags, mode: { head: 'object', send, isMended: true } });
}

async function sendPatch(session: Session, edited: Edited, { object: before }: Editable, flags: Flags): Promise<void> {
  if (jsonText(edited.object) === jsonText(before)) return printEdited(session, edited, 'skipped', flags);
  const definition = definitionOf(edited.resource);
  const body = threeWayPatch({ original: before, modified: edited.object, current: before }, definition);
  if (changesIdentity(body)) throw failure('At least one of apiVersion, kind and name was changed');
  if (flags.outputPatch) session.print(`Patch: ${goJson(body)}`);
  const object = await session.api.json('PATCH', objectPath(edited, flags.subresource), {
    contentType: definition ? 'application/strategic-merge-patch+json' : 'application/merge-patch+json',
    body,
    query: {
      fieldManager: flags.fieldManager ?? 'kubectl-edit',
      fieldValidation: fieldValidation(flags.validate),
    },
  });
  printEdited(session, { ...edited, object }, 'edited', flags);
}

function changesIdentity(patch: JsonObject): boolean {
  const { metadata } = patch as { readonly metadata?: object };
  return 'apiVersion' in patch || 'kind' in patch || (metadata !== undefined && 'name' in metadata);
}
