/** Policies whose expressions do not fit what they are about. */
import test from 'ava';
import type { ValidatingAdmissionPolicy } from '../generated/types.ts';
import { definitionType } from './kind-types.ts';
import { checkPolicyTypes, namedResources, type TypedKind } from './policy-check.ts';

const DEPLOYMENT: TypedKind = {
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  type: definitionType('io.k8s.api.apps.v1.Deployment'),
};
const CONFIGMAP: TypedKind = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  type: definitionType('io.k8s.api.core.v1.ConfigMap'),
};
const policy = (spec: ValidatingAdmissionPolicy['spec']): ValidatingAdmissionPolicy => ({ spec: spec ?? {} });

test('types that are confused are told, for the expression and for the message', t => {
  const confused = policy({
    validations: [
      {
        expression: "object.spec.replicas > '1'",
        messageExpression: "'wants replicas > 1, got ' + object.spec.replicas",
      },
    ],
  });
  t.deepEqual(checkPolicyTypes(confused, [DEPLOYMENT]), [
    {
      fieldRef: 'spec.validations[0].expression',
      warning:
        "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'\n" +
        " | object.spec.replicas > '1'\n | .....................^\n",
    },
    {
      fieldRef: 'spec.validations[0].messageExpression',
      warning:
        "apps/v1, Kind=Deployment: ERROR: <input>:1:28: found no matching overload for '_+_' applied to '(string, int)'\n" +
        " | 'wants replicas > 1, got ' + object.spec.replicas\n | ...........................^\n",
    },
  ]);
});

test('what fits is not told, whatever it reads', t => {
  const fitting = policy({
    variables: [{ name: 'containers', expression: 'object.spec.template.spec.containers' }],
    validations: [
      { expression: 'object.spec.replicas > 1 && object.metadata.labels.all(k, k.size() < 20)' },
      {
        expression:
          "variables.containers.all(c, c.image.startsWith('a') && (!has(c.ports) || c.ports.all(p, p.containerPort > 1)))",
      },
      { expression: "object.spec.template.spec.containers.all(c, c.resources.limits['cpu'] != '')" },
      { expression: "object.metadata.creationTimestamp < timestamp('2100-01-01T00:00:00Z')" },
      { expression: 'oldObject == null || object.spec.replicas >= oldObject.spec.replicas' },
      { expression: "type(object.spec.strategy.rollingUpdate.maxSurge) == int || object.metadata.namespace == 'x'" },
      { expression: "params.data.max != ''" },
    ],
    paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
  });
  t.deepEqual(checkPolicyTypes(fitting, [DEPLOYMENT], CONFIGMAP.type), []);
});

test('each kind is told for itself', t => {
  const warnings = checkPolicyTypes(policy({ validations: [{ expression: "object.data['a'] == '1'" }] }), [
    CONFIGMAP,
    DEPLOYMENT,
  ]);
  t.is(warnings.length, 1);
  t.regex(warnings[0]?.warning ?? '', /^apps\/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'data'/);
});

test('rules that leave things open name no resources', t => {
  const rule = (apiGroups: string[], resources: string[]) => ({
    apiGroups,
    apiVersions: ['v1'],
    operations: ['*'],
    resources,
  });
  const resourceRules = [
    rule(['apps'], ['deployments', 'deployments/scale']),
    rule(['*'], ['x']),
    rule([''], ['pods', '*']),
  ];
  t.deepEqual(namedResources(policy({ matchConstraints: { resourceRules } })), [
    { group: 'apps', version: 'v1', resource: 'deployments' },
  ]);
});
