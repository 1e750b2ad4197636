/**
 * For tests: nodes on networks of their own, each in a network namespace with a Docker engine, and a master at the router
 * between them.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { makeNamespace, type Namespace } from '../../node/network/test-namespaces.ts';
import { TestPod } from '../../node/policy/test-pod.ts';
import { importBusybox } from '../../node/testing/busybox-image.ts';
import { raftsmanCommand } from './cluster.ts';
import { until } from './run.ts';

export const image = 'raftsman-test/busybox:1';

export interface Machine {
  readonly name: string;
  readonly address: string;
  readonly ipv6: string | undefined;
  readonly namespace: Namespace;
  readonly socket: string;
  engine?: ChildProcess;
  agent?: ChildProcess;
}

/** A pod from within. */
export interface Inside {
  readonly address: string;
  readonly process: TestPod;
  /** Runs a program of the machine in the pod's network. */
  readonly run: Namespace['run'];
}

export class Site {
  readonly #directory: string;
  readonly #router: Namespace;
  readonly machines: Machine[] = [];
  readonly #isDual: boolean;
  #master: ChildProcess | undefined;
  #token = '';

  private constructor(directory: string, router: Namespace, isDual: boolean) {
    this.#isDual = isDual;
    this.#directory = directory;
    this.#router = router;
  }

