import test from 'ava';
import type { Container, Pod } from '../api.ts';
import { adoptedAllocation, allocationOf, judgeResize, needsRestart, sameResources, withAllocation } from './resize.ts';

const amounts = (cpu: string, memory = '1Ki') => ({ requests: { cpu, memory }, limits: { cpu, memory } });
const podOf = (cpu: string, memory?: string): Pod => ({
  metadata: { uid: 'u' },
  spec: { containers: [{ name: 'c', resources: amounts(cpu, memory) }] },
});
const allocatable = { cpuMilli: 1000, memoryBytes: 4096, storageBytes: 0, pods: 10 };

function judge(wanted: Pod, given: Pod, others: readonly Pod[] = []) {
  return judgeResize({ pod: wanted, allocation: allocationOf(given), allocatable, others: () => others });
}

test('nothing changes, however the amounts are written', t => {
  t.deepEqual(judge(podOf('100m'), podOf('0.1')), {});
  t.true(sameResources({ requests: { cpu: '1' } }, { requests: { cpu: 1 } }));
  t.false(sameResources({ requests: { cpu: '1' } }, { limits: { cpu: '1' } }));
});

test('what there is room for is given', t => {
  t.deepEqual(judge(podOf('200m'), podOf('100m')).allocation?.get('c'), amounts('200m'));
  t.deepEqual(judge(podOf('50m'), podOf('100m'), [podOf('990m')]).allocation?.get('c'), amounts('50m'));
});

test('what other pods have is waited for; what no such node has is refused', t => {
  t.deepEqual(judge(podOf('600m'), podOf('100m'), [podOf('500m')]).pending, {
    reason: 'Deferred',
    message: "Node didn't have enough resource: cpu, requested: 600, used: 500, capacity: 1000",
  });
  t.deepEqual(judge(podOf('100m', '5Ki'), podOf('100m')).pending, {
    reason: 'Infeasible',
    message: "Node didn't have enough capacity: memory, requested: 5120, capacity: 4096",
  });
});

test('a pod that an earlier agent ran keeps what it was given', t => {
  const pod = podOf('200m');
  const status = {
    containerStatuses: [{ name: 'c', image: '', imageID: '', ready: true, restartCount: 0, ...given('100m') }],
  };
  t.deepEqual(adoptedAllocation({ ...pod, status }).get('c'), amounts('100m'));
  t.deepEqual(adoptedAllocation(pod).get('c'), amounts('200m'));
  t.deepEqual(withAllocation(pod, allocationOf(podOf('7m'))).spec?.containers[0]?.resources, amounts('7m'));
});

const given = (cpu: string) => ({ resources: amounts(cpu), allocatedResources: amounts(cpu).requests });

test('a new start only for what asks for one', t => {
  const container: Container = {
    name: 'c',
    resizePolicy: [
      { resourceName: 'cpu', restartPolicy: 'NotRequired' },
      { resourceName: 'memory', restartPolicy: 'RestartContainer' },
    ],
  };
  t.false(needsRestart(container, amounts('1'), amounts('2')));
  t.true(needsRestart(container, amounts('1', '1Ki'), amounts('1', '2Ki')));
});
