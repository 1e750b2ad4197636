/** Splits a stream of bytes into lines, keeping what one chunk completes together. */

/** A line outgrew its bound. */
export class LineTooLongError extends Error {
  override readonly name = 'LineTooLongError';
  readonly code = 'LINE_TOO_LONG';
}

/**
 * Gives, for each chunk that completes at least one line, those lines without their ends. Blank lines are left out; a last
 * line without an end is given if it is not blank.
 *
 * @throws LineTooLongError when a line is longer than `lineBytesMax`.
 */
export async function* lineBatches(body: AsyncIterable<Uint8Array>, lineBytesMax: number): AsyncGenerator<string[]> {
  const decoder = new TextDecoder();
  let parts: Uint8Array[] = [];
  let partsBytes = 0;
  for await (const chunk of body) {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const piece = chunk.subarray(start, end);
      const line = decoder.decode(parts.length === 0 ? piece : Buffer.concat([...parts, piece]));
      if (line.trim()) lines.push(line);
      parts = [];
      partsBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      parts.push(chunk.subarray(start));
      partsBytes += chunk.length - start;
      if (partsBytes > lineBytesMax) throw new LineTooLongError(`a line is longer than ${lineBytesMax} bytes`);
    }
    if (lines.length > 0) yield lines;
  }
  const last = decoder.decode(Buffer.concat(parts));
  if (last.trim()) yield [last];
}

const NEWLINE = 0x0a;
