/** Go templates as kubectl fills them in: `template/` reads and executes them. */
import { CommandError, failure } from '../client/errors.ts';
import { sorted } from './documents.ts';
import { Execution, TemplateError } from './template/execute.ts';
import { functions } from './template/functions.ts';
import { goText } from './template/go-format.ts';
import { TemplateSyntaxError } from './template/lex.ts';
import { type ParsedTemplate, parseTemplate } from './template/parse.ts';

/** What was written before a template failed, and what helps to find out why: kubectl prints it with the result. */
export class UnfinishedError extends CommandError {
  readonly written: string;

  constructor(message: string, written: string, cause: unknown) {
    super(`error: ${message}`, { cause });
    this.written = written;
  }
}

export class GoTemplate {
  readonly #text: string;
  readonly #parsed: ParsedTemplate;

  /** @throws CommandError if the text is no template. */
  constructor(text: string) {
    this.#text = text;
    try {
      this.#parsed = parseTemplate(text, new Set(functions.keys()));
    } catch (error) {
      if (!(error instanceof TemplateSyntaxError)) throw error;
      const { line } = placeOf(text, error.position);
      throw failure(`error parsing template ${text}, template: output:${line}: ${error.message}`, error);
    }
  }

  /**
   * The template's text, with the values of `root` filled in.
   * @param mayMiss Whether a key that is not there is no error.
   * @throws UnfinishedError
   */
  render(root: unknown, mayMiss = true): string {
    let written = '';
    const write = (text: string) => {
      written += text;
    };
    try {
      new Execution(this.#parsed, { write, mayMiss }).run(root);
      return written;
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      const { line, column } = placeOf(this.#text, error.position);
      const what = `template: output:${line}:${column}: executing "output" at <${error.text}>: ${error.message}`;
      write(
        `Error executing template: ${what}. Printing more information for debugging the template:\n` +
          `\ttemplate was:\n\t\t${this.#text}\n` +
          `\traw data was:\n\t\t${JSON.stringify(sorted(root))}\n` +
          `\tobject given to template engine was:\n\t\t${goText(root)}\n\n`,
      );
      throw new UnfinishedError(`error executing template ${JSON.stringify(this.#text)}: ${what}`, written, error);
    }
  }
}

/** The line, from one, and the byte in it, from zero. */
function placeOf(text: string, position: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, position);
  return {
    line: before.split('\n').length,
    column: Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1)),
  };
}
