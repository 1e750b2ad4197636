/**
 * x-kubernetes-validations: the rules that a CustomResourceDefinition's schema holds. They are compiled when the
 * definition is written, with everything that is wrong told at once, and run over every object that is written
 * (apiextensions-apiserver pkg/apis/apiextensions/validation and pkg/apiserver/schema/cel).
 */
import type { FieldError } from '../status.ts';
import { forbiddenField, goQuote, invalidText, invalidValue, notSupported, required } from '../validation/errors.ts';
import { compileText } from './compile.ts';
import { declarations } from './environment.ts';
import { estimateCost } from './estimate.ts';
import { EXPENSIVE_RULES_MAX, RULE_ESTIMATE_MAX, SCHEMA_ESTIMATE_MAX } from './limits.ts';
import { rulePath } from './rule-path.ts';
import { judgeByRules, type RuleRunOptions } from './rule-run.ts';
import { cardinalityMax, type RuleSchema, type SchemaType, schemaType, type ValidationRule } from './schema.ts';
import type { Program } from './steps.ts';
import { Bindings, BOOL, isAssignable, optionalOf, type Type } from './types.ts';

/** The rules of a schema, ready to run. */
export interface CompiledRules {
  /** What is wrong with the rules; a definition with such errors is refused. */
  readonly errors: readonly FieldError[];
  /** False if the schema holds no rule at all. */
  readonly hasRules: boolean;
  /**
   * What the rules say of `value`. `oldValue` is what it replaces, undefined on creation; `path` is where it stands, ''
   * for a whole object. Nothing is changed. The value has passed the schema's own validation.
   */
  validate(value: unknown, oldValue: unknown, path: string, options?: RuleRunOptions): FieldError[];
  /** The same in steps of one rule each, between which others may have a turn. */
  judge(
    value: unknown,
    oldValue: unknown,
    path: string,
    options?: RuleRunOptions,
  ): Generator<undefined, readonly FieldError[]>;
}

/** The rules of one place of a schema, and of the places below it. */
export interface RuleNode {
  readonly schema: RuleSchema;
  /** True for a whole resource: its type and its names can be seen. */
  readonly isResourceRoot: boolean;
  readonly rules: readonly CompiledRule[];
  readonly properties: ReadonlyMap<string, RuleNode>;
  readonly items?: RuleNode;
  readonly values?: RuleNode;
  readonly allOf: readonly RuleNode[];
}
export interface CompiledRule {
  readonly rule: ValidationRule;
  readonly program: Program;
  readonly messageProgram?: Program;
  readonly usesOldSelf: boolean;
  /** `fieldPath`, as it is appended to the path of the place: `.min`. */
  readonly fieldPath: string;
}

export interface RuleOptions {
  /** True (the default) if the schema is that of a whole custom resource. */
  readonly isResourceRoot?: boolean;
}

/** Compiles all rules of a schema. `path` is where the schema stands: `spec.validation.openAPIV3Schema`. Never throws. */
export function compileValidationRules(schema: RuleSchema, path: string, options: RuleOptions = {}): CompiledRules {
  const compiler = new RuleCompiler();
  const root = compiler.compile({
    schema,
    structure: schema,
    path,
    isResourceRoot: options.isResourceRoot ?? true,
    cardinality: 1n,
  });
  const judge: CompiledRules['judge'] = function* (value, oldValue, at, runOptions = {}) {
    return root ? yield* judgeByRules(root, { value, oldValue, path: at }, runOptions) : [];
  };
  return {
    errors: [...compiler.errors, ...compiler.totalErrors(path)],
    hasRules: root !== undefined,
    judge,
    validate(value, oldValue, at, runOptions) {
      const steps = judge(value, oldValue, at, runOptions);
      for (;;) {
        const step = steps.next();
        if (step.done) return [...step.value];
      }
    },
  };
}

