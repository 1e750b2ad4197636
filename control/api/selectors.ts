/**
 * Selectors: by labels (`a=b,c in (d,e),!f` or the object form) and by fields (`metadata.name=x`). Parsing follows
 * apimachinery's parser, mistakes included, since its sentences reach users.
 */
import type { LabelSelector } from './generated/types.ts';
import type { KindDeclaration, KubernetesObject } from './kind.ts';
import { type ApiError, badRequest } from './status.ts';
import { labelValue, qualifiedName } from './validation/names.ts';

/** How a requirement compares. */
export type Operator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';

/** One condition on labels. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

type Labels = Readonly<Record<string, string>>;

/** A parsed label selector: all requirements must hold. None means everything. */
export type LabelRequirements = readonly LabelRequirement[];

type TokenType = 'identifier' | '(' | ')' | ',' | '=' | '==' | '!=' | '!' | 'in' | 'notin' | '>' | '<' | 'end';
interface Token {
  readonly type: TokenType;
  readonly text: string;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const isSpecial = (character: string) => '=!(),><'.includes(character);
  let index = 0;
  while (index < text.length) {
    const character = text.charAt(index);
    if (/\s/.test(character)) {
      index++;
    } else if (isSpecial(character)) {
      // The longest run of special characters that is a token; what follows is read anew.
      let token = character;
      if (text.charAt(index + 1) === '=' && (character === '=' || character === '!')) token += '=';
      tokens.push({ type: token as TokenType, text: token });
      index += token.length;
    } else {
      let end = index;
      while (end < text.length && !/\s/.test(text.charAt(end)) && !isSpecial(text.charAt(end))) end++;
      const word = text.slice(index, end);
      tokens.push({ type: word === 'in' || word === 'notin' ? word : 'identifier', text: word });
      index = end;
    }
  }
  return tokens;
}

/** Reads the text form. Throws ApiError (BadRequest) with the parser's sentence. */
export function parseLabelSelector(text: string): LabelRequirements {
  return new Parser(tokenize(text)).parse();
}

