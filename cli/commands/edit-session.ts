/**
 * What `edit`, `create --edit` and `apply edit-last-applied` have in common: objects are shown in an editor, several in one list,
 * what is left of them is read and handed on, and shown again as long as the server finds something wrong with it.
 */
import { existsSync, rmSync } from 'node:fs';
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import type { Resource } from '../client/discovery.ts';
import { CommandError, failure } from '../client/errors.ts';
import { type ManifestObject, metadataOf, type ObjectReference } from '../client/objects.ts';
import { type RecordFlags, recorded } from '../client/record.ts';
import type { Session } from '../client/session.ts';
import { printWritten, type WriteFlags, withOutputFlags, withoutManagedFields } from '../client/write.ts';
import { goSyntax } from '../output/go-syntax.ts';
import { objectPrinter } from '../output/objects.ts';
import { withLastApplied } from './apply-patch.ts';
import {
  aggregated,
  EDITED_FILE,
  editedObjects,
  headText,
  isEmptyText,
  meanSame,
  type Reason,
  validationMistake,
  withoutComments,
} from './edit-text.ts';
import { type EditedText, editText } from './editor.ts';
import { fieldValidation } from './field-validation.ts';

export interface EditFlags extends WriteFlags, RecordFlags {
  readonly validate?: string | true;
  readonly windowsLineEndings?: boolean;
  readonly saveConfig?: boolean;
}

/** An object as it was before, with its address. */
export type Editable = ObjectReference & { readonly object: JsonObject };

/** An object as the person left it, in the resource of the kind that it has now. */
export type Edited = Omit<ManifestObject, 'source'>;

export interface EditMode {
  readonly head: 'object' | 'last-applied';
  /**
   * Sends one object. What the server says against it is taken as a reason to edit it again, or to give up, if `isMended`.
   * @throws what ends the editing; a copy of the text is kept then
   */
  readonly send: (edited: Edited) => Promise<void>;
  /** True: what the server refuses as invalid is shown again. False: it ends the command. */
  readonly isMended: boolean;
}

/** Flags that all of them take. */
export function withEditFlags<T extends Command>(command: T): T {
  command
    .option('--validate [mode]', 'strict, warn or ignore: what to do about unknown fields')
    .option('--windows-line-endings', 'end the lines in the editor as Windows does');
  return withOutputFlags(command);
}

/** How often a person is asked to mend what was refused. */
const ATTEMPTS_MAX = 100;

/** Lets a person edit the objects, in one text. @throws CommandError or ApiError for what ends it */
export async function editObjects(
  session: Session,
  objects: readonly Editable[],
  how: { readonly flags: EditFlags; readonly mode: EditMode },
): Promise<void> {
  fieldValidation(how.flags.validate);
  await new Editing(session, objects, how).run();
}

class Editing {
  readonly #session: Session;
  readonly #objects: readonly Editable[];
  readonly #flags: EditFlags;
  readonly #mode: EditMode;
  readonly #extension: string;
  /** The objects as they are shown first. */
  readonly #shown: string;
  #reasons: Reason[] = [];
  /** Set once something was wrong: what is shown again. */
  #last: EditedText | undefined;

  constructor(
    session: Session,
    objects: readonly Editable[],
    { flags, mode }: { readonly flags: EditFlags; readonly mode: EditMode },
  ) {
    this.#session = session;
    this.#objects = objects;
    this.#flags = flags;
    this.#mode = mode;
    const format = flags.output || 'yaml';
    this.#extension = format === 'json' ? '.json' : '.yaml';
    const printed = objects.map(({ resource, object }) => ({ resource, object: withoutManagedFields(object) }));
    const [first] = printed;
    const list = { apiVersion: 'v1', kind: 'List', metadata: {}, items: printed.map(({ object }) => object) };
    const shown = printed.length === 1 || !first ? printed : [{ ...first, object: list }];
    this.#shown = objectPrinter(format, { allowed: 'json,yaml' })({ objects: shown, isList: false });
  }

