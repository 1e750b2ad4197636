/**
 * JSON for people: those who ask for it (`?pretty`) and those who look with curl, wget or a browser get it with line breaks
 * and two spaces a level, as Go's json.MarshalIndent writes it. The text is laid out anew as it passes, in pieces of any
 * size, and never parsed.
 */
import { isTrue } from '../request-info.ts';
import type { Exchange, Reply } from '../types.ts';
import { JSON_TYPE } from './replies.ts';

const PEOPLE = /^(curl|Wget|Mozilla\/5\.0)/;

/** True if a person is to read the answer (apiserver: isPrettyPrint). */
export function isForPeople({ query, headers, info }: Exchange): boolean {
  // Frames of a watch are lines; what a proxy passes on is not ours.
  if (info.verb === 'watch' || info.subresource === 'proxy' || /^\/(openapi|openid|\.well-known)\//.test(info.path)) {
    return false;
  }
  const pretty = query.get('pretty');
  return pretty === null ? PEOPLE.test(headers['user-agent'] ?? '') : isTrue(pretty);
}

/** The same answer, laid out if it is JSON. */
export function prettyReply(reply: Reply): Reply {
  if ('taken' in reply || reply.headers['content-type'] !== JSON_TYPE) return reply;
  const indenter = new Indenter();
  const { body } = reply;
  return { ...reply, body: body instanceof Uint8Array ? indenter.take(body) : indentAll(body, indenter) };
}

async function* indentAll(chunks: AsyncIterable<Uint8Array>, indenter: Indenter): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield indenter.take(chunk);
}

/** Lays out one JSON text that comes in pieces. */
export class Indenter {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** An opening bracket was written, and nothing behind it yet. */
  #isOpened = false;

  take(chunk: Uint8Array): Buffer {
    // One character a byte: what is beyond ASCII only occurs in strings and passes as it is.
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
    let out = '';
    let start = 0;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (this.#isInString) {
        this.#passInString(code);
        continue;
      }
      const laidOut = this.#layOut(code);
      if (laidOut === undefined) continue;
      out += text.slice(start, index) + laidOut;
      start = index + 1;
    }
    return Buffer.from(out + text.slice(start), 'latin1');
  }

  #passInString(code: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (code === BACKSLASH) this.#isEscaped = true;
    else if (code === QUOTE) this.#isInString = false;
  }

  /** What stands in the character's place; undefined for the character itself. */
  #layOut(code: number): string | undefined {
    switch (code) {
      case SPACE:
      case TAB:
      case NEWLINE:
      case RETURN:
        return '';
      case COMMA:
        return `,${this.#lineBreak()}`;
      case COLON:
        return ': ';
      case CLOSING_BRACE:
      case CLOSING_BRACKET:
        return this.#close(String.fromCharCode(code));
      default:
        return this.#begin(code);
    }
  }

  #begin(code: number): string | undefined {
    const before = this.#isOpened ? this.#lineBreak() : '';
    this.#isOpened = code === OPENING_BRACE || code === OPENING_BRACKET;
    if (this.#isOpened) this.#depth++;
    else if (code === QUOTE) this.#isInString = true;
    return before === '' ? undefined : before + String.fromCharCode(code);
  }

  #close(bracket: string): string {
    this.#depth--;
    const before = this.#isOpened ? '' : this.#lineBreak();
    this.#isOpened = false;
    return before + bracket;
  }

  #lineBreak(): string {
    return `\n${'  '.repeat(this.#depth)}`;
  }
}

const [TAB, NEWLINE, RETURN, SPACE] = [0x09, 0x0a, 0x0d, 0x20];
const [QUOTE, COMMA, COLON, BACKSLASH] = [0x22, 0x2c, 0x3a, 0x5c];
const [OPENING_BRACKET, CLOSING_BRACKET, OPENING_BRACE, CLOSING_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];
