/** `raftsman label` and `annotate`: set and remove labels and annotations. */
import type { Command } from 'commander';
import { mergePatch } from '../../control/api/patch/merge-patch.ts';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import {
  forEachObject,
  isOfFiles,
  manifestObjects,
  metadataOf,
  type ObjectReference,
  objectOf,
  objectPath,
  type SelectionFlags,
  selectedReferences,
} from '../client/objects.ts';
import { type RecordFlags, recordedAnnotation, withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, repeated, withGlobalFlags } from './cluster-command.ts';

interface Flags extends WriteFlags, SelectionFlags, RecordFlags {
  readonly overwrite?: boolean;
  readonly fieldManager?: string;
  readonly list?: boolean;
  readonly local?: boolean;
  readonly resourceVersion?: string;
}

interface Verb {
  readonly name: 'label' | 'annotate';
  readonly field: 'labels' | 'annotations';
  /** What messages call one. */
  readonly noun: 'label' | 'annotation';
  readonly done: string;
  readonly undone: string;
  readonly example: string;
}

const LABEL: Verb = {
  name: 'label',
  field: 'labels',
  noun: 'label',
  done: 'labeled',
  undone: 'unlabeled',
  example: 'raftsman label pods web-1 tier=front\n  raftsman label nodes node-1 disk-',
};
const ANNOTATE: Verb = {
  name: 'annotate',
  field: 'annotations',
  noun: 'annotation',
  done: 'annotated',
  undone: 'annotated',
  example: "raftsman annotate deploy web note='checked by hand'\n  raftsman annotate deploy web note-",
};

export const registerLabel = (program: Command, context: CommandContext) => register(LABEL, program, context);
export const registerAnnotate = (program: Command, context: CommandContext) => register(ANNOTATE, program, context);

function register(verb: Verb, program: Command, context: CommandContext): void {
  const command = new ClusterCommand(verb.name)
    .argument('[words...]')
    .usage(`(-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N- [flags]`)
    .summary(`set and remove ${verb.field}`)
    .description(`Sets ${verb.field} with KEY=VALUE, removes them with KEY-.`)
    .option('--overwrite', 'change values that are set already')
    .option('--all', 'all objects of the type in the namespace')
    .option('-A, --all-namespaces', 'in all namespaces')
    .option('-l, --selector <labels>', 'objects with these labels')
    .option('--field-selector <fields>', 'objects with these field values')
    .option('-f, --filename <file>', 'the objects of this file', repeated)
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('-R, --recursive', 'read folders within folders')
    .option('--resource-version <version>', 'only if the object is still at this version')
    .option('--local', 'change the file’s objects without asking the server')
    .option('--list', `only show the ${verb.field}`)
    .option('--field-manager <name>', 'who owns the fields')
    .addHelpText('after', `\nExamples:\n  ${verb.example}`)
    .action(withSession<Flags>(context, (session, words, flags) => run(verb, session, words, flags)));
  program.addCommand(withWriteFlags(withRecordFlag(withGlobalFlags(command))));
}

async function run(verb: Verb, session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const isChange = (word: string) =>
    (word.includes('=') && !word.startsWith('=')) || (word.endsWith('-') && word.length > 1);
  const first = words.findIndex(isChange);
  const objects = first < 0 ? words : words.slice(0, first);
  const changes = first < 0 ? [] : words.slice(first);
  if (objects.length === 0 && !isOfFiles(flags)) {
    throw failure('one or more resources must be specified as <resource> <name> or <resource>/<name>');
  }
  if (changes.length === 0 && !flags.list) throw failure(`at least one ${verb.noun} update is required`);
  if (flags.resourceVersion && flags.selector !== undefined) {
    throw failure('--resource-version may only be used with a single resource');
  }
  const stray = changes.find(word => !isChange(word));
  if (stray !== undefined) throw failure(`unexpected args: ${stray}`);
  const parsed = parseChanges(verb, changes);
  const cause = recordedAnnotation(session, flags);
  const found = await targetsOf(session, objects, flags);
  const isOne = found.length === 1 && (flags.filename !== undefined || namesOne(objects));
  await forEachObject(session, found, async reference => {
    const object = { ...reference, object: await objectOf(session, reference) };
    const before = (metadataOf(object.object)[verb.field] ?? {}) as Readonly<Record<string, string>>;
    if (flags.list) {
      if (!isOne) {
        session.print(`Listing ${verb.field} for ${object.resource.kind}.${object.resource.group}/${object.name}:`);
      }
      for (const [key, value] of Object.entries(before).sort()) session.print(`${isOne ? '' : ' '}${key}=${value}`);
      return;
    }
    checkOverwrite(verb, parsed, before, flags);
    const isUnchanged = [...parsed].every(([key, value]) => (before[key] ?? null) === value);
    const after = isUnchanged
      ? object.object
      : flags.local
        ? (mergePatch(object.object, { metadata: { [verb.field]: Object.fromEntries(parsed) } }) as JsonObject)
        : await patch(session, objectPath(object), changesOf(verb, parsed, cause), { verb, flags });
    const isRemoval = [...parsed.values()].every(value => value === null);
    for (const [key, value] of parsed) {
      if (value === null && before[key] === undefined) session.print(`${verb.noun} "${key}" not found.`);
    }
    printWritten(session, { ...object, object: after }, outcome(verb, isUnchanged, isRemoval), flags);
  });
}

