/** `raftsman set`: changes one part of objects: images, environment, resources, service account, selector, subjects. */
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import {
  forEachObject,
  type ManifestObject,
  manifestObjects,
  type ObjectReference,
  objectPath,
  type SelectionFlags,
  selectedObjects,
} from '../client/objects.ts';
import { type RecordFlags, recorded, withRecordFlag } from '../client/record.ts';
import { type Session, type SessionAction, withSession } from '../client/session.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { jsonText } from '../output/documents.ts';
import { withEmptyFields } from '../output/generated.ts';
import { definitionOf, threeWayPatch } from './apply-patch.ts';
import { ClusterCommand, list, withGlobalFlags } from './cluster-command.ts';
import { setChanges } from './set-changes.ts';

export interface SetFlags extends WriteFlags, SelectionFlags, RecordFlags {
  readonly local?: boolean;
  readonly fieldManager?: string;
}

/** One sub-command: how its words divide, and what it makes of an object. */
export interface SetCommand {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  readonly description: string;
  readonly example: string;
  /** What is told: `image updated`. */
  readonly done: string;
  /** Told, and sent, also of an object that is already as asked: kubectl leaves out no change here. */
  readonly isAlwaysTold?: boolean;
  /** Whether the command line can be remembered with `--record`, which kubectl does not have everywhere. */
  readonly isRecordable?: boolean;
  /** What is told of what the server refuses: `failed to patch …`. Undefined: the server's word alone. */
  readonly failed?: string;
  flags?(command: Command): void;
  /** The words that name objects, and what is to become of each. Gives undefined where there is nothing to write. */
  plan(session: Session, words: readonly string[], flags: SetFlags): Promise<SetPlan>;
}
export interface SetPlan {
  readonly words: readonly string[];
  /** What is missing, told only when the objects are there. */
  readonly mistake?: string | undefined;
  change(object: JsonObject, reference: ObjectReference): Promise<JsonObject | undefined> | JsonObject | undefined;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('set')
    .summary('change an image, environment variables and the like')
    .description('Changes one part of objects.')
    .asGroup(context)
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman set image deployment/web web=nginx:1.8\n  raftsman set env deployment/web MODE=fast\n  raftsman set resources deployment/web --limits=cpu=200m,memory=512Mi',
    );
  for (const spec of setChanges) {
    const sub = new ClusterCommand(spec.name)
      .aliases([...(spec.aliases ?? [])])
      .argument('[words...]')
      .usage(spec.usage)
      .summary(spec.description.charAt(0).toLowerCase() + spec.description.slice(1, -1))
      .description(spec.description)
      .addHelpText('after', `\nExamples:\n  ${spec.example}`)
      .option('--all', 'all objects of the type in the namespace')
      .option('-l, --selector <labels>', 'objects with these labels')
      .option('-f, --filename <file>', 'the objects of this file', list)
      .option('-k, --kustomize <folder>', 'the objects of a kustomization')
      .option('-R, --recursive', 'read folders within folders')
      .option('--local', 'change the file’s objects without asking the server')
      .option('--field-manager <name>', 'who owns the fields');
    if (spec.isRecordable) withRecordFlag(sub);
    spec.flags?.(sub);
    sub.action(withSession<SetFlags>(context, runOf(spec)));
    command.addCommand(withWriteFlags(withGlobalFlags(sub)));
  }
  program.addCommand(command);
}

type Target = ObjectReference & { readonly object: JsonObject };

const runOf =
  (spec: SetCommand): SessionAction<SetFlags> =>
  async (session, words, flags) => {
    const plan = await spec.plan(session, words, flags);
    const targets = await targetsOf(session, plan.words, flags);
    if (plan.mistake !== undefined) throw failure(plan.mistake);
    await forEachObject<Target>(session, targets, async target => {
      const after = await plan.change(structuredClone(target.object), target);
      if (after !== undefined) await write(session, target, { after: recorded(session, after, flags), flags, spec });
    });
  };

async function targetsOf(session: Session, words: readonly string[], flags: SetFlags): Promise<readonly Target[]> {
  if (!flags.local) return selectedObjects(session, words, flags);
  if (!flags.filename?.length) throw failure('--local needs the objects of a file: name one with -f');
  const manifests: ManifestObject[] = await manifestObjects(session, flags, 'set');
  return manifests;
}

async function write(
  session: Session,
  target: Target,
  { after, flags, spec }: { readonly after: JsonObject; readonly flags: SetFlags; readonly spec: SetCommand },
): Promise<void> {
  if (flags.local) {
    if (!spec.isAlwaysTold && jsonText(after) === jsonText(target.object)) return;
    printWritten(session, { ...target, object: withEmptyFields(after) }, spec.done, flags);
    return;
  }
  if (dryRunOf(flags) === 'client') {
    printWritten(session, { ...target, object: after }, spec.done, flags);
    return;
  }
  const definition = definitionOf(target.resource);
  const body = threeWayPatch({ original: target.object, modified: after, current: target.object }, definition);
  if (Object.keys(body).length === 0 && !spec.isAlwaysTold) return;
  const object = await session.api
    .json('PATCH', objectPath(target), {
      contentType: definition ? 'application/strategic-merge-patch+json' : 'application/merge-patch+json',
      body,
      query: { fieldManager: flags.fieldManager ?? 'kubectl-set', dryRun: dryRunQuery(flags) },
    })
    .catch(error => {
      if (!(error instanceof ApiError) || spec.failed === undefined) throw error;
      throw failure(`${spec.failed} ${error.message}`, error);
    });
  printWritten(session, { ...target, object }, spec.done, flags);
}
