import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { until } from '../../../control/client/testing/until.ts';
import { systemClock } from '../../clock.ts';
import { makeNamespace, type Namespace, namespacesUnavailable } from '../../network/test-namespaces.ts';
import { CommandOutputError, mustRun, type RunCommand } from '../../runtime/command.ts';
import { proxyContract } from '../contract.ts';
import type { ServicePort, ServiceProxy } from '../proxy.ts';
import { anyPortsInTurn } from '../test-ports.ts';
import { machineAddress, World } from '../test-world.ts';
import { createNftablesProxy } from './nftables.ts';

proxyContract(test, { kind: 'nftables', programs: ['nft', 'nsenter'] });

const real = namespacesUnavailable(['nft', 'nsenter']) === undefined ? test.serial : test.skip;
/** One seed, so that a failure comes again. */
const SEED = 1;
const SEQUENCES = 6;

const ranges = {
  clusterCIDR: '10.42.0.0/16',
  serviceCIDR: '10.43.0.0/16',
  nodeAddresses: ['192.0.2.1', '2001:db8::1'],
  ipv6: { clusterCIDR: 'fd42::/56', serviceCIDR: 'fd43::/112' },
};
const port: ServicePort = {
  id: 'default/web:http',
  protocol: 'TCP',
  clusterIPs: ['10.43.0.10', 'fd43::a'],
  port: 80,
  nodePort: 30_080,
  externalIPs: [],
  affinitySeconds: 30,
  localOnly: false,
  internalLocalOnly: false,
  endpoints: [
    { address: '10.42.1.2', port: 8080, local: true, cluster: true },
    { address: 'fd42::2', port: 8080, local: true, cluster: true },
  ],
};
const other: ServicePort = { ...port, id: 'default/other:http', clusterIPs: ['10.43.0.11', 'fd43::b'], nodePort: 0 };

/** A machine whose scripts are kept. */
class Machine {
  readonly namespace: Namespace;
  nowMs = 0;
  /** What names there are is more than is read. */
  isTooLong = false;
  /** The most bytes that a program said. */
  longest = 0;
  /** Those of `nft -f -` since they were last taken. */
  #scripts: string[] = [];
  #failures = 0;

  private constructor(namespace: Namespace) {
    this.namespace = namespace;
  }

  static async make(t: ExecutionContext): Promise<Machine> {
    const namespace = await makeNamespace();
    t.teardown(() => namespace.remove());
    const machine = new Machine(namespace);
    await machine.empty();
    return machine;
  }

  /** As a machine is that never had a node. */
  async empty(): Promise<void> {
    await this.nft('flush', 'ruleset');
    // A namespace begins with what the machine under test has.
    await this.namespace.run('tee', ['/proc/sys/net/ipv4/conf/all/route_localnet'], { input: '0' });
  }

