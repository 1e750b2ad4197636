/**
 * ValidatingAdmissionPolicies: expressions that have to hold for a request (apiserver/pkg/admission/plugin/policy/validating).
 * Every binding of a policy is judged with each of its parameters; what does not hold is denied, warned of, or written
 * into the audit log, as the binding says.
 */
import { MATCH_CONDITIONS_COST_MAX, POLICY_COST_MAX, usableMessage } from '../../../api/cel/index.ts';
import type { KindDeclaration, KubernetesObject } from '../../../api/kind.ts';
import { ApiError, forbidden, type Reason } from '../../../api/status.ts';
import type { Authorizer } from '../../auth/authorizer.ts';
import { resourceName } from '../../keys.ts';
import { addWarnings } from '../../verbs/create.ts';
import type { AdmissionPlugin, AdmissionRequest, States } from '../admission.ts';
import { makeReview } from '../webhooks/review.ts';
import { isExempt } from '../webhooks/rules.ts';
import { inVersion, subjectOf } from '../webhooks/subject.ts';
import { Evaluation, matchConditions } from './evaluate.ts';
import { Candidate, type MatchSources } from './matching.ts';
import { collectParams, ParamError, type ParamSource } from './params.ts';
import { Policies, type Policy, type PolicyBinding } from './policies.ts';

export interface PolicyOptions extends ParamSource, MatchSources {
  readonly authorizer: Pick<Authorizer, 'authorize'>;
}

/** One thing that a policy says against a request. */
interface Complaint {
  readonly message: string;
  readonly reason: string;
  /** Which validation it was; -1 if none. */
  readonly index: number;
}

/** Kubernetes' limit for the value of one audit annotation, and how many of a kind are kept. */
const AUDIT_VALUE_BYTES_MAX = 10 * 1024;
const AUDIT_FAILURES_MAX = 100;
const AUDIT_FAILURE_KEY = 'validation.policy.admission.k8s.io/validation_failure';

export function validatingPolicies(options: PolicyOptions): AdmissionPlugin {
  const policies = new Policies(options.cache);
  return {
    name: 'ValidatingAdmissionPolicy',
    seesParts: true,
    validate(request, states) {
      const { bound } = policies;
      if (bound.length === 0 || request.isInternal) return undefined;
      if (isExempt({ group: request.kind.group, resource: request.kind.plural })) return undefined;
      return judgeBy(bound, new Judge(options, request, states));
    },
  };
}

async function judgeBy(policies: readonly Policy[], judge: Judge): Promise<void> {
  for (const policy of policies) await judge.judge(policy);
  judge.finish();
}

/** Collects what policies say of one request. */
class Judge {
  readonly #options: PolicyOptions;
  readonly #request: AdmissionRequest;
  readonly #candidate: Candidate;
  readonly #denials: { readonly message: string; readonly reason: string }[] = [];
  readonly #audited: object[] = [];
  readonly #annotations = new Map<string, Set<string>>();

  constructor(options: PolicyOptions, request: AdmissionRequest, states: States) {
    this.#options = options;
    this.#request = request;
    this.#candidate = new Candidate(options, subjectOf(request, states), states);
  }

