import test from 'ava';
import { advertised, firstAddress, hostPort, servingHosts } from './addresses.ts';

for (const [cidr, first] of [
  ['10.192.0.0/12', '10.192.0.1'],
  ['10.200.3.4/16', '10.200.0.1'],
  ['192.168.1.128/25', '192.168.1.129'],
] as const) {
  test(`the first address of ${cidr} is ${first}`, t => {
    t.is(firstAddress(cidr), first);
  });
}

test('a member that listens everywhere tells a real address', t => {
  t.not(advertised('0.0.0.0'), '0.0.0.0');
  t.is(advertised('10.1.2.3'), '10.1.2.3');
  t.is(hostPort('fd00::1', 6443), '[fd00::1]:6443');
});

test('a certificate covers the names that clients and pods use', t => {
  const hosts = servingHosts({ extra: ['api.example'], clusterDomain: 'cluster.local', serviceAddress: '10.192.0.1' });
  for (const host of ['localhost', '127.0.0.1', 'kubernetes.default.svc.cluster.local', '10.192.0.1', 'api.example'])
    t.true(hosts.includes(host), host);
});
