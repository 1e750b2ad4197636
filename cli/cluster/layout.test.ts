import test from 'ava';
import { freePodRange, planProcesses } from './layout.ts';

test('clusters on one machine get pod ranges of their own', t => {
  t.is(freePodRange(['192.168.1.5', '127.0.0.1']), '10.42.0.0/16');
  t.is(freePodRange(['10.42.0.1', '10.42.1.1', '10.43.0.1']), '10.44.0.0/16');
  t.is(freePodRange(Array.from({ length: 58 }, (_, i) => `10.${42 + i}.0.1`)), undefined);
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
