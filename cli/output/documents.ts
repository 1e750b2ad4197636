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
  return document.toString({ indentSeq: false, lineWidth: 0, singleQuote: true, minContentWidth: 0 }).trimEnd();
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
