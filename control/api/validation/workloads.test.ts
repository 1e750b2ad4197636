import test from 'ava';
import type { Deployment } from '../generated/types.ts';
import { nameWarnings, validateDeployment } from './workloads.ts';

test('a selector that means nothing leaves the template unjudged', t => {
  const deployment: Deployment = {
    metadata: { name: 'd', namespace: 'n' },
    spec: {
      replicas: 1,
      progressDeadlineSeconds: 600,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } },
      selector: { matchExpressions: [{ key: 'app', operator: 'In' }] },
      template: { metadata: { labels: { app: 'd' } }, spec: { restartPolicy: 'Never', containers: [] } },
    },
  };
  t.deepEqual(
    validateDeployment(deployment).map(({ field, message }) => `${field}: ${message}`),
    [
      "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
      'spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), MatchExpressions:[]v1.LabelSelectorRequirement{v1.LabelSelectorRequirement{Key:"app", Operator:"In", Values:[]string(nil)}}}: invalid label selector',
    ],
  );
});

test('a new workload is warned of a name that is no host name', t => {
  const named = (name: string) => ({ metadata: { name } });
  t.deepEqual(nameWarnings(named('a.b'), undefined), [
    'metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]',
  ]);
  t.deepEqual(nameWarnings(named('a.b'), named('a.b')), []);
  t.deepEqual(nameWarnings(named('a-b'), undefined), []);
});
