/** Validation of ValidatingAdmissionPolicies and their bindings (k/k:pkg/apis/admissionregistration/validation). */

import { type CompiledExpression, compileExpression, type ResultKind } from '../cel/index.ts';
import type {
  AuditAnnotation,
  MatchResources,
  NamedRuleWithOperations,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  Validation,
  Variable,
} from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { validateAdmissionRule } from './admission-rules.ts';
import {
  byRule,
  duplicateValue,
  forbiddenField,
  goQuote,
  invalidText,
  invalidValue,
  notSupported,
  oneOf,
  required,
} from './errors.ts';
import { validateMatchConditions } from './match-conditions.ts';
import { dns1035Label, dns1123Subdomain, pathSegment, qualifiedName } from './names.ts';
import { validateLabelSelector } from './scheduling.ts';

const FAILURE_POLICIES = ['Fail', 'Ignore'];
const MATCH_POLICIES = ['Equivalent', 'Exact'];
const REASONS = ['Forbidden', 'Invalid', 'RequestEntityTooLarge'];
const ACTIONS = ['Audit', 'Deny', 'Warn'];
const AUDIT_ANNOTATIONS_MAX = 20;
const VALUE_EXPRESSION_BYTES_MAX = 5 * 1024;
const NOTHING_TO_SAY = 'validations or auditAnnotations must contain at least one item';

/** What is wrong with a policy, its expressions included. */
export function validatePolicy({ metadata, spec = {} }: ValidatingAdmissionPolicy): FieldError[] {
  const { failurePolicy, paramKind, matchConstraints, matchConditions = [] } = spec;
  const { variables = [], validations = [], auditAnnotations = [] } = spec;
  const hasParams = paramKind !== undefined;
  const checker = new ExpressionChecker(hasParams, variables.length > 0);
  return [
    ...enumerated('spec.failurePolicy', failurePolicy, FAILURE_POLICIES),
    ...(paramKind ? validateParamKind(paramKind, 'spec.paramKind') : []),
    ...(matchConstraints
      ? [
          ...validateMatchResources(matchConstraints, 'spec.matchConstraints'),
          ...((matchConstraints.resourceRules ?? []).length === 0
            ? [required('spec.matchConstraints.resourceRules')]
            : []),
        ]
      : [required('spec.matchConstraints')]),
    ...validateMatchConditions(matchConditions, 'spec.matchConditions', { hasParams, hasAuthorizer: true }),
    ...variables.flatMap((variable, index) => validateVariable(variable, checker, `spec.variables[${index}]`)),
    ...(validations.length === 0 && auditAnnotations.length === 0
      ? [required('spec.validations', NOTHING_TO_SAY), required('spec.auditAnnotations', NOTHING_TO_SAY)]
      : []),
    ...validations.flatMap((validation, index) =>
      validateValidation(validation, checker, `spec.validations[${index}]`),
    ),
    ...validateAuditAnnotations(auditAnnotations, checker, metadata?.name ?? ''),
  ];
}

const enumerated = (field: string, value: string | undefined, supported: readonly string[]): FieldError[] =>
  value === undefined ? [required(field)] : oneOf(field, value, supported);

/** Compiles a policy's expressions one after the other: later ones may use the variables of earlier ones. */
class ExpressionChecker {
  readonly #hasParams: boolean;
  /** Without any variable there is no `variables`. */
  readonly #variables: Map<string, CompiledExpression> | undefined;

  constructor(hasParams: boolean, hasVariables: boolean) {
    this.#hasParams = hasParams;
    this.#variables = hasVariables ? new Map() : undefined;
  }

