/** Texts that a person edits: what they mean, whether two of them mean the same, and what is wrong with one. Pure. */

import type { JsonObject } from '../client/api.ts';
import { CommandError } from '../client/errors.ts';
import { parseEditedManifests } from '../client/manifests.ts';
import { yamlMistake } from '../client/parse-errors.ts';
import { manifestYaml, yaml } from '../client/yaml.ts';
import { sorted } from '../output/documents.ts';

/** Why a file has to be edited once more. */
export interface Reason {
  readonly head: string;
  readonly others?: readonly string[];
}

const HEAD_OF_OBJECT = `# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
`;
const HEAD_OF_LAST_APPLIED = `# Please edit the 'last-applied-configuration' annotations below.
# Lines beginning with a '#' will be ignored, and an empty file will abort the edit.
#
`;

/** What stands over the objects: what to do, and what was wrong the last time. */
export function headText(what: 'object' | 'last-applied', reasons: readonly Reason[]): string {
  const head = what === 'object' ? HEAD_OF_OBJECT : HEAD_OF_LAST_APPLIED;
  const commented = (text: string) => text.replaceAll(/\n(?!#|$)/g, '\n# ');
  const lines = reasons.flatMap(({ head: subject, others = [] }) => [
    `# ${commented(subject)}${others.length > 0 ? ':' : ''}`,
    ...others.map(other => `# * ${commented(other)}`),
    '#',
  ]);
  return `${head}${lines.map(line => `${line}\n`).join('')}`;
}

/** Without the lines that begin with a `#`. What stands deeper may be part of an object's text, and stays. */
export function withoutComments(text: string): string {
  return text
    .split('\n')
    .filter(line => !line.startsWith('#'))
    .join('\n');
}

/** Whether two texts mean the same. Of what cannot be read the text itself is compared. */
export function meanSame(one: string, other: string): boolean {
  return meaning(one) === meaning(other);
}

function meaning(text: string): string {
  try {
    return `read ${JSON.stringify(valuesOf(text).map(sorted))}`;
  } catch {
    return `text ${withoutComments(text)}`;
  }
}

/** @throws YAMLParseError */
function valuesOf(text: string): unknown[] {
  return yaml()
    .parseAllDocuments(text, manifestYaml)
    .map(document => {
      const [error] = document.errors;
      if (error) throw error;
      return document.toJS({ maxAliasCount: ALIASES_MAX });
    });
}

const ALIASES_MAX = 1000;

export const isEmptyText = (text: string): boolean => !text.split('\n').some(line => /^\s*[^\s#]/.test(line));

/** What keeps a text from being an object at all; undefined if nothing does. */
export function validationMistake(text: string): string | undefined {
  const bare = withoutComments(text);
  let value: unknown;
  try {
    [value] = valuesOf(bare);
  } catch (error) {
    if (error instanceof yaml().YAMLParseError) return yamlMistake(error, bare);
    return `yaml: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'invalid object to validate';
  const object = value as JsonObject; // just checked
  const missing = ['apiVersion', 'kind'].filter(key => typeof object[key] !== 'string' || object[key] === '');
  const told = missing.map(key => `${key} not set`).join(', ');
  return missing.length === 0 ? undefined : missing.length > 1 ? `[${told}]` : told;
}

/** An object of an edited text. */
export interface EditedObject {
  readonly object: JsonObject;
  /** Whether it stood in a list. */
  readonly isItem: boolean;
}

/** The objects of an edited text. @throws CommandError that says all that is wrong with it */
export function editedObjects(text: string): readonly EditedObject[] {
  const mistakes: CommandError[] = [];
  const found: EditedObject[] = [];
  try {
    found.push(...parseEditedManifests(EDITED_FILE, text, mistake => void mistakes.push(mistake)));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    mistakes.push(error);
  }
  if (mistakes.length > 0) throw new CommandError(aggregated(mistakes.map(({ message }) => message)));
  return found;
}

/** What kubectl calls the source of edited objects. */
export const EDITED_FILE = 'edited-file';

/** Several mistakes as Go tells them in one. */
export function aggregated(messages: readonly string[]): string {
  const different = [...new Set(messages.map(message => message.replace(/^error: /, '')))];
  return different.length === 1 ? (different[0] ?? '') : `[${different.join(', ')}]`;
}
