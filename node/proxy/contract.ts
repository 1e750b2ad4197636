/**
 * What every service proxy does, as tests: a machine and pods in network namespaces, with real connections. Servers say
 * who they are and whom they see.
 */

import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { ExecutionContext, TestFn } from 'ava';
import { createBridgeNetwork } from '../network/bridge.ts';
import { makeNamespace, type Namespace, namespacesUnavailable } from '../network/test-namespaces.ts';
import type { ServicePort } from './proxy.ts';
import type { Order } from './test-proxy-host.ts';

export interface ProxyHarness {
  readonly kind: 'nftables' | 'userspace';
  /** Programs without which the suite cannot run. */
  readonly programs: readonly string[];
}

const clusterCIDR = '10.42.0.0/16';
const serviceCIDR = '10.43.0.0/16';
const machineAddress = '192.168.77.1';
const clusterIP = '10.43.0.10';
const serverPort = 8080;
const nodePort = 30080;

/** Answers each TCP connection and UDP packet with its name and the client's address. */
const serverScript = `
const [name, port] = process.argv.slice(1);
require('node:net').createServer(s => { s.on('error', () => {}); s.end(name + ' ' + s.remoteAddress); }).listen(+port, '0.0.0.0', () => {
  const u = require('node:dgram').createSocket('udp4');
  u.on('message', (m, r) => u.send(name + ' ' + r.address, r.port, r.address));
  u.bind(+port, '0.0.0.0', () => console.log('ready'));
});`;

/** Asks a number of times and prints the answers, or what went wrong, as JSON. */
const clientScript = `
const [protocol, host, port, times] = process.argv.slice(1);
const tcp = () => new Promise(done => {
  let text = '';
  const s = require('node:net').connect({ host, port: +port, timeout: 3000 });
  s.on('data', d => text += d).on('end', () => done(text || 'EMPTY')).on('error', e => done(e.code)).on('timeout', () => { s.destroy(); done('TIMEOUT'); });
});
const udp = () => new Promise(done => {
  const u = require('node:dgram').createSocket('udp4');
  const t = setTimeout(() => { u.close(); done('TIMEOUT'); }, 2000);
  const end = text => { clearTimeout(t); u.close(); done(text); };
  u.on('message', m => end(String(m))).on('error', e => end(e.code));
  u.connect(+port, host, e => e ? end(e.code) : u.send('x'));
});
(async () => { const all = []; for (let i = 0; i < +times; i++) all.push(await (protocol === 'TCP' ? tcp() : udp())); console.log(JSON.stringify(all)); })();`;

class World {
  readonly t: ExecutionContext;
  readonly harness: ProxyHarness;
  readonly machine: Namespace;
  readonly #namespaces: Namespace[];
  readonly #pods: { name: string; address: string; namespace: Namespace }[] = [];
  readonly #network: ReturnType<typeof createBridgeNetwork>;

  private constructor(t: ExecutionContext, harness: ProxyHarness, machine: Namespace, dataDir: string) {
    this.t = t;
    this.harness = harness;
    this.machine = machine;
    this.#namespaces = [machine];
    this.#network = createBridgeNetwork({ clusterId: 'test', nodeName: 'a', dataDir, run: machine.run });
  }

  static async make(t: ExecutionContext, harness: ProxyHarness): Promise<World> {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-proxy-'));
    const machine = await makeNamespace();
    const world = new World(t, harness, machine, dataDir);
    t.teardown(async () => {
      for (const one of world.#namespaces) await one.remove();
      await rm(dataDir, { recursive: true, force: true });
    });
    await machine.run('ip', ['link', 'set', 'dev', 'lo', 'up']);
    // The way out: without one nothing can be sent to a service's address.
    await machine.run('ip', ['link', 'add', 'wire0', 'type', 'veth', 'peer', 'name', 'wire1']);
    await machine.run('ip', ['address', 'add', `${machineAddress}/24`, 'dev', 'wire0']);
    for (const name of ['wire0', 'wire1']) await machine.run('ip', ['link', 'set', 'dev', name, 'up']);
    await machine.run('ip', ['route', 'add', 'default', 'via', '192.168.77.254']);
    await world.#network.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
    return world;
  }

  async pod(name: string): Promise<{ address: string; namespace: Namespace }> {
    const namespace = await makeNamespace();
    this.#namespaces.push(namespace);
    const { address } = await this.#network.attach({ uid: name, namespace: 'default', name }, namespace.pid);
    const pod = { name, address, namespace };
    this.#pods.push(pod);
    return pod;
  }

  /** A pod that serves. */
  async server(name: string): Promise<{ address: string; namespace: Namespace }> {
    const pod = await this.pod(name);
    const child = pod.namespace.spawn(process.execPath, ['-e', serverScript, name, String(serverPort)]);
    await nextLine(createInterface({ input: childOutput(child) }));
    return pod;
  }

  async proxy(nodeName: string): Promise<ProxyHandle> {
    const host = new URL('./test-proxy-host.ts', import.meta.url).pathname;
    const child = this.machine.spawn(process.execPath, [host, this.harness.kind, nodeName]);
    const proxy = new ProxyHandle(child);
    await proxy.tell({
      call: 'start',
      options: { clusterCIDR, serviceCIDR, nodeAddresses: [machineAddress] },
    });
    return proxy;
  }

  async ask(from: Namespace, protocol: 'TCP' | 'UDP', target: string, times = 1): Promise<string[]> {
    const [host = '', port = ''] = target.split(':');
    const args = ['-e', clientScript, protocol, host, port, String(times)];
    const { stdout, stderr, code } = await from.run(process.execPath, args);
    if (code !== 0) throw new Error(`the client failed: ${stderr}`);
    const answers: string[] = JSON.parse(stdout);
    return answers;
  }
}

class ProxyHandle {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: childOutput(child) });
  }

  async tell(order: Order): Promise<void> {
    const line = nextLine(this.#lines);
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    const answer: string = JSON.parse(await line);
    if (answer !== 'ok') throw new Error(answer);
  }

  sync(...ports: readonly ServicePort[]): Promise<void> {
    return this.tell({ call: 'sync', ports });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

function childOutput(child: ChildProcess): NonNullable<ChildProcess['stdout']> {
  if (child.stdout === null) throw new Error('the child has no output');
  return child.stdout;
}

function nextLine(lines: Interface): Promise<string> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error('the child ended'));
    lines.once('close', ended);
    lines.once('line', line => {
      lines.off('close', ended);
      resolve(line);
    });
  });
}

