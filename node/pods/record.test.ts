import test from 'ava';
import type { Pod } from '../api.ts';
import { adoptRecord, otherImages } from './record.ts';
import { computeStatus } from './status.ts';

const NOW = Date.UTC(2026, 0, 1);

const podOf = (restartPolicy: string): Pod => ({
  metadata: { name: 'web', namespace: 'default', uid: 'u1' },
  spec: { restartPolicy, containers: [{ name: 'app', image: 'app:1' }] },
  status: {
    phase: 'Running',
    containerStatuses: [
      {
        ...{ name: 'app', image: 'app:1', imageID: '', ready: true, restartCount: 2, containerID: 'docker://c1' },
        state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
      },
    ],
  },
});

test('of a container that ran and that the runtime has lost it is told that it failed', t => {
  const pod = podOf('Always');
  const record = adoptRecord(pod, [], NOW);
  const status = computeStatus(
    { pod, gone: false, sandboxes: [], record, now: NOW },
    { hostIPs: [], runtimeName: 'docker' },
  );
  t.is(status.phase, 'Running', 'it has run: nothing makes it wait for its first start again');
  t.like(status.containerStatuses?.[0]?.lastState?.terminated, { exitCode: 137, reason: 'ContainerStatusUnknown' });
  t.truthy(status.containerStatuses?.[0]?.state?.waiting);
  t.is(record.restartFloor.get('app'), 3);
  t.is(adoptRecord(podOf('Never'), [], NOW).lastTerminations.size, 0, 'it is begun anew');
});

test('which containers have another image', t => {
  const before: Pod = { spec: { initContainers: [{ name: 'init', image: 'i:1' }], containers: [{ name: 'app' }] } };
  const after: Pod = {
    spec: {
      initContainers: [{ name: 'init', image: 'i:1' }],
      containers: [{ name: 'app', image: 'a:2' }],
    },
  };
  t.deepEqual(otherImages(before, after), ['app']);
  t.deepEqual(otherImages(after, after), []);
});
