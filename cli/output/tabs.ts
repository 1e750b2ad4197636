/**
 * Elastic tab stops, as Go's text/tabwriter makes them and `describe` needs them: in consecutive lines that have a cell in the
 * same column, the cells are as wide as the widest of them plus two.
 */

const PADDING = 2;

/** The lines with their tabs turned into blanks. The text behind a line's last tab is not padded. */
export function expandTabs(lines: readonly string[]): string[] {
  const rows = lines.map(line => line.split('\t'));
  const widths: number[][] = rows.map(() => []);
  const columnCount = Math.max(0, ...rows.map(row => row.length - 1));
  for (let column = 0; column < columnCount; column++) {
    for (let start = 0; start < rows.length; ) {
      let end = start;
      while (end < rows.length && (rows[end]?.length ?? 0) > column + 1) end++;
      if (end === start) {
        start++;
        continue;
      }
      const block = rows.slice(start, end);
      const width = Math.max(...block.map(row => row[column]?.length ?? 0));
      // A column of empty cells takes no room.
      for (let index = start; index < end; index++) widths[index]?.push(width === 0 ? 0 : width + PADDING);
      start = end;
    }
  }
  return rows.map((row, index) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[index]?.[column] ?? 0))).join(''),
  );
}