  async run(): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const before = this.#last;
      const now = this.#open();
      if (before && meanSame(before.text, now.text)) {
        throw this.#kept(failure('Edit cancelled, no valid changes were saved.'), now);
      }
      if (before) rmSync(before.file, { force: true });
      if (await this.#take(now)) return;
      this.#last = now;
    }
    throw this.#kept(failure(`Edit cancelled, no valid changes were saved in ${ATTEMPTS_MAX} attempts.`), this.#last);
  }

  #open(): EditedText {
    const head = this.#extension === '.yaml' ? headText(this.#mode.head, this.#reasons) : '';
    const eol = this.#flags.windowsLineEndings ? '\r\n' : '\n';
    const content = this.#last === undefined ? this.#shown : withoutComments(this.#last.text);
    const text = `${head}${content}`.replaceAll(/\r?\n/g, eol);
    try {
      return editText(this.#session, text, this.#extension);
    } catch (error) {
      throw this.#kept(error, this.#last);
    }
  }

  /** Gives false if it has to be edited again. */
  async #take(now: EditedText): Promise<boolean> {
    this.#reasons = [];
    const mistake = fieldValidation(this.#flags.validate) === 'Ignore' ? undefined : validationMistake(now.text);
    if (mistake !== undefined) {
      this.#tellInvalid([`<nil>: Invalid value: "The edited file failed validation": ${mistake}`], this.#objects[0]);
      return false;
    }
    const nothing = meanSame(this.#shown, now.text)
      ? 'Edit cancelled, no changes made.'
      : isEmptyText(now.text)
        ? 'Edit cancelled, saved file was empty.'
        : undefined;
    if (nothing !== undefined) {
      rmSync(now.file);
      this.#session.error(nothing);
      return true;
    }
    let edited: readonly Edited[];
    try {
      edited = await this.#read(now.text);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.#reasons.push({ head: `The edited file had a syntax error: ${error.message}` });
      return false;
    }
    try {
      return await this.#send(edited, now);
    } catch (error) {
      throw this.#kept(error, now);
    }
  }

  /** @throws CommandError that says all that is wrong */
  async #read(text: string): Promise<readonly Edited[]> {
    const edited: Edited[] = [];
    const mistakes: string[] = [];
    for (const { object, isItem } of editedObjects(text)) {
      const { name = '', namespace = '' } = metadataOf(object);
      const described = `name: "${name}" namespace: "${namespace}" from "${EDITED_FILE}"`;
      try {
        const { apiVersion, kind } = object;
        const resource = await this.#session.discovery.ofKind(String(apiVersion), String(kind), described);
        edited.push({ resource, name, namespace, object });
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        mistakes.push(isItem ? error.message.replace(/^[\s\S]*?: (?=no matches)|\n[\s\S]*$/g, '') : error.message);
        if (isItem) mistakes.push(`unable to recognize ${mistakes.pop()}`);
      }
    }
    if (mistakes.length > 0) throw new CommandError(aggregated(mistakes));
    return edited;
  }

  async #send(objects: readonly Edited[], now: EditedText): Promise<boolean> {
    const placed = objects.map(edited => placedIn(this.#session, this.#withManagedFields(edited)));
    const troubles: ('changed' | 'gone')[] = [];
    // One that cannot be sent stops none of the others. Of several kubectl tells the last.
    let failed: { readonly error: unknown } | undefined;
    for (const edited of placed) {
      const { object } = edited;
      const noted = this.#flags.saveConfig ? withLastApplied(object) : object;
      try {
        await this.#mode.send({ ...edited, object: recorded(this.#session, noted, this.#flags) });
      } catch (error) {
        const isToldOf = error instanceof ApiError && this.#mode.isMended;
        if (!isToldOf) failed = { error };
        else if (error.reason === 'Invalid') {
          this.#tellInvalid(
            (error.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`),
            edited,
          );
        } else troubles.push(this.#tellTrouble(error, edited));
      }
    }
    if (failed) throw failed.error;
    if (troubles.length > 0) {
      this.#session.error(
        troubles.includes('changed')
          ? `You can run \`${this.#session.context.name} replace -f ${now.file}\` to try this update again.`
          : `The edits you made on deleted resources have been saved to ${JSON.stringify(now.file)}`,
      );
      this.#session.context.setExitCode(1);
      return true;
    }
    if (this.#reasons.length > 0) return false;
    rmSync(now.file);
    return true;
  }

  /** They were not shown, but belong to the object all the same. */
  #withManagedFields(edited: Edited): Edited {
    const { uid } = metadataOf(edited.object);
    const original = this.#objects.find(({ object }) => metadataOf(object).uid === uid)?.object.metadata;
    const { managedFields } = (original ?? {}) as { readonly managedFields?: unknown };
    if (managedFields === undefined) return edited;
    return { ...edited, object: { ...edited.object, metadata: { ...metadataOf(edited.object), managedFields } } };
  }

  #tellInvalid(others: readonly string[], of: Pick<ObjectReference, 'resource' | 'name'> | undefined): void {
    const subject = of ? `${qualified(of.resource)} ${JSON.stringify(of.name)}` : '';
    this.#reasons.push({ head: `${subject} was not valid`, others });
    this.#session.error(`error: ${subject} is invalid`);
  }

  #tellTrouble(error: ApiError, { resource, name }: Edited): 'changed' | 'gone' {
    const subject = `error: ${qualified(resource)} ${JSON.stringify(name)}`;
    if (error.reason === 'NotFound') {
      this.#session.error(`${subject} could not be found on the server`);
      return 'gone';
    }
    this.#session.error(`${subject} could not be patched: ${error.message}`);
    return 'changed';
  }

  /** Says of what ends it where the text is. */
  #kept(error: unknown, text: EditedText | undefined): unknown {
    if (text && existsSync(text.file)) {
      this.#session.error(`A copy of your changes has been stored to ${JSON.stringify(text.file)}`);
    }
    return error;
  }
}

const qualified = ({ name, group }: Resource): string => (group === '' ? name : `${name}.${group}`);

/** The object in the command's namespace. @throws CommandError if it says that it is in another one */
function placedIn({ namespace }: Session, edited: Edited): Edited {
  if (!edited.resource.isNamespaced) return { ...edited, namespace: '' };
  if (edited.namespace !== '' && edited.namespace !== namespace) {
    throw failure(
      `the namespace from the provided object "${edited.namespace}" does not match the namespace "${namespace}". You must pass '--namespace=${edited.namespace}' to perform this operation.`,
    );
  }
  const metadata = { ...metadataOf(edited.object), namespace };
  return { ...edited, namespace, object: { ...edited.object, metadata } };
}

/** The object that the edited one was: the one with its uid. @throws CommandError if there is none */
export function originalOf<T extends Editable>(objects: readonly T[], { object }: Edited): T {
  const { uid } = metadataOf(object);
  const original = objects.find(one => metadataOf(one.object).uid === uid);
  if (!original) throw failure(`no original object found for &unstructured.Unstructured{Object:${goSyntax(object)}}`);
  return original;
}

/** Prints what became of one. Several follow each other without a line between them. */
export function printEdited(session: Session, edited: Edited, operation: string, flags: EditFlags): void {
  session.documentCount = 0;
  printWritten(session, edited, operation, flags);
}