interface Place {
  readonly schema: RuleSchema;
  /** The schema that says what is there: within allOf it is that around it. */
  readonly structure: RuleSchema;
  readonly path: string;
  readonly isResourceRoot: boolean;
  /** How many values there can be at this place; undefined if no maximum is named on the way. */
  readonly cardinality: bigint | undefined;
  /** Known if a place above needed it. */
  readonly type?: SchemaType | undefined;
  /** Where the old value of what stands here cannot be told any more. */
  readonly uncorrelated?: string | undefined;
}

const multiply = (a: bigint, b: bigint): bigint => {
  const product = a * b;
  return product > ESTIMATE_MAX ? ESTIMATE_MAX : product;
};
const ESTIMATE_MAX = 2n ** 64n - 1n;

class RuleCompiler {
  readonly errors: FieldError[] = [];
  #total = 0n;
  readonly #expensive: { readonly path: string; readonly cost: bigint }[] = [];

  compile(place: Place): RuleNode | undefined {
    const { schema, structure, isResourceRoot } = place;
    if (!holdsRules(schema)) return undefined;
    const type = place.type ?? (schema['x-kubernetes-validations'] ? schemaType(structure, isResourceRoot) : undefined);
    const below = this.#below({ ...place, type });
    const rules = this.#rules({ ...place, type });
    return { schema: structure, isResourceRoot, rules, ...below };
  }

