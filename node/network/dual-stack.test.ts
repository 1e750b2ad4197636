/** Pods with addresses of both families: on one machine, and over every way between machines. */
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { TestPod } from '../policy/test-pod.ts';
import { runCommand } from '../runtime/command.ts';
import { createBridgeNetwork } from './bridge.ts';
import { parseCidr } from './cidr.ts';
import { networkNames } from './names.ts';
import { NetworkUnavailableError, RouteError } from './network.ts';
import { linkLocalOf, readSecondFamily } from './second-family.ts';
import { clusterCIDR, clusterCIDR6, Internet, podCIDR6 } from './test-internet.ts';
import { makeNamespace, namespacesUnavailable } from './test-namespaces.ts';
import { hasVxlan } from './vxlan.ts';
import { readAnnouncement } from './way.ts';
import { wireguardConfig, wireguardUnavailable } from './wireguard.ts';

const unavailable = namespacesUnavailable(['nft', 'nsenter', 'bridge', 'ip6tables']);
const noVxlan = unavailable ?? ((await hasVxlan(runCommand)) ? undefined : 'needs VXLAN in the kernel');
const noWireguard = unavailable ?? (await wireguardUnavailable(runCommand));
if (noVxlan !== undefined) test.skip(`pods of both families: ${noVxlan}`, t => t.pass());
if (noWireguard !== undefined) test.skip(`pods of both families over WireGuard: ${noWireguard}`, t => t.pass());
const real = unavailable === undefined ? test : test.skip;
const onVxlan = noVxlan === undefined ? test : test.skip;
const onWireguard = noWireguard === undefined ? test : test.skip;

const { vxlan: vxlanName } = networkNames('test', '');

test('a pod has the same place in both ranges', t => {
  const side = readSecondFamily({ podCIDR: 'fd42:0:0:1::/64', clusterCIDR: clusterCIDR6 }, parseCidr('10.42.1.0/24'));
  t.is(side.gateway, 'fd42:0:0:1::1');
  t.deepEqual(['10.42.1.2', '10.42.1.254'].map(side.addressFor), ['fd42:0:0:1::2', 'fd42:0:0:1::fe']);
  const small = { podCIDR: 'fd42::/121', clusterCIDR: clusterCIDR6 };
  t.throws(() => readSecondFamily(small, parseCidr('10.42.1.0/24')), { message: /fewer addresses/ });
  for (const podCIDR of ['10.42.0.0/24', 'fd42::', '']) {
    t.throws(() => readSecondFamily({ podCIDR, clusterCIDR: clusterCIDR6 }, parseCidr('10.42.1.0/24')));
  }
});

test('the link-local address of a hardware address', t => {
  t.is(linkLocalOf('02:1a:2b:3c:4d:5e'), 'fe80::1a:2bff:fe3c:4d5e');
});

test('a WireGuard peer may send from the ranges of both families', t => {
  const peer = { publicKey: 'k', endpoint: '10.1.1.2', port: 51_820, podCIDR: '10.42.2.0/24' };
  const config = (podCIDR6?: string) =>
    wireguardConfig({ privateKey: 'p', port: 1, peers: [{ ...peer, ...(podCIDR6 && { podCIDR6 }) }] });
  t.regex(config('fd42:0:0:2::/64'), /^AllowedIPs = 10\.42\.2\.0\/24, fd42:0:0:2::\/64$/m);
  t.regex(config(), /^AllowedIPs = 10\.42\.2\.0\/24$/m);
});

onVxlan('routes to a neighbour, VXLAN to nodes that are far off or have no IPv6 address', async t => {
  const internet = await Internet.dualStack(t, 'auto', [
    ['a', 1],
    ['b', 1],
    ['c', 2],
    ['d', 1, 'without IPv6'],
  ]);
  await internet.checkAll();
  t.regex(await internet.wayOf('a', 'b', 6), /via fd01:0:0:1::2 dev eth0/);
  t.regex(await internet.wayOf('a', 'c', 6), new RegExp(`via fe80::\\S+ dev ${vxlanName} .*src fd42:0:0:1::1`));
  t.regex(await internet.wayOf('a', 'd', 6), new RegExp(`dev ${vxlanName}`), 'no address of the family to send to');
  const before = await internet.machine('a').namespace.run('ip', ['-6', 'route']);
  await internet.sync();
  t.is((await internet.machine('a').namespace.run('ip', ['-6', 'route'])).stdout, before.stdout, 'nothing to change');
  for (const { network, namespace } of internet.machines) {
    await network.close({ remove: true });
    const left = await namespace.run('sh', ['-c', 'ip -o link; ip route; ip -6 route; nft list tables; ip6tables -S']);
    t.notRegex(left.stdout, /rs[mvxgt][0-9a-f]{10}|raftsman/);
  }
});

