/**
 * JSON laid out for people. kube-apiserver does so when `pretty` is asked for, and for the programs that people read with:
 * curl, wget and browsers (apiserver: endpoints/handlers/negotiation, isPrettyPrint).
 */
import { isTrue } from '../request-info.ts';
import type { Exchange, Reply } from '../types.ts';
import { mediaTypeOf } from './negotiate.ts';
import { JSON_TYPE } from './replies.ts';

const READERS = ['curl', 'Wget', 'Mozilla/5.0'];

/** True if the answer to this request is for human eyes. */
export function isForReading({ query, headers }: Pick<Exchange, 'query' | 'headers'>): boolean {
  const pretty = query.get('pretty');
  if (pretty) return isTrue(pretty);
  const userAgent = headers['user-agent'] ?? '';
  return READERS.some(name => userAgent.startsWith(name));
}

/** The reply with its document indented. Streams, and what is not plain JSON, stay as they are. */
export function laidOut(reply: Reply): Reply {
  if ('taken' in reply || !(reply.body instanceof Uint8Array)) return reply;
  const { 'content-type': contentType } = reply.headers;
  if (typeof contentType !== 'string' || mediaTypeOf(contentType) !== JSON_TYPE) return reply;
  return { ...reply, body: indentJson(reply.body) };
}

const INDENT = '  ';
const WHITE_SPACE = /\s/;

/**
 * Indents a JSON document by two spaces a level, as Go's json.MarshalIndent does. Works on the text, because a number or
 * the order of keys might not survive JavaScript's objects.
 */
export function indentJson(bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  const parts: string[] = [];
  let depth = 0;
  const newLine = () => parts.push(`\n${INDENT.repeat(depth)}`);
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === '"') {
      const end = endOfString(text, index);
      parts.push(text.slice(index, end));
      index = end - 1;
    } else if (character === '{' || character === '[') {
      const close = nextSolid(text, index + 1);
      parts.push(character);
      if (/[}\]]/.test(text.charAt(close))) {
        parts.push(text.charAt(close));
        index = close;
      } else {
        depth++;
        newLine();
      }
    } else if (character === '}' || character === ']') {
      depth--;
      newLine();
      parts.push(character);
    } else if (character === ',') {
      parts.push(character);
      newLine();
    } else if (character === ':') parts.push(': ');
    else if (!WHITE_SPACE.test(character)) parts.push(character);
  }
  return Buffer.from(parts.join(''));
}

/** Behind the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let index = start + 1;
  while (index < text.length && text.charAt(index) !== '"') index += text.charAt(index) === '\\' ? 2 : 1;
  return index + 1;
}

/** The first character from `start` on that is not white space. */
function nextSolid(text: string, start: number): number {
  let index = start;
  while (index < text.length && WHITE_SPACE.test(text.charAt(index))) index++;
  return index;
}
