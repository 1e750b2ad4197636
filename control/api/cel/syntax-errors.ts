/** Mistakes in the text of expressions, in the words and the layout of cel-go. */
import type { ParseError } from '@marcbachmann/cel-js';
import { ISSUES_LENGTH_MAX, ISSUES_MAX } from './limits.ts';

/** One thing wrong with an expression. */
export interface Issue {
  /** The offset in the text; -1 where none can be told. */
  readonly at: number;
  readonly message: string;
}

/** What may begin an expression, in the order of cel-go's grammar. */
const EXPRESSION_STARTS =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const OPERATORS =
  "{<EOF>, '==', '!=', 'in', '<', '<=', '>=', '>', '&&', '||', '[', '.', '-', '?', '+', '*', '/', '%%'}".replace(
    '%%',
    '%',
  );

/** The issue that cel-go would tell for what the parser stumbled over. */
export function syntaxIssue(text: string, error: ParseError): Issue {
  const at = error.range?.start ?? 0;
  const token = tokenAt(text, at);
  const shown = token === '' ? '<EOF>' : token;
  switch (error.code) {
    case 'unexpected_token': {
      // After a dot the grammar has read one token too many to say what it wanted.
      const before = text.slice(0, at).trimEnd();
      if (before.endsWith('.')) return { at, message: `Syntax error: no viable alternative at input '.${token}'` };
      return { at, message: `Syntax error: mismatched input '${shown}' expecting ${EXPRESSION_STARTS}` };
    }
    case 'expected_token': {
      const before = text.slice(0, at).trimEnd();
      if (before.endsWith('.')) return { at, message: `Syntax error: no viable alternative at input '.${token}'` };
      const wanted = EXPECTED.find(([word]) => error.summary.startsWith(`Expected ${word},`))?.[1] ?? 'IDENTIFIER';
      return { at, message: `Syntax error: missing '${wanted}' at '${shown}'` };
    }
    case 'unexpected_character':
      return error.summary.startsWith("Unexpected character: '")
        ? { at, message: `Syntax error: mismatched input '${shown}' expecting ${OPERATORS}` }
        : { at, message: `Syntax error: token recognition error at: '${text.charAt(at)}'` };
    case 'unterminated_string':
    case 'unterminated_triple_quoted_string':
    case 'newline_in_string':
      return { at, message: `Syntax error: token recognition error at: '${text.slice(at)}'` };
    case 'reserved_identifier':
      return { at, message: `reserved identifier: ${token}` };
    case 'invalid_macro_argument':
      return { at, message: 'argument must be a simple name' };
    case 'limit_exceeded':
      return { at: -1, message: `expression recursion limit exceeded: ${/\((\d+)\)/.exec(error.summary)?.[1] ?? ''}` };
    default:
      return { at, message: `Syntax error: ${error.summary}` };
  }
}

const EXPECTED: readonly (readonly [string, string])[] = [
  ['RPAREN', ')'],
  ['RBRACKET', ']'],
  ['RBRACE', '}'],
  ['COLON', ':'],
];

function tokenAt(text: string, at: number): string {
  const rest = text.slice(at);
  return /^(?:[A-Za-z_][A-Za-z0-9_]*|\d[\d.]*|&&|\|\||[=!<>]=|"[^"]*"|'[^']*'|\S)/.exec(rest)?.[0] ?? '';
}

/** All issues as one text: `ERROR: <input>:1:5: undefined field 'nope'`, the line, and where it is. */
export function formatIssues(text: string, issues: readonly Issue[]): string {
  const texts: string[] = [];
  let length = 0;
  for (const issue of issues.toSorted((a, b) => a.at - b.at).slice(0, ISSUES_MAX)) {
    const shown = formatIssue(text, issue);
    length += shown.length;
    if (texts.length > 0 && length > ISSUES_LENGTH_MAX) break;
    texts.push(shown);
  }
  const rest = issues.length - texts.length;
  return texts.join('\n') + (rest > 0 ? `\n${rest} more errors were truncated` : '');
}

function formatIssue(text: string, { at, message }: Issue): string {
  if (at < 0) return `ERROR: <input>:-1:0: ${message}`;
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  const lineNumber = text.slice(0, lineStart).split('\n').length;
  const column = [...text.slice(lineStart, at)].length;
  const lineEnd = text.indexOf('\n', lineStart);
  const line = text.slice(lineStart, lineEnd < 0 ? undefined : lineEnd).replaceAll('\t', ' ');
  return `ERROR: <input>:${lineNumber}:${column + 1}: ${message}\n | ${line}\n | ${'.'.repeat(column)}^`;
}
