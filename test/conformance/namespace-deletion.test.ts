/** What guards a namespace's pods stays as long as they do ([sig-api-machinery] OrderedNamespaceDeletion, KEP-5080). */
import test from 'ava';
import * as kinds from '../../control/api/generated/kinds.ts';
import { createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';

test('CVE-2024-7598: NetworkPolicies outlive the pods of a namespace that is deleted', async t => {
  const plane = await createControlPlane(t);
  const finalizers = ['example.com/hold'];
  await plane.client.create(kinds.networkpolicies, {
    metadata: { name: 'guard', namespace: NAMESPACE },
    spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
  });
  await plane.client.create(kinds.configmaps, { metadata: { name: 'other', namespace: NAMESPACE } });
  await plane.client.create(kinds.pods, {
    metadata: { name: 'slow', namespace: NAMESPACE, finalizers },
    spec: { containers: [{ name: 'c', image: 'x' }] },
  });
  await plane.client.delete(kinds.namespaces, { name: NAMESPACE });
  // The controller has gone through the namespace, and found what holds it.
  await until('the namespace tells what is left', async () => {
    const { status } = await plane.client.get(kinds.namespaces, { name: NAMESPACE });
    const finalizing = status?.conditions?.find(({ type }) => type === 'NamespaceFinalizersRemaining');
    return finalizing?.status === 'True';
  });
  t.truthy((await plane.get(kinds.pods, 'slow')).metadata?.deletionTimestamp);
  t.is((await plane.get(kinds.networkpolicies, 'guard')).metadata?.deletionTimestamp, undefined);
  t.is((await plane.get(kinds.configmaps, 'other')).metadata?.deletionTimestamp, undefined);
  await plane.patch(kinds.pods, 'slow', { metadata: { finalizers: null } });
  await until('the namespace is gone', async () => {
    const { items } = await plane.client.list(kinds.namespaces);
    return !items.some(({ metadata }) => metadata?.name === NAMESPACE);
  });
});
