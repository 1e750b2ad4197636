/** What a node makes of a cluster with addresses of both families, where nothing of the machine is needed. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { until } from '../control/client/testing/until.ts';
import { type EndpointSlice, nodes, type Pod, pods, type Service } from './api.ts';
import { lookUp } from './dns/records.ts';
import { slice as dnsSlice, testView } from './dns/test-view.ts';
import { policyPod } from './policy/world.ts';
import { planServiceHealth } from './proxy/health-ports.ts';
import { addressPatch } from './registration.ts';
import { planRoutes } from './routes.ts';
import { planServicePorts } from './service-ports.ts';
import { World } from './testing/world.ts';
import { writePodFiles } from './volumes/pod-files.ts';

const slice = (addressType: string, addresses: readonly string[], ready = true): EndpointSlice => ({
  metadata: { name: `s-${addressType}`, namespace: 'default', labels: { 'kubernetes.io/service-name': 's' } },
  addressType,
  ports: [{ name: '', port: 8080, protocol: 'TCP' }],
  endpoints: addresses.map(address => ({
    addresses: [address],
    nodeName: 'n',
    conditions: ready ? { ready } : { ready, serving: true, terminating: true },
  })),
});
const service = (spec: Service['spec']): Service => ({ metadata: { name: 's', namespace: 'default' }, spec });

test('a service leads to the endpoints of both families, each judged by itself', t => {
  const [port] = planServicePorts(
    [service({ clusterIPs: ['10.43.0.9', 'fd43::9'], ports: [{ port: 80 }] })],
    [slice('IPv4', ['10.42.0.2']), slice('IPv6', ['fd42::2'], false)],
    'n',
  );
  t.deepEqual(port?.clusterIPs, ['10.43.0.9', 'fd43::9']);
  t.deepEqual(
    port?.endpoints.map(({ address }) => address),
    ['10.42.0.2', 'fd42::2'],
  );
});

test('a pod with two addresses is one endpoint to a load balancer', t => {
  const balanced = service({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30_000 });
  const slices = [slice('IPv4', ['10.42.0.2', '10.42.0.3']), slice('IPv6', ['fd42::2', 'fd42::3'])];
  t.is(planServiceHealth([balanced], slices, 'n')[0]?.localEndpoints, 2);
});

test('routes of both families; a node may have no IPv6 address', t => {
  const node = (name: string, ...addresses: readonly string[]) => ({
    metadata: { name },
    spec: { podCIDR: '10.42.1.0/24', podCIDRs: ['10.42.1.0/24', 'fd42:0:0:1::/64'] },
    status: { addresses: addresses.map(address => ({ type: 'InternalIP', address })) },
  });
  const route = { podCIDR: '10.42.1.0/24', nodeAddress: '192.0.2.2' };
  t.deepEqual(planRoutes([node('b', '192.0.2.2', '2001:db8::2'), node('c', '192.0.2.2')], 'a'), [
    { nodeName: 'b', ...route, ipv6: { podCIDR: 'fd42:0:0:1::/64', nodeAddress: '2001:db8::2' } },
    { nodeName: 'c', ...route, ipv6: { podCIDR: 'fd42:0:0:1::/64' } },
  ]);
});

test('a pod that starts is judged by both addresses', t => {
  const pod: Pod = { metadata: { name: 'p', namespace: 'x' }, spec: { containers: [] } };
  const seen = policyPod(pod, { isLocal: true, ownAddress: '10.42.0.2', ownIpv6: 'fd42::2' });
  t.deepEqual(seen?.addresses, ['10.42.0.2', 'fd42::2']);
});

test('two addresses of one type replace what is there, but for what others wrote', t => {
  const internal = (address: string) => ({ type: 'InternalIP', address });
  const both = [internal('192.0.2.1'), internal('2001:db8::1'), { type: 'Hostname', address: 'a' }];
  const external = { type: 'ExternalIP', address: '203.0.113.1' };
  t.deepEqual(addressPatch(both, [internal('192.0.2.9'), external]), [...both, external, { $patch: 'replace' }]);
  const one = [internal('192.0.2.1')];
  t.is(addressPatch(one, [internal('192.0.2.9'), external]), one, 'of one family they merge as ever');
  t.deepEqual(addressPatch(one, both), [...one, { type: 'Hostname', address: 'a' }, { $patch: 'replace' }]);
});

test('who has an address of the cluster’s is known here or nowhere', t => {
  const zone = {
    domain: 'cluster.local',
    address: '10.43.0.10',
    ranges: [],
    ranges6: [{ base: 0xfd43n << 112n, prefixLength: 112 }],
  };
  const digits = (start: string) => `${[...start.padEnd(32, '0')].reverse().join('.')}.ip6.arpa`;
  const ask = (name: string) =>
    lookUp({ name, asked: name, type: 'PTR' }, testView([], [dnsSlice({ service: 's', endpoints: [] })]), zone).found;
  t.is(ask(digits('fd43')), 'nothing');
  t.is(ask(digits('2001')), 'elsewhere');
});

test('/etc/hosts has a line for each address', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-hosts-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const { hosts } = await writePodFiles(
    folder,
    { metadata: { name: 'p', namespace: 'x' }, spec: { containers: [] } },
    {
      ...{ podIP: '10.42.0.2', podIPs: ['10.42.0.2', 'fd42::2'] },
      ...{ nodeHostname: 'n', nodeResolvConf: '', clusterDns: undefined },
    },
  );
  t.regex(await readFile(hosts, 'utf8'), /^10\.42\.0\.2\tp\nfd42::2\tp$/m);
});

test('the agent hands the second family on, and says both addresses of a pod', async t => {
  const world = await World.create();
  t.teardown(() => world.close());
  const range = { podCIDR: '10.42.0.0/24', podCIDRs: ['10.42.0.0/24', 'fd42::/64'] };
  world.network.ipv6 = 'fd42::2';
  const starting = world.beginAgent({
    clusterCIDR: '10.42.0.0/16,fd42::/56',
    serviceCIDR: '10.43.0.0/16,fd43::/112',
    addresses: ['192.0.2.1', '2001:db8::1'],
  });
  const agent = await starting;
  await until('the node is registered', async () => (await world.client.list(nodes)).items.length > 0);
  const node = await world.client.get(nodes, { name: 'node-1' });
  await world.client.update(nodes, { ...node, spec: { ...node.spec, ...range } });
  await agent.ready;
  t.like(world.network.started, {
    podCIDR: '10.42.0.0/24',
    clusterCIDR: '10.42.0.0/16',
    nodeAddress: '192.0.2.1',
    ipv6: { podCIDR: 'fd42::/64', clusterCIDR: 'fd42::/56', nodeAddress: '2001:db8::1' },
  });
  const addressesOf = async () =>
    ((await world.client.get(nodes, { name: 'node-1' })).status?.addresses ?? []).map(({ address }) => address);
  t.deepEqual(await addressesOf(), ['192.0.2.1', '2001:db8::1', 'node-1']);
  await world.createPod('p');
  const status = async () => (await world.client.get(pods, { namespace: 'default', name: 'p' })).status;
  await until('it runs', async () => (await status())?.phase === 'Running');
  t.deepEqual((await status())?.podIPs, [{ ip: '10.42.0.2' }, { ip: 'fd42::2' }]);
  t.deepEqual((await status())?.hostIPs, [{ ip: '192.0.2.1' }, { ip: '2001:db8::1' }]);
});
