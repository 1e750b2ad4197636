import test from 'ava';
import { planFrontends } from '../frontends.ts';
import type { ServicePort } from '../proxy.ts';
import { planTable } from './ruleset.ts';
import { renderRemoval, renderTable, type TableContents } from './script.ts';

const config = {
  table: 'raftsman-svc-test',
  clusterCIDR: '10.42.0.0/16',
  nodeAddresses: ['192.168.77.1'],
  ownsRouteLocalnet: false,
};
const empty: TableContents = { chains: new Set(), sets: new Set() };

function port(change: Partial<ServicePort> = {}): ServicePort {
  return {
    id: 'default/web:http',
    protocol: 'TCP',
    clusterIPs: ['10.43.0.10'],
    port: 80,
    nodePort: 0,
    externalIPs: [],
    affinitySeconds: 0,
    localOnly: false,
    internalLocalOnly: false,
    endpoints: [
      { address: '10.42.1.2', port: 8080, local: true, cluster: true },
      { address: '10.42.2.2', port: 8080, local: false, cluster: true },
    ],
    ...change,
  };
}

function render(ports: readonly ServicePort[], existing = empty) {
  const plan = planTable(config, planFrontends(ports));
  const contents: TableContents = { chains: new Set(plan.chains.keys()), sets: new Set(plan.sets.keys()) };
  return { script: renderTable(plan, existing), contents };
}
/** The part of a script that differs from service to service, with names in place of hashes. */
function serviceLines(ports: readonly ServicePort[]): string[] {
  const names = new Map<string, string>();
  const rename = (hash: string) => {
    const [prefix] = hash.split('-');
    const known = names.get(hash) ?? `${prefix}${[...names.keys()].filter(one => one.startsWith(`${prefix}-`)).length}`;
    names.set(hash, known);
    return known;
  };
  return render(ports)
    .script.split('\n')
    .filter(line => line.startsWith('add element') || /^add rule ip \S+ (svc|loc|ext|ep|fw)-/.test(line))
    .map(line =>
      line.replace('ip raftsman-svc-test ', '').replace(/\b(svc|loc|ext|ep|aff|fw)-[0-9a-f]{12}\b/g, rename),
    );
}

test('a service with a cluster address and two endpoints', t => {
  t.deepEqual(serviceLines([port()]), [
    'add rule svc0 numgen random mod 2 vmap { 0 : goto ep0, 1 : goto ep1 } comment "default/web:http"',
    'add rule ep0 ip saddr 10.42.1.2 meta mark set meta mark or 0x20000',
    'add rule ep0 meta l4proto tcp dnat to 10.42.1.2:8080',
    'add rule ep1 ip saddr 10.42.2.2 meta mark set meta mark or 0x20000',
    'add rule ep1 meta l4proto tcp dnat to 10.42.2.2:8080',
    'add element service-ips { 10.43.0.10 . tcp . 80 : goto svc0 }',
    'add element node-addresses { 127.0.0.1, 192.168.77.1 }',
    'add element cluster-ips { 10.43.0.10 }',
  ]);
});

test('a pod’s host port is looked up on every address, SCTP as the others', t => {
  const [to] = port().endpoints;
  const host = { clusterIPs: [], nodePort: 30080, localOnly: true, endpoints: to ? [to] : [] };
  const lines = serviceLines([
    port({ ...host, id: 'pod', everyAddress: true, protocol: 'SCTP' }),
    port({ ...host, id: 'service' }),
  ]);
  t.deepEqual(
    lines.filter(line => /-ports|dnat/.test(line)),
    [
      'add rule ep0 meta l4proto sctp dnat to 10.42.1.2:8080',
      'add rule ep1 meta l4proto tcp dnat to 10.42.1.2:8080',
      'add element node-ports { sctp . 30080 : goto ext0, tcp . 30080 : goto ext1 }',
      'add element host-ports { sctp . 30080 : goto ext0 }',
    ],
  );
});

test('a node port that stays on its node, with affinity', t => {
  t.deepEqual(serviceLines([port({ nodePort: 30080, localOnly: true, affinitySeconds: 30, protocol: 'UDP' })]), [
    'add rule ext0 ip saddr 10.42.0.0/16 goto svc0',
    'add rule ext0 fib saddr type local meta mark set meta mark or 0x20000 goto svc0',
    'add rule ext0 goto loc0',
    'add rule loc0 ip saddr @aff0 goto ep0',
    'add rule loc0 numgen random mod 1 vmap { 0 : goto ep0 } comment "default/web:http"',
    'add rule svc0 ip saddr @aff0 goto ep0',
    'add rule svc0 ip saddr @aff1 goto ep1',
    'add rule svc0 numgen random mod 2 vmap { 0 : goto ep0, 1 : goto ep1 } comment "default/web:http"',
    'add rule ep0 ip saddr 10.42.1.2 meta mark set meta mark or 0x20000',
    'add rule ep0 update @aff0 { ip saddr }',
    'add rule ep0 meta l4proto udp dnat to 10.42.1.2:8080',
    'add rule ep1 ip saddr 10.42.2.2 meta mark set meta mark or 0x20000',
    'add rule ep1 update @aff1 { ip saddr }',
    'add rule ep1 meta l4proto udp dnat to 10.42.2.2:8080',
    'add element service-ips { 10.43.0.10 . udp . 80 : goto svc0 }',
    'add element node-ports { udp . 30080 : goto ext0 }',
    'add element node-addresses { 127.0.0.1, 192.168.77.1 }',
    'add element cluster-ips { 10.43.0.10 }',
  ]);
});

