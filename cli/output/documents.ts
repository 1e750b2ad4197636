/** Objects as JSON and YAML in the form that kubectl gives them: keys sorted, and quoted as Go's YAML quotes. */
import { Document, isScalar, Scalar, visit } from 'yaml';

export function jsonText(value: unknown): string {
  return JSON.stringify(sorted(value), undefined, 4);
}

/** Without the final newline. */
export function yamlText(value: unknown): string {
  const document = new Document(sorted(value));
  visit(document, {
    Scalar(_key, node) {
      if (isScalar(node) && typeof node.value === 'string') node.type = styleOf(node.value);
    },
  });
  return foldLines(
    document.toString({ indentSeq: false, lineWidth: 0, singleQuote: true, minContentWidth: 0 }).trimEnd(),
  );
}

/** Text that would be read as something else is quoted twice, text with special signs once, text of lines is a block. */
function styleOf(text: string): Scalar.Type {
  if (text.includes('\n') && !/[^\n\t\x20-\x7e\x85\xa0-\ud7ff]/.test(text) && !/^\s|[ \t]\n|[ \t]$/.test(text)) {
    return Scalar.BLOCK_LITERAL;
  }
  const isAmbiguous =
    text === '' ||
    /^(?:~|null|true|false|yes|no|on|off|y|n)$/i.test(text) ||
    /^[-+]?(?:(?:\.\d+|\d[\d_]*(?:\.\d*)?)(?:e[-+]?\d+)?|0x[\da-f]+|0o?[0-7]+|0b[01]+|\.inf|\.nan)$/i.test(text) ||
    /^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.\d*)?$/.test(text) ||
    /^\d{4}-\d\d?-\d\d?/.test(text) ||
    text === '<<' ||
    text === '=';
  return isAmbiguous || /[\n\t]/.test(text) ? Scalar.QUOTE_DOUBLE : Scalar.PLAIN;
}

/** Behind this column Go's YAML goes on in the next line, as soon as there is a blank. */
const LINE_WIDTH = 80;

/** Folds long texts as Go's YAML does; blocks of lines stay as they are. */
function foldLines(text: string): string {
  let blockIndent = -1;
  return text
    .split('\n')
    .flatMap(line => {
      const indent = line.search(/\S/);
      if (blockIndent >= 0 && (indent < 0 || indent > blockIndent)) return [line];
      const [, dashes = '', key = ''] =
        /^(\s*(?:- )*)((?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'][^:]*?(?::[^\s:]+)*):(?: |$))?/.exec(line) ?? [];
      blockIndent = /(?:^|[ ])\|[-+\d]*$/.test(line) ? Math.max(0, dashes.length - (key === '' ? 2 : 0)) : -1;
      return line.length > LINE_WIDTH && blockIndent < 0 ? foldLine(line, dashes.length, key.length) : [line];
    })
    .join('\n');
}

function foldLine(line: string, dashLength: number, keyLength: number): string[] {
  const start = dashLength + keyLength;
  // What goes on stands two deeper than the key, or than the dash.
  const indent = ' '.repeat(keyLength > 0 ? dashLength + 2 : dashLength);
  const isQuotedTwice = line[start] === '"';
  const lines: string[] = [];
  let current = line.slice(0, start + 1);
  for (let index = start + 1; index < line.length; index++) {
    const isFold =
      line[index] === ' ' && line[index - 1] !== ' ' && current.length > LINE_WIDTH && index < line.length - 2;
    if (!isFold || (!isQuotedTwice && line[index + 1] === ' ')) current += line[index];
    else {
      lines.push(current);
      current = indent + (isQuotedTwice && line[index + 1] === ' ' ? '\\' : '');
    }
  }
  return [...lines, current];
}

/** A copy with all keys in order. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, field]) => [key, sorted(field)]),
  );
}
