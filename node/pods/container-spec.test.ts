import test from 'ava';
import type { Pod, VolumeMount } from '../api.ts';
import { makeContainerSpec, makeSandboxSpec } from './container-spec.ts';

const podOf = (spec: Partial<NonNullable<Pod['spec']>> = {}): Pod => ({
  metadata: { name: 'web', namespace: 'shop', uid: 'u1' },
  spec: { containers: [{ name: 'app' }], ...spec },
});

function mountsOf(mount: Partial<VolumeMount>) {
  const container = { name: 'app', volumeMounts: [{ name: 'v', mountPath: '/v', readOnly: true, ...mount }] };
  const files = { hosts: '/h', hostname: '/n', resolvConf: '/r', warnings: [] };
  const pod = podOf({ containers: [container], volumes: [{ name: 'v', emptyDir: {} }] });
  const rest = { attempt: 0, env: [], terminationMessageFile: '/t', nodeMemoryBytes: 1 };
  return makeContainerSpec({ pod, container, files, volumePaths: ['/host/v'], ...rest }).mounts;
}

test('a mount that has to be read-only all the way down is refused, one that may be is not', t => {
  t.throws(() => mountsOf({ recursiveReadOnly: 'Enabled' }), {
    message: 'volume "v" requested recursive read-only mode, but it is not supported by the runtime',
  });
  t.true(mountsOf({ recursiveReadOnly: 'IfPossible' })[0]?.readOnly);
  t.true(mountsOf({ recursiveReadOnly: 'Disabled' })[0]?.readOnly);
});

test('a path without a slash begins at the root', t => {
  t.is(mountsOf({ mountPath: 'v' })[0]?.containerPath, '/v');
});

test('a pod that wants users of its own does not get the node’s instead', t => {
  const made = { attempt: 0, nodeHostname: 'n' };
  t.throws(() => makeSandboxSpec(podOf({ hostUsers: false }), made), {
    message: "can't set `spec.hostUsers: false`, runtime does not support user namespaces",
  });
  t.is(makeSandboxSpec(podOf({ hostUsers: true }), made).hostname, 'web');
});
