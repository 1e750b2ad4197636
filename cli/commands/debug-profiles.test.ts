import test from 'ava';
import type { PodSpec } from '../../control/api/generated/types.ts';
import { profileOf } from './debug-profiles.ts';

const onNode: PodSpec = {
  hostPID: true,
  hostNetwork: true,
  hostIPC: true,
  volumes: [{ name: 'host-root', hostPath: { path: '/' } }],
  containers: [{ name: 'debugger', volumeMounts: [{ name: 'host-root', mountPath: '/host' }] }],
};

test('on a node a profile has the node’s namespaces and files, its namespaces alone, or neither', t => {
  for (const name of ['legacy', 'general', 'sysadmin']) t.deepEqual(profileOf(name).pod(onNode, 'node'), onNode, name);
  const { hostPID, hostNetwork, hostIPC } = onNode;
  const bare = { volumes: [], containers: [{ name: 'debugger' }] };
  t.deepEqual(profileOf('netadmin').pod(onNode, 'node'), { ...bare, hostPID, hostNetwork, hostIPC } as PodSpec);
  for (const name of ['baseline', 'restricted'])
    t.deepEqual(profileOf(name).pod(onNode, 'node'), bare as PodSpec, name);
});

test('the containers of a copy see each other’s processes, unless the pod says otherwise or the profile is the old one', t => {
  const spec: PodSpec = { containers: [{ name: 'a' }] };
  for (const name of ['general', 'baseline', 'restricted', 'netadmin', 'sysadmin']) {
    t.true(profileOf(name).pod(spec, 'copy').shareProcessNamespace, name);
    t.false(profileOf(name).pod({ ...spec, shareProcessNamespace: false }, 'copy').shareProcessNamespace, name);
    t.is(profileOf(name).pod(spec, 'ephemeral').shareProcessNamespace, undefined, name);
  }
  t.is(profileOf('legacy').pod(spec, 'copy').shareProcessNamespace, undefined);
});