  /** With `dual`, networks, nodes and cluster have addresses of both families. */
  static async make({ dual = false } = {}): Promise<Site> {
    const site = new Site(await mkdtemp(join(tmpdir(), 'raftsman-networks-')), await makeNamespace(), dual);
    await site.#ip(site.#router, 'link set lo up');
    for (const net of [1, 2]) {
      await site.#ip(
        site.#router,
        `link add net${net} type bridge`,
        `addr add 10.9.${net}.254/24 dev net${net}`,
        ...(dual ? [`addr add fd09:0:0:${net}::fe/64 dev net${net} nodad`] : []),
        `link set net${net} up`,
      );
    }
    await site.#router.run('tee', ['/proc/sys/net/ipv4/ip_forward'], { input: '1' });
    if (dual) await site.#router.run('tee', ['/proc/sys/net/ipv6/conf/all/forwarding'], { input: '1' });
    return site;
  }

  async #ip(where: Namespace, ...lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      const { code, stderr } = await where.run('ip', line.split(' '));
      if (code !== 0) throw new Error(`ip ${line}: ${stderr}`);
    }
  }

  /** A program with its words in a file; the shell gives way to it. */
  #spawn(
    where: Namespace,
    name: string,
    { env = {}, args }: { env?: Record<string, string>; args: readonly string[] },
  ) {
    const settings = Object.entries(env).map(([key, value]) => `${key}=${value}`);
    return where.spawn('sh', [
      '-c',
      `exec env "$@" >>'${join(this.#directory, `${name}.log`)}' 2>&1`,
      'sh',
      ...settings,
      ...args,
    ]);
  }

  async startMaster(): Promise<void> {
    const directory = join(this.#directory, 'master');
    const listen = ['--listen', '0.0.0.0:6443', '--peer-listen', '127.0.0.1:6444', '--advertise', '10.9.1.254:6443'];
    const ranges = ['--cluster-cidr', '10.42.0.0/16,fd42::/56', '--service-cidr', '10.192.0.0/12,fd43::/112'];
    this.#master = this.#spawn(this.#router, 'master', {
      args: [
        ...raftsmanCommand,
        'server',
        '--name',
        'master',
        '--data-dir',
        directory,
        '--no-agent',
        ...listen,
        ...(this.#isDual ? ranges : []),
      ],
    });
    await until('the master is ready', async () => (await this.cli('get', '--raw', '/readyz')).code === 0, 60_000);
    this.#token = (await this.must('token', 'create')).trim();
  }

  async startEngine(name: string, net: number): Promise<void> {
    const place = this.machines.length + 1;
    const address = `10.9.${net}.${place}`;
    const ipv6 = this.#isDual ? `fd09:0:0:${net}::${place}` : undefined;
    const namespace = await makeNamespace();
    const folder = join(this.#directory, name);
    await mkdir(folder, { recursive: true });
    const machine: Machine = { name, address, ipv6, namespace, socket: join(folder, 'docker.sock') };
    this.machines.push(machine);
    await this.#ip(
      this.#router,
      `link add port-${name} type veth peer name eth0 netns ${namespace.pid}`,
      `link set port-${name} master net${net}`,
      `link set port-${name} up`,
    );
    await this.#ip(
      namespace,
      'link set lo up',
      `addr add ${address}/24 dev eth0`,
      'link set eth0 up',
      `route add default via 10.9.${net}.254`,
      ...(ipv6 ? [`addr add ${ipv6}/64 dev eth0 nodad`, `route add default via fd09:0:0:${net}::fe`] : []),
    );
    const places = ['--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`, '--pidfile', `${folder}/pid`];
    machine.engine = this.#spawn(namespace, `${name}-engine`, {
      args: ['dockerd', ...places, '--host', `unix://${machine.socket}`, '--bridge=none', '--iptables=false'],
    });
    const docker = new Dockerode({ socketPath: machine.socket });
    await until(`the engine of ${name} answers`, async () => docker.ping().then(() => true), 60_000);
    await importBusybox(docker, image);
  }

  startAgent({ name, address, ipv6, namespace, socket }: Machine): ChildProcess {
    const agent = this.#spawn(namespace, `${name}-agent`, {
      env: { DOCKER_HOST: `unix://${socket}`, RAFTSMAN_TOKEN: this.#token },
      args: [
        ...[...raftsmanCommand, 'agent', '--name', name, '--data-dir', join(this.#directory, name, 'agent')],
        ...[
          '--server',
          'https://10.9.1.254:6443',
          '--runtime',
          'docker',
          '--node-ip',
          ipv6 ? `${address},${ipv6}` : address,
        ],
      ],
    });
    this.machine(name).agent = agent;
    return agent;
  }

  cli(...args: readonly string[]) {
    return this.kubectl(args);
  }

  kubectl(args: readonly string[], input = '') {
    const [program, ...rest] = raftsmanCommand;
    const kubeconfig = ['--kubeconfig', join(this.#directory, 'master', 'kubeconfig')];
    // Behind `--` stands what is another program's.
    const end = args.includes('--') ? args.indexOf('--') : args.length;
    return this.#router.run(program, [...rest, ...args.slice(0, end), ...kubeconfig, ...args.slice(end)], {
      input,
      timeoutMs: 90_000,
    });
  }

  async must(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cli(...args);
    if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  }

  async apply(...objects: readonly object[]): Promise<void> {
    const { code, stderr } = await this.kubectl(
      ['apply', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    );
    if (code !== 0) throw new Error(stderr);
  }

  machine(name: string): Machine {
    const found = this.machines.find(one => one.name === name);
    if (!found) throw new Error(`no machine ${name}`);
    return found;
  }

  /** A process in the pod's network that serves and dials. */
  async inside(pod: string, node: string): Promise<Inside> {
    const docker = new Dockerode({ socketPath: this.machine(node).socket });
    const [container] = await docker.listContainers({ filters: { label: [`raftsman.pod-name=${pod}`] } });
    const { State } = await docker.getContainer(container?.Id ?? '').inspect();
    const address = (await this.must('get', 'pod', pod, '-o', 'jsonpath={.status.podIP}')).trim();
    const { namespace } = this.machine(node);
    const inPod: Pick<Namespace, 'spawn'> = {
      spawn: (program, args) => namespace.spawn('nsenter', [`--net=/proc/${State.Pid}/ns/net`, '--', program, ...args]),
    };
    const enter = [`--net=/proc/${State.Pid}/ns/net`, '--'];
    const run: Namespace['run'] = (program, args, options) =>
      namespace.run('nsenter', [...enter, program, ...args], options);
    return { address, run, process: await TestPod.start(pod, inPod, this.#isDual ? 6 : 4) };
  }

  async remove(): Promise<void> {
    const stop = async (child: ChildProcess | undefined, signal: NodeJS.Signals) => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, 'exit');
    };
    await Promise.all(this.machines.map(({ agent }) => stop(agent, 'SIGUSR2')));
    await stop(this.#master, 'SIGTERM');
    await Promise.all(this.machines.map(({ engine }) => stop(engine, 'SIGTERM')));
    for (const { namespace } of this.machines) await namespace.remove();
    await this.#router.remove();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