class Parser {
  readonly #tokens: readonly Token[];
  #index = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const token = this.#peek();
      if (token.type === 'end') return requirements;
      if (token.type !== 'identifier' && token.type !== '!' && token.type !== 'in' && token.type !== 'notin') {
        throw badRequest(`found '${token.text}', expected: !, identifier, or 'end of string'`);
      }
      requirements.push(this.#requirement());
      const after = this.#next();
      if (after.type === 'end') return requirements;
      if (after.type !== ',') throw badRequest(`found '${after.text}', expected: ',' or 'end of string'`);
      const following = this.#peek();
      if (
        following.type !== 'identifier' &&
        following.type !== '!' &&
        following.type !== 'in' &&
        following.type !== 'notin'
      ) {
        throw badRequest(`found '${following.text}', expected: identifier after ','`);
      }
    }
  }

  #peek(): Token {
    return this.#tokens[this.#index] ?? { type: 'end', text: '' };
  }

  /** The next token where a value is expected: `in` and `notin` are ordinary words there. */
  #value(): Token {
    const token = this.#next();
    return token.type === 'in' || token.type === 'notin' ? { ...token, type: 'identifier' } : token;
  }

  #next(): Token {
    const token = this.#peek();
    this.#index++;
    return token;
  }

  #refuse(why: string): ApiError {
    return badRequest(`unable to parse requirement: ${why}`);
  }

  #requirement(): LabelRequirement {
    const isAbsent = this.#peek().type === '!';
    if (isAbsent) this.#next();
    const { type, text: key } = this.#value();
    if (type !== 'identifier') throw this.#refuse(`found '${key}', expected: identifier`);
    const [sentence] = qualifiedName(key);
    if (sentence !== undefined) throw this.#refuse(`<nil>: Invalid value: ${JSON.stringify(key)}: ${sentence}`);
    const following = this.#peek().type;
    if (following === 'end' || following === ',') {
      return { key, operator: isAbsent ? 'DoesNotExist' : 'Exists', values: [] };
    }
    const operator = this.#operator();
    const values = operator.isSet ? this.#set() : [this.#exactValue()];
    return this.#checked({ key, operator: operator.name, values });
  }

  #operator(): { readonly name: Operator; readonly isSet: boolean } {
    const { type, text } = this.#next();
    switch (type) {
      case 'in':
        return { name: 'In', isSet: true };
      case 'notin':
        return { name: 'NotIn', isSet: true };
      case '=':
      case '==':
        return { name: 'In', isSet: false };
      case '!=':
        return { name: 'NotIn', isSet: false };
      case '>':
        return { name: 'Gt', isSet: false };
      case '<':
        return { name: 'Lt', isSet: false };
      default:
        throw this.#refuse(`found '${text}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  #set(): string[] {
    const open = this.#next();
    if (open.type !== '(') throw this.#refuse(`found '${open.text}' expected: '('`);
    const values: string[] = [];
    for (;;) {
      const token = this.#value();
      if (token.type === 'identifier') {
        values.push(token.text);
        const after = this.#next();
        if (after.type === ')') return values;
        if (after.type !== ',') throw this.#refuse(`found '${after.text}', expected: ',' or ')'`);
        if (this.#peek().type === ')') {
          this.#next();
          return [...values, ''];
        }
      } else if (token.type === ',') values.push('');
      else if (token.type === ')') return values.length === 0 ? [''] : values;
      else throw this.#refuse(`found '${token.text}', expected: ',', ')' or identifier`);
    }
  }

  #exactValue(): string {
    const type = this.#peek().type;
    if (type === 'end' || type === ',') return '';
    const token = this.#value();
    if (token.type === 'identifier') return token.text;
    throw this.#refuse(`found '${token.text}', expected: identifier`);
  }

  #checked(requirement: LabelRequirement): LabelRequirement {
    for (const [index, value] of requirement.values.entries()) {
      const isNumeric = requirement.operator === 'Gt' || requirement.operator === 'Lt';
      if (isNumeric && !/^[-+]?\d+$/.test(value)) {
        throw this.#refuse(
          `values[${index}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
        );
      }
      const [sentence] = labelValue(value);
      if (sentence !== undefined) {
        throw this.#refuse(
          `values[${index}][${requirement.key}]: Invalid value: ${JSON.stringify(value)}: ${sentence}`,
        );
      }
    }
    return requirement;
  }
}

/** True if the labels meet every requirement. */
export function matchesLabels(requirements: LabelRequirements, labels: Labels | undefined): boolean {
  return requirements.every(requirement => meets(requirement, labels ?? {}));
}

function meets({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    // A label that is absent is not among the values.
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      if (value === undefined || !/^[-+]?\d+$/.test(value)) return false;
      const bound = BigInt((values[0] ?? '0').replace('+', ''));
      const number = BigInt(value.replace('+', ''));
      return operator === 'Gt' ? number > bound : number < bound;
    }
  }
}

/** The object form as requirements. An absent selector selects nothing (undefined), an empty one everything. */
export function requirementsOf(selector: LabelSelector | undefined): LabelRequirements | undefined {
  if (!selector) return undefined;
  return [
    ...Object.entries(selector.matchLabels ?? {}).map(([key, value]): LabelRequirement => {
      return { key, operator: 'In', values: [value] };
    }),
    ...(selector.matchExpressions ?? []).map(({ key, operator, values }): LabelRequirement => {
      return { key, operator: operator as Operator, values: values ?? [] };
    }),
  ];
}

/** True if the selector, in object form, selects these labels. Absent selects nothing. */
export function matchesLabelSelector(selector: LabelSelector | undefined, labels: Labels | undefined): boolean {
  const requirements = requirementsOf(selector);
  return requirements !== undefined && matchesLabels(requirements, labels);
}

/** The text form of a selector in object form, as `status.selector` of a Scale has it: sorted by key. */
export function formatLabelSelector(selector: LabelSelector | undefined): string {
  const requirements = requirementsOf(selector) ?? [];
  return [...requirements]
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ key, operator, values }) => {
      const isSingle = selector?.matchLabels?.[key] === values[0] && values.length === 1;
      switch (operator) {
        case 'In':
          return isSingle ? `${key}=${values[0]}` : `${key} in (${[...values].sort().join(',')})`;
        case 'NotIn':
          return `${key} notin (${[...values].sort().join(',')})`;
        case 'Exists':
          return key;
        case 'DoesNotExist':
          return `!${key}`;
        default:
          return `${key}${operator === 'Gt' ? '>' : '<'}${values[0]}`;
      }
    })
    .join(',');
}

/** One condition on a field. */
export interface FieldRequirement {
  readonly field: string;
  readonly value: string;
  readonly isEqual: boolean;
}

/** Splits at `separator` where it is not escaped by a backslash. */
function splitUnescaped(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === '\\') part += character + text.charAt(++index);
    else if (character === ',') {
      parts.push(part);
      part = '';
    } else part += character;
  }
  return [...parts, part];
}

function withoutEscapes(text: string): string {
  return text.replaceAll(/\\([\\,=])/g, '$1');
}

const FIELD_TERM = /^((?:[^\\=!]|\\.|!(?!=))*)(!=|==|=)(.*)$/s;

/** Reads a field selector for that kind. Throws ApiError (BadRequest) for text that is none and fields it has not. */
export function parseFieldSelector(
  text: string,
  kind: Pick<KindDeclaration, 'selectableFieldNames' | 'form'>,
): readonly FieldRequirement[] {
  const requirements: FieldRequirement[] = [];
  for (const term of splitUnescaped(text)) {
    if (term === '') continue;
    const match = FIELD_TERM.exec(term);
    if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, field = '', operator = '', value = ''] = match;
    requirements.push({ field, value: withoutEscapes(value), isEqual: operator !== '!=' });
  }
  for (const { field } of requirements) checkField(field, kind.selectableFieldNames, kind.form !== undefined);
  return requirements;
}

function checkField(field: string, known: readonly string[], isCustom: boolean): void {
  if (field === 'metadata.name' || field === 'metadata.namespace' || known.includes(field)) return;
  // Kinds with fields of their own, and custom resources, have their own sentence.
  throw badRequest(
    known.length > 0 || isCustom
      ? `field label not supported: ${field}`
      : `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
  );
}

/** True if the object's fields meet every requirement. */
export function matchesFields<T extends KubernetesObject>(
  requirements: readonly FieldRequirement[],
  object: T,
  kind: Pick<KindDeclaration<T>, 'selectableFields'>,
): boolean {
  if (requirements.length === 0) return true;
  const values: Readonly<Record<string, string>> = {
    ...kind.selectableFields(object),
    'metadata.name': object.metadata?.name ?? '',
    'metadata.namespace': object.metadata?.namespace ?? '',
  };
  return requirements.every(({ field, value, isEqual }) => ((values[field] ?? '') === value) === isEqual);
}

/** The one value that `field` must have, if the requirements name one: a list by name or by node need not look at all. */
export function requiredField(requirements: readonly FieldRequirement[], field: string): string | undefined {
  return requirements.find(requirement => requirement.field === field && requirement.isEqual)?.value;
}
