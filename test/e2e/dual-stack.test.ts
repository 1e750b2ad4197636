/**
 * A dual-stack cluster of three nodes on two networks, each in a network namespace with a Docker engine of its own: pods,
 * services, DNS and policies in both families.
 */
import { once } from 'node:events';
import test from 'ava';
import { namespacesUnavailable } from '../../node/network/test-namespaces.ts';
import { hasVxlan } from '../../node/network/vxlan.ts';
import { runCommand } from '../../node/runtime/command.ts';
import { type Inside, image, Site } from '../helpers/network-site.ts';
import { until } from '../helpers/run.ts';

const cannot =
  namespacesUnavailable(['dockerd', 'nft', 'busybox', 'nsenter']) ??
  ((await hasVxlan(runCommand)) ? undefined : 'needs VXLAN in the kernel');
if (cannot !== undefined) test.skip(`a dual-stack cluster: ${cannot}`, t => t.pass());
const real = cannot === undefined ? test.serial : test.serial.skip;

const podOf = (name: string, node: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name, tier: name === 'a' ? 'client' : 'web' } },
  spec: {
    nodeName: node,
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        image,
        imagePullPolicy: 'Never',
        command: ['sleep', '3600'],
        env: [{ name: 'IPS', valueFrom: { fieldRef: { fieldPath: 'status.podIPs' } } }],
      },
    ],
  },
});
const serviceOf = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { tier: 'web' }, ports: [{ port: 80 }], ...spec },
});
const policy = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'b' },
  spec: {
    podSelector: { matchLabels: { app: 'b' } },
    ingress: [{ from: [{ ipBlock: { cidr: 'fd09::/32' } }, { podSelector: { matchLabels: { app: 'c' } } }] }],
  },
};
const lookUp = `const { Resolver } = require('node:dns').promises;
const resolver = new Resolver();
const [server, type, name] = process.argv.slice(1);
resolver.setServers([server]);
(type === 'PTR' ? resolver.reverse(name) : resolver.resolve(name, type)).then(all => console.log(all.sort().join(' ')), e => console.log(e.code));`;