  async judge(policy: Policy): Promise<void> {
    const shown = await this.#candidate.version(policy.matcher);
    if (!shown) return;
    if (policy.mistake !== undefined) {
      this.#misconfigured(policy, undefined, policy.mistake);
      return;
    }
    for (const binding of policy.bindings) {
      if (!binding.matcher || (await this.#candidate.version(binding.matcher)))
        await this.#bind(policy, binding, shown);
    }
  }

  async #bind(policy: Policy, binding: PolicyBinding, shown: KindDeclaration): Promise<void> {
    let params: readonly (KubernetesObject | undefined)[];
    try {
      const sought = { paramKind: policy.paramKind, paramRef: binding.paramRef };
      params = collectParams(this.#options, sought, this.#candidate.subject.asked.namespace);
    } catch (error) {
      if (!(error instanceof ParamError)) throw error;
      this.#misconfigured(policy, binding, error.message);
      return;
    }
    for (const param of params) {
      for (const complaint of await this.#evaluate(policy, param, shown)) this.#act(policy, binding, complaint);
    }
  }

  /** What the policy cannot be judged for denies the request, whatever its bindings want done, unless it does not mind. */
  #misconfigured(policy: Policy, binding: PolicyBinding | undefined, why: string): void {
    if (policy.ignoresFailure) return;
    const what = binding ? `failed to configure binding: ${why}` : `failed to configure policy: ${why}`;
    this.#denials.push({ message: denial(policy, binding, what), reason: 'Invalid' });
  }

  async #evaluate(policy: Policy, params: KubernetesObject | undefined, shown: KindDeclaration): Promise<Complaint[]> {
    const { subject, states } = this.#candidate;
    const { resource } = subject;
    const object = inVersion(states.object, resource, shown);
    const old = inVersion(states.old, resource, shown);
    const { request } = makeReview('v1', { uid: '', request: this.#request, subject, shown, object, old });
    const namespaceObject = await this.#candidate.namespace();
    const input = { object, oldObject: old, request, params, namespaceObject };
    const asking = { authorizer: this.#options.authorizer, identity: this.#request.identity };
    const failed = (message: string): Complaint[] =>
      policy.ignoresFailure ? [] : [{ message, reason: 'Invalid', index: -1 }];
    if (policy.matchConditions.length > 0) {
      const conditions = new Evaluation(asking, input, MATCH_CONDITIONS_COST_MAX);
      const match = await matchConditions(policy.matchConditions, conditions);
      if (match.failure !== undefined) return failed(match.failure);
      if (!match.matches) return [];
    }
    const evaluation = new Evaluation(asking, input, POLICY_COST_MAX);
    const complaints: Complaint[] = [];
    for (const [index, validation] of policy.validations.entries()) {
      const { value, failure, isOver } = await evaluation.evaluate(validation.condition);
      if (failure !== undefined) complaints.push(...failed(failure).map(complaint => ({ ...complaint, index })));
      else if (value !== true) {
        const computed = validation.messageExpression && (await evaluation.evaluate(validation.messageExpression));
        const message =
          (computed?.failure === undefined && usableMessage(computed?.value ?? null)) ||
          validation.message ||
          `failed expression: ${validation.expression}`;
        complaints.push({ message, reason: validation.reason, index });
      }
      if (isOver) break;
    }
    await this.#annotate(policy, evaluation);
    return complaints;
  }

  async #annotate(policy: Policy, evaluation: Evaluation): Promise<void> {
    for (const { key, value: expression } of policy.auditAnnotations) {
      const { value } = await evaluation.evaluate(expression);
      if (typeof value !== 'string' || value === '') continue;
      const name = `${policy.name}/${key}`;
      const values = this.#annotations.get(name) ?? new Set();
      this.#annotations.set(name, values.add(value.slice(0, AUDIT_VALUE_BYTES_MAX)));
    }
  }

  #act(policy: Policy, binding: PolicyBinding, { message, reason, index }: Complaint): void {
    const { exchange } = this.#request;
    for (const action of binding.actions) {
      if (action === 'Deny') this.#denials.push({ message: denial(policy, binding, message), reason });
      if (action === 'Warn') {
        const about = `ValidatingAdmissionPolicy '${policy.name}' with binding '${binding.name}'`;
        addWarnings(exchange, [`Validation failed for ${about}: ${message}`]);
      }
      if (action === 'Audit' && this.#audited.length < AUDIT_FAILURES_MAX) {
        this.#audited.push({
          message,
          policy: policy.name,
          binding: binding.name,
          ...(index >= 0 && { expressionIndex: index }),
          validationActions: binding.actions,
        });
      }
    }
  }

  /** Writes down what is to be audited, and throws the first denial. */
  finish(): void {
    const { auditAnnotations } = this.#request.exchange;
    for (const [key, values] of this.#annotations) auditAnnotations.set(key, [...values].join(', '));
    if (this.#audited.length > 0) auditAnnotations.set(AUDIT_FAILURE_KEY, JSON.stringify(this.#audited));
    const [first] = this.#denials;
    if (!first) return;
    const { message, details } = forbidden(
      resourceName(this.#request.kind),
      this.#candidate.subject.name,
      first.message,
    );
    throw new ApiError(first.reason as Reason, message, {
      // one of the three that validation allows
      details: { ...details, causes: [{ message: first.message }] },
    });
  }
}

function denial(policy: Policy, binding: PolicyBinding | undefined, message: string): string {
  const by = binding ? ` with binding '${binding.name}'` : '';
  return `ValidatingAdmissionPolicy '${policy.name}'${by} denied request: ${message}`;
}
