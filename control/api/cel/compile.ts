/** From text to something that can be evaluated: parse, check, plan. */
import { type Checked, check, type Declarations } from './checker.ts';
import { plan } from './evaluator.ts';
import { compilePattern } from './functions/regular-expressions.ts';
import type { Program } from './steps.ts';
import { type Expression, parseExpression } from './syntax.ts';
import { formatIssues } from './syntax-errors.ts';
import { EvaluationError } from './values.ts';

export interface CompiledText {
  readonly checked: Checked;
  readonly program: Program;
}
export type Compilation =
  | (CompiledText & { readonly error?: never })
  /** `compilation failed: ERROR: <input>:1:5: …`. */
  | { readonly error: string; readonly checked?: never; readonly program?: never };

/** Compiles the text of an expression. Mistakes come as one text, in cel-go's words and Kubernetes' frame. */
export function compileText(text: string, declared: Declarations): Compilation {
  const parsed = parseExpression(text);
  if (parsed.issues) return { error: `compilation failed: ${formatIssues(text, parsed.issues)}` };
  const checked = check(parsed.expression, declared);
  if (checked.issues.length > 0) return { error: `compilation failed: ${formatIssues(text, checked.issues)}` };
  const pattern = wrongPattern(parsed.expression);
  if (pattern !== undefined) return { error: `program instantiation failed: ${pattern}` };
  return { checked, program: plan(checked) };
}

const PATTERN_FUNCTIONS: ReadonlySet<string> = new Set(['matches', 'find', 'findAll']);

/** What is wrong with a regular expression that is written down; undefined if nothing is. */
function wrongPattern(expression: Expression): string | undefined {
  if (expression.kind === 'call' && PATTERN_FUNCTIONS.has(expression.name)) {
    const pattern = expression.args[expression.target ? 0 : 1];
    if (pattern?.kind === 'literal' && typeof pattern.value === 'string') {
      try {
        compilePattern(pattern.value);
      } catch (error) {
        if (error instanceof EvaluationError) return error.message;
        throw error;
      }
    }
  }
  for (const part of partsOf(expression)) {
    const wrong = wrongPattern(part);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** The expressions that an expression is made of. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'select':
    case 'has':
      return [expression.operand];
    case 'call':
      return expression.target ? [expression.target, ...expression.args] : expression.args;
    case 'logic':
      return expression.operands;
    case 'list':
      return expression.elements;
    case 'map':
      return expression.entries.flat();
    case 'comprehension':
      return [expression.range, expression.predicate, expression.transform].filter(part => part !== undefined);
    case 'bind':
      return [expression.value, expression.body];
    default:
      return [];
  }
}
