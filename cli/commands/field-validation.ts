/** `--validate`: what the server is to do about fields that it does not know. */
import { failure } from '../client/errors.ts';

/** `strict`, `warn`, `ignore`, and what kubectl once called true and false. */
export function fieldValidation(mode: string | boolean | undefined): string {
  switch (mode) {
    case undefined:
    case true:
    case 'true':
    case 'strict':
      return 'Strict';
    case 'warn':
      return 'Warn';
    case false:
    case 'false':
    case 'ignore':
      return 'Ignore';
    default:
      throw failure(
        `invalid - validate option ${JSON.stringify(mode)}; must be one of: strict (or true), warn, ignore (or false)`,
      );
  }
}
