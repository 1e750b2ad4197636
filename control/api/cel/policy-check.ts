/**
 * Checks a policy's expressions against the types of the objects that it is about (k/k
 * pkg/apis/admissionregistration/…/typechecking.go). Policies see objects of no known type, so a mistake would only
 * show when a request meets it; this tells it in the policy's status.
 */
import type { ExpressionWarning, ValidatingAdmissionPolicy } from '../generated/types.ts';
import { type CompiledExpression, compileExpression, type ResultKind } from './admission.ts';
import type { Type } from './types.ts';

/** A kind of objects, with the type that they have in expressions. */
export interface TypedKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly type: Type;
}

/** Resources that a policy names, one by one: those that a rule leaves open are not checked. */
export interface NamedResource {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

/** More kinds than that are not looked at. */
const KINDS_MAX = 10;

/** The resources that a policy's rules name without a star and without a subresource, each once, in order. */
export function namedResources({ spec = {} }: ValidatingAdmissionPolicy): NamedResource[] {
  const found = new Map<string, NamedResource>();
  for (const rule of spec.matchConstraints?.resourceRules ?? []) {
    for (const group of plain(rule.apiGroups)) {
      for (const version of plain(rule.apiVersions)) {
        for (const resource of plain(rule.resources)) {
          if (!resource.includes('/')) found.set(`${group}/${version}/${resource}`, { group, version, resource });
        }
      }
    }
  }
  return [...found.values()].slice(0, KINDS_MAX);
}

/** A list with a star says nothing in particular. */
const plain = (list: readonly string[] = []): readonly string[] => (list.includes('*') ? [] : list);

/** What does not fit the types. `params` is the type of the parameters, if that is known. Pure. */
export function checkPolicyTypes(
  { spec = {} }: ValidatingAdmissionPolicy,
  kinds: readonly TypedKind[],
  params?: Type,
): ExpressionWarning[] {
  const checks = kinds.map(kind => new KindCheck(kind, spec.paramKind !== undefined, params));
  for (const { name, expression } of spec.variables ?? [])
    for (const check of checks) check.addVariable(name, expression);
  const warnings: ExpressionWarning[] = [];
  const warn = (fieldRef: string, text: string, kind: ResultKind, hasAuthorizer: boolean) => {
    const found = checks.flatMap(check => check.complaints(text, kind, hasAuthorizer));
    if (found.length > 0) warnings.push({ fieldRef, warning: found.join('\n') });
  };
  for (const [index, { expression, messageExpression }] of (spec.validations ?? []).entries()) {
    warn(`spec.validations[${index}].expression`, expression, 'bool', true);
    if (messageExpression) {
      warn(`spec.validations[${index}].messageExpression`, messageExpression, 'string', false);
    }
  }
  return warnings;
}

class KindCheck {
  readonly #name: string;
  readonly #environment: {
    readonly hasParams: boolean;
    readonly types: { object: Type; oldObject: Type; params?: Type };
  };
  readonly #variables = new Map<string, CompiledExpression>();

  constructor({ group, version, kind, type }: TypedKind, hasParams: boolean, params: Type | undefined) {
    this.#name = `${group}/${version}, Kind=${kind}`;
    this.#environment = { hasParams, types: { object: type, oldObject: type, ...(params && { params }) } };
  }

  addVariable(name: string, expression: string): void {
    const compiled = this.#compile(expression, 'any', true);
    if (!('error' in compiled)) this.#variables.set(name, compiled);
  }

  complaints(text: string, kind: ResultKind, hasAuthorizer: boolean): string[] {
    const compiled = this.#compile(text, kind, hasAuthorizer);
    if (!('error' in compiled) || !compiled.error.startsWith(FAILED)) return [];
    return [`${this.#name}: ${compiled.error.slice(FAILED.length)}\n`];
  }

  #compile(text: string, kind: ResultKind, hasAuthorizer: boolean) {
    return compileExpression(text, { ...this.#environment, hasAuthorizer, variables: this.#variables }, [kind]);
  }
}

const FAILED = 'compilation failed: ';
