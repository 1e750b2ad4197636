/** The group admissionregistration.k8s.io: policies in CEL that refuse requests. */
import type { TextTable } from '../texts.ts';

export const ADMISSION_POLICIES: TextTable = {
  prefix: 'io.k8s.api.admissionregistration.v1.',
  texts: {
    ValidatingAdmissionPolicy: {
      itself:
        'ValidatingAdmissionPolicy is a set of expressions in CEL that requests have to obey. It has an effect only where a ValidatingAdmissionPolicyBinding uses it.',
      spec: 'Which requests the policy is about and what they have to obey.',
      status: 'What was found out about the policy, such as mistakes in its expressions.',
    },
    ValidatingAdmissionPolicySpec: {
      itself:
        'ValidatingAdmissionPolicySpec says which requests a policy is about and what they have to obey. It has validations, auditAnnotations, or both.',
      auditAnnotations: 'What is written into the audit log about a request; at most 20.',
      failurePolicy:
        'What happens if an expression or the policy itself fails: "Fail", the default, refuses the request, "Ignore" lets it pass. It does not count for an expression that is merely false.',
      matchConditions:
        'Expressions in CEL that all have to be true of a request, or the policy is not about it; at most 64.',
      matchConstraints: 'Which requests the policy is about. It is required, with at least one of resourceRules.',
      paramKind: 'Kind of the objects that hold parameters for the policy. Missing: it has none, and params is null.',
      validations: 'What has to be true of a request. One that is not is enough to refuse it.',
      variables:
        'Expressions that the others may use as variables.NAME. One may use those before it; each is evaluated only when it is needed, and once.',
    },
    ParamKind: {
      itself: 'ParamKind names the kind of the objects that hold parameters.',
      apiVersion: 'Group and version of the kind, such as rules.example.com/v1.',
      kind: 'Name of the kind.',
    },
    MatchResources: {
      itself:
        'MatchResources says which requests are meant: those that fit one of resourceRules, none of excludeResourceRules, and both selectors.',
      excludeResourceRules: 'What is left out, though resourceRules fit it.',
      matchPolicy:
        'Whether rules fit a request that came in another version of the kind: "Equivalent", the default, or only as it stands, "Exact".',
      namespaceSelector:
        'Labels of the namespaces that are meant. For namespaces it is their own labels; what is in no namespace always fits. By default all.',
      objectSelector:
        'Labels of the objects that are meant: that of the object before or after the request has to fit. By default all. Users may set the labels of their objects, so it is no safeguard.',
      resourceRules: 'What is done with which resources; one rule that fits is enough.',
    },
    Validation: {
      itself: 'Validation is one thing that has to be true of a request.',
      expression:
        'Expression in CEL that has to be true. It knows object, oldObject, request, params, namespaceObject, authorizer and variables; object is null when something is deleted, oldObject when it is created.',
      message: 'What is said if the expression is false, in one line. Without it, it is the expression.',
      messageExpression:
        'Expression in CEL that makes the message; it knows the same, but for authorizer. It goes before message; if it fails or gives an empty text, message is said.',
      reason:
        'Why the request is refused, for programs, and so with which status: "Invalid" (422), the default, "Forbidden" (403) or "RequestEntityTooLarge" (413).',
    },
    Variable: {
      itself: 'Variable is an expression with a name, for others to use.',
      expression: 'Expression in CEL. It knows the same as those of validations, and the variables before it.',
      name: 'Name of the variable, as CEL has it: letters, digits and "_". Each once.',
    },
    AuditAnnotation: {
      itself: 'AuditAnnotation is something that is written into the audit log about a request.',
      key: 'Name of the annotation; it is written as POLICY/KEY. Each once.',
      valueExpression:
        'Expression in CEL that gives the text, or null to write nothing. It may have 5 KiB; of the text 10 KiB are written.',
    },
    ValidatingAdmissionPolicyStatus: {
      itself: 'ValidatingAdmissionPolicyStatus is what was found out about a policy.',
      conditions: 'What holds of the policy.',
      observedGeneration: 'The generation of the policy that this status is about.',
      typeChecking:
        'What is wrong with the expressions, going by the types of what they look at. Missing until they were checked.',
    },
    TypeChecking: {
      itself:
        'TypeChecking is what was found when the expressions of a policy were held against the types of what they look at.',
      expressionWarnings: 'What is wrong with which expression.',
    },
    ExpressionWarning: {
      itself: 'ExpressionWarning is what is wrong with one expression.',
      fieldRef: 'Where the expression stands in the policy, such as spec.validations[0].expression.',
      warning: 'What is wrong, by the types that it was held against.',
    },
    ValidatingAdmissionPolicyBinding: {
      itself:
        'ValidatingAdmissionPolicyBinding puts a policy into effect: for which requests, with which parameters, and what follows. A policy may have several.',
      spec: 'Which policy is in effect, and how.',
    },
    ValidatingAdmissionPolicyBindingSpec: {
      itself: 'ValidatingAdmissionPolicyBindingSpec says which policy is in effect, and how.',
      matchResources:
        'Which requests the binding is about, among those of the policy: it can only make them fewer. Missing: all of them.',
      paramRef: 'Objects that hold the parameters, of the kind that the policy names. Missing: params is null.',
      policyName: 'Name of the policy. While there is none of that name, the binding has no effect.',
      validationActions:
        'What follows if a validation is false: "Deny" refuses the request, "Warn" tells the client, "Audit" writes it into the audit log. At least one; not Deny and Warn together.',
    },
    ParamRef: {
      itself: 'ParamRef names or selects objects that hold parameters: it has a name or a selector, not both.',
      name: 'Name of the one object.',
      namespace: 'Namespace of the objects. Missing: that of the request. Not for kinds that are in no namespace.',
      parameterNotFoundAction:
        'What happens if there is no such object: "Allow" lets requests pass, "Deny" leaves it to failurePolicy. It is required.',
      selector: 'Labels of the objects. The policy is evaluated with each of them; empty, with all there are.',
    },
  },
};
