import test from 'ava';
import type { Pod } from './api.ts';
import { planHostPorts } from './host-ports.ts';

type Spec = NonNullable<Pod['spec']>;

const podOf = (
  ports: Spec['containers'][number]['ports'],
  more: Partial<Spec> = {},
  status: Pod['status'] = {},
): Pod => ({
  metadata: { name: 'p', namespace: 'n' },
  spec: { containers: [{ name: 'c', ...(ports && { ports }) }], ...more },
  status: { phase: 'Running', podIP: '10.1.0.5', ...status },
});
const told = (pod: Pod) =>
  planHostPorts([pod]).map(({ protocol, port, nodePort, everyAddress, externalIPs, endpoints: [to] }) => {
    const where = nodePort > 0 && everyAddress ? `*:${nodePort}` : `${externalIPs.join()}:${port}`;
    return `${protocol} ${where} -> ${to?.address}:${to?.port}`;
  });

test('a host port is one of all the node’s addresses, or of the one named', t => {
  t.deepEqual(
    told(
      podOf([
        { containerPort: 80, hostPort: 8080 },
        { containerPort: 53, hostPort: 53, protocol: 'UDP', hostIP: '0.0.0.0' },
        { containerPort: 81, hostPort: 8080, hostIP: '127.0.0.1' },
        { containerPort: 9000 },
        { containerPort: 9, hostPort: 9, protocol: 'SCTP' },
      ]),
    ),
    [
      ...['TCP *:8080 -> 10.1.0.5:80', 'UDP *:53 -> 10.1.0.5:53', 'TCP 127.0.0.1:8080 -> 10.1.0.5:81'],
      'SCTP *:9 -> 10.1.0.5:9',
    ],
  );
});

test('sidecars have host ports, other init containers have none', t => {
  const listening = { ports: [{ containerPort: 1, hostPort: 1 }] };
  const initContainers = [{ name: 'i', ...listening }];
  t.deepEqual(told(podOf(undefined, { initContainers })), []);
  const sidecars = [{ name: 'i', restartPolicy: 'Always', ...listening }];
  t.deepEqual(told(podOf(undefined, { initContainers: sidecars })), ['TCP *:1 -> 10.1.0.5:1']);
});

test('none where the pod is over, has no address yet, or is in the host’s network', t => {
  const ports = [{ containerPort: 80, hostPort: 80 }];
  t.deepEqual(told(podOf(ports, {}, { podIP: '' })), []);
  t.deepEqual(told(podOf(ports, {}, { phase: 'Succeeded' })), []);
  t.deepEqual(told(podOf(ports, { hostNetwork: true })), []);
});
