/** `fieldPath` of a rule: a JSON path of fields and map keys, relative to where the rule stands. */
import type { RuleSchema } from './schema.ts';

const STEP = /\.([^.[\]]+)|\['((?:[^'\\]|\\.)*)'\]/y;
const ESCAPES: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  "'": "'",
  '\\': '\\',
};

/** The path as field errors write it, with what joins it to the path before: `.min`, `[key]`. Undefined if it is none. */
export function rulePath(text: string, root: RuleSchema): string | undefined {
  let schema: RuleSchema | undefined = root;
  let path = '';
  STEP.lastIndex = 0;
  while (STEP.lastIndex < text.length) {
    const match = STEP.exec(text);
    if (!match || !schema) return undefined;
    const name: string | undefined = match[1] ?? unescaped(match[2] ?? '');
    if (name === undefined) return undefined;
    const { properties, additionalProperties }: RuleSchema = schema;
    if (properties) {
      schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
      path += `.${name}`;
    } else {
      schema = typeof additionalProperties === 'object' ? additionalProperties : undefined;
      path += `[${name}]`;
    }
    if (!schema) return undefined;
  }
  return path;
}

function unescaped(text: string): string | undefined {
  let isWrong = false;
  const result = text.replaceAll(/\\(.)/gs, (_, character: string) => {
    const plain = ESCAPES[character];
    if (plain === undefined) isWrong = true;
    return plain ?? '';
  });
  return isWrong ? undefined : result;
}