  compile(text: string, allowed: readonly ResultKind[], hasAuthorizer = true) {
    const variables = this.#variables;
    return compileExpression(
      text,
      { hasParams: this.#hasParams, hasAuthorizer, ...(variables && { variables }) },
      allowed,
    );
  }

  keep(name: string, compiled: CompiledExpression): void {
    this.#variables?.set(name, compiled);
  }
}

function validateParamKind({ apiVersion = '', kind = '' }: ParamKind, path: string): FieldError[] {
  return [...validateParamVersion(apiVersion, `${path}.apiVersion`), ...validateParamName(kind, `${path}.kind`)];
}

function validateParamVersion(apiVersion: string, field: string): FieldError[] {
  if (apiVersion === '') return [required(field)];
  const parts = apiVersion === '/' ? [''] : apiVersion.split('/');
  if (parts.length > 2) return [invalidValue(field, apiVersion, `unexpected GroupVersion string: ${apiVersion}`)];
  const [group = '', version = ''] = parts.length === 2 ? parts : ['', parts[0]];
  const wrongGroup = group === '' ? [] : dns1123Subdomain(group);
  const errors = wrongGroup.length > 0 ? [invalidValue(field, group, wrongGroup.join(','))] : [];
  if (version === '') return [...errors, invalidValue(field, apiVersion, 'version must be specified')];
  const wrongVersion = dns1035Label(version);
  return wrongVersion.length > 0 ? [...errors, invalidValue(field, version, wrongVersion.join(','))] : errors;
}

function validateParamName(kind: string, field: string): FieldError[] {
  if (kind === '') return [required(field)];
  const wrong = dns1035Label(kind.toLowerCase());
  if (wrong.length === 0) return [];
  return [invalidValue(field, kind, `may have mixed case, but should otherwise match: ${wrong.join(',')}`)];
}

function validateMatchResources(match: MatchResources, path: string): FieldError[] {
  const selector = (name: 'namespaceSelector' | 'objectSelector') =>
    match[name] ? validateLabelSelector(match[name], `${path}.${name}`) : [required(`${path}.${name}`)];
  const rules = (name: 'resourceRules' | 'excludeResourceRules') =>
    (match[name] ?? []).flatMap((rule, index) => validateNamedRule(rule, `${path}.${name}[${index}]`));
  return [
    ...enumerated(`${path}.matchPolicy`, match.matchPolicy, MATCH_POLICIES),
    ...selector('namespaceSelector'),
    ...selector('objectSelector'),
    ...rules('resourceRules'),
    ...rules('excludeResourceRules'),
  ];
}

function validateNamedRule(rule: NamedRuleWithOperations, path: string): FieldError[] {
  const names = rule.resourceNames ?? [];
  return [
    ...names.flatMap((name, index) => [
      ...byRule(`${path}.resourceNames[${index}]`, name, pathSegment(name)),
      ...(names.indexOf(name) < index ? [duplicateValue(`${path}.resourceNames[${index}]`, name)] : []),
    ]),
    ...validateAdmissionRule(rule, path),
  ];
}

const RESERVED = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);
const isIdentifier = (name: string): boolean => /^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) && !RESERVED.has(name);

function validateVariable({ name, expression }: Variable, checker: ExpressionChecker, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (name.trim() === '') errors.push(required(`${path}.name`, 'name is not specified'));
  else if (!isIdentifier(name)) errors.push(invalidValue(`${path}.name`, name, 'name is not a valid CEL identifier'));
  if (expression.trim() === '') return [...errors, required(`${path}.expression`, 'expression is not specified')];
  const compiled = checker.compile(expression, ['any']);
  if ('error' in compiled) return [...errors, invalidValue(`${path}.expression`, expression, compiled.error)];
  checker.keep(name, compiled);
  return errors;
}

function validateValidation(validation: Validation, checker: ExpressionChecker, path: string): FieldError[] {
  const { expression, message = '', messageExpression = '', reason } = validation;
  const errors: FieldError[] = [];
  const compile = (field: string, text: string, kind: ResultKind, hasAuthorizer: boolean) => {
    const compiled = checker.compile(text, [kind], hasAuthorizer);
    if ('error' in compiled) errors.push(invalidValue(`${path}.${field}`, text, compiled.error));
  };
  if (expression.trim() === '') errors.push(required(`${path}.expression`, 'expression is not specified'));
  else compile('expression', expression, 'bool', true);
  if (messageExpression !== '' && messageExpression.trim() === '') {
    errors.push(invalidValue(`${path}.messageExpression`, messageExpression, 'must be non-empty if specified'));
  } else if (messageExpression !== '') compile('messageExpression', messageExpression, 'string', false);
  if (message !== '' && message.trim() === '') {
    errors.push(invalidValue(`${path}.message`, message, 'message must be non-empty if specified'));
  } else if (/[\n\r]/.test(message.trim())) {
    errors.push(invalidValue(`${path}.message`, message, 'message must not contain line breaks'));
  }
  if (reason !== undefined) errors.push(...oneOf(`${path}.reason`, reason, REASONS));
  return errors;
}

