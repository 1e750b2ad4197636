import test from 'ava';
import type { Deployment } from '../generated/types.ts';
import type { KubernetesObject } from '../kind.ts';
import { findKind, storedDeclaration } from '../registry.ts';
import { canonical, decode } from '../schema/decode.ts';

const OLD = `
apiVersion: extensions/v1beta1
kind: Deployment
metadata:
 name: old
spec:
 replicas: 1
 rollbackTo:
   revision: 3
 template:
   metadata:
    labels:
     app: old
   spec:
    containers:
    - name: old
      image: nginx:1.7.9
      ports:
      - containerPort: 80
`;

function create(apiVersion: string, kind: string, yaml: string): KubernetesObject {
  const declaration = findKind(apiVersion, kind);
  if (!declaration?.storedAs) throw new Error(`${apiVersion} ${kind} is not an old version`);
  const { object } = decode<KubernetesObject>(declaration, yaml, { format: 'yaml', fieldValidation: 'Strict' });
  object.metadata = { ...object.metadata, namespace: 'ns' };
  declaration.defaults(object);
  const context = { now: '2024-01-02T03:04:05Z', newUid: () => 'u', user: { name: 'u', groups: [] }, subresource: '' };
  declaration.prepareForCreate(object, context);
  const errors = declaration.validate(object);
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return declaration.storedAs.toStored(object);
}

test('a Deployment of 2016 becomes one of today, with the defaults of its time', t => {
  const stored = create('extensions/v1beta1', 'Deployment', OLD) as Deployment;
  t.is(stored.apiVersion, 'apps/v1');
  t.deepEqual(stored.spec?.selector, { matchLabels: { app: 'old' } });
  t.deepEqual(stored.metadata?.labels, { app: 'old' });
  t.deepEqual(stored.spec?.strategy, { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } });
  t.is(stored.metadata?.annotations?.['deprecated.deployment.rollback.to'], '3');
  t.false('rollbackTo' in (stored.spec ?? {}));
  const today = findKind('apps/v1', 'Deployment');
  if (!today) throw new Error('no apps/v1 Deployment');
  t.deepEqual(canonical<KubernetesObject>(today, stored), stored);
  t.deepEqual(today.validate(stored), []);
});

test('apps/v1beta2 demands a selector already', t => {
  const yaml = OLD.replace('extensions/v1beta1', 'apps/v1beta2');
  t.throws(() => create('apps/v1beta2', 'Deployment', yaml), { message: /spec\.selector.*Required value/ });
});

test('an old DaemonSet waits for its pods to be deleted', t => {
  const yaml = OLD.replace('Deployment', 'DaemonSet').replace(/ replicas: 1\n rollbackTo:\n {3}revision: 3\n/, '');
  const stored = create('extensions/v1beta1', 'DaemonSet', yaml);
  t.deepEqual((stored as { spec?: { updateStrategy?: unknown } }).spec?.updateStrategy, { type: 'OnDelete' });
});

test('every old version is stored as a kind of today', t => {
  for (const [apiVersion, kind] of [
    ['extensions/v1beta1', 'Deployment'],
    ['extensions/v1beta1', 'ReplicaSet'],
    ['extensions/v1beta1', 'DaemonSet'],
    ['apps/v1beta1', 'Deployment'],
    ['apps/v1beta2', 'Deployment'],
    ['apps/v1beta2', 'ReplicaSet'],
    ['apps/v1beta2', 'DaemonSet'],
  ] as const) {
    const declaration = findKind(apiVersion, kind);
    t.truthy(declaration, `${apiVersion} ${kind}`);
    if (declaration) t.is(storedDeclaration(declaration).version, 'v1');
  }
});
