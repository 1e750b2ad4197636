/**
 * Three nodes on two networks, each in a network namespace with a Docker engine of its own: every pod reaches every pod,
 * policies hold on whichever way, while a node comes and goes.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import Dockerode from 'dockerode';
import { makeNamespace, type Namespace, namespacesUnavailable } from '../../node/network/test-namespaces.ts';
import { hasVxlan } from '../../node/network/vxlan.ts';
import { TestPod } from '../../node/policy/test-pod.ts';
import { runCommand } from '../../node/runtime/command.ts';
import { importBusybox } from '../../node/testing/busybox-image.ts';
import { raftsmanCommand } from '../helpers/cluster.ts';
import { until } from '../helpers/run.ts';

const image = 'raftsman-test/busybox:1';
const cannot =
  namespacesUnavailable(['dockerd', 'nft', 'busybox', 'nsenter']) ??
  ((await hasVxlan(runCommand)) ? undefined : 'needs VXLAN in the kernel');
if (cannot !== undefined) test.skip(`three nodes on two networks: ${cannot}`, t => t.pass());
const real = cannot === undefined ? test.serial : test.serial.skip;

interface Machine {
  readonly name: string;
  readonly address: string;
  readonly namespace: Namespace;
  readonly socket: string;
  engine?: ChildProcess;
  agent?: ChildProcess;
}

class Site {
  readonly #directory: string;
  readonly #router: Namespace;
  readonly machines: Machine[] = [];
  #master: ChildProcess | undefined;
  #token = '';

  private constructor(directory: string, router: Namespace) {
    this.#directory = directory;
    this.#router = router;
  }

  static async make(): Promise<Site> {
    const site = new Site(await mkdtemp(join(tmpdir(), 'raftsman-networks-')), await makeNamespace());
    await site.#ip(site.#router, 'link set lo up');
    for (const net of [1, 2]) {
      await site.#ip(
        site.#router,
        `link add net${net} type bridge`,
        `addr add 10.9.${net}.254/24 dev net${net}`,
        `link set net${net} up`,
      );
    }
    await site.#router.run('tee', ['/proc/sys/net/ipv4/ip_forward'], { input: '1' });
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
    this.#master = this.#spawn(this.#router, 'master', {
      args: [...raftsmanCommand, 'server', '--name', 'master', '--data-dir', directory, '--no-agent', ...listen],
    });
    await until('the master is ready', async () => (await this.cli('get', '--raw', '/readyz')).code === 0, 60_000);
    this.#token = (await this.must('token', 'create')).trim();
  }

  async startEngine(name: string, net: number): Promise<void> {
    const address = `10.9.${net}.${this.machines.length + 1}`;
    const namespace = await makeNamespace();
    const folder = join(this.#directory, name);
    await mkdir(folder, { recursive: true });
    const machine: Machine = { name, address, namespace, socket: join(folder, 'docker.sock') };
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
    );
    const places = ['--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`, '--pidfile', `${folder}/pid`];
    machine.engine = this.#spawn(namespace, `${name}-engine`, {
      args: ['dockerd', ...places, '--host', `unix://${machine.socket}`, '--bridge=none', '--iptables=false'],
    });
    const docker = new Dockerode({ socketPath: machine.socket });
    await until(`the engine of ${name} answers`, async () => docker.ping().then(() => true), 60_000);
    await importBusybox(docker, image);
  }

  startAgent({ name, address, namespace, socket }: Machine): ChildProcess {
    const agent = this.#spawn(namespace, `${name}-agent`, {
      env: { DOCKER_HOST: `unix://${socket}`, RAFTSMAN_TOKEN: this.#token },
      args: [
        ...[...raftsmanCommand, 'agent', '--name', name, '--data-dir', join(this.#directory, name, 'agent')],
        ...['--server', 'https://10.9.1.254:6443', '--runtime', 'docker', '--node-ip', address],
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
    return this.#router.run(program, [...rest, ...args, ...kubeconfig], { input, timeoutMs: 90_000 });
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
  async inside(pod: string, node: string): Promise<{ readonly address: string; readonly process: TestPod }> {
    const docker = new Dockerode({ socketPath: this.machine(node).socket });
    const [container] = await docker.listContainers({ filters: { label: [`raftsman.pod-name=${pod}`] } });
    const { State } = await docker.getContainer(container?.Id ?? '').inspect();
    const address = (await this.must('get', 'pod', pod, '-o', 'jsonpath={.status.podIP}')).trim();
    const { namespace } = this.machine(node);
    const inPod: Pick<Namespace, 'spawn'> = {
      spawn: (program, args) => namespace.spawn('nsenter', [`--net=/proc/${State.Pid}/ns/net`, '--', program, ...args]),
    };
    return { address, process: await TestPod.start(pod, inPod) };
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

const podOf = (name: string, node: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    nodeName: node,
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        image,
        imagePullPolicy: 'Never',
        command: ['sleep', '3600'],
        ports: [{ name: 'web', containerPort: 80 }],
      },
    ],
  },
});
const policyOf = (name: string, from: string) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name },
  spec: {
    podSelector: { matchLabels: { app: name } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: from } } }], ports: [{ port: 'web' }] }],
  },
});

real('three nodes on two networks: pods reach each other as policies let them, and a node comes and goes', async t => {
  t.timeout(300_000);
  const site = await Site.make();
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
  const ready = async (what: string, of: readonly string[]) => {
    await until(`${what} ${of.join(', ')}`, async () => (await site.cli('get', what, ...of)).code === 0, 60_000);
    await site.must('wait', '--for=condition=Ready', what, ...of, '--timeout=80s');
  };
  await ready('node', names);
  await until('the default service account', async () => (await site.cli('get', 'sa', 'default')).code === 0);
  await site.apply(...names.map(name => podOf(name, name)));
  await ready('pod', names);
  const [a, b, c] = [await site.inside('a', 'a'), await site.inside('b', 'b'), await site.inside('c', 'c')];
  const all = [a, b, c];

  for (const from of all) {
    for (const to of all) {
      const [tcp, udp, much] = await Promise.all([
        from.process.dial({ host: to.address }),
        from.process.dial({ host: to.address, protocol: 'UDP' }),
        from.process.dial({ host: to.address, bytes: 300_000, timeoutMs: 10_000 }),
      ]);
      const what = `${from.process.name} to ${to.process.name}`;
      t.is(tcp, `${to.process.name} ${from.address} hello`, what);
      t.is(udp, `${to.process.name} ${from.address} hello`, `${what}, UDP`);
      t.is(much, 'all', `${what}, much`);
    }
  }
  const routes = await site.machine('a').namespace.run('ip', ['route', 'show', 'proto', '114']);
  t.regex(routes.stdout, new RegExp(`via ${site.machine('b').address} dev eth0`));
  t.regex(routes.stdout, /dev rsx[0-9a-f]{10}/);

  // c lets a in, over VXLAN; b lets c in.
  await site.apply(policyOf('c', 'a'), policyOf('b', 'c'));
  const dial = (from: typeof a, to: typeof a, port = 80) =>
    from.process.dial({ host: to.address, port, timeoutMs: 700 });
  const began = performance.now();
  await until('the policies hold', async () =>
    (await Promise.all([dial(b, c), dial(a, b)])).every(one => one === 'TIMEOUT'),
  );
  t.log(`policies held ${(performance.now() - began).toFixed(0)} ms after they were applied, 700 ms of them to notice`);
  t.regex(await a.process.dial({ host: c.address }), /hello$/);
  t.regex(await c.process.dial({ host: b.address }), /hello$/);
  t.is(await dial(a, c, 81), 'TIMEOUT', 'the port that is not named');
  await site.must('label', 'pod', 'b', 'app=a', '--overwrite');
  await until('b may by its new label', async () => /hello$/.test(await dial(b, c)));

  // A new pod on a far node is let in by its label, and one without it never is.
  await site.must('delete', 'pod', 'a', '--now');
  await site.apply(podOf('stranger', 'a'));
  await ready('pod', ['stranger']);
  const stranger = await site.inside('stranger', 'a');
  t.is(await dial(stranger, c), 'TIMEOUT');

  // An agent that is killed leaves the rules; its successor goes on with them.
  const agent = site.machine('c').agent;
  if (!agent) return t.fail('no agent');
  agent.kill('SIGKILL');
  await once(agent, 'exit');
  t.is(await dial(stranger, c), 'TIMEOUT');
  t.regex(await b.process.dial({ host: c.address }), /hello$/);
  site.startAgent(site.machine('c'));
  await site.must('delete', 'networkpolicy', 'c');
  await until('the successor lets all in', async () => /hello$/.test(await dial(b, c, 81)), 60_000);

  // A node goes with all it has.
  const last = site.machine('c').agent;
  if (!last) return t.fail('no agent');
  last.kill('SIGUSR2');
  await once(last, 'exit');
  const left = await site.machine('c').namespace.run('sh', ['-c', 'ip -o link; ip route; nft list tables']);
  t.notRegex(left.stdout, /rs[mvxg][0-9a-f]{10}|raftsman-(net|svc|pol)/);
  await site.must('delete', 'node', 'c');
  await until('no route leads to it', async () => {
    const { stdout } = await site.machine('a').namespace.run('ip', ['route', 'show', 'proto', '114']);
    return !/dev rsx/.test(stdout) && stdout.includes('dev eth0');
  });
});
