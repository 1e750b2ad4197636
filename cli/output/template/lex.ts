/**
 * Go's text/template, first step: texts, and actions as tokens. (text/template/parse/lex.go)
 */

export interface Token {
  readonly type:
    | 'name' // a function, or a keyword
    | 'field' // .a
    | 'variable' // $, $a
    | 'dot'
    | 'string'
    | 'number'
    | 'character'
    | 'sign'; // ( ) | , = :=
  /** As it is written. */
  readonly text: string;
  /** Where it begins in the template. */
  readonly position: number;
  /** True if there is a blank before it: `.a .b` are two operands, `.a.b` is one. */
  readonly isApart: boolean;
}

/** A piece of a template. */
export type Piece =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'action'; readonly tokens: readonly Token[]; readonly position: number };

/** What is wrong with a template: in the words of Go, and the line where. */
export class TemplateSyntaxError extends Error {
  override readonly name = 'TemplateSyntaxError';
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

const TOKENS: readonly (readonly [Token['type'], RegExp])[] = [
  ['string', /"(?:\\.|[^"\\\n])*"|`[^`]*`/y],
  ['character', /'(?:\\.[^']*|[^'\\\n])'/y],
  ['number', /[+-]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)/y],
  ['field', /\.[\p{L}_][\p{L}\p{Nd}_]*/uy],
  ['dot', /\./y],
  ['variable', /\$(?:[\p{L}\p{Nd}_]+)?/uy],
  ['name', /[\p{L}_][\p{L}\p{Nd}_]*/uy],
  ['sign', /:=|[()|,=]/y],
];

/** Texts and actions in order. @throws TemplateSyntaxError */
export function lex(template: string): Piece[] {
  const pieces: Piece[] = [];
  let position = 0;
  let isTrimmed = false;
  const addText = (text: string) => {
    if (text !== '') pieces.push({ type: 'text', text });
  };
  while (position < template.length) {
    const open = template.indexOf('{{', position);
    const raw = template.slice(position, open < 0 ? template.length : open);
    const text = isTrimmed ? raw.replace(/^[ \t\r\n]+/, '') : raw;
    if (open < 0) {
      addText(text);
      break;
    }
    const trimsBefore = /^-[ \t\r\n]/.test(template.slice(open + 2, open + 4));
    addText(trimsBefore ? text.replace(/[ \t\r\n]+$/, '') : text);
    const start = open + (trimsBefore ? 3 : 2);
    const comment = /^[ \t\r\n]*\/\*/.exec(template.slice(start, start + 80));
    const action: Action = comment ? commentAt(template, start) : actionAt(template, start);
    if (action.tokens) pieces.push({ type: 'action', tokens: action.tokens, position: open });
    isTrimmed = action.trimsAfter;
    position = action.end;
  }
  return pieces;
}

interface Action {
  /** A comment has none. */
  readonly tokens?: readonly Token[];
  readonly end: number;
  readonly trimsAfter: boolean;
}

function commentAt(template: string, start: number): Action {
  const close = template.indexOf('*/', start);
  if (close < 0) throw new TemplateSyntaxError('unclosed comment', start);
  const [, trim] = /^([ \t\r\n]-)?\}\}/.exec(template.slice(close + 2)) ?? [];
  const end = close + 2 + (trim?.length ?? 0) + 2;
  if (!template.startsWith('}}', end - 2)) {
    throw new TemplateSyntaxError('comment ends before closing delimiter', start);
  }
  return { end, trimsAfter: trim !== undefined };
}

function actionAt(template: string, start: number): Action {
  const tokens: Token[] = [];
  let depth = 0;
  let isApart = false;
  for (let position = start; ; ) {
    const [blank = ''] = /^[ \t\r\n]+/.exec(template.slice(position)) ?? [];
    const rest = template.slice(position + blank.length, position + blank.length + 3);
    if (rest.startsWith('}}') || (blank !== '' && rest === '-}}')) {
      if (depth > 0) throw new TemplateSyntaxError('unclosed left paren', start);
      const trimsAfter = rest === '-}}';
      return { tokens, end: position + blank.length + (trimsAfter ? 3 : 2), trimsAfter };
    }
    if (blank !== '') {
      position += blank.length;
      isApart = true;
      continue;
    }
    const token = tokenAt(template, position, isApart);
    if (token.text === '(') depth++;
    if (token.text === ')' && --depth < 0) throw new TemplateSyntaxError('unexpected right paren', position);
    tokens.push(token);
    position += token.text.length;
    isApart = false;
  }
}

function tokenAt(template: string, position: number, isApart: boolean): Token {
  for (const [type, pattern] of TOKENS) {
    pattern.lastIndex = position;
    const text = pattern.exec(template)?.[0];
    if (text !== undefined) return { type, text, position, isApart };
  }
  const sign = template.charAt(position);
  if (sign === '') throw new TemplateSyntaxError('unclosed action', position);
  if (sign === '"') throw new TemplateSyntaxError('unterminated quoted string', position);
  if (sign === '`') throw new TemplateSyntaxError('unterminated raw quoted string', position);
  if (sign === "'") throw new TemplateSyntaxError('unterminated character constant', position);
  const code = (template.codePointAt(position) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  throw new TemplateSyntaxError(`unexpected U+${code} '${sign}' in command`, position);
}
