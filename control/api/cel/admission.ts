/**
 * Expressions of admission: match conditions of webhooks, and all that admission policies hold. They speak of the object
 * as it was and as it will be, of the request, its namespace, parameters, and other expressions by name (apiserver
 * pkg/admission/plugin/cel).
 */
import type { Budget } from './budget.ts';
import { compileText } from './compile.ts';
import { builtinValue, declarations } from './environment.ts';
import { estimateCost } from './estimate.ts';
import { authorizerValue, type Decisions, requestResourceValue } from './functions/authorization.ts';
import { dynamicValue, typedValue } from './json-values.ts';
import { type RuleSchema, schemaType } from './schema.ts';
import type { Program } from './steps.ts';
import { DYN, type ObjectType, opaque, type Type } from './types.ts';
import { EvaluationError, type MapValue, type Value } from './values.ts';

const TEXT: RuleSchema = { type: 'string' };
const NUMBER: RuleSchema = { type: 'integer' };
const MOMENT: RuleSchema = { type: 'string', format: 'date-time' };
const TEXTS: RuleSchema = { type: 'array', items: TEXT };
const TEXT_MAP: RuleSchema = { type: 'object', additionalProperties: TEXT };
const object = (properties: Record<string, RuleSchema>): RuleSchema => ({ type: 'object', properties });
const KIND = object({ group: TEXT, version: TEXT, kind: TEXT });
const RESOURCE = object({ group: TEXT, version: TEXT, resource: TEXT });

/** What expressions see of a request: `options` besides, which has no type. */
const REQUEST_SCHEMA = object({
  kind: KIND,
  resource: RESOURCE,
  subResource: TEXT,
  requestKind: KIND,
  requestResource: RESOURCE,
  requestSubResource: TEXT,
  name: TEXT,
  namespace: TEXT,
  operation: TEXT,
  userInfo: object({
    username: TEXT,
    uid: TEXT,
    groups: TEXTS,
    extra: { type: 'object', additionalProperties: TEXTS },
  }),
  dryRun: { type: 'boolean' },
  options: { 'x-kubernetes-preserve-unknown-fields': true },
});
const NAMESPACE_SCHEMA = object({
  metadata: object({
    name: TEXT,
    generateName: TEXT,
    namespace: TEXT,
    labels: TEXT_MAP,
    annotations: TEXT_MAP,
    uid: TEXT,
    creationTimestamp: MOMENT,
    deletionGracePeriodSeconds: NUMBER,
    deletionTimestamp: MOMENT,
    generation: NUMBER,
    resourceVersion: TEXT,
    finalizers: TEXTS,
  }),
  spec: object({ finalizers: TEXTS }),
  status: object({ phase: TEXT }),
});

const typeFrom = (schema: RuleSchema, dynamic: readonly string[] = []): Type => {
  const known = schemaType(schema, false)?.type;
  if (known?.kind !== 'object') throw new Error('an object was expected');
  return { ...known, field: name => (dynamic.includes(name) ? DYN : known.field(name)) };
};
const REQUEST = typeFrom(REQUEST_SCHEMA, ['options']);
const NAMESPACE = typeFrom(NAMESPACE_SCHEMA);
const AUTHORIZER = opaque('kubernetes.authorization.Authorizer');
const RESOURCE_CHECK = opaque('kubernetes.authorization.ResourceCheck');

/** What an expression may speak of besides object, oldObject, request and namespaceObject. */
export interface ExpressionEnvironment {
  readonly hasParams?: boolean;
  readonly hasAuthorizer?: boolean;
  /** `variables.name`; an expression sees those that were compiled before it. Absent: there is no `variables`. */
  readonly variables?: ReadonlyMap<string, CompiledExpression>;
  /** Types of object, oldObject and params for checking only; all are dyn if not said. */
  readonly types?: Readonly<Partial<Record<'object' | 'oldObject' | 'params', Type>>>;
}

/** What an expression is evaluated with. JSON of the API, as it is; what is undefined reads as null. */
export interface AdmissionInput {
  readonly object?: unknown;
  readonly oldObject?: unknown;
  /** admission.k8s.io/v1 AdmissionRequest, without its object and oldObject. */
  readonly request?: unknown;
  readonly namespaceObject?: unknown;
  readonly params?: unknown;
  /** Answers of the authorizer; expressions that need others end with PendingDecision. */
  readonly decisions?: Decisions;
  /** Values that variables had already; shared by all expressions evaluated for one request and policy. */
  readonly memory?: Map<string, Value | EvaluationError>;
}

export interface CompiledExpression {
  readonly text: string;
  readonly type: Type;
  /** What evaluating it once costs at most, as far as its types tell. */
  readonly costMax: bigint;
  /** Throws EvaluationError, CostLimitError, and PendingDecision. */
  evaluate(input: AdmissionInput, budget: Budget): Value;
}

/** Kinds of results, as the sentences about them write them. */
export type ResultKind = 'bool' | 'string' | 'null' | 'any';

/**
 * Compiles an expression. The error is the detail of a field error: `compilation failed: ERROR: …`, `must evaluate to
 * bool`. Never throws.
 */
