/** Which UDP connections are forgotten: as data, and in the kernel where `conntrack` is there to tell it. */
import { createInterface } from 'node:readline';
import test from 'ava';
import { type Namespace, namespacesUnavailable } from '../../network/test-namespaces.ts';
import { planFrontends } from '../frontends.ts';
import type { ServicePort } from '../proxy.ts';
import { clusterIP, World } from '../test-world.ts';
import { planConntrackDeletions, planStaleDeletions } from './conntrack.ts';

const at = (address: string) => ({ address, port: 8080, local: true, cluster: true });
const udp = (endpoints: readonly string[], change: Partial<ServicePort> = {}) => ({
  ...{
    id: 'default/dns:dns',
    protocol: 'UDP' as const,
    clusterIPs: [clusterIP, 'fd43::a'],
    port: 80,
    nodePort: 30_053,
  },
  ...{ externalIPs: [], affinitySeconds: 0, localOnly: false, internalLocalOnly: false },
  ...{ endpoints: endpoints.map(at), ...change },
});
const [one, two] = ['10.42.1.2', '10.42.2.2'] as const;

test('connections to what is gone, and to where nothing was, are forgotten', t => {
  const planned = (before: readonly ServicePort[], after: readonly ServicePort[]) =>
    planConntrackDeletions(planFrontends(before), planFrontends(after)).map(args => args.join(' '));
  const both = udp([one, two]);
  t.deepEqual(planned([both], [both]), []);
  t.deepEqual(planned([both], [udp([two])]), [`-D -p udp --dst-nat ${one}`]);
  t.deepEqual(planned([both], []), [`-D -p udp --dst-nat ${one}`, `-D -p udp --dst-nat ${two}`]);
  t.deepEqual(planned([udp([])], [both]), [
    `-D -p udp --orig-dst ${clusterIP} --orig-port-dst 80`,
    '-D -p udp --orig-port-dst 30053',
  ]);
  t.deepEqual(planned([udp([one], { protocol: 'TCP' })], []), []);
  const port = { endpoints: [{ ...at(one), port: 9 }] };
  t.deepEqual(planned([udp([one])], [udp([], port)]), [`-D -p udp --dst-nat ${one}`], 'another port of the same pod');
});

test('what still serves keeps its clients until it is gone', t => {
  const planned = (before: ServicePort, after: ServicePort) =>
    planConntrackDeletions(planFrontends([before]), planFrontends([after]));
  const draining = udp([two], { draining: [one] });
  t.deepEqual(planned(udp([one, two]), draining), []);
  t.deepEqual(planned(draining, udp([two])), [['-D', '-p', 'udp', '--dst-nat', one]]);
  t.deepEqual(planned(draining, udp([one, two])), []);
});

test('of connections that are found, those to a service that go to none of its endpoints are forgotten', t => {
  const flow = (to: string, port: number, from: string) =>
    `udp      17 29 src=10.42.1.9 dst=${to} sport=4000 dport=${port} [UNREPLIED] src=${from} dst=10.42.1.9 sport=8080 dport=4000 mark=0 use=1`;
  const planned = (flows: readonly string[], ports: readonly ServicePort[], family: 4 | 6 = 4) =>
    planStaleDeletions(flows.join('\n'), planFrontends(ports, family), family).map(args => args.join(' '));
  const gone = '10.42.3.3';
  const service = udp([two], { draining: [one] });
  const flows = [
    ...[one, two, gone, clusterIP].map(from => flow(clusterIP, 80, from)),
    ...[one, gone].map(from => flow('192.0.2.1', 30_053, from)),
    ...[flow(clusterIP, 81, gone), flow('8.8.8.8', 53, '8.8.8.8'), 'conntrack v1.4.7: 7 flow entries', ''],
  ];
  t.deepEqual(planned(flows, [service]), [
    `-D -p udp --orig-dst ${clusterIP} --orig-port-dst 80 --reply-src ${gone}`,
    `-D -p udp --orig-dst ${clusterIP} --orig-port-dst 80 --reply-src ${clusterIP}`,
    `-D -p udp --orig-port-dst 30053 --reply-src ${gone}`,
  ]);
  t.deepEqual(planned(flows, [udp([])]), [], 'to a service without endpoints nothing could go instead');
  t.deepEqual(planned(flows, [udp([two], { protocol: 'TCP' })]), []);
  const six = udp(['fd42::2'], { draining: ['fd42::3'] });
  t.deepEqual(
    planned(
      ['fd42:0:0::2', 'fd42::3', 'fd42::4'].map(from => flow('fd43::a', 80, from)),
      [six],
      6,
    ),
    ['-D -f ipv6 -p udp --orig-dst fd43::a --orig-port-dst 80 --reply-src fd42::4'],
  );
});

const unavailable = namespacesUnavailable(['nft', 'nsenter', 'conntrack']);
if (unavailable !== undefined) test.skip(`a client of UDP goes where it is served: ${unavailable}`, t => t.pass());
const real = unavailable === undefined ? test : test.skip;

/** One socket that asks at each line, until it is answered. */
const clientScript = `
const u = require('node:dgram').createSocket('udp4');
let again;
u.on('message', m => { if (!again) return; clearInterval(again); again = undefined; console.log(String(m)); }).on('error', () => {});
u.connect(80, '${clusterIP}', () => require('node:readline').createInterface({ input: process.stdin }).on('line', () => {
  again = setInterval(() => u.send('x', () => {}), 100);
}));`;

/** Gives what asks once more from the same socket. */
function askerIn(namespace: Namespace): () => Promise<string> {
  const child = namespace.spawn(process.execPath, ['-e', clientScript]);
  const lines = createInterface({ input: child.stdout ?? process.stdin })[Symbol.asyncIterator]();
  return async () => {
    child.stdin?.write('\n');
    return String((await lines.next()).value).split(' ')[0] ?? '';
  };
}

real('a client of UDP stays where it is served, and goes elsewhere when it is not any more', async t => {
  t.timeout(60_000);
  const world = await World.make(t, { kind: 'nftables', programs: [] });
  const [first, second, client] = [await world.server('one'), await world.server('two'), await world.pod('client')];
  const proxy = await world.proxy('a');
  await proxy.sync(udp([first.address]));
  const ask = askerIn(client.namespace);
  t.is(await ask(), 'one');
  await proxy.sync(udp([second.address], { draining: [first.address] }));
  t.is(await ask(), 'one', 'it leaves, and still serves');
  await proxy.sync(udp([second.address]));
  t.is(await ask(), 'two', 'it is gone');
  proxy.kill();
  const next = await world.proxy('a');
  await next.sync(udp([first.address], { draining: [second.address] }));
  t.is(await ask(), 'two', 'another agent takes nobody away from what serves');
  next.kill();
  const last = await world.proxy('a');
  await last.sync(udp([first.address]));
  t.is(await ask(), 'one', 'but from what went while there was none');
  await last.sync(udp([]));
  await last.sync(udp([second.address]));
  t.is(await ask(), 'two', 'nothing served for a while');
});