  #below(place: Place): Pick<RuleNode, 'properties' | 'items' | 'values' | 'allOf'> {
    const { schema, structure, path, type } = place;
    const properties = new Map<string, RuleNode>();
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const node = this.#child(place, property, structure.properties?.[name], {
        path: `${path}.properties[${name}]`,
        type: fieldType(type, name),
      });
      if (node) properties.set(name, node);
    }
    const values = this.#child(place, asSchema(schema.additionalProperties), asSchema(structure.additionalProperties), {
      path: `${path}.additionalProperties`,
      type: type?.element,
    });
    const allOf = (schema.allOf ?? []).flatMap((part, index) => {
      const node = this.compile({ ...place, schema: part, path: `${path}.allOf[${index}]` });
      return node ? [node] : [];
    });
    const items = this.#child(place, schema.items, structure.items, { path: `${path}.items`, type: type?.element });
    return { properties, ...(values && { values }), ...(items && { items }), allOf };
  }

  #child(
    parent: Place,
    schema: RuleSchema | undefined,
    structure: RuleSchema | undefined,
    { path, type }: { readonly path: string; readonly type: SchemaType | undefined },
  ): RuleNode | undefined {
    if (!schema || !structure) return undefined;
    return this.compile({
      schema,
      structure,
      path,
      isResourceRoot: structure['x-kubernetes-embedded-resource'] === true,
      cardinality: childCardinality(parent),
      type,
      uncorrelated: parent.uncorrelated ?? (isCorrelated(parent.structure) ? undefined : parent.path),
    });
  }

  #rules(place: Place): readonly CompiledRule[] {
    const rules = place.schema['x-kubernetes-validations'] ?? [];
    const path = `${place.path}.x-kubernetes-validations`;
    const before = this.errors.length;
    rules.forEach((rule, index) => {
      this.errors.push(...formErrors(rule, `${path}[${index}]`, place.structure));
    });
    if (this.errors.length > before || rules.length === 0) return [];
    if (!place.type) {
      const why =
        'internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations';
      this.errors.push({ type: 'InternalError', field: path, message: `Internal error: ${why}` });
      return [];
    }
    const { type } = place;
    return rules.flatMap((rule, index) => this.#rule(rule, { ...place, path: `${path}[${index}]`, type }));
  }

  #rule(rule: ValidationRule, place: Place & { readonly type: SchemaType }): CompiledRule[] {
    const { type, path } = place;
    const known = new Map([
      ['self', type],
      ['oldSelf', type],
    ]);
    const oldType = rule.optionalOldSelf ? optionalOf(type.type) : type.type;
    const declared = declarations([
      ['self', type.type],
      ['oldSelf', oldType],
    ]);
    const refuse = (at: string, why: string) => {
      this.errors.push(invalidText(`${path}.${at}`, goRule(rule), why));
    };
    const compiled = compileText(rule.rule, declared);
    const wrong = compiled.error ?? (isOfType(compiled.checked.resultType, BOOL) ? undefined : NOT_A_BOOL);
    if (compiled.checked && wrong === undefined) {
      this.#observe(place, 'rule', 'estimated rule cost', estimateCost(compiled.checked, known));
    }
    if (wrong !== undefined) refuse('rule', wrong);
    const message = rule.messageExpression ? compileText(rule.messageExpression, declared) : undefined;
    const wrongMessage =
      message && (message.error ?? (message.checked.resultType.kind === 'string' ? undefined : NOT_A_TEXT));
    if (wrongMessage !== undefined) refuse('messageExpression', `messageExpression ${wrongMessage}`);
    else if (message?.checked) {
      this.#observe(
        place,
        'messageExpression',
        'estimated messageExpression cost',
        estimateCost(message.checked, known),
      );
    }
    const usesOldSelf = compiled.checked?.references.has('oldSelf') ?? false;
    this.#judgeOldSelf(rule, place, usesOldSelf, compiled.checked !== undefined);
    if (!compiled.program || wrong !== undefined) return [];
    const fieldPath = rule.fieldPath ? (rulePath(rule.fieldPath, place.structure) ?? '') : '';
    return [
      {
        rule,
        program: compiled.program,
        ...(message?.program && wrongMessage === undefined && { messageProgram: message.program }),
        usesOldSelf,
        fieldPath,
      },
    ];
  }

  #judgeOldSelf(rule: ValidationRule, { path, uncorrelated }: Place, usesOldSelf: boolean, isCompiled: boolean): void {
    if (usesOldSelf && uncorrelated !== undefined) {
      const why = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelated}`;
      this.errors.push(invalidValue(`${path}.rule`, rule.rule, why));
    }
    if (isCompiled && !usesOldSelf && rule.optionalOldSelf !== undefined) {
      const why = 'may not be set if oldSelf is not used in rule';
      this.errors.push(invalidValue(`${path}.optionalOldSelf`, rule.optionalOldSelf, why));
    }
  }

  /** Counts what an expression may cost for one object, and refuses what is too much. */
  #observe({ path, cardinality, type }: Place, at: string, what: string, costMax: bigint): void {
    const cost = multiply(costMax, cardinality ?? cardinalityMax(type?.bytesMin ?? 0));
    if (cost > RULE_ESTIMATE_MAX) {
      this.errors.push(forbiddenField(`${path}.${at}`, costMessage(what, cost, RULE_ESTIMATE_MAX)));
    }
    this.#total += cost;
    if (cost >= SCHEMA_ESTIMATE_MAX / 100n) this.#expensive.push({ path: `${path}.${at}`, cost });
  }

  totalErrors(path: string): FieldError[] {
    if (this.#total <= SCHEMA_ESTIMATE_MAX) return [];
    const worst = this.#expensive.toSorted((a, b) => (a.cost > b.cost ? -1 : a.cost < b.cost ? 1 : 0));
    const why = 'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema';
    const what = 'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema';
    return [
      ...worst.slice(0, EXPENSIVE_RULES_MAX).map(({ path: rule }) => forbiddenField(rule, why)),
      forbiddenField(path, costMessage(what, this.#total, SCHEMA_ESTIMATE_MAX)),
    ];
  }
}

const NOT_A_BOOL = 'cel expression must evaluate to a bool';
const NOT_A_TEXT = 'must evaluate to a string';
const isOfType = (type: Type, wanted: Type): boolean =>
  type.kind === wanted.kind && isAssignable(new Bindings(), type, wanted);
const asSchema = (value: boolean | RuleSchema | undefined): RuleSchema | undefined =>
  typeof value === 'object' ? value : undefined;
const fieldType = (type: SchemaType | undefined, name: string): SchemaType | undefined => type?.fields?.get(name);

const withRules = new WeakMap<RuleSchema, boolean>();
/** True if the schema holds a rule, at whatever depth. */
function holdsRules(schema: RuleSchema): boolean {
  let holds = withRules.get(schema);
  if (holds === undefined) {
    const parts = [
      ...Object.values(schema.properties ?? {}),
      schema.items,
      asSchema(schema.additionalProperties),
      ...(schema.allOf ?? []),
    ];
    holds =
      (schema['x-kubernetes-validations']?.length ?? 0) > 0 ||
      parts.some(part => part !== undefined && holdsRules(part));
    withRules.set(schema, holds);
  }
  return holds;
}

/** Whether an element of an old list or map can be told to be the one of the new. */
export function isCorrelated(schema: RuleSchema): boolean {
  if (schema.type === 'array') return schema['x-kubernetes-list-type'] === 'map';
  return schema['x-kubernetes-map-type'] !== 'atomic';
}

function childCardinality({ structure, cardinality }: Place): bigint | undefined {
  if (cardinality === undefined) return undefined;
  const isMap = structure.type === 'object' && structure.additionalProperties !== undefined;
  if (!isMap && structure.type !== 'array') return cardinality;
  const sizeMax = isMap ? structure.maxProperties : structure.maxItems;
  return sizeMax === undefined ? undefined : multiply(cardinality, BigInt(Math.max(0, sizeMax)));
}

function costMessage(what: string, cost: bigint, limit: bigint): string {
  const factor = Number(cost) / Number(limit);
  const shown = factor > 100 ? 'more than 100x' : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`;
  return (
    `${what} exceeds budget by factor of ${shown} (try simplifying the rule, or adding maxItems, maxProperties, ` +
    'and maxLength where arrays, maps, and strings are declared)'
  );
}