export function compileExpression(
  text: string,
  environment: ExpressionEnvironment = {},
  allowed: readonly ResultKind[] = ['bool'],
): CompiledExpression | { readonly error: string } {
  const { variables = new Map<string, CompiledExpression>() } = environment;
  const compiled = compileText(text, declarations(declaredTypes(environment)));
  if (compiled.error !== undefined) return { error: compiled.error };
  const { checked, program } = compiled;
  const { resultType } = checked;
  if (!allowed.includes('any') && !allowed.some(kind => resultType.kind === kind)) {
    return {
      error:
        allowed.length === 1
          ? `must evaluate to ${allowed[0]}`
          : `must evaluate to one of [${allowed.map(goType).join(' ')}]`,
    };
  }
  return {
    text,
    type: resultType,
    costMax: estimateCost(checked, new Map()),
    evaluate: (input, budget) => run(program, variables, input, budget),
  };
}

const goType = (kind: ResultKind): string => (kind === 'null' ? 'null_type' : kind);

function declaredTypes({ hasParams, hasAuthorizer, variables, types = {} }: ExpressionEnvironment): [string, Type][] {
  const composed: ObjectType = {
    kind: 'object',
    name: 'kubernetes.variables',
    field: name => variables?.get(name)?.type,
  };
  return [
    ['object', types.object ?? DYN],
    ['oldObject', types.oldObject ?? DYN],
    ['request', REQUEST],
    ['namespaceObject', NAMESPACE],
    ...(variables ? ([['variables', composed]] as [string, Type][]) : []),
    ...(hasParams ? ([['params', types.params ?? DYN]] as [string, Type][]) : []),
    ...(hasAuthorizer
      ? ([
          ['authorizer', AUTHORIZER],
          ['authorizer.requestResource', RESOURCE_CHECK],
        ] as [string, Type][])
      : []),
  ];
}

function run(
  program: Program,
  variables: ReadonlyMap<string, CompiledExpression>,
  input: AdmissionInput,
  budget: Budget,
): Value {
  const memory = input.memory ?? new Map<string, Value | EvaluationError>();
  const shared: SharedInput = { ...input, memory };
  return program(
    name => (name === 'variables' ? new Variables(variables, shared, budget) : inputValue(name, input)),
    budget,
  );
}

function inputValue(name: string, { decisions, request, ...input }: AdmissionInput): Value | undefined {
  switch (name) {
    case 'object':
    case 'oldObject':
    case 'params':
      return dynamicValue(input[name]);
    case 'request':
      return request === undefined ? undefined : new Request(request);
    case 'namespaceObject':
      return input.namespaceObject == null ? null : typedValue(input.namespaceObject, NAMESPACE_SCHEMA);
    case 'authorizer':
      return decisions && authorizerValue(decisions);
    case 'authorizer.requestResource':
      return decisions && requestResourceValue(decisions, questionAbout(request));
    default:
      return builtinValue(name);
  }
}

/** The request, whose options are of no known type. */
class Request implements MapValue {
  readonly isMap = true;
  readonly objectName = 'kubernetes.AdmissionRequest';
  readonly #typed: MapValue;
  readonly #options: unknown;

  constructor(json: unknown) {
    // An object of that schema is a map.
    this.#typed = typedValue(json, REQUEST_SCHEMA) as MapValue;
    this.#options = (json as { options?: unknown }).options;
  }

  get size(): number {
    return this.#typed.size;
  }

  get(key: Value): Value | undefined {
    if (key !== 'options') return this.#typed.get(key);
    return this.#options === undefined ? undefined : dynamicValue(this.#options);
  }

  keys(): readonly Value[] {
    return this.#typed.keys();
  }
}

interface RequestJson {
  readonly resource?: { readonly group?: string; readonly resource?: string };
  readonly subResource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** What `authorizer.requestResource` asks about. */
function questionAbout(request: unknown) {
  const { resource, subResource, namespace, name } = (request ?? {}) as RequestJson;
  return {
    group: resource?.group ?? '',
    resource: resource?.resource ?? '',
    ...(subResource && { subresource: subResource }),
    ...(namespace && { namespace }),
    ...(name && { name }),
  };
}

type SharedInput = AdmissionInput & { readonly memory: Map<string, Value | EvaluationError> };

/** `variables`: each is evaluated when first read, and charged to whoever reads it first. */
class Variables implements MapValue {
  readonly isMap = true;
  readonly objectName = 'kubernetes.variables';
  readonly #variables: ReadonlyMap<string, CompiledExpression>;
  readonly #input: SharedInput;
  readonly #budget: Budget;

  constructor(variables: ReadonlyMap<string, CompiledExpression>, input: SharedInput, budget: Budget) {
    this.#variables = variables;
    this.#input = input;
    this.#budget = budget;
  }

  get size(): number {
    return this.#variables.size;
  }

  get(key: Value): Value | undefined {
    const variable = typeof key === 'string' ? this.#variables.get(key) : undefined;
    if (!variable || typeof key !== 'string') return undefined;
    const { memory } = this.#input;
    let value = memory.get(key);
    if (value === undefined) {
      value = evaluated(variable, this.#input, this.#budget);
      memory.set(key, value);
    }
    if (value instanceof EvaluationError) {
      throw new EvaluationError(`composited variable "${key}" fails to evaluate: ${value.message}`);
    }
    return value;
  }

  keys(): readonly Value[] {
    return [...this.#variables.keys()];
  }
}

function evaluated(variable: CompiledExpression, input: AdmissionInput, budget: Budget): Value | EvaluationError {
  try {
    return variable.evaluate(input, budget);
  } catch (error) {
    if (error instanceof EvaluationError) return error;
    throw error;
  }
}
