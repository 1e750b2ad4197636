/** Text tables with kubectl's spacing: three blanks between columns, none narrower than six. */

const PADDING = 3;
const WIDTH_MIN = 6;

/** Prints rows with the widths of the widest so far, so that rows that come later (`-w`) line up. */
export class TableWriter {
  readonly #write: (line: string) => void;
  #widths: number[] = [];

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** Prints rows that belong together: their widths are known before the first is printed. */
  print(rows: readonly (readonly string[])[]): void {
    for (const row of rows) {
      for (const [index, cell] of row.entries()) {
        this.#widths[index] = Math.max(this.#widths[index] ?? 0, cell.length + PADDING, WIDTH_MIN);
      }
    }
    for (const row of rows) {
      const last = row.length - 1;
      this.#write(row.map((cell, index) => (index === last ? cell : cell.padEnd(this.#widths[index] ?? 0))).join(''));
    }
  }
}

/** A cell's text: up to its first line break, and a sign that there is more. */
export function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return '';
  const text = typeof cell === 'object' ? JSON.stringify(cell) : String(cell);
  const end = text.search(/[\f\n\r]/);
  return end < 0 ? text : `${text.slice(0, end)}...`;
}
