/** The proxy's second table, for IPv6. */
import test from 'ava';
import { makeNamespace, namespacesUnavailable } from '../../network/test-namespaces.ts';
import { planFrontends } from '../frontends.ts';
import { ProxyUnavailableError, type ServicePort } from '../proxy.ts';
import { createUserspaceProxy } from '../userspace/userspace.ts';
import { planConntrackDeletions } from './conntrack.ts';
import { createNftablesProxy } from './nftables.ts';
import { planTable } from './ruleset.ts';
import { renderRemoval, renderTable } from './script.ts';

const unavailable = namespacesUnavailable(['nft', 'nsenter']);
if (unavailable !== undefined) test.skip(`the proxy's table for IPv6: ${unavailable}`, t => t.pass());
const real = unavailable === undefined ? test : test.skip;

const port: ServicePort = {
  id: 'default/web:http',
  protocol: 'TCP',
  clusterIPs: ['10.43.0.10', 'FD43::000a'],
  port: 80,
  nodePort: 30_080,
  externalIPs: ['203.0.113.7', '2001:db8::7'],
  affinitySeconds: 30,
  localOnly: true,
  internalLocalOnly: false,
  endpoints: [
    { address: '10.42.1.2', port: 8080, local: true, cluster: true },
    { address: 'fd42::2', port: 8080, local: true, cluster: true },
  ],
};
const config = {
  family: 'ip6',
  table: 't',
  clusterCIDR: 'fd42::/56',
  nodeAddresses: ['2001:db8::1'],
  ownsRouteLocalnet: false,
} as const;
const empty = { chains: new Set<string>(), sets: new Set<string>() };

test('each family has the addresses and endpoints of its own', t => {
  const of = (family: 4 | 6) =>
    planFrontends([port], family).map(({ clusterIPs, externalIPs, endpoints, nodePort }) => [
      ...clusterIPs,
      ...externalIPs,
      ...endpoints.map(({ address }) => address),
      nodePort,
    ]);
  t.deepEqual(of(4), [['10.43.0.10', '203.0.113.7', '10.42.1.2', 30_080]]);
  t.deepEqual(of(6), [['fd43::a', '2001:db8::7', 'fd42::2', 30_080]]);
});

test('the table for IPv6 speaks of nothing of IPv4', t => {
  const script = renderTable(planTable(config, planFrontends([port], 6)), empty);
  t.notRegex(script, /\bip (saddr|daddr|t)\b|ipv4_addr|127\.0\.0|10\.4[23]|martians/);
  for (const line of [
    'dnat to [fd42::2]:8080',
    'ip6 daddr @cluster-ips ip6 saddr != fd42::/56 meta mark set',
    '{ 2001:db8::1 }',
    '{ fd43::a . tcp . 80 : goto svc-',
  ])
    t.true(script.includes(line), `${line}\n${script}`);
  t.is(renderRemoval('t', 'ip6'), 'add table ip6 t\ndelete table ip6 t\n');
});

test('each family has the limits of its own', t => {
  const limit = { addresses: port.externalIPs, sources: ['198.51.100.0/24', 'FD00::1/8', '2001:db8::1/128'] };
  const script = renderTable(planTable(config, planFrontends([{ ...port, limit }], 6)), empty);
  t.regex(script, /fw-\w+ ip6 saddr != \{ 2001:db8::1\/128, 2001:db8::7\/128, fd00::\/8 \} drop/);
  t.regex(script, /limited-ips \{ 2001:db8::7 \. tcp \. 80 : goto fw-\w+ \}/);
  t.notRegex(script, /198\.51|203\.0/);
});

test('nothing from an object gets into the script unchecked', t => {
  const hostile = 'fd43::1"; flush ruleset; #';
  const endpoints = [{ address: hostile, port: 1, local: true, cluster: true }];
  const limit = {
    addresses: [...port.externalIPs, hostile],
    sources: [`${hostile}/64`, 'fd00::/8"; flush ruleset; #'],
  };
  const frontends = planFrontends([{ ...port, clusterIPs: [hostile, 'fd43::1%eth0'], endpoints, limit }], 6);
  t.notRegex(renderTable(planTable(config, frontends), empty), /flush ruleset|%/);
});

test('UDP connections are forgotten in their family', t => {
  const udp = planFrontends([{ ...port, protocol: 'UDP' }], 6);
  t.deepEqual(planConntrackDeletions(udp, [], 6), [['-D', '-f', 'ipv6', '-p', 'udp', '--dst-nat', 'fd42::2']]);
});

real('both tables are made, taken over and removed; a cluster with one family has one', async t => {
  const machine = await makeNamespace();
  t.teardown(() => machine.remove());
  const make = () => createNftablesProxy({ clusterId: 'test', nodeName: 'a', run: machine.run });
  const tables = async () =>
    (await machine.run('nft', ['list', 'tables'])).stdout.match(/table ip6? raftsman-svc/g)?.sort() ?? [];
  const ranges = {
    clusterCIDR: '10.42.0.0/16',
    serviceCIDR: '10.43.0.0/16',
    nodeAddresses: ['192.0.2.1', '2001:db8::1'],
  };
  const ipv6 = { clusterCIDR: 'fd42::/56', serviceCIDR: 'fd43::/112' };
  const first = make();
  await first.start({ ...ranges, ipv6 });
  const sources = ['198.51.100.0/24', 'fd00::/8', 'fd00::/16'];
  await first.sync([{ ...port, limit: { addresses: port.externalIPs, sources } }]);
  const listing = async () => (await machine.run('nft', ['list', 'ruleset'])).stdout;
  t.regex(await listing(), /dnat to \[fd42::2\]:8080/);
  t.regex(await listing(), /dnat to 10\.42\.1\.2:8080/);
  t.regex(await listing(), /ip6 saddr != fd00::\/8 drop|ip6 saddr != \{ fd00::\/8 \} drop/);
  t.regex(await listing(), /ip saddr != (\{ )?198\.51\.100\.0\/24 (\} )?drop/);
  await first.close({ remove: false });
  const second = make();
  await second.start({ ...ranges, ipv6 });
  await second.sync([{ ...port, endpoints: [{ address: 'fd42::3', port: 8080, local: true, cluster: true }] }]);
  t.notRegex(await listing(), /fd42::2/);
  t.regex(await listing(), /fd42::3/);
  await second.close({ remove: true });
  t.deepEqual(await tables(), []);
  const single = make();
  await single.start(ranges);
  await single.sync([port]);
  t.deepEqual(await tables(), ['table ip raftsman-svc']);
  await single.close({ remove: true });
});

test('the userspace proxy refuses a second family', async t => {
  const proxy = createUserspaceProxy({ clusterId: 'test', nodeName: 'a', run: () => t.fail() as never });
  const ipv6 = { clusterCIDR: 'fd42::/56', serviceCIDR: 'fd43::/112' };
  await t.throwsAsync(
    proxy.start({ clusterCIDR: '10.42.0.0/16', serviceCIDR: '10.43.0.0/16', nodeAddresses: [], ipv6 }),
    { instanceOf: ProxyUnavailableError, message: /serves IPv4 only/ },
  );
});
