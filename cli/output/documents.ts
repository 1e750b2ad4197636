/** Objects as JSON and YAML in the form that kubectl gives them: keys sorted, and quoted as Go's YAML quotes. */
import type { Scalar, ScalarTag, Tags } from 'yaml';
import { yaml } from '../client/yaml.ts';

export function jsonText(value: unknown): string {
  return JSON.stringify(sorted(value), undefined, 4);
}

/** Without the final newline. */
export function yamlText(value: unknown): string {
  const { Document, isScalar, visit } = yaml();
  const document = new Document(sorted(value), { customTags: quotedOnce });
  visit(document, {
    Scalar(_key, node) {
      if (isScalar(node) && typeof node.value === 'string') node.type = styleOf(node.value);
    },
  });
  return foldLines(
    document.toString({ indentSeq: false, lineWidth: 0, singleQuote: true, minContentWidth: 0 }).trimEnd(),
  );
}

/** The library quotes text twice that has an apostrophe; Go's YAML does so only where something has to be escaped. */
function quotedOnce(tags: Tags): Tags {
  return tags.map(tag => {
    if (typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:str') return tag;
    const { stringify } = tag as ScalarTag;
    if (!stringify) return tag;
    return {
      ...tag,
      stringify(item: Scalar, ...rest) {
        const text = stringify(item, ...rest);
        const isNeedless = item.type === 'PLAIN' && text.startsWith('"') && !text.includes('\\');
        return isNeedless ? `'${text.slice(1, -1).replaceAll("'", "''")}'` : text;
      },
    } as ScalarTag;
  });
}

/** Text that would be read as something else is quoted twice, text with special signs once, text of lines is a block. */
function styleOf(text: string): Scalar.Type {
  if (text.includes('\n') && !/[^\n\t\x20-\x7e\x85\xa0-\ud7ff]/.test(text) && !/^\s|[ \t]\n|[ \t]$/.test(text)) {
    return 'BLOCK_LITERAL';
  }
  const isAmbiguous =
    text === '' ||
    /^(?:~|null|true|false|yes|no|on|off|y|n)$/i.test(text) ||
    /^[-+]?(?:(?:\.\d+|\d[\d_]*(?:\.\d*)?)(?:e[-+]?\d+)?|0x[\da-f]+|0o?[0-7]+|0b[01]+|\.inf|\.nan)$/i.test(text) ||
    /^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.\d*)?$/.test(text) ||
    /^\d{4}-\d\d?-\d\d?/.test(text) ||
    text === '<<' ||
    text === '=';
  return isAmbiguous || /[\n\t]/.test(text) ? 'QUOTE_DOUBLE' : 'PLAIN';
}

/** Behind this column Go's YAML goes on in the next line, as soon as there is a blank. */
const LINE_WIDTH = 80;

/** Folds long texts as Go's YAML does; blocks of lines stay as they are. */
function foldLines(text: string): string {
  if (!text.split('\n').some(line => line.length > LINE_WIDTH)) return text;
  const { isNode, isPair, parseDocument, visit } = yaml();
  const folded: { start: number; end: number; text: string }[] = [];
  visit(parseDocument(text, { version: '1.1' }), {
    Scalar(key, node, path) {
      const [start = 0, end = 0] = node.range ?? [];
      if (key === 'key' || (node.type !== 'PLAIN' && !node.type?.startsWith('QUOTE'))) return;
      const parent = path.at(-1);
      const owner = isPair(parent) && isNode(parent.key) ? parent.key.range?.[0] : undefined;
      const column = (position: number) => position - (text.lastIndexOf('\n', position - 1) + 1);
      // What goes on stands two deeper than the key, or than the dash.
      const indent = owner === undefined ? column(start) : column(owner) + 2;
      folded.push({ start, end, text: foldText(text.slice(start, end), column(start), indent) });
    },
  });
  let result = '';
  let position = 0;
  for (const piece of folded) {
    result += text.slice(position, piece.start) + piece.text;
    position = piece.end;
  }
  return result + text.slice(position);
}

function foldText(text: string, column: number, indent: number): string {
  const isQuotedTwice = text.startsWith('"');
  const first = isQuotedTwice || text.startsWith("'") ? 2 : 1;
  const last = first === 2 ? text.length - 3 : text.length - 2;
  let result = text.slice(0, first);
  let width = column + first;
  for (let index = first; index < text.length; index++) {
    const isBlankNext = text[index + 1] === ' ';
    const isFold =
      text[index] === ' ' &&
      text[index - 1] !== ' ' &&
      width > LINE_WIDTH &&
      index <= last &&
      (isQuotedTwice || !isBlankNext);
    const added = isFold ? `\n${' '.repeat(indent)}${isBlankNext ? '\\' : ''}` : text.charAt(index);
    result += added;
    width = isFold ? added.length - 1 : width + 1;
  }
  return result;
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
