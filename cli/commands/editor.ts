/** A person's editor: KUBE_EDITOR, EDITOR, or vi. Each text lies in a file of its own, which whoever opened it takes away. */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failure } from '../client/errors.ts';
import type { Session } from '../client/session.ts';
import type { CommandContext } from '../context.ts';

const FILE_NUMBERS = 2 ** 32;

/** What a person left of a text, and the file that it is in. */
export interface EditedText {
  readonly text: string;
  readonly file: string;
}

/**
 * Lets a person change a text.
 * @param extension Of the file, so that the editor knows what it is: `.yaml`.
 * @throws CommandError if the editor cannot be started, or says that it failed; its file stays then.
 */
export function editText({ context }: Pick<Session, 'context'>, text: string, extension: string): EditedText {
  const folder = context.env.TMPDIR || tmpdir();
  const file = join(folder, `${context.name}-edit-${randomInt(FILE_NUMBERS)}${extension}`);
  writeFileSync(file, text, { mode: 0o600, flag: 'wx' });
  const words = editorOf(context.env);
  const [program = '', ...before] = words;
  const isShell = words.length === 3 && program === shellOf(context.env) && before[0] === '-c';
  const told = JSON.stringify(words.join(' '));
  const rest = isShell ? ['-c', `${before[1]} ${JSON.stringify(file)}`] : [...before, file];
  const { status, error } = spawnSync(program, rest, { stdio: 'inherit' });
  if (error && 'code' in error && error.code === 'ENOENT' && !program.includes('/')) {
    throw failure(`unable to launch the editor ${told}`, error);
  }
  if (status !== 0) throw failure(`there was a problem with the editor ${told}`, error);
  return { text: readFileSync(file, 'utf8'), file };
}

/** The words of the command line. Quotes are for a shell to read; blanks alone are not worth one. */
function editorOf(env: CommandContext['env']): readonly string[] {
  const editor = env.KUBE_EDITOR || env.EDITOR || 'vi';
  return editor.includes(' ') && /["'\\]/.test(editor) ? [shellOf(env), '-c', editor] : editor.split(' ');
}

function shellOf({ SHELL }: CommandContext['env']): string {
  return SHELL || (existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh');
}
