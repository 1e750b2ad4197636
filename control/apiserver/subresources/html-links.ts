/**
 * Links in the pages of proxied pods and services: one that begins at the root of the server would lead out of the proxy, so it
 * gets the proxy's path in front, as in Kubernetes (apimachinery/pkg/util/proxy, transport.go).
 */
import type { IncomingMessage } from 'node:http';
import { pipeline, type Readable, Transform } from 'node:stream';
import { createDeflate, createGunzip, createGzip, createInflate } from 'node:zlib';
import { RewritingStream } from 'parse5-html-rewriting-stream';

/** The attributes of HTML that hold one URL each. */
const LINKS: Readonly<Record<string, readonly string[]>> = {
  a: ['href'],
  applet: ['codebase'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  command: ['icon'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  head: ['profile'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['src', 'usemap', 'formaction'],
  ins: ['cite'],
  link: ['href'],
  object: ['classid', 'codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  video: ['poster', 'src'],
};

const LATIN1_MAX = 0xff;
/** How much of a page may wait for its next tag. */
export const HELD_BYTES_MAX = 8 * 1024 * 1024;

/** Offsets in the page, as the parser tells them of start tags. */
interface Place {
  readonly startOffset: number;
  readonly endOffset: number;
}
type StartTagPlace = Place & { readonly attrs?: Readonly<Record<string, Place>> };

/**
 * A page with its links moved, as it comes.
 *
 * @param answer one of type text/html
 * @param moved what becomes of a link
 * @returns undefined where the page is packed in a way that is not known: it stays as it is then
 */
export function withLinksMoved(answer: IncomingMessage, moved: (link: string) => string): Readable | undefined {
  const packing = packings[answer.headers['content-encoding']?.toLowerCase() ?? ''];
  if (!packing) return undefined;
  const [unpack, pack] = packing();
  const bytes = unpack ? answer.pipe(unpack) : answer;
  if (unpack)
    answer.once('error', error => unpack.destroy(error)).once('aborted', () => unpack.destroy(new Error('aborted')));
  // A byte a character, whatever the page's characters are: all that markup consists of are the same in all.
  const held = { bytes: 0 };
  const stages = [bytes.setEncoding('latin1'), entrance(held), rewriter(moved), encoder(held), ...(pack ? [pack] : [])];
  // A failure of any shows as the end of what the last one gives.
  return pipeline(stages, () => undefined) as unknown as Readable;
}

/** How the bytes of a page are unpacked and packed again. */
type Packing = () => readonly [unpack?: Transform, pack?: Transform];

const packings: Readonly<Record<string, Packing>> = {
  '': () => [],
  identity: () => [],
  gzip: () => [createGunzip(), createGzip()],
  deflate: () => [createInflate(), createDeflate()],
};

/**
 * The parser holds text until the next tag, and a tag until its end: a page that has neither would come to lie in this server's
 * memory, unpacked, whatever its size.
 */
function entrance(held: { bytes: number }): Transform {
  return new Transform({
    decodeStrings: false,
    encoding: 'latin1',
    transform(text: string, _, done) {
      held.bytes += text.length;
      if (held.bytes <= HELD_BYTES_MAX) done(null, Buffer.from(text, 'latin1'));
      else done(new Error(`the page has more than ${HELD_BYTES_MAX} bytes without a tag`));
    },
  });
}

function encoder(held: { bytes: number }): Transform {
  return new Transform({
    decodeStrings: false,
    transform(text: string, _, done) {
      // Links grow on their way; what is held is never less than nothing.
      held.bytes = Math.max(0, held.bytes - text.length);
      done(null, Buffer.from(text, 'latin1'));
    },
  });
}

function rewriter(moved: (link: string) => string): RewritingStream {
  const stream = new RewritingStream();
  stream.on('startTag', (tag, raw) => {
    const place = tag.sourceCodeLocation as StartTagPlace | null | undefined;
    let text = raw;
    // From the last to the first, so that offsets hold.
    const attributes = tag.attrs
      .filter(({ name }) => LINKS[tag.tagName]?.includes(name))
      .map(({ name, value }) => ({ name, value, at: place?.attrs?.[name] }))
      .sort((a, b) => (b.at?.startOffset ?? 0) - (a.at?.startOffset ?? 0));
    for (const { name, value, at } of attributes) {
      const link = moved(value);
      if (link === value || !at || !place) continue;
      const [start, end] = [at.startOffset - place.startOffset, at.endOffset - place.startOffset];
      text = `${text.slice(0, start)}${name}="${escaped(link)}"${text.slice(end)}`;
    }
    stream.emitRaw(text);
  });
  return stream;
}

function escaped(link: string): string {
  const text = link.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  return [...text].map(each => ((each.codePointAt(0) ?? 0) > LATIN1_MAX ? `&#${each.codePointAt(0)};` : each)).join('');
}