  run: RunCommand = async (program, args, options) => {
    if (program === 'nft' && args.includes('-f')) {
      this.#scripts.push(options?.input ?? '');
      if (this.#failures-- > 0) return { code: 1, stdout: '', stderr: 'the kernel has no memory left' };
    }
    if (this.isTooLong && args.includes('chains')) throw new CommandOutputError('too long');
    const result = await this.namespace.run(program, args, options);
    this.longest = Math.max(this.longest, result.stdout.length);
    return result;
  };

  async proxy(): Promise<ServiceProxy> {
    const clock = { ...systemClock, now: () => this.nowMs };
    const proxy = createNftablesProxy({ clusterId: 'test', nodeName: 'a', run: this.run, clock });
    await proxy.start(ranges);
    this.scripts();
    return proxy;
  }

  /** Whole tables and changes, since this was asked last. */
  scripts(): { readonly wholes: number; readonly changes: number } {
    const wholes = this.#scripts.filter(script => script.startsWith('add table')).length;
    const changes = this.#scripts.length - wholes;
    this.#scripts = [];
    return { wholes, changes };
  }

  failNext(count: number): void {
    this.#failures = count;
  }

  async nft(...args: string[]): Promise<void> {
    const { code, stderr } = await this.namespace.run('nft', args);
    if (code !== 0) throw new Error(stderr);
  }

  /** Both families' tables, without handles and whatever order they were told in; rules of a chain keep theirs. */
  async listing(): Promise<ReadonlySet<string>> {
    const { stdout } = await this.namespace.run('nft', ['-j', 'list', 'ruleset']);
    const all: { nftables: Record<string, Entry>[] } = JSON.parse(stdout);
    const entries = all.nftables.filter(entry => !('metainfo' in entry));
    const texts = new Map<string, string[]>();
    for (const [kind, entry] of entries.flatMap(one => Object.entries(one))) {
      const { handle, elem, ...rest } = entry;
      const name = kind === 'rule' ? `rules of ${entry.chain}` : `${kind} ${entry.name}`;
      const key = `${entry.family} ${entry.table ?? ''} ${name}`;
      const elements = (elem ?? []).map(element => JSON.stringify(element)).sort();
      texts.set(key, [...(texts.get(key) ?? []), JSON.stringify({ ...rest, elements })]);
    }
    return new Set([...texts].map(([key, lines]) => [key, ...lines].join('\n')));
  }
}

interface Entry {
  readonly family?: string;
  readonly table?: string;
  readonly name?: string;
  readonly chain?: string;
  readonly handle?: number;
  readonly elem?: readonly unknown[];
}

/** What a machine has that was told only this. */
async function toldAnew(machine: Machine, ports: readonly ServicePort[]): Promise<ReadonlySet<string>> {
  await machine.empty();
  await (await machine.proxy()).sync(ports);
  return await machine.listing();
}

/** Asserts that a machine has just this. */
async function has(t: ExecutionContext, machine: Machine, expected: ReadonlySet<string>, what = ''): Promise<void> {
  const listing = await machine.listing();
  const lackedBy = (one: ReadonlySet<string>, other: ReadonlySet<string>) => [...other].filter(it => !one.has(it));
  t.deepEqual([lackedBy(listing, expected), lackedBy(expected, listing)], [[], []], what);
  t.true(listing.size > 10);
}

real('changes one after the other end in the same tables as a whole write', async t => {
  t.timeout(240_000);
  const [machine, fresh] = [await Machine.make(t), await Machine.make(t)];
  const proxy = await machine.proxy();
  await proxy.sync([]);
  t.deepEqual(machine.scripts(), { wholes: 2, changes: 0 }, 'one table of each family');
  let changes = 0;
  for (const all of fc.sample(anyPortsInTurn, { seed: SEED, numRuns: SEQUENCES })) {
    for (const ports of all) await proxy.sync(ports);
    await has(t, machine, await toldAnew(fresh, all.at(-1) ?? []));
    const scripts = machine.scripts();
    t.is(scripts.wholes, 0, 'the kernel took each change');
    changes += scripts.changes;
  }
  t.true(changes > 2 * SEQUENCES, String(changes));
  await proxy.sync([]);
  await has(t, machine, await toldAnew(fresh, []));
});

real('what others did to the tables ends with a whole write', async t => {
  t.timeout(120_000);
  const [machine, fresh] = [await Machine.make(t), await Machine.make(t)];
  const proxy = await machine.proxy();
  await proxy.sync([port]);
  const [one, both] = [await toldAnew(fresh, [port]), await toldAnew(fresh, [port, other])];
  const table = /raftsman-svc-\w+/.exec((await machine.run('nft', ['list', 'tables'])).stdout)?.[0] ?? t.fail();
  const expect = async (ports: readonly ServicePort[], wholes: number, what: string) => {
    machine.scripts();
    await proxy.sync(ports);
    await has(t, machine, ports.length === 1 ? one : both, what);
    t.is(machine.scripts().wholes, wholes, what);
  };
  await machine.nft('flush', 'ruleset');
  await expect([port], 2, 'all rules of the machine flushed, and nothing changed since');
  await machine.nft('flush', 'ruleset');
  await expect([port, other], 2, 'all rules flushed, and a change: the kernel refuses it');
  machine.nowMs += 10_000;
  await machine.nft('flush', 'table', 'ip', table);
  await expect([port], 1, 'the rules of one table flushed: its chains are there, so a change succeeds');
  await proxy.sync([port, other]);
  await machine.nft('flush', 'map', 'ip', table, 'service-ips');
  await expect([port], 1, 'elements taken away: a change that has to delete one of them fails');
  await machine.nft('flush', 'map', 'ip', table, 'service-ips');
  machine.nowMs += 3_600_000;
  await expect([port], 2, 'elements taken away that no change asks for: all is written again after an hour');
});

real('after a transaction that failed the whole table is written; a restarted agent begins with it', async t => {
  t.timeout(120_000);
  const [machine, fresh] = [await Machine.make(t), await Machine.make(t)];
  const proxy = await machine.proxy();
  await proxy.sync([port]);
  const [one, both] = [await toldAnew(fresh, [port]), await toldAnew(fresh, [port, other])];
  machine.scripts();
  // The change of one family fails.
  machine.failNext(1);
  await proxy.sync([port, other]);
  t.deepEqual(machine.scripts(), { wholes: 1, changes: 2 });
  await has(t, machine, both);
  // So do both ways of both families.
  machine.failNext(4);
  await t.throwsAsync(proxy.sync([port]), { message: /no memory/ });
  await has(t, machine, both, 'nothing was done by half');
  machine.scripts();
  await proxy.sync([port]);
  t.deepEqual(machine.scripts(), { wholes: 2, changes: 0 });
  await has(t, machine, one);
  const restarted = await machine.proxy();
  await restarted.sync([port, other]);
  t.deepEqual(machine.scripts(), { wholes: 2, changes: 0 });
  await has(t, machine, both);
});

real('services are there also where the kernel lets no table say how long connections are remembered', async t => {
  const machine = await Machine.make(t);
  // The trial of the first family.
  machine.failNext(1);
  await (await machine.proxy()).sync([port]);
  const { stdout } = await machine.namespace.run('nft', ['list', 'ruleset']);
  t.is(stdout.match(/ct timeout services/g)?.length, 1, 'that of the other family');
  t.is(stdout.match(/dnat to/g)?.length, 2);
});

real('a table of which the names are too many to read is written anew in one step', async t => {
  t.timeout(120_000);
  const [machine, fresh] = [await Machine.make(t), await Machine.make(t)];
  await (await machine.proxy()).sync([port, other]);
  const one = await toldAnew(fresh, [port]);
  machine.isTooLong = true;
  const restarted = await machine.proxy();
  await restarted.sync([port]);
  t.deepEqual(machine.scripts(), { wholes: 2, changes: 0 });
  await has(t, machine, one);
});

real('what an agent reads at its start does not grow with the rules of services', async t => {
  t.timeout(120_000);
  const machine = await Machine.make(t);
  const endpoints = Array.from({ length: 40 }, (_, index) => ({
    ...{ address: `10.42.1.${index + 1}`, port: 8080, local: true, cluster: true },
  }));
  const ports = Array.from({ length: 20 }, (_, index) => ({
    ...{ ...port, id: `default/s${index}:http`, clusterIPs: [`10.43.1.${index}`], nodePort: 0, affinitySeconds: 0 },
    endpoints,
  }));
  await (await machine.proxy()).sync(ports);
  const chains = ports.length * (endpoints.length + 1);
  machine.longest = 0;
  await (await machine.proxy()).sync(ports);
  // Twice what the name of a chain takes, with all that stands around it.
  t.true(machine.longest > 0 && machine.longest < chains * 200, `${machine.longest} bytes for ${chains} chains`);
});

real('whom an endpoint sees: a client in its own name, or the node where the reply has to come back to it', async t => {
  t.timeout(60_000);
  const world = await World.make(t, { kind: 'nftables', programs: [] });
  const [one, client, outsider] = [await world.server('one'), await world.pod('client'), await world.outsider()];
  const proxy = await world.proxy('a');
  const added = '10.99.0.5';
  for (const range of ['10.43.0.0/16', '10.99.0.0/16'])
    await mustRun(outsider.run, 'ip', ['route', 'add', range, 'via', machineAddress]);
  const [node, far, service] = ['10.42.1.1', '192.168.77.2', `${machineAddress}:${port.nodePort}`];
  const expect = async (localOnly: boolean, seen: readonly (readonly [Namespace, string, string])[]) => {
    const endpoints = [{ address: one.address, port: 8080, local: true, cluster: true }];
    await proxy.sync({ ...port, clusterIPs: ['10.43.0.10', added], affinitySeconds: 0, localOnly, endpoints });
    for (const [from, target, address] of seen) {
      t.deepEqual(await world.ask(from, 'TCP', target), [`one ${address}`], `${target}, ${address}, ${localOnly}`);
    }
  };
  const inside = [
    [client.namespace, '10.43.0.10:80', client.address],
    [client.namespace, `${added}:80`, client.address],
    [one.namespace, '10.43.0.10:80', node],
    [world.machine, '10.43.0.10:80', node],
    // Of a range that was added to the cluster's later.
    [outsider, `${added}:80`, node],
    [outsider, '10.43.0.10:80', node],
    [world.machine, service, node],
  ] as const;
  await expect(false, [...inside, [client.namespace, service, node], [outsider, service, node]]);
  await expect(true, [...inside, [client.namespace, service, client.address], [outsider, service, far]]);
});

real('what is translated on its way out carries the mark no further: a tunnel would inherit it', async t => {
  t.timeout(60_000);
  const world = await World.make(t, { kind: 'nftables', programs: [] });
  const [{ address }, outsider] = [await world.server('one'), await world.outsider()];
  const proxy = await world.proxy('a');
  await proxy.sync({ ...port, endpoints: [{ address, port: 8080, local: true, cluster: true }] });
  const input = `table ip watch {
    counter marked { }
    chain after { type filter hook postrouting priority 101 ; meta mark and 0x20000 != 0 counter name marked ; }
  }`;
  await mustRun(world.machine.run, 'nft', ['-f', '-'], { input });
  t.deepEqual(await world.ask(outsider, 'TCP', `${machineAddress}:${port.nodePort}`), ['one 10.42.1.1']);
  t.regex(await mustRun(world.machine.run, 'nft', ['list', 'counters']), /packets 0 /);
});

real(
  'a packet that belongs to no window ends no connection: it would reach the client as the endpoint’s own',
  async t => {
    t.timeout(60_000);
    const world = await World.make(t, { kind: 'nftables', programs: [] });
    const [{ address, namespace }, client] = [await world.server('one'), await world.pod('client')];
    const proxy = await world.proxy('a');
    await proxy.sync({ ...port, endpoints: [{ address, port: 8080, local: true, cluster: true }] });
    // Every other packet with data has a number that no receiver waits for; it is sent again in due form.
    const input = `table ip spoil {
    chain sent { type filter hook output priority 0 ; tcp sport 8080 tcp flags & (psh | syn) == psh numgen inc mod 2 == 0 tcp sequence set 1 ; }
  }`;
    await mustRun(namespace.run, 'nft', ['-f', '-'], { input });
    for (const [from, target] of [
      [client.namespace, '10.43.0.10:80'],
      [world.machine, '10.43.0.10:80'],
      [await world.outsider(), `${machineAddress}:${port.nodePort}`],
    ] as const) {
      const answers = await world.ask(from, 'TCP', target, 3);
      t.deepEqual(
        answers.map(answer => answer.split(' ')[0]),
        ['one', 'one', 'one'],
      );
    }
  },
);

real('a connection that one side has ended is kept for as long as the other may take', async t => {
  t.timeout(60_000);
  const world = await World.make(t, { kind: 'nftables', programs: [] });
  const [server, client] = [await world.pod('server'), await world.pod('client')];
  const proxy = await world.proxy('a');
  await proxy.sync({ ...port, endpoints: [{ address: server.address, port: 8080, local: true, cluster: true }] });
  const run = (namespace: Namespace, script: string) => {
    const child = namespace.spawn(process.execPath, ['-e', `const net = require('node:net'); ${script}`]);
    return once(child.stdout ?? t.fail(), 'data');
  };
  await run(
    server.namespace,
    "net.createServer({ allowHalfOpen: true }, s => s.resume()).listen(8080, '0.0.0.0', () => console.log('up'))",
  );
  for (const [from, target] of [
    [client.namespace, '10.43.0.10'],
    [world.machine, '10.43.0.10'],
  ] as const) {
    await run(
      from,
      `const s = net.connect({ host: '${target}', port: 80, allowHalfOpen: true }, () => s.end(() => console.log('ended')))`,
    );
  }
  const ended = async () => {
    const { stdout } = await world.machine.run('cat', ['/proc/net/nf_conntrack']);
    return [...stdout.matchAll(/ tcp +6 (\d+) CLOSE_WAIT .* dport=80 /g)].map(([, seconds]) => Number(seconds));
  };
  await until('both are half closed', async () => (await ended()).length === 2);
  t.true(
    (await ended()).every(seconds => seconds > 3_000),
    String(await ended()),
  );
});