onWireguard('WireGuard carries both families, also to a node without IPv6 address', async t => {
  const internet = await Internet.dualStack(t, 'wireguard', [
    ['a', 1],
    ['b', 2],
    ['c', 2, 'without IPv6'],
  ]);
  await internet.checkAll();
  for (const to of ['b', 'c']) t.regex(await internet.wayOf('a', to, 6), /dev rsg\S+ .*src fd42:0:0:1::1/);
});

real('what goes out of the cluster carries the machine’s address, and the machine reaches its pods', async t => {
  const internet = await Internet.dualStack(t, 'auto', [['a', 1]]);
  const outside = await internet.outside();
  const { pod, host, addresses } = internet.machine('a');
  t.is(await pod.dial({ host: 'fd01:0:0:1::fe' }), `${outside.name} fd01:0:0:1::1 hello`);
  t.is(await pod.dial({ host: '10.1.1.254' }), `${outside.name} 10.1.1.1 hello`);
  t.is(await host.dial({ host: addresses.ipv6 ?? '' }), 'a fd42:0:0:1::1 hello');
});

real('a restarted network finds what is there; pods on one bridge reach each other', async t => {
  const internet = await Internet.dualStack(t, 'auto', [['a', 1]]);
  const { network: pods, pod, podNamespace, addresses } = internet.machine('a');
  const second = await makeNamespace();
  t.teardown(() => second.remove());
  const { ipv6 = '' } = await pods.attach({ uid: 'two', namespace: 'x', name: 'two' }, second.pid);
  const other = await TestPod.start('two', second, 6);
  t.is(await pod.dial({ host: ipv6 }), `two ${addresses.ipv6} hello`);
  t.is(await other.dial({ host: addresses.ipv6 ?? '', hold: 'kept' }), `a ${ipv6} hello`);
  t.deepEqual([pods.addressOf('two'), pods.ipv6Of('two')], ['10.42.1.3', ipv6]);
  t.is(pods.ipv6Of('nobody'), undefined);
  const again = await pods.attach({ uid: 'a', namespace: 'x', name: 'a' }, podNamespace.pid);
  t.deepEqual(again, addresses);
  t.is(await other.dial({ host: addresses.ipv6 ?? '', hold: 'kept' }), `a ${ipv6} hello`, 'the wire was not made anew');
});

real('set to routes, a node without IPv6 address is told; a kernel without IPv6 is too', async t => {
  const internet = await Internet.dualStack(t, 'routes', [['a', 1]]);
  const { network: pods, namespace: machine } = internet.machine('a');
  const far = {
    nodeName: 'b',
    podCIDR: '10.42.2.0/24',
    nodeAddress: '10.1.1.2',
    ipv6: { podCIDR: podCIDR6(2) },
    announcement: readAnnouncement(undefined),
  };
  const error = await t.throwsAsync(pods.setRoutes([far]), { instanceOf: RouteError });
  t.regex(
    error?.message ?? '',
    /node b \(fd42:0:0:2::\/64 via a link\): one node has no IPv6 address: give it with --node/,
  );
  t.regex((await machine.run('ip', ['route', 'show', 'proto', '114'])).stdout, /10\.42\.2\.0\/24/, 'IPv4 is there');

  const without = createBridgeNetwork({
    clusterId: 'test',
    nodeName: 'x',
    dataDir: path.join(tmpdir(), 'raftsman-none'),
    run: (program, args, options) =>
      args.includes('/proc/net/if_inet6')
        ? Promise.resolve({ code: 1, stdout: '', stderr: '' })
        : machine.run(program, args, options),
  });
  await t.throwsAsync(
    without.start({
      podCIDR: '10.42.9.0/24',
      clusterCIDR,
      ipv6: { podCIDR: podCIDR6(9), clusterCIDR: clusterCIDR6 },
    }),
    { instanceOf: NetworkUnavailableError, message: /this kernel has no IPv6/ },
  );
});
