/**
 * For tests of service proxies: a machine and pods in network namespaces, with real connections. Servers say who they are
 * and whom they see.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { createBridgeNetwork } from '../network/bridge.ts';
import { makeNamespace, type Namespace } from '../network/test-namespaces.ts';
import { mustRun } from '../runtime/command.ts';
import type { ServicePort } from './proxy.ts';
import type { Order } from './test-proxy-host.ts';

export interface ProxyHarness {
  readonly kind: 'nftables' | 'userspace';
  /** Programs without which the suite cannot run. */
  readonly programs: readonly string[];
}

const clusterCIDR = '10.42.0.0/16';
const serviceCIDR = '10.43.0.0/16';
export const machineAddress = '192.168.77.1';
export const clusterIP = '10.43.0.10';
export const serverPort = 8080;
export const nodePort = 30080;

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

export class World {
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

  /** A machine on the wire, beyond the cluster. */
  async outsider(): Promise<Namespace> {
    const namespace = await makeNamespace();
    this.#namespaces.push(namespace);
    await mustRun(this.machine.run, 'ip', ['link', 'set', 'dev', 'wire1', 'netns', String(namespace.pid)]);
    for (const dev of ['lo', 'wire1']) await mustRun(namespace.run, 'ip', ['link', 'set', 'dev', dev, 'up']);
    await mustRun(namespace.run, 'ip', ['address', 'add', '192.168.77.2/24', 'dev', 'wire1']);
    return namespace;
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
