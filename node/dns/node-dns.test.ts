/** How packets find a node's server: what the service proxy is told, and the rules of a bridge. */
import test from 'ava';
import type { DecodedPacket } from 'dns-packet';
import { systemClock } from '../clock.ts';
import type { ServicePort } from '../proxy/proxy.ts';
import type { RunCommand } from '../runtime/command.ts';
import { quiet } from '../testing/world.ts';
import { clusterDnsAddress, createNodeDns, type NodeDnsOptions } from './node-dns.ts';
import { ask, dataOf } from './test-client.ts';
import { sampleServices, sampleSlices, testView } from './test-view.ts';

const dnsPort = (over: Partial<ServicePort> = {}): ServicePort => ({
  id: 'kube-system/kube-dns:dns',
  protocol: 'UDP',
  clusterIPs: ['127.43.0.10'],
  port: 53,
  nodePort: 0,
  externalIPs: [],
  affinitySeconds: 0,
  localOnly: false,
  internalLocalOnly: false,
  endpoints: [],
  ...over,
});
const other = dnsPort({ id: 'default/web:http', clusterIPs: ['127.43.0.11'] });
const metrics = dnsPort({ id: 'kube-system/kube-dns:metrics', port: 9_153 });

/** Port 53 is the system's to give. */
const asRoot = process.getuid?.() === 0 ? test.serial : test.skip;

/** On loopback addresses, of which every machine has a whole range. */
function options(proxy: NodeDnsOptions['proxy'], scripts: string[] = []): NodeDnsOptions {
  const run: RunCommand = async (_program, _args, { input = '' } = {}) => {
    scripts.push(input);
    return { code: 0, stdout: '', stderr: '' };
  };
  return {
    clusterId: 'c',
    nodeName: 'node-1',
    domain: 'Cluster.Local',
    serviceCIDR: '127.43.0.0/16',
    proxy,
    resolvers: [{ address: '127.43.0.10', port: 53 }],
    clock: systemClock,
    random: () => 0.5,
    logger: quiet,
    run,
  };
}
const started = {
  podCIDR: '127.42.1.0/24',
  clusterCIDR: '127.42.0.0/16',
  view: testView(sampleServices, sampleSlices),
};

asRoot('with nftables a bridge’s pods are led to its server, everybody else by the proxy', async t => {
  const scripts: string[] = [];
  const dns = createNodeDns(options('nftables', scripts));
  t.deepEqual(dns.servedPorts([dnsPort(), other]), [dnsPort(), other], 'before it serves nothing is led to it');
  await dns.start(started);
  t.teardown(() => dns.close({ remove: false }));
  const [served, untouched, left] = dns.servedPorts([dnsPort(), other, metrics]);
  const [endpoint] = served?.endpoints ?? [];
  t.is(endpoint?.address, '127.42.1.1');
  t.true(endpoint?.local);
  t.is(untouched, other);
  t.is(left, metrics, 'only DNS itself is served here');
  const rule =
    /iifname "rsm[0-9a-f]{10}" ip daddr 127\.43\.0\.10 meta l4proto \{ tcp, udp \} th dport 53 dnat to (.*)$/m;
  t.is(rule.exec(scripts[0] ?? '')?.[1], `127.42.1.1:${endpoint?.port}`);
  await dns.close({ remove: true });
  t.regex(scripts[1] ?? '', /^table ip raftsman-dns-[0-9a-f]{10}\ndelete table ip raftsman-dns-[0-9a-f]{10}\n$/);
});

asRoot('its own address among the node’s resolvers is not asked', async t => {
  const dns = createNodeDns(options('nftables'));
  await dns.start(started);
  t.teardown(() => dns.close({ remove: false }));
  const [endpoint] = dns.servedPorts([dnsPort()])[0]?.endpoints ?? [];
  if (!endpoint) return t.fail();
  const asked = { address: endpoint.address, port: endpoint.port };
  t.deepEqual(dataOf(await ask('kubernetes.default.svc.cluster.local', 'A', asked)), ['10.43.0.1']);
  const answer: DecodedPacket & { rcode?: string } = await ask('example.org', 'A', asked);
  t.is(answer.rcode, 'SERVFAIL');
});

asRoot('without nftables the servers of two nodes answer on the cluster’s address side by side', async t => {
  const first = createNodeDns(options('userspace'));
  const second = createNodeDns({ ...options('userspace'), nodeName: 'node-2' });
  await first.start(started);
  t.teardown(() => first.close({ remove: true }));
  await second.start({ ...started, podCIDR: '127.42.2.0/24' });
  t.teardown(() => second.close({ remove: true }));
  t.deepEqual(first.servedPorts([dnsPort(), other, metrics]), [other, metrics], 'the proxy is not to listen there');
  const asked = { address: '127.43.0.10', port: 53 };
  const name = 'kubernetes.default.svc.cluster.local';
  for (let turn = 0; turn < 10; turn += 1) t.deepEqual(dataOf(await ask(name, 'A', asked)), ['10.43.0.1']);
  await first.close({ remove: false });
  for (let turn = 0; turn < 10; turn += 1) t.deepEqual(dataOf(await ask(name, 'A', asked)), ['10.43.0.1']);
});

test('the tenth address of the range is the cluster’s DNS', t => {
  t.is(clusterDnsAddress('10.192.0.0/12'), '10.192.0.10');
  t.is(clusterDnsAddress('10.0.0.0/29'), undefined);
});
