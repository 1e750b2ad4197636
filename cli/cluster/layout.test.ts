import test from 'ava';
import { freePodRange, ingressPorts, planProcesses, routedAddresses } from './layout.ts';

test('clusters on one machine get pod ranges of their own', t => {
  t.is(freePodRange(['192.168.1.5', '127.0.0.1']), '10.42.0.0/16');
  t.is(freePodRange(['10.42.0.1', '10.42.1.1', '10.43.0.1']), '10.44.0.0/16');
  t.is(freePodRange(Array.from({ length: 58 }, (_, i) => `10.${42 + i}.0.1`)), undefined);
});

test('a range is taken as soon as something is routed there, also by a bridge that nothing is connected to', t => {
  const table = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'rsmf290987ef8\t00002A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    '',
  ].join('\n');
  t.deepEqual(routedAddresses(table), ['0.0.0.0', '10.42.0.0']);
  t.is(freePodRange(routedAddresses(table)), '10.43.0.0/16');
  t.deepEqual(routedAddresses(''), []);
});

test('where Ingresses are reached: the usual ports, or those that the operator named', t => {
  t.deepEqual(ingressPorts({ port: 6443 }), { http: 6461, https: 6462 });
  t.deepEqual(ingressPorts({ port: 6443, ingress: { http: 80 } }), { http: 80, https: 6462 });
  t.deepEqual(ingressPorts({ port: 6443, ingress: { http: 'off', https: 'off' } }), { http: 'off', https: 'off' });
  const { masters, nodes } = planProcesses({ port: 6443, masters: 7, nodes: 100 });
  const taken = [...masters.flatMap(({ apiPort, peerPort }) => [apiPort, peerPort]), ...nodes.map(({ port }) => port)];
  t.false(taken.some(port => port === 6461 || port === 6462));
});

test('names and ports follow one another, and no port is used twice', t => {
  const { masters, nodes } = planProcesses({ port: 6443, masters: 7, nodes: 100 });
  t.deepEqual(masters[0], { name: 'master-1', apiPort: 6444, peerPort: 6464 });
  t.is(nodes[0]?.name, 'node-1');
  const ports = [
    6443,
    ...masters.flatMap(({ apiPort, peerPort }) => [apiPort, peerPort]),
    ...nodes.map(({ port }) => port),
  ];
  t.is(new Set(ports).size, ports.length);
});
