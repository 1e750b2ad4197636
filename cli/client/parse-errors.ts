/**
 * Mistakes in YAML and JSON in the words of Go's parsers, which people look for. The sentences, and which line they name, were
 * taken from kubectl 1.33: its scanner counts lines from one and leaves the first out, its parser names the line before.
 */

/** What npm's `yaml` tells of a mistake. */
interface YamlMistake {
  readonly message: string;
  readonly linePos?: readonly { readonly line: number }[] | undefined;
}

interface Sentence {
  readonly pattern: RegExp;
  readonly text: string;
  /** Who finds it in Go. */
  readonly finder: 'scanner' | 'parser';
  /** The line that is meant: where the mistake begins, where the colon stands that is too many, or the one after. */
  readonly line?: 'colon' | 'next';
}

const NOT_A_TOKEN = 'found character that cannot start any token';
const SENTENCES: readonly Sentence[] = [
  {
    pattern: /^(?:Nested mappings are not allowed|Implicit keys need to be on a single line)/,
    text: 'mapping values are not allowed in this context',
    finder: 'scanner',
    line: 'colon',
  },
  { pattern: /^Tabs are not allowed/, text: NOT_A_TOKEN, finder: 'scanner' },
  { pattern: /^Missing closing ["']quote/, text: 'found unexpected end of stream', finder: 'scanner' },
  { pattern: /^Plain value cannot start with/, text: NOT_A_TOKEN, finder: 'scanner' },
  { pattern: /^Flow sequence .*end with a \]/, text: "did not find expected ',' or ']'", finder: 'parser' },
  { pattern: /^Flow map .*end with a \}/, text: "did not find expected ',' or '}'", finder: 'parser' },
  {
    pattern:
      /^(?:All mapping items must start at the same column|A block sequence may not be used as an implicit map key)/,
    text: 'did not find expected key',
    finder: 'parser',
  },
  {
    pattern: /^Implicit map keys need to be followed by map values/,
    text: "could not find expected ':'",
    finder: 'scanner',
    line: 'next',
  },
];

/** `yaml: line 2: did not find expected key`; what Go would say otherwise is told in this library's words. */
export function yamlMistake({ message, linePos }: YamlMistake, text = ''): string {
  const [first = ''] = message.split('\n');
  const own = first.replace(/ at line \d+, column \d+:?$/, '');
  const start = linePos?.[0]?.line;
  const known = SENTENCES.find(({ pattern }) => pattern.test(first));
  if (!known || start === undefined) return `yaml: ${start === undefined ? '' : `line ${start}: `}${own}`;
  const said = saidOf(known, text, start);
  if (known.finder === 'parser') return `yaml: line ${Math.max(1, start - 1)}: ${said}`;
  const line = known.line === 'next' ? start + 1 : known.line === 'colon' ? lineOfColon(text, start) : start;
  return `yaml: ${line > 1 ? `line ${line}: ` : ''}${said}`;
}

/** Some mistakes have other words where something else stands before them. */
function saidOf({ text: said, pattern }: Sentence, text: string, line: number): string {
  if (said.endsWith("']'") && /[[,]\s*$/.test(text)) return 'did not find expected node content';
  if (!pattern.test('Tabs are not allowed')) return said;
  // A plain value in the lines above could go on behind the tab; behind a colon or a dash something new would begin.
  const before = text
    .split('\n')
    .slice(0, line - 1)
    .join('\n')
    .trimEnd();
  return before === '' || /(?:[:'"\]}]|(?:^|\s)-)$/.test(before)
    ? said
    : 'found a tab character that violates indentation';
}

/** A value that goes on in the lines below may have its colon there. */
function lineOfColon(text: string, start: number): number {
  const lines = text.split('\n');
  const colons = (lines[start - 1]?.match(/:(?=\s|$)/g) ?? []).length;
  if (colons > 1) return start;
  const below = lines.findIndex((line, index) => index >= start && /:(?=\s|$)/.test(line));
  return below < 0 ? start : below + 1;
}

/** V8's words, and Go's. */
const JSON_WORDS: readonly (readonly [RegExp, string])[] = [
  [/^Expected (?:property name|double-quoted property name)/, 'looking for beginning of object key string'],
  [/^Expected ',' or '\}'/, 'after object key:value pair'],
  [/^Expected ':'/, 'after object key'],
  [/^Expected ',' or '\]'/, 'after array element'],
];

/** `unexpected EOF`, or `json: offset 2: invalid character 'a' looking for beginning of object key string`. */
export function jsonMistake(error: Error, text: string): string {
  const position = Number(/at position (\d+)/.exec(error.message)?.[1] ?? Number.NaN);
  if (/^Unterminated|end of JSON input/.test(error.message) || text.slice(position).trim() === '')
    return 'unexpected EOF';
  const [, where = 'looking for beginning of value'] = JSON_WORDS.find(([words]) => words.test(error.message)) ?? [];
  if (Number.isNaN(position)) return `json: ${error.message}`;
  return `json: offset ${position + 1}: invalid character '${text[position]}' ${where}`;
}
