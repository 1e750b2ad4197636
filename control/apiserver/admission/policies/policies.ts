/** The admission policies of the cluster with their bindings, compiled, and read anew only when one has changed. */
import {
  type CompiledExpression,
  compileExpression,
  type ExpressionEnvironment,
  type ResultKind,
} from '../../../api/cel/index.ts';
import { validatingadmissionpolicies, validatingadmissionpolicybindings } from '../../../api/generated/kinds.ts';
import type {
  MatchResources,
  NamedRuleWithOperations,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '../../../api/generated/types.ts';
import { type LabelRequirements, requirementsOf } from '../../../api/selectors.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import { resourcePrefix } from '../../keys.ts';

/** Which requests are meant. */
export interface Matcher {
  readonly rules: readonly NamedRuleWithOperations[];
  readonly excluded: readonly NamedRuleWithOperations[];
  /** True if a rule for one version of a resource is meant for all its versions. */
  readonly matchesEquivalents: boolean;
  readonly namespaceSelector: LabelRequirements;
  readonly objectSelector: LabelRequirements;
}

export interface PolicyValidation {
  readonly condition: CompiledExpression;
  /** The text of the condition, as it is shown where nothing else is. */
  readonly expression: string;
  readonly message: string;
  readonly messageExpression: CompiledExpression | undefined;
  readonly reason: string;
}

export interface Policy {
  readonly name: string;
  readonly matcher: Matcher;
  readonly paramKind: ParamKind | undefined;
  readonly matchConditions: readonly CompiledExpression[];
  readonly validations: readonly PolicyValidation[];
  readonly auditAnnotations: readonly { readonly key: string; readonly value: CompiledExpression }[];
  /** True if a failure to judge is as good as a yes. */
  readonly ignoresFailure: boolean;
  /** Expressions that do not compile any more, though they were accepted once. */
  readonly mistake: string | undefined;
  readonly bindings: readonly PolicyBinding[];
}

export interface PolicyBinding {
  readonly name: string;
  /** Undefined: whatever the policy matches. */
  readonly matcher: Matcher | undefined;
  readonly paramRef: ParamRef | undefined;
  readonly actions: readonly string[];
}

const POLICIES = resourcePrefix(validatingadmissionpolicies);
const BINDINGS = resourcePrefix(validatingadmissionpolicybindings);

export class Policies {
  readonly #cache: WatchCache;
  #seen: { readonly change: string; readonly policies: readonly Policy[] } | undefined;
  /** By what was compiled, so that a change of one policy leaves the others alone. */
  #compiled = new Map<string, CompiledPolicy>();

  constructor(cache: WatchCache) {
    this.#cache = cache;
  }

  /** Those that are bound, by age. */
  get bound(): readonly Policy[] {
    const policies = this.#cache.resource(POLICIES);
    const bindings = this.#cache.resource(BINDINGS);
    const change = `${policies.lastChange}/${bindings.lastChange}`;
    if (this.#seen?.change !== change) this.#seen = { change, policies: this.#read() };
    return this.#seen.policies;
  }

  #read(): readonly Policy[] {
    const bindings = this.#cache
      .resource(BINDINGS)
      .list(BINDINGS)
      .map(object => object.parse<ValidatingAdmissionPolicyBinding>());
    const byPolicy = Map.groupBy(bindings, ({ spec }) => spec?.policyName ?? '');
    const compiled = new Map<string, CompiledPolicy>();
    const policies = this.#cache
      .resource(POLICIES)
      .list(POLICIES)
      .map(object => ({ policy: object.parse<ValidatingAdmissionPolicy>(), revision: object.revision }))
      .sort(byAge)
      .flatMap(({ policy }) => {
        const name = policy.metadata?.name ?? '';
        const bound = byPolicy.get(name);
        if (!bound) return [];
        const key = `${policy.metadata?.uid}/${policy.metadata?.generation}`;
        const known = this.#compiled.get(key) ?? compilePolicy(policy);
        compiled.set(key, known);
        return [{ ...known, bindings: bound.map(readBinding) }];
      });
    this.#compiled = compiled;
    return policies;
  }
}

type CompiledPolicy = Omit<Policy, 'bindings'>;

interface Aged {
  readonly policy: ValidatingAdmissionPolicy;
  readonly revision: number;
}
/** The oldest first: of several denials the client is told the first, and every master has the same. */
function byAge(a: Aged, b: Aged): number {
  const [before, after] = [a, b].map(({ policy }) => policy.metadata?.creationTimestamp ?? '');
  return before === after ? a.revision - b.revision : (before ?? '') < (after ?? '') ? -1 : 1;
}

function readBinding({ metadata, spec = {} }: ValidatingAdmissionPolicyBinding): PolicyBinding {
  return {
    name: metadata?.name ?? '',
    matcher: spec.matchResources && readMatcher(spec.matchResources),
    paramRef: spec.paramRef,
    actions: spec.validationActions ?? [],
  };
}

function readMatcher(match: MatchResources): Matcher {
  return {
    rules: match.resourceRules ?? [],
    excluded: match.excludeResourceRules ?? [],
    matchesEquivalents: match.matchPolicy !== 'Exact',
    namespaceSelector: requirementsOf(match.namespaceSelector ?? {}) ?? [],
    objectSelector: requirementsOf(match.objectSelector ?? {}) ?? [],
  };
}

function compilePolicy({ metadata, spec = {} }: ValidatingAdmissionPolicy): CompiledPolicy {
  const compiler = new PolicyCompiler(spec.paramKind !== undefined, (spec.variables ?? []).length > 0);
  const matchConditions = (spec.matchConditions ?? []).flatMap(({ expression }) =>
    compiler.compile(expression.trim(), ['bool'], { isCondition: true }),
  );
  for (const { name, expression } of spec.variables ?? []) compiler.addVariable(name, expression);
  const validations = (spec.validations ?? []).flatMap(validation => {
    const { expression, message = '', messageExpression, reason = 'Invalid' } = validation;
    return compiler.compile(expression, ['bool']).map(condition => ({
      condition,
      expression: expression.trim(),
      message: message.trim(),
      messageExpression: messageExpression
        ? compiler.compile(messageExpression, ['string'], { hasAuthorizer: false })[0]
        : undefined,
      reason,
    }));
  });
  const auditAnnotations = (spec.auditAnnotations ?? []).flatMap(({ key, valueExpression }) =>
    compiler.compile(valueExpression.trim(), ['string', 'null']).map(value => ({ key, value })),
  );
  return {
    name: metadata?.name ?? '',
    matcher: readMatcher(spec.matchConstraints ?? {}),
    paramKind: spec.paramKind,
    matchConditions,
    validations,
    auditAnnotations,
    ignoresFailure: spec.failurePolicy === 'Ignore',
    mistake: compiler.mistake,
  };
}

/** Compiles the expressions of one policy, in order. */
class PolicyCompiler {
  mistake: string | undefined;
  readonly #hasParams: boolean;
  readonly #variables: Map<string, CompiledExpression> | undefined;

  constructor(hasParams: boolean, hasVariables: boolean) {
    this.#hasParams = hasParams;
    this.#variables = hasVariables ? new Map() : undefined;
  }

  addVariable(name: string, expression: string): void {
    for (const compiled of this.compile(expression, ['any'])) this.#variables?.set(name, compiled);
  }

  /** One, or none if it does not compile. */
  compile(
    text: string,
    allowed: readonly ResultKind[],
    { hasAuthorizer = true, isCondition = false } = {},
  ): CompiledExpression[] {
    const environment: ExpressionEnvironment = {
      hasParams: this.#hasParams,
      hasAuthorizer,
      // Conditions are judged before there are variables.
      ...(this.#variables && !isCondition && { variables: this.#variables }),
    };
    const compiled = compileExpression(text, environment, allowed);
    if (!('error' in compiled)) return [compiled];
    this.mistake ??= compiled.error;
    return [];
  }
}
