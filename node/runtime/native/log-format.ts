/**
 * Log files as Kubernetes has them (CRI logging): `<time> <stdout|stderr> <F|P> <text>` a line, P for a part of a line
 * that goes on. Pure.
 */
export interface LogEntry {
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** False for a part that the next entry of its stream continues. */
  readonly full: boolean;
  readonly text: Buffer;
}

const newline = 0x0a;
const space = 0x20;

/** From bytes of one stream to entries. Holds at most one unfinished part. */
export class EntrySplitter {
  readonly #stream: 'stdout' | 'stderr';
  readonly #lineBytesMax: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: 'stdout' | 'stderr', lineBytesMax: number) {
    this.#stream = stream;
    this.#lineBytesMax = lineBytesMax;
  }

  push(chunk: Buffer, time: string): LogEntry[] {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const entries: LogEntry[] = [];
    let start = 0;
    for (;;) {
      const end = data.indexOf(newline, start);
      const length = (end === -1 ? data.length : end) - start;
      if (length > this.#lineBytesMax) {
        entries.push(this.#entry(data.subarray(start, start + this.#lineBytesMax), time, false));
        start += this.#lineBytesMax;
      } else if (end === -1) {
        break;
      } else {
        entries.push(this.#entry(data.subarray(start, end), time, true));
        start = end + 1;
      }
    }
    this.#rest = Buffer.from(data.subarray(start));
    return entries;
  }

  /** What is left at the end: a line that never ended. */
  flush(time: string): LogEntry[] {
    if (this.#rest.length === 0) return [];
    const entry = this.#entry(this.#rest, time, false);
    this.#rest = Buffer.alloc(0);
    return [entry];
  }

  #entry(text: Buffer, time: string, full: boolean): LogEntry {
    return { time, stream: this.#stream, full, text };
  }
}

export function formatEntry(entry: LogEntry): Buffer {
  const head = Buffer.from(`${entry.time} ${entry.stream} ${entry.full ? 'F' : 'P'} `);
  return Buffer.concat([head, entry.text, Buffer.from('\n')]);
}

/** Reads one line of a file, without its end; undefined for what is none. */
export function parseEntry(line: Buffer): LogEntry | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  const third = line.indexOf(space, second + 1);
  if (first <= 0 || second === -1 || third === -1) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  const tag = line.toString('latin1', second + 1, third);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  return {
    time: fixedTime(line.toString('latin1', 0, first)),
    stream,
    full: tag === 'F',
    text: line.subarray(third + 1),
  };
}

/**
 * The same time in UTC with all nine digits: some runtimes leave zeros at the end away, or write the machine's own zone.
 * What is no RFC 3339 time stays as it is.
 */
function fixedTime(text: string): string {
  if (fixedPattern.test(text)) return text;
  const [, seconds, digits = '', zone] = looseTime.exec(text) ?? [];
  const milliseconds = seconds === undefined ? Number.NaN : Date.parse(`${seconds}${zone}`);
  if (Number.isNaN(milliseconds)) return text;
  return `${new Date(milliseconds).toISOString().slice(0, 19)}.${digits.padEnd(9, '0')}Z`;
}

const fixedPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;
const looseTime = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** Nanoseconds since the epoch as RFC 3339 with all nine digits. */
export function formatTime(nanoseconds: bigint): string {
  const billion = 1_000_000_000n;
  const seconds = new Date(Number((nanoseconds / billion) * 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(nanoseconds % billion).padStart(9, '0')}Z`;
}