function service(
  change: Partial<ServicePort> & { readonly to?: readonly { readonly address: string }[] },
): ServicePort {
  const { to = [], ...rest } = change;
  return {
    id: 'default/web:http',
    protocol: 'TCP',
    clusterIPs: [clusterIP],
    port: 80,
    nodePort: 0,
    externalIPs: [],
    affinitySeconds: 0,
    localOnly: false,
    endpoints: to.map(({ address }) => ({ address, port: serverPort, local: true })),
    ...rest,
  };
}

const names = (answers: readonly string[]) => answers.map(answer => answer.split(' ')[0]).sort();
const distinct = (answers: readonly string[]) => [...new Set(names(answers))];

/** Registers the suite's tests. */
export function proxyContract(test: TestFn, harness: ProxyHarness): void {
  const unavailable = namespacesUnavailable(harness.programs);
  if (unavailable !== undefined) {
    test.skip(`the proxy's contract: ${unavailable}`, t => t.pass());
    return;
  }
  const add = (title: string, check: (t: ExecutionContext, world: World) => Promise<void>) =>
    test.serial(title, async t => {
      t.timeout(60_000);
      await check(t, await World.make(t, harness));
    });
  reachTests(add);
  changeTests(add);
}

type Add = (title: string, check: (t: ExecutionContext, world: World) => Promise<void>) => void;

function reachTests(add: Add): void {
  add(
    'a cluster address leads to all endpoints, from the machine, from a pod, and from an endpoint itself',
    async (t, world) => {
      const [one, two, client] = [await world.server('one'), await world.server('two'), await world.pod('client')];
      const proxy = await world.proxy('a');
      for (const protocol of ['TCP', 'UDP'] as const) {
        await proxy.sync(service({ protocol, to: [one, two] }));
        for (const from of [world.machine, client.namespace, one.namespace]) {
          t.deepEqual(distinct(await world.ask(from, protocol, `${clusterIP}:80`, 24)), ['one', 'two'], protocol);
        }
      }
    },
  );

  add('a node port answers on the machine, also on 127.0.0.1, and to pods', async (t, world) => {
    const [one, client] = [await world.server('one'), await world.pod('client')];
    const proxy = await world.proxy('a');
    for (const protocol of ['TCP', 'UDP'] as const) {
      await proxy.sync(service({ protocol, nodePort, to: [one] }));
      for (const host of ['127.0.0.1', machineAddress]) {
        t.deepEqual(
          names(await world.ask(world.machine, protocol, `${host}:${nodePort}`)),
          ['one'],
          `${protocol} ${host}`,
        );
      }
      t.deepEqual(names(await world.ask(client.namespace, protocol, `${machineAddress}:${nodePort}`)), ['one']);
    }
  });

  add('a service without endpoints refuses at once, and so does a port that no service has', async (t, world) => {
    const client = await world.pod('client');
    const proxy = await world.proxy('a');
    await proxy.sync(service({ nodePort }));
    for (const from of [world.machine, client.namespace]) {
      for (const target of [`${clusterIP}:80`, `${clusterIP}:81`, `${machineAddress}:${nodePort}`]) {
        t.deepEqual(await world.ask(from, 'TCP', target), ['ECONNREFUSED'], target);
      }
    }
  });

  add('an external address of the machine leads to the service', async (t, world) => {
    const one = await world.server('one');
    const proxy = await world.proxy('a');
    await proxy.sync(service({ externalIPs: [machineAddress], to: [one] }));
    t.deepEqual(names(await world.ask(world.machine, 'TCP', `${machineAddress}:80`)), ['one']);
  });

  add('a client with affinity stays with its endpoint, also over a change', async (t, world) => {
    const servers = [await world.server('one'), await world.server('two'), await world.server('three')];
    const client = await world.pod('client');
    const proxy = await world.proxy('a');
    await proxy.sync(service({ affinitySeconds: 60, to: servers }));
    const first = distinct(await world.ask(client.namespace, 'TCP', `${clusterIP}:80`, 12));
    t.is(first.length, 1);
    await proxy.sync(
      service({ affinitySeconds: 60, to: servers }),
      service({ id: 'other', clusterIPs: ['10.43.0.11'] }),
    );
    t.deepEqual(distinct(await world.ask(client.namespace, 'TCP', `${clusterIP}:80`, 12)), first);
  });
}

