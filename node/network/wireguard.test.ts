/** The WireGuard link: what it tells `wg`, and on a kernel that has it, pods that reach each other through it. */
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type RunCommand, runCommand, systemPath } from '../runtime/command.ts';
import { Links } from './links.ts';
import { networkNames } from './names.ts';
import { NetworkUnavailableError } from './network.ts';
import { Internet, type Machine } from './test-internet.ts';
import { namespacesUnavailable } from './test-namespaces.ts';
import { loadKey, publicKeyOf, WireguardLink, wireguardConfig, wireguardUnavailable } from './wireguard.ts';

const noWireguard = namespacesUnavailable(['nft', 'nsenter', 'bridge']) ?? (await wireguardUnavailable(runCommand));
if (noWireguard !== undefined) test.skip(`ways between nodes over WireGuard: ${noWireguard}`, t => t.pass());
const onWireguard = noWireguard === undefined ? test : test.skip;

/** Runs `wg` from a folder, which notes what it could read, and pretends that `ip` does as it is told. */
async function pretended(t: ExecutionContext, presentPort: number, refusedPorts: number) {
  const folder = await mkdtemp(path.join(tmpdir(), 'raftsman-wg-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const wg = path.join(folder, 'wg');
  await writeFile(wg, `#!/bin/sh\nif [ "$1" = show ]; then echo ${presentPort}; else cat "$3" >${folder}/$1; fi\n`);
  await chmod(wg, 0o755);
  let refusals = refusedPorts;
  const run: RunCommand = async (program, args, options) => {
    if (program !== 'ip') return runCommand('env', [`PATH=${folder}:${systemPath}`, program, ...args], options);
    const isRefused = args.at(-1) === 'up' && refusals-- > 0;
    return { code: isRefused ? 2 : 0, stdout: '', stderr: isRefused ? 'Address already in use' : '' };
  };
  const options = { link: 'rsg0', dataDir: folder, endpoint: '192.0.2.1', mtu: 1_420 };
  const said = (verb: string) => readFile(path.join(folder, verb), 'utf8').catch(() => undefined);
  return { link: new WireguardLink(run, new Links(run), options), said, folder };
}

test('WireGuard: wg can read what it is given', async t => {
  const { link, said, folder } = await pretended(t, 0, 0);
  const { port } = await link.ensure();
  t.is(port, 51_820);
  const privateKey = await loadKey(path.join(folder, 'wireguard.key'));
  t.is(await said('setconf'), wireguardConfig({ privateKey, port, peers: [] }));
  const peers = [{ publicKey: 'theirs', endpoint: '192.0.2.2', port: 51_821, podCIDR: '10.42.1.0/24' }];
  await link.sync(peers);
  t.is(await said('syncconf'), wireguardConfig({ privateKey, port, peers }));
});

test('WireGuard: a link that is there keeps its port, unless somebody else took that while it was down', async t => {
  const kept = await pretended(t, 51_825, 0);
  t.is((await kept.link.ensure()).port, 51_825);
  t.is(await kept.said('setconf'), undefined, 'sessions go on');
  const lost = await pretended(t, 51_825, 2);
  t.is((await lost.link.ensure()).port, 51_821);
});

onWireguard(
  'WireGuard: pods reach each other on one network and far off, and nothing leaves a machine in the clear',
  async t => {
    const internet = await Internet.make(t, 'wireguard', [
      ['a', 1],
      ['b', 1],
      ['c', 2],
    ]);
    const rules = [
      'table inet clear {',
      ' chain out { type filter hook postrouting priority 300; oifname "eth0" udp dport 51820-51835 accept; oifname "eth0" drop; }',
      '}',
    ];
    for (const { namespace } of internet.machines) {
      t.is((await namespace.run('nft', ['-f', '-'], { input: rules.join('\n') })).stderr, '');
    }
    await internet.checkAll();
    t.regex(await internet.wayOf('a', 'b'), /dev rsg/);
    t.regex((await internet.machine('a').podNamespace.run('ip', ['link', 'show', 'eth0'])).stdout, /mtu 1420/);
  },
);

onWireguard('WireGuard: nodes go and come back, agents start anew, keys change', async t => {
  const internet = await Internet.make(t, 'wireguard', [
    ['a', 1],
    ['b', 1],
    ['c', 2],
  ]);
  const [a, b, c] = ['a', 'b', 'c'].map(name => internet.machine(name)) as [Machine, Machine, Machine];
  const peersOf = async ({ name, namespace }: Machine) =>
    (await namespace.run('wg', ['show', networkNames('test', name).wireguard, 'allowed-ips'])).stdout;
  const keyOf = ({ network }: Machine) => network.announcement()?.wireguard?.publicKey ?? '';

  await internet.sync([a, b]);
  t.false((await peersOf(a)).includes(keyOf(c)), 'one that went may send no more');
  t.is(await internet.wayOf('a', 'c'), '');
  t.regex(await a.pod.dial({ host: b.podAddress }), /hello$/);
  await internet.sync();
  await internet.checkAll();

  // The next agent goes on with link, port and key, and connections go on.
  t.regex(await c.pod.dial({ host: a.podAddress, hold: 'kept' }), /hello$/);
  const again = await internet.restart('a');
  t.deepEqual(again.network.announcement(), a.network.announcement());
  await internet.sync();
  t.regex(await c.pod.dial({ host: a.podAddress, hold: 'kept' }), /hello$/);

  // One that lost its data directory has another key, by which the others know it from then on.
  await rm(path.join(internet.dataDirOf('c'), 'wireguard.key'));
  const changed = await internet.restart('c');
  t.not(keyOf(changed), keyOf(c));
  await internet.sync();
  t.is((await peersOf(a)).split('\n').filter(line => line.includes(c.podCIDR)).length, 1);
  await internet.checkAll();

  for (const { network, namespace } of internet.machines) {
    await network.close({ remove: true });
    const left = await namespace.run('sh', ['-c', 'ip -o link; ip route; nft list ruleset']);
    t.notRegex(left.stdout, /rs[mvxgt][0-9a-f]{10}|raftsman/);
  }
});

test('WireGuard: a key stays, and one that a crash left empty is made anew', async t => {
  const folder = await mkdtemp(path.join(tmpdir(), 'raftsman-key-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'wireguard.key');
  await writeFile(file, '');
  const key = await loadKey(file);
  t.is(Buffer.from(key, 'base64').length, 32);
  t.is(await loadKey(file), key);
  t.is((await stat(file)).mode & 0o777, 0o600);
  await writeFile(file, 'secret');
  const error = await t.throwsAsync(loadKey(file), { instanceOf: NetworkUnavailableError, message: /remove it/ });
  t.notRegex(error?.message ?? '', /secret/);
});

test("WireGuard's keys and configuration", t => {
  // RFC 7748, section 6.1: Bob's.
  const hex = (text: string) => Buffer.from(text, 'hex').toString('base64');
  t.is(
    publicKeyOf(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb')),
    hex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'),
  );
  const config = wireguardConfig({
    privateKey: 'own',
    port: 51_820,
    peers: [{ publicKey: 'theirs', endpoint: '192.0.2.2', port: 51_821, podCIDR: '10.42.1.0/24' }],
  });
  t.is(
    config,
    '[Interface]\nPrivateKey = own\nListenPort = 51820\n[Peer]\nPublicKey = theirs\nAllowedIPs = 10.42.1.0/24\nEndpoint = 192.0.2.2:51821\n',
  );
});