real('pods, services, names and policies of both families, on one network and far off', async t => {
  t.timeout(300_000);
  const site = await Site.make({ dual: true });
  t.teardown(() => site.remove());
  await site.startMaster();
  for (const [name, net] of [
    ['a', 1],
    ['b', 1],
    ['c', 2],
  ] as const)
    await site.startEngine(name, net);
  for (const machine of site.machines) site.startAgent(machine);
  const names = ['a', 'b', 'c'];
  const ready = async (what: string) => {
    await until(`${what}s`, async () => (await site.cli('get', what, ...names)).code === 0, 60_000);
    await site.must('wait', '--for=condition=Ready', what, ...names, '--timeout=80s');
  };
  await ready('node');
  await until('the default service account', async () => (await site.cli('get', 'sa', 'default')).code === 0);
  await site.apply(...names.map(name => podOf(name, name)));
  await ready('pod');
  const json = async (...args: readonly string[]) => JSON.parse(await site.must('get', ...args, '-o', 'json'));

  const { spec: nodes, status: said } = await json('node', 'b');
  t.deepEqual(
    said.addresses.map(({ address }: { address: string }) => address),
    [site.machine('b').address, site.machine('b').ipv6, 'b'],
  );
  t.regex(nodes.podCIDRs.join(' '), /^10\.42\.\d+\.0\/24 fd42:(:|0:0:\d+::)\/64$/);
  const inside = new Map<string, Inside & { readonly addresses: readonly [string, string] }>();
  for (const name of names) {
    const { status } = await json('pod', name);
    const addresses = status.podIPs.map(({ ip }: { ip: string }) => ip);
    t.is(addresses[0], status.podIP);
    t.regex(addresses.join(' '), /^10\.42\.\S+ fd42:\S+$/);
    const machine = site.machine(name);
    t.deepEqual(status.hostIPs, [{ ip: machine.address }, { ip: machine.ipv6 }]);
    inside.set(name, { ...(await site.inside(name, name)), addresses });
    t.is((await site.must('exec', name, '--', 'sh', '-c', 'echo $IPS')).trim(), addresses.join(','));
    const hosts = await site.must('exec', name, '--', 'cat', '/etc/hosts');
    for (const address of addresses) t.true(hosts.includes(`${address}\t${name}`), hosts);
  }
  const at = (name: string) => {
    const found = inside.get(name);
    if (!found) throw new Error(`no pod ${name}`);
    return found;
  };

  for (const from of names) {
    for (const to of names) {
      for (const family of [0, 1] as const) {
        const host = at(to).addresses[family];
        const said = `${to} ${at(from).addresses[family]} hello`;
        t.is(await at(from).process.dial({ host }), said, `${from} to ${host}`);
        t.is(await at(from).process.dial({ host, protocol: 'UDP' }), said, `${from} to ${host}, UDP`);
        t.is(await at(from).process.dial({ host, bytes: 300_000, timeoutMs: 10_000 }), 'all', `${from} to ${host}`);
      }
    }
  }

  await site.apply(
    serviceOf('both', { ipFamilyPolicy: 'RequireDualStack', type: 'NodePort' }),
    serviceOf('six', { ipFamilies: ['IPv6'] }),
    serviceOf('four', {}),
    serviceOf('headless', { ipFamilyPolicy: 'PreferDualStack', clusterIP: 'None' }),
  );
  const slices = async (service: string) =>
    (await json('endpointslices', '-l', `kubernetes.io/service-name=${service}`)).items.map(
      ({ addressType, endpoints }: { addressType: string; endpoints: { addresses: string[] }[] | null }) =>
        `${addressType} ${(endpoints ?? []).flatMap(({ addresses }) => addresses).sort()}`,
    );
  const webAddresses = (family: 0 | 1) => [at('b').addresses[family], at('c').addresses[family]].sort();
  const wanted = [`IPv4 ${webAddresses(0)}`, `IPv6 ${webAddresses(1)}`];
  await until('slices of both families', async () => (await slices('both')).sort().join() === wanted.join());
  t.deepEqual(await slices('six'), wanted.slice(1));
  t.deepEqual(await slices('four'), wanted.slice(0, 1));
  const clusterIPs = async (service: string): Promise<string[]> => (await json('service', service)).spec.clusterIPs;
  const [both4 = '', both6 = ''] = await clusterIPs('both');
  const [six = ''] = await clusterIPs('six');
  t.regex([both4, both6, six].join(' '), /^10\.\S+ fd43::\S+ fd43::\S+$/);

  // Every pod, an endpoint itself too, and the node.
  for (const host of [both4, both6, six]) {
    for (const from of names) {
      await until(`${from} reaches ${host}`, async () => /^[bc] /.test(await at(from).process.dial({ host })));
      const seen = new Set<string>();
      for (let count = 0; count < 20; count++) seen.add((await at(from).process.dial({ host })).split(' ')[0] ?? '');
      t.deepEqual([...seen].sort(), ['b', 'c'], `${from} to ${host}`);
    }
  }
  t.is(await at('a').process.dial({ host: six, port: 81 }), 'ECONNREFUSED');
  const { nodePort } = (await json('service', 'both')).spec.ports[0];
  const machine = site.machine('a');
  for (const host of [machine.address, machine.ipv6 ?? '']) {
    t.regex(
      await at('b').process.dial({ host, port: nodePort }),
      /^[bc] /,
      `${host}:${nodePort} from a pod of another node`,
    );
  }

  const dns = (await json('service', 'kube-dns', '-n', 'kube-system')).spec.clusterIP;
  const asked = async (type: string, name: string) =>
    (await at('c').run(process.execPath, ['-e', lookUp, dns, type, name])).stdout.trim();
  const zone = 'default.svc.cluster.local';
  t.is(await asked('A', `both.${zone}`), both4);
  t.is(await asked('AAAA', `both.${zone}`), both6);
  t.is(await asked('AAAA', `six.${zone}`), six);
  t.is(await asked('A', `six.${zone}`), 'ENODATA');
  t.is(await asked('AAAA', `headless.${zone}`), webAddresses(1).join(' '));
  t.is(await asked('A', `headless.${zone}`), webAddresses(0).join(' '));
  t.is(await asked('PTR', both6), `both.${zone}`);
  t.is(await asked('PTR', both4), `both.${zone}`);
  t.is(await asked('PTR', 'fd43::dead'), 'ENOTFOUND', 'not asked of anybody else');

  // b lets c in, in both families, and nobody else.
  await site.apply(policy);
  const dial = (from: string, family: 0 | 1) =>
    at(from).process.dial({ host: at('b').addresses[family], timeoutMs: 700 });
  await until('the policy holds', async () =>
    (await Promise.all([dial('a', 0), dial('a', 1)])).every(one => one === 'TIMEOUT'),
  );
  for (const family of [0, 1] as const) t.regex(await dial('c', family), /^b .*hello$/);
  await site.must('delete', 'networkpolicy', 'b');
  await until('all may again', async () => /hello$/.test(await dial('a', 1)));

  // An agent that is killed leaves all as it is; its successor goes on with it.
  const agent = site.machine('b').agent;
  if (!agent) return t.fail('no agent');
  agent.kill('SIGKILL');
  await once(agent, 'exit');
  t.regex(await dial('c', 1), /^b .*hello$/);
  const successor = site.startAgent(site.machine('b'));
  await site.must('label', 'pod', 'b', 'tier=none', '--overwrite');
  await until(
    'the service leads to c alone',
    async () => (await slices('six')).join() === `IPv6 ${at('c').addresses[1]}`,
  );
  await until('the successor follows', async () => {
    const answers = [];
    for (let count = 0; count < 5; count++) answers.push(await at('b').process.dial({ host: six }));
    return answers.every(answer => answer.startsWith('c '));
  });
  t.deepEqual(
    (await json('pod', 'b')).status.podIPs.map(({ ip }: { ip: string }) => ip),
    at('b').addresses,
  );

  // A node goes with all it has.
  successor.kill('SIGUSR2');
  await once(successor, 'exit');
  const left = await site
    .machine('b')
    .namespace.run('sh', ['-c', 'ip -o link; ip route; ip -6 route; nft list tables']);
  t.notRegex(left.stdout, /rs[mvxg][0-9a-f]{10}|raftsman-(net|svc|pol|dns)/);
});