async function targetsOf(session: Session, words: readonly string[], flags: Flags): Promise<readonly Target[]> {
  if (!flags.local) return selectedReferences(session, words, flags);
  if (!isOfFiles(flags)) {
    throw failure('can only use local files by -f rsrc.yaml or --filename=rsrc.json when --local=true is set');
  }
  return manifestObjects(session, flags, 'change');
}

/** Whether the words name one object, as in `pod web` and `pod/web`. */
function namesOne([first = '', ...more]: readonly string[]): boolean {
  return more.length === (first.includes('/') ? 0 : 1);
}

type Target = ObjectReference & { readonly object?: JsonObject };

function outcome(verb: Verb, isUnchanged: boolean, isRemoval: boolean): string {
  if (verb.name === 'annotate') return verb.done;
  return isUnchanged ? 'not labeled' : isRemoval ? verb.undone : verb.done;
}

function parseChanges(verb: Verb, changes: readonly string[]): Map<string, string | null> {
  const parsed = new Map<string, string | null>();
  for (const change of changes) {
    const equals = change.indexOf('=');
    const key = equals < 0 ? change.slice(0, -1) : change.slice(0, equals);
    if (parsed.has(key))
      throw failure(
        `can not both modify and remove ${verb.noun === 'label' ? 'a label' : 'an annotation'} in the same command`,
      );
    const value = equals < 0 ? null : change.slice(equals + 1);
    if (verb.name === 'label' && value?.includes('=')) throw failure(`invalid label spec: ${change}`);
    if (verb.name === 'label' && value !== null && !isLabelValue(value)) {
      throw failure(
        `invalid label value: ${JSON.stringify(change)}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
      );
    }
    parsed.set(key, value);
  }
  return parsed;
}

const isLabelValue = (text: string) => text.length <= 63 && /^(?:(?:[A-Za-z0-9][-\w.]*)?[A-Za-z0-9])?$/.test(text);

function checkOverwrite(
  verb: Verb,
  changes: ReadonlyMap<string, string | null>,
  before: Readonly<Record<string, string>>,
  flags: Flags,
): void {
  if (flags.overwrite) return;
  for (const [key, value] of changes) {
    const old = before[key];
    if (old === undefined || value === null || old === value) continue;
    throw verb.name === 'label'
      ? failure(`'${key}' already has a value (${old}), and --overwrite is false`)
      : failure(
          `--overwrite is false but found the following declared annotation(s): '${key}' already has a value (${old})`,
        );
  }
}

/** What becomes of the metadata; the command line is an annotation among the others. */
function changesOf(
  verb: Verb,
  changes: ReadonlyMap<string, string | null>,
  cause: Readonly<Record<string, string>> | undefined,
): Record<string, Record<string, string | null>> {
  const field = { [verb.field]: Object.fromEntries(changes) };
  return cause ? { ...field, annotations: { ...field.annotations, ...cause } } : field;
}

async function patch(
  session: Session,
  path: string,
  metadata: object,
  { verb, flags }: { readonly verb: Verb; readonly flags: Flags },
): Promise<JsonObject> {
  if (dryRunOf(flags) === 'client') return session.api.json('GET', path);
  return session.api.json('PATCH', path, {
    contentType: 'application/merge-patch+json',
    body: { metadata: { ...metadata, ...(flags.resourceVersion && { resourceVersion: flags.resourceVersion }) } },
    query: { fieldManager: flags.fieldManager ?? `kubectl-${verb.name}`, dryRun: dryRunQuery(flags) },
  });
}