test('without endpoints a service is refused everywhere; without local ones only outsiders are dropped', t => {
  t.deepEqual(serviceLines([port({ nodePort: 30080, externalIPs: ['203.0.113.7'], endpoints: [] })]), [
    'add element node-addresses { 127.0.0.1, 192.168.77.1 }',
    'add element cluster-ips { 10.43.0.10 }',
    'add element refused-ips { 203.0.113.7 . tcp . 80 : goto refused }',
    'add element refused-node-ports { tcp . 30080 : goto refused }',
  ]);
  const endpoints = [{ address: '10.42.2.2', port: 8080, local: false, cluster: true }];
  const external = { nodePort: 30080, externalIPs: ['203.0.113.7'] };
  t.deepEqual(serviceLines([port({ ...external, localOnly: true, endpoints })]), [
    'add rule ext0 ip saddr 10.42.0.0/16 goto svc0',
    'add rule ext0 fib saddr type local meta mark set meta mark or 0x20000 goto svc0',
    'add rule svc0 numgen random mod 1 vmap { 0 : goto ep0 } comment "default/web:http"',
    'add rule ep0 ip saddr 10.42.2.2 meta mark set meta mark or 0x20000',
    'add rule ep0 meta l4proto tcp dnat to 10.42.2.2:8080',
    'add element service-ips { 10.43.0.10 . tcp . 80 : goto svc0, 203.0.113.7 . tcp . 80 : goto ext0 }',
    'add element node-ports { tcp . 30080 : goto ext0 }',
    'add element node-addresses { 127.0.0.1, 192.168.77.1 }',
    'add element cluster-ips { 10.43.0.10 }',
    'add element refused-ips { 203.0.113.7 . tcp . 80 : drop }',
    'add element refused-node-ports { tcp . 30080 : drop }',
  ]);
});

test('a cluster address that stays on its node: node ports lead anywhere; without local endpoints it is dropped', t => {
  const internal = { internalLocalOnly: true, nodePort: 30080 };
  t.deepEqual(serviceLines([port(internal)]), [
    'add rule ext0 meta mark set meta mark or 0x20000',
    'add rule ext0 goto svc0',
    'add rule loc0 numgen random mod 1 vmap { 0 : goto ep0 } comment "default/web:http"',
    'add rule svc0 numgen random mod 2 vmap { 0 : goto ep0, 1 : goto ep1 } comment "default/web:http"',
    'add rule ep0 ip saddr 10.42.1.2 meta mark set meta mark or 0x20000',
    'add rule ep0 meta l4proto tcp dnat to 10.42.1.2:8080',
    'add rule ep1 ip saddr 10.42.2.2 meta mark set meta mark or 0x20000',
    'add rule ep1 meta l4proto tcp dnat to 10.42.2.2:8080',
    'add element service-ips { 10.43.0.10 . tcp . 80 : goto loc0 }',
    'add element node-ports { tcp . 30080 : goto ext0 }',
    'add element node-addresses { 127.0.0.1, 192.168.77.1 }',
    'add element cluster-ips { 10.43.0.10 }',
  ]);
  const endpoints = [{ address: '10.42.2.2', port: 8080, local: false, cluster: true }];
  t.deepEqual(
    serviceLines([port({ internalLocalOnly: true, affinitySeconds: 10, endpoints })]),
    [
      'add element node-addresses { 127.0.0.1, 192.168.77.1 }',
      'add element cluster-ips { 10.43.0.10 }',
      'add element refused-ips { 10.43.0.10 . tcp . 80 : drop }',
    ],
    'what no chain leads to has none',
  );
});

test('each policy has endpoints of its own: one that leaves may serve the node alone, one of another zone the cluster', t => {
  const endpoints = [
    { address: '10.42.1.2', port: 8080, local: true, cluster: false },
    { address: '10.42.2.2', port: 8080, local: false, cluster: true },
  ];
  const rules = serviceLines([port({ internalLocalOnly: true, nodePort: 30080, endpoints })]);
  t.deepEqual(
    rules.filter(line => line.includes('vmap')),
    [
      'add rule loc0 numgen random mod 1 vmap { 0 : goto ep0 } comment "default/web:http"',
      'add rule svc0 numgen random mod 1 vmap { 0 : goto ep1 } comment "default/web:http"',
    ],
  );
});

