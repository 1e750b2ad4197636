/**
 * Static tokens from a file, as kube-apiserver's --token-auth-file reads them: a line a token, of comma-separated fields:
 * token, user name, user uid, and if there are any, groups in one quoted field.
 */
import type { StaticToken } from './authentication.ts';

/** @throws {TokenFileError} with the number of the line that is wrong. Tokens stay out of messages. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';
  readonly code = 'TOKEN_FILE';
}

/** Of two lines with one token the later one counts. */
export function parseTokenFile(text: string): StaticToken[] {
  const tokens = new Map<string, StaticToken>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const fields = fieldsOf(line);
    if (!fields || fields.length < 3) {
      throw new TokenFileError(`line ${index + 1} of the token file must have at least token, user name and user uid`);
    }
    const [token = '', user = '', uid = '', groups = ''] = fields;
    if (token === '' || user === '') {
      throw new TokenFileError(`line ${index + 1} of the token file has an empty token or user name`);
    }
    const list = groups.split(',').map(group => group.trim());
    const identity = { user, groups: list.filter(group => group !== ''), ...(uid !== '' && { uid }) };
    tokens.set(token, { token, identity });
  }
  return [...tokens.values()];
}

/** A line of CSV (RFC 4180); undefined if a quoted field does not end. */
function fieldsOf(line: string): string[] | undefined {
  const fields: string[] = [];
  const pattern = /\s*(?:"((?:[^"]|"")*)"\s*|([^",]*))(,|$)/y;
  for (;;) {
    const match = pattern.exec(line);
    if (!match) return undefined;
    fields.push(match[1] === undefined ? (match[2] ?? '').trim() : match[1].replaceAll('""', '"'));
    if (match[3] !== ',') return fields;
  }
}