function validateAuditAnnotations(
  annotations: readonly AuditAnnotation[],
  checker: ExpressionChecker,
  policyName: string,
): FieldError[] {
  const path = 'spec.auditAnnotations';
  const errors: FieldError[] = [];
  if (annotations.length > AUDIT_ANNOTATIONS_MAX) {
    const why = `must not have more than ${AUDIT_ANNOTATIONS_MAX} auditAnnotations`;
    errors.push(invalidValue(path, annotations, why));
  }
  const keys = new Set<string>();
  for (const [index, { key, valueExpression }] of annotations.entries()) {
    const at = `${path}[${index}]`;
    errors.push(...validateAuditKey(key, policyName, `${at}.key`));
    errors.push(...validateAuditValue(valueExpression, checker, `${at}.valueExpression`));
    if (keys.has(key)) errors.push(duplicateValue(`${at}.key`, key));
    keys.add(key);
  }
  return errors;
}

function validateAuditKey(key: string, policyName: string, field: string): FieldError[] {
  if (policyName === '') return [invalidValue(field, key, 'requires metadata.name be non-empty')];
  const name = `${policyName}/${key}`;
  return byRule(field, name, qualifiedName(name));
}

function validateAuditValue(expression: string, checker: ExpressionChecker, field: string): FieldError[] {
  const text = expression.trim();
  if (text === '') return [required(field, 'valueExpression is not specified')];
  if (Buffer.byteLength(text) > VALUE_EXPRESSION_BYTES_MAX) {
    return [required(field, `must not exceed ${VALUE_EXPRESSION_BYTES_MAX} bytes in length`)];
  }
  const compiled = checker.compile(text, ['string', 'null']);
  return 'error' in compiled ? [invalidValue(field, expression, compiled.error)] : [];
}

/** What is wrong with what its controller says of a policy. */
export function validatePolicyStatus({ status }: ValidatingAdmissionPolicy): FieldError[] {
  return (status?.typeChecking?.expressionWarnings ?? []).flatMap(({ fieldRef, warning }, index) => {
    const path = `status.typeChecking.expressionWarnings[${index}]`;
    return [
      ...(warning ? [] : [required(`${path}.warning`)]),
      ...(fieldRef?.trim() ? [] : [required(`${path}.fieldRef`)]),
    ];
  });
}

/** What is wrong with a binding. */
export function validatePolicyBinding({ spec = {} }: ValidatingAdmissionPolicyBinding): FieldError[] {
  const { policyName = '', paramRef, matchResources, validationActions = [] } = spec;
  return [
    ...(policyName === ''
      ? [required('spec.policyName')]
      : byRule('spec.policyName', policyName, dns1123Subdomain(policyName))),
    ...(paramRef ? validateParamRef(paramRef, 'spec.paramRef') : []),
    // Kubernetes misspells the field.
    ...(matchResources ? validateMatchResources(matchResources, 'spec.matchResouces') : []),
    ...validateActions(validationActions, 'spec.validationActions'),
  ];
}

function validateParamRef({ name = '', selector, parameterNotFoundAction }: ParamRef, path: string): FieldError[] {
  const excluded = 'name and selector are mutually exclusive';
  return [
    ...(name === '' ? [] : byRule(`${path}.name`, name, pathSegment(name))),
    ...(name !== '' && selector ? [forbiddenField(`${path}.name`, excluded)] : []),
    ...(selector ? validateLabelSelector(selector, `${path}.selector`) : []),
    ...(name !== '' && selector ? [forbiddenField(`${path}.selector`, excluded)] : []),
    ...(name === '' && !selector ? [required(path, 'one of name or selector must be specified')] : []),
    ...(parameterNotFoundAction
      ? oneOf(`${path}.parameterNotFoundAction`, parameterNotFoundAction, ['Deny', 'Allow'])
      : [required(`${path}.parameterNotFoundAction`)]),
  ];
}

function validateActions(actions: readonly string[], path: string): FieldError[] {
  const errors = actions.flatMap((action, index) => [
    ...(ACTIONS.includes(action) ? [] : [notSupported(`${path}[${index}]`, action, ACTIONS)]),
    ...(actions.indexOf(action) < index ? [duplicateValue(`${path}[${index}]`, action)] : []),
  ]);
  if (actions.includes('Deny') && actions.includes('Warn')) {
    const why =
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)';
    errors.push(invalidText(path, `[]admissionregistration.ValidationAction{${actions.map(goQuote).join(', ')}}`, why));
  }
  if (actions.length === 0) errors.push(required(path, 'at least one validation action is required'));
  return errors;
}