const REASONS = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];

/** What is wrong with a rule apart from its expressions. */
function formErrors(rule: ValidationRule, path: string, schema: RuleSchema): FieldError[] {
  const errors: FieldError[] = [];
  const { message, messageExpression, reason, fieldPath } = rule;
  const text = (rule.rule ?? '').trim();
  if (text === '') errors.push(required(`${path}.rule`, 'rule is not specified'));
  if (message && message.trim() === '') {
    errors.push(invalidValue(`${path}.message`, message, 'message must be non-empty if specified'));
  } else if (message?.trim().includes('\n')) {
    errors.push(invalidValue(`${path}.message`, message, 'message must not contain line breaks'));
  } else if (text.includes('\n') && !message?.trim()) {
    errors.push(required(`${path}.message`, 'message must be specified if rule contains line breaks'));
  }
  if (messageExpression && messageExpression.trim() === '') {
    errors.push(required(`${path}.messageExpression`, 'messageExpression must be non-empty if specified'));
  }
  if (reason !== undefined && !REASONS.includes(reason)) {
    errors.push(notSupported(`${path}.reason`, reason, REASONS));
  }
  if (fieldPath) {
    if (fieldPath.trim() === '') {
      errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must be non-empty if specified'));
    }
    if (fieldPath.includes('\n')) {
      errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must not contain line breaks'));
    }
    if (rulePath(fieldPath, schema) === undefined) {
      errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must be a valid path'));
    }
  }
  return errors;
}

/** A rule as Go prints the struct. Where Go shows an address, there is one. */
function goRule({
  rule,
  message = '',
  messageExpression = '',
  reason,
  fieldPath = '',
  optionalOldSelf,
}: ValidationRule): string {
  const pointer = (type: string, value: unknown) => `(${type})(${value === undefined ? 'nil' : '0xc000000000'})`;
  return (
    `apiextensions.ValidationRule{Rule:${goQuote(rule)}, Message:${goQuote(message)}, ` +
    `MessageExpression:${goQuote(messageExpression)}, Reason:${pointer('*apiextensions.FieldValueErrorReason', reason)}, ` +
    `FieldPath:${goQuote(fieldPath)}, OptionalOldSelf:${pointer('*bool', optionalOldSelf)}}`
  );
}
