/**
 * YAML bodies. They mean what Kubernetes' reader (YAML 1.1 without timestamps and base-60 numbers) makes of them: the JSON
 * value of the first document. Keys that come twice are reported with the line.
 */

import { isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, type Node, parseAllDocuments } from 'yaml';
import { DEPTH_MAX, TOO_DEEP } from './json.ts';

/** Text that is no YAML. The message begins as go-yaml's do. */
export class YamlSyntaxError extends Error {
  override readonly name = 'YamlSyntaxError';
}

/** What was read. */
export interface ParsedYaml {
  readonly value: unknown;
  /** Sentences such as `line 7: key "a" already set in map`. */
  readonly duplicates: readonly string[];
}

/** Our parser's codes in go-yaml's words. */
const WORDS: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY: 'mapping values are not allowed in this context',
  BAD_INDENT: 'mapping values are not allowed in this context',
  TAB_AS_INDENT: 'found character that cannot start any token',
  MISSING_CHAR: 'did not find expected node content',
  BAD_ALIAS: 'unknown anchor referenced',
};

const KEY_ERRORS = new Set(['BLOCK_AS_IMPLICIT_KEY', 'MULTILINE_IMPLICIT_KEY']);

function wordsOf(code: string, message: string): string {
  if (code === 'BAD_INDENT' && message.startsWith('Flow')) return 'did not find expected node content';
  return WORDS[code] ?? message.split('\n')[0] ?? code;
}

const LEFT_OUT = new Set(['tag:yaml.org,2002:timestamp']);

/** Aliases may repeat this many nodes; more is an attack ("billion laughs"). */
const ALIAS_COUNT_MAX = 100;

/** Parses the first document of `text`. Throws {@link YamlSyntaxError}. */
export function parseYaml(text: string): ParsedYaml {
  try {
    return parseFirst(text);
  } catch (cause) {
    // The parser is recursive: what is nested too deep for it ends the stack.
    if (cause instanceof RangeError) throw new YamlSyntaxError(`yaml: ${TOO_DEEP}`, { cause });
    throw cause;
  }
}

function parseFirst(text: string): ParsedYaml {
  refuseCostly(text);
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: '1.1',
    merge: true,
    uniqueKeys: false,
    lineCounter: lines,
    // Each would show a part of the text, and a bad text can have a hundred thousand of them.
    prettyErrors: false,
    customTags: tags =>
      tags.filter(
        tag => typeof tag === 'string' || !(LEFT_OUT.has(tag.tag) || ('format' in tag && tag.format === 'TIME')),
      ),
  });
  const document = Array.isArray(documents) ? documents[0] : undefined;
  if (!document) return { value: null, duplicates: [] };
  const error = document.errors[0];
  if (error) {
    // go-yaml tells where it noticed: at the colon that ends the key, our parser where the key began.
    const sameStart = document.errors.filter(({ code, pos }) => KEY_ERRORS.has(code) && pos[0] === error.pos[0]);
    const position = Math.max(error.pos[0], ...sameStart.map(({ pos }) => pos[1]));
    const { line } = lines.linePos(position);
    const words = wordsOf(error.code, error.message);
    throw new YamlSyntaxError(`yaml: line ${line}: ${words}`);
  }
  const duplicates: string[] = [];
  findDuplicates(document.contents, lines, duplicates);
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIAS_COUNT_MAX });
    if (isDeeperThan(value, DEPTH_MAX)) throw new YamlSyntaxError(`yaml: ${TOO_DEEP}`);
    return { value, duplicates };
  } catch (cause) {
    if (cause instanceof YamlSyntaxError) throw cause;
    throw new YamlSyntaxError(`yaml: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The parser takes a second and more for what comes near to this, and nobody else has his turn meanwhile. */
const TEXT_LENGTH_MAX = 1024 * 1024;
/** Lists and maps in brackets within each other: the parser looks at the rest of the text on every level. */
const FLOW_DEPTH_MAX = 400;
/** Tags and anchors of one node: one of each makes sense. */
const PROPERTIES_IN_A_ROW_MAX = 10;

/** The lexer's sign before a plain or a block scalar. */
const SCALAR_FOLLOWS = '\u001f';

function refuseCostly(text: string): void {
  if (text.length > TEXT_LENGTH_MAX) {
    throw new YamlSyntaxError(`yaml: the text is longer than ${TEXT_LENGTH_MAX} characters: send JSON`);
  }
  const mayBeDeep = (text.match(/[[{]/g)?.length ?? 0) > FLOW_DEPTH_MAX;
  const mayHaveMany = (text.match(/[!&]/g)?.length ?? 0) > PROPERTIES_IN_A_ROW_MAX;
  if (!mayBeDeep && !mayHaveMany) return;
  let depth = 0;
  let properties = 0;
  let isText = false;
  for (const token of new Lexer().lex(text)) {
    // What stands in a text is no bracket.
    const first = isText ? '' : token[0];
    isText = token === SCALAR_FOLLOWS;
    if (first === '[' || first === '{') depth++;
    else if (first === ']' || first === '}') depth--;
    if (first === '!' || first === '&') properties++;
    else if (token.trim() !== '') properties = 0;
    if (depth > FLOW_DEPTH_MAX) throw new YamlSyntaxError(`yaml: ${TOO_DEEP}`);
    if (properties > PROPERTIES_IN_A_ROW_MAX) throw new YamlSyntaxError('yaml: a node can have at most one tag');
  }
}

/** The readers behind this one go down step by step, and their stack ends earlier than the parser's. */
function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some(item => isDeeperThan(item, levels - 1));
}

function findDuplicates(node: Node | null, lines: LineCounter, found: string[]): void {
  if (node === null || isAlias(node) || isScalar(node)) return;
  if (isSeq(node)) {
    for (const item of node.items) findDuplicates(item as Node | null, lines, found);
    return;
  }
  if (!isMap(node)) return;
  const seen = new Set<string>();
  for (const { key, value } of node.items) {
    if (isScalar(key)) {
      const name = String(key.value);
      if (seen.has(name) && name !== '<<') {
        found.push(`line ${lines.linePos(key.range?.[0] ?? 0).line}: key ${JSON.stringify(name)} already set in map`);
      }
      seen.add(name);
    }
    findDuplicates(value as Node | null, lines, found);
  }
}