function changeTests(add: Add): void {
  add('endpoints come and go; open ports follow', async (t, world) => {
    const [one, two] = [await world.server('one'), await world.server('two')];
    const proxy = await world.proxy('a');
    const ask = () => world.ask(world.machine, 'TCP', `${clusterIP}:80`, 10);
    await proxy.sync(service({ to: [one] }));
    t.deepEqual(distinct(await ask()), ['one']);
    await proxy.sync(service({ to: [two] }));
    t.deepEqual(distinct(await ask()), ['two']);
    await proxy.sync(service({ to: [one], id: 'default/renamed' }));
    t.deepEqual(distinct(await ask()), ['one']);
    await proxy.sync();
    t.notDeepEqual(distinct(await world.ask(world.machine, 'TCP', `${clusterIP}:80`)), ['one']);
  });

  add('while services and their endpoints change, no client is refused', async (t, world) => {
    const [one, two] = [await world.server('one'), await world.server('two')];
    const proxy = await world.proxy('a');
    await proxy.sync(service({ to: [one] }));
    const answers: string[] = [];
    let isOver = false;
    const asked = (async () => {
      while (!isOver) answers.push(...(await world.ask(world.machine, 'TCP', `${clusterIP}:80`, 50)));
    })();
    for (let round = 0; round < 30 || answers.length === 0; round++) {
      const to = [[one], [one, two], [two]][round % 3] ?? [];
      const others = Array.from({ length: round % 5 }, (_, index) =>
        service({ id: `other-${index}`, clusterIPs: [`10.43.0.${20 + index}`], to }),
      );
      await proxy.sync(...others, service({ to, affinitySeconds: round % 2 }));
    }
    isOver = true;
    await asked;
    t.deepEqual(
      names(answers).filter(name => name !== 'one' && name !== 'two'),
      [],
    );
  });

  add('two nodes on one machine do not disturb each other', async (t, world) => {
    const one = await world.server('one');
    const ports = service({ nodePort, to: [one] });
    const [first, second] = [await world.proxy('a'), await world.proxy('b')];
    await first.sync(ports);
    await second.sync(ports);
    const ask = async () => {
      const answers = [];
      for (const target of [`${clusterIP}:80`, `127.0.0.1:${nodePort}`]) {
        answers.push(...names(await world.ask(world.machine, 'TCP', target, 4)));
      }
      return [...new Set(answers)];
    };
    t.deepEqual(await ask(), ['one']);
    await first.tell({ call: 'close', remove: true });
    t.deepEqual(await ask(), ['one']);
    await second.tell({ call: 'close', remove: true });
    t.notDeepEqual(await ask(), ['one']);
  });

  add('close with remove leaves nothing on the machine', async (t, world) => {
    const { run } = world.machine;
    const traces = async () => {
      const asked = [
        // IPv4 only: link-local IPv6 addresses settle in their own time.
        ['ip', '-4', 'route', 'show', 'table', 'all'],
        ['ip', '-4', '-o', 'address'],
        ['nft', 'list', 'ruleset'],
        ['cat', '/proc/sys/net/ipv4/conf/all/route_localnet'],
      ] as const;
      const parts = [];
      for (const [program, ...args] of asked) parts.push((await run(program, args)).stdout);
      return parts.join('\n');
    };
    const one = await world.server('one');
    const before = await traces();
    const proxy = await world.proxy('a');
    await proxy.sync(service({ nodePort, affinitySeconds: 10, to: [one] }));
    t.not(await traces(), before);
    await proxy.tell({ call: 'close', remove: true });
    t.is(await traces(), before);
  });

  add('a restarted proxy takes over what the one before left', async (t, world) => {
    const [one, two] = [await world.server('one'), await world.server('two')];
    const first = await world.proxy('a');
    await first.sync(service({ to: [one], nodePort, affinitySeconds: 60 }));
    first.kill();
    const second = await world.proxy('a');
    await second.sync(service({ to: [two] }));
    t.deepEqual(distinct(await world.ask(world.machine, 'TCP', `${clusterIP}:80`, 5)), ['two']);
    t.deepEqual(await world.ask(world.machine, 'TCP', `${machineAddress}:${nodePort}`), ['ECONNREFUSED']);
    await second.tell({ call: 'close', remove: true });
    const left = (await world.machine.run('nft', ['list', 'tables'])).stdout;
    t.notRegex(left, /raftsman-svc/);
  });
}