test('what is no longer wanted is deleted after nothing points to it; what remembers clients is kept', t => {
  const before = render([port({ affinitySeconds: 30 }), port({ id: 'b', clusterIPs: ['10.43.0.11'] })]);
  const after = render([port({ affinitySeconds: 30 })], before.contents);
  const lines = after.script.split('\n');
  const deleted = lines.filter(line => line.startsWith('delete'));
  t.is(deleted.length, 3, 'the chains of b: one of the service, two of its endpoints');
  const lastFlush = lines.findLastIndex(line => line.startsWith('flush'));
  t.true(lines.findIndex(line => line.startsWith('delete')) > lastFlush);
  t.notRegex(after.script, /flush set ip \S+ aff-|delete set/);
  const gone = render([port()], before.contents);
  t.is(gone.script.match(/delete set/g)?.length, 2);
  t.is(render([port()], gone.contents).script.includes('delete'), false);
});

test('rules do not grow with services: one lookup each, whatever their number', t => {
  const many = Array.from({ length: 500 }, (_, index) =>
    port({ id: `ns/s${index}`, clusterIPs: [`10.43.${1 + (index >> 8)}.${index & 255}`] }),
  );
  const lookups = (ports: readonly ServicePort[]) =>
    render(ports)
      .script.split('\n')
      .filter(line => line.startsWith('add rule ip raftsman-svc-test services')).length;
  t.is(lookups(many), lookups([port()]));
});

test('nothing from an object gets into the script unchecked', t => {
  const hostile = '"; flush ruleset; #';
  const { script } = render([
    port({
      id: hostile,
      clusterIPs: ['10.43.0.10', hostile, '::1'],
      externalIPs: [hostile],
      endpoints: [
        { address: hostile, port: 1, local: true, cluster: true },
        { address: '10.42.1.2', port: 99999, local: true, cluster: true },
      ],
    }),
    port({ id: 'two', port: Number.NaN }),
  ]);
  t.notRegex(script, /flush ruleset|::1|NaN|99999/);
  t.is(renderRemoval('x'), 'add table ip x\ndelete table ip x\n');
});

test('an address with zeros in front is read in tens, as the API reads it', t => {
  const [one, two] = planFrontends([
    port({ clusterIPs: ['10.43.0.011'] }),
    port({ id: 'z', clusterIPs: ['10.43.0.11'] }),
  ]);
  t.deepEqual([one?.clusterIPs, two?.clusterIPs], [['10.43.0.11'], []]);
});

test('of two that claim one address the first by name has it', t => {
  const [b, a] = [port({ id: 'b', nodePort: 30080 }), port({ id: 'a', nodePort: 30080 })];
  const plan = planFrontends([b, a]);
  t.deepEqual(
    plan.map(one => [one.id, one.clusterIPs, one.nodePort]),
    [
      ['a', ['10.43.0.10'], 30080],
      ['b', [], 0],
    ],
  );
});

test("a load balancer's address that not everybody may use is looked up once, whether or not there are endpoints", t => {
  const externalIPs = ['203.0.113.7', '192.168.77.1'];
  const limited = (sources: readonly string[], endpoints: ServicePort['endpoints'] = []) =>
    serviceLines([
      port({ nodePort: 30_080, externalIPs, endpoints, limit: { addresses: ['192.168.77.1'], sources } }),
    ]).filter(line => /limited|fw0/.test(line));
  const elements = ['add element limited-ips { 192.168.77.1 . tcp . 80 : goto fw0 }'];
  const rule = 'add rule fw0 ip saddr != { 10.0.0.0/8, 198.51.100.0/24 } drop';
  const sources = ['198.51.100.0/24', '10.0.0.0/8', '10.1.0.0/16', 'fd42::/64'];
  t.deepEqual(limited(sources), [rule, ...elements]);
  t.deepEqual(limited(sources, port().endpoints), [rule, ...elements]);
  t.deepEqual(limited(['192.168.0.0/16']), ['add rule fw0 ip saddr != { 192.168.0.0/16 } drop', ...elements]);
  t.deepEqual(limited(['nonsense']), ['add rule fw0 drop', ...elements]);
  t.deepEqual(limited(['fd42::/64']), []);
  t.deepEqual(limited([]), []);
});

test('CVE-2020-8558: what listens on the machine’s loopback is not reached from outside', t => {
  const { script } = render([port()]);
  t.true(script.includes('martians { type filter hook prerouting priority -300 ; }'));
  t.true(script.includes('martians iifname != "lo" ip daddr 127.0.0.0/8 drop'));
});
