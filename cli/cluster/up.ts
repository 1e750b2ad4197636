/**
 * `raftsman up`: a whole cluster on this machine, as separate processes of `raftsman server` and `raftsman agent`, with
 * the stable address in this process. The first start decides ports and token and keeps them; later ones find them.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { agentCommand } from '../../control/master/agent-command.ts';
import { paths as masterPaths } from '../../control/operations/layout.ts';
import { type Credentials, readKubeconfigCredentials, writeKubeconfig } from '../../control/pki/kubeconfig.ts';
import { type Backend, Balancer } from './balancer.ts';
import { type ChooseRuntime, decide, type Wishes } from './decide.ts';
import { StartError, UsageError } from './errors.ts';
import { isNodeReady, isReady } from './health.ts';
import { type ClusterPlan, HOST, ingressPorts, LayoutError, loadPlan, paths } from './layout.ts';
import { Progress } from './progress.ts';
import { isAlive, type ProcessSpec, RESTART_DELAY_MS, readPid, Supervisor } from './supervisor.ts';

export interface UpOptions extends Wishes {
  readonly dataDir: string;
  readonly restartDelayMs: number | undefined;
  /** Dead nodes are noticed, and their pods moved, within 30 s. */
  readonly isFastFailover: boolean;
  /** A KubeSchedulerConfiguration for all masters; read by each when it starts. */
  readonly schedulerConfig: string | undefined;
  /** An AuthenticationConfiguration for all masters, which follow it. */
  readonly authenticationConfig?: string | undefined;
  /** More flags of `raftsman server` for all masters. */
  readonly masterFlags?: readonly string[];
  /** Flags of `raftsman agent` for all nodes. */
  readonly nodeFlags: readonly string[];
}
export interface UpDependencies {
  /** The program that runs `raftsman`. */
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly out: NodeJS.WritableStream;
  readonly pid: number;
  /** Under which pods reach this machine. */
  readonly machineAddress: string;
  readonly chooseRuntime: ChooseRuntime;
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly every: (intervalMs: number, callback: () => void) => { [Symbol.dispose](): void };
  readonly random: () => number;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly stop: AbortSignal;
}

const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 100;

/** Runs the cluster until `stop` is aborted. Resolves when everything has stopped. */
export async function up(options: UpOptions, dependencies: UpDependencies): Promise<void> {
  const directory = resolve(options.dataDir);
  await refuseSecond(directory);
  const progress = new Progress(dependencies.out);
  await refuseOrphans(directory);
  const plan = await decide(directory, options, dependencies.chooseRuntime);
  const supervisor = new Supervisor({
    command: dependencies.command,
    // The token goes this way because everybody can read a command line.
    env: { ...dependencies.env, RAFTSMAN_TOKEN: plan.token },
    say: line => progress.note(line),
    delay: dependencies.delay,
    restartDelayMs: options.restartDelayMs ?? RESTART_DELAY_MS,
  });
  await mkdir(directory, { recursive: true });
  await writeFile(paths.supervisorPid(directory), `${dependencies.pid}\n`);
  const flags = options.isFastFailover ? ['--fast-failover'] : [];
  const fileFlag = (name: string, file: string | undefined) => (file === undefined ? [] : [name, resolve(file)]);
  const masterFlags = [
    ...(options.masterFlags ?? []),
    ...fileFlag('--scheduler-config', options.schedulerConfig),
    ...fileFlag('--authentication-config', options.authenticationConfig),
  ];
  const kinds = { flags, masterFlags, nodeFlags: options.nodeFlags };
  const session = new Session({ directory, plan, dependencies, supervisor, progress, ...kinds });
  try {
    await session.run();
  } finally {
    await session.stop();
    await rm(paths.supervisorPid(directory), { force: true });
  }
}

interface SessionOptions {
  readonly directory: string;
  readonly plan: ClusterPlan;
  readonly dependencies: UpDependencies;
  readonly supervisor: Supervisor;
  readonly progress: Progress;
  /** What all masters and nodes are started with besides. */
  readonly flags: readonly string[];
  readonly masterFlags: readonly string[];
  readonly nodeFlags: readonly string[];
}

/** One run of the cluster, from the first process to the last. */
class Session {
  readonly #directory: string;
  readonly #plan: ClusterPlan;
  readonly #dependencies: UpDependencies;
  readonly #supervisor: Supervisor;
  readonly #progress: Progress;
  readonly #flags: readonly string[];
  readonly #masterFlags: readonly string[];
  readonly #nodeFlags: readonly string[];
  #balancer: Balancer | undefined;

  constructor({ directory, plan, dependencies, supervisor, progress, flags, masterFlags, nodeFlags }: SessionOptions) {
    this.#directory = directory;
    this.#plan = plan;
    this.#dependencies = dependencies;
    this.#supervisor = supervisor;
    this.#progress = progress;
    this.#flags = flags;
    this.#masterFlags = masterFlags;
    this.#nodeFlags = nodeFlags;
  }

  async run(): Promise<void> {
    const { nodes, runtime } = this.#plan;
    const masters = this.#plan.masters.filter(master => !this.#isRemoved(master.name));
    const fresh = masters.filter(master => !existsSync(`${paths.process(this.#directory, master.name)}/pki/ca.crt`));
    const known = masters.filter(master => !fresh.includes(master));
    this.#progress.note(
      known.length > 0
        ? `Starting the cluster in ${this.#directory} again: ${masters.length} masters, ${nodes.length} nodes (${runtime})`
        : `Making a cluster in ${this.#directory}: ${masters.length} masters, ${nodes.length} nodes (${runtime})`,
    );
    const [first, ...others] = known.length > 0 ? known : masters;
    if (!first) throw new LayoutError(`${paths.plan(this.#directory)} names no master`);
    const rest = known.length > 0 ? fresh : others;
    // The name of a master to join stays with all but the first: one that was interrupted while it joined takes it up again.
    // Where the first one was emptied (after a reset of another, say), it joins too: it must not begin a second cluster.
    const seed = masters[0] !== undefined && fresh.includes(masters[0]) ? first : masters[0];
    const joining = (master: ClusterPlan['masters'][number]) =>
      master === seed ? undefined : `https://${HOST}:${seed?.apiPort}`;
    await Promise.all((known.length > 0 ? known : [first]).map(master => this.#startMaster(master, joining(master))));
    await this.#openAddress();
    // The nodes start at once: they keep asking until a master takes them in.
    await Promise.all(nodes.map(node => this.#startNode(node)));
    const waiting = known.length > 0 ? known : [first];
    for (const master of waiting) await this.#waitForMaster(master.name, master.apiPort);
    await this.#writeKubeconfig(first.name);
    // A master joins after another, because each join is a change of membership of its own.
    await Promise.all(rest.map(master => this.#startMaster(master, joining(master))));
    for (const master of rest) await this.#waitForMaster(master.name, master.apiPort);
    await this.#waitForNodes();
    this.#progress.summary([
      `The cluster is up: ${masters.length} masters, ${nodes.length} nodes, at https://${HOST}:${this.#plan.port}`,
      `  export KUBECONFIG=${paths.kubeconfig(this.#directory)}`,
      `  kubectl get nodes        (or: npx raftsman get nodes)`,
      ...(nodes.length > 0 ? ingressLines(this.#plan) : []),
      `Ctrl-C stops it; the data stays in ${this.#directory}.`,
    ]);
    await Promise.race([aborted(this.#dependencies.stop)]);
  }

  /** Stops nodes with all they run, then masters. */
  async stop(): Promise<void> {
    const { masters, nodes } = this.#plan;
    const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name);
    if ([...masters, ...nodes].some(({ name }) => this.#supervisor.isRunning(name))) {
      await this.#progress.step('stopping nodes and their pods', () => this.#supervisor.stop(names(nodes), 'SIGUSR2'));
      await this.#progress.step('stopping masters', () => this.#supervisor.stop(names(masters), 'SIGTERM'));
    }
    await this.#balancer?.close();
    this.#progress.note(
      `Stopped. The data is in ${this.#directory}; \`raftsman down --purge --data-dir ${this.#directory}\` removes it.`,
    );
  }

  /** One that was taken out of the cluster stays out; its directory says so. */
  #isRemoved(name: string): boolean {
    if (!existsSync(masterPaths.removed(paths.process(this.#directory, name)))) return false;
    this.#progress.note(`${name} was removed from the cluster and is not started.`);
    return true;
  }

  #spec(name: string, args: readonly string[]): ProcessSpec {
    return {
      name,
      args: [...args, ...this.#flags, '--name', name, '--data-dir', paths.process(this.#directory, name)],
      pidFile: paths.pid(this.#directory, name),
      logFile: paths.log(this.#directory, name),
    };
  }

  #startMaster(master: ClusterPlan['masters'][number], join?: string): Promise<void> {
    return this.#supervisor.start(
      this.#spec(master.name, [
        'server',
        '--listen',
        `0.0.0.0:${master.apiPort}`,
        '--peer-listen',
        `${HOST}:${master.peerPort}`,
        '--no-agent',
        '--cluster-cidr',
        this.#plan.clusterCIDR,
        '--advertise',
        `${this.#dependencies.machineAddress}:${this.#plan.port}`,
        ...this.#masterFlags,
        ...(join ? ['--join', join] : []),
      ]),
    );
  }

  #startNode(node: ClusterPlan['nodes'][number]): Promise<void> {
    const ingress = ingressPorts(this.#plan);
    const servers = this.#plan.masters.map(master => `https://${HOST}:${master.apiPort}`);
    return this.#supervisor.start({
      command: agentCommand(this.#dependencies.command),
      ...this.#spec(node.name, [
        'agent',
        '--server',
        servers.join(','),
        '--listen',
        `0.0.0.0:${node.port}`,
        '--runtime',
        this.#plan.runtime,
        ...this.#nodeFlags,
        // Where nodes share a machine, each has drivers of its own.
        ...(this.#plan.nodes.length > 1
          ? ['--kubelet-dir', `${paths.process(this.#directory, node.name)}/kubelet`]
          : []),
        ...(this.#plan.runtimeEndpoint === undefined ? [] : ['--runtime-endpoint', this.#plan.runtimeEndpoint]),
        // All nodes are on one machine: the kernel deals out connections among those that live.
        ...['--ingress-share-ports', '--ingress-http-port', String(ingress.http)],
        ...['--ingress-https-port', String(ingress.https)],
      ]),
    });
  }

  async #openAddress(): Promise<void> {
    const { port, masters } = this.#plan;
    const backends = masters.map(({ name, apiPort }): Backend => ({ name, host: HOST, port: apiPort }));
    // Open to pods as well, which come through the `kubernetes` Service.
    this.#balancer = new Balancer({
      host: '0.0.0.0',
      port,
      backends,
      isReady: backend => isReady(backend.port),
      every: this.#dependencies.every,
      random: this.#dependencies.random,
    });
    await this.#balancer.listen();
  }

  async #waitForMaster(name: string, port: number): Promise<void> {
    await this.#progress.step(name, () => this.#until(name, () => isReady(port)));
  }

  async #writeKubeconfig(master: string): Promise<void> {
    const own = `${paths.process(this.#directory, master)}/kubeconfig`;
    // A master answers a moment before it has written its own.
    await this.#until(master, async () => existsSync(own));
    await writeKubeconfig(paths.kubeconfig(this.#directory), {
      server: `https://${HOST}:${this.#plan.port}`,
      credentials: await this.#credentials(master),
      name: 'raftsman',
    });
  }

  async #credentials(master: string): Promise<Credentials> {
    return readKubeconfigCredentials(`${paths.process(this.#directory, master)}/kubeconfig`);
  }

  async #waitForNodes(): Promise<void> {
    const { nodes, port, masters } = this.#plan;
    const first = masters[0];
    if (nodes.length === 0 || !first) return;
    const credentials = await this.#credentials(first.name);
    for (const { name } of nodes) {
      await this.#progress.step(name, () => this.#until(name, () => isNodeReady(port, name, credentials)));
    }
  }

  /** Waits for a condition; fails with the process's own words when it dies or the time is over. */
  async #until(name: string, condition: () => Promise<boolean>): Promise<void> {
    const timeout = AbortSignal.timeout(READY_TIMEOUT_MS);
    const signal = AbortSignal.any([this.#dependencies.stop, timeout]);
    const log = paths.log(this.#directory, name);
    while (!(await condition())) {
      if (!this.#supervisor.isRunning(name)) throw new StartError(name, 'did not start', log);
      try {
        await this.#dependencies.delay(POLL_MS, signal);
      } catch {
        if (this.#dependencies.stop.aborted) throw new StoppedError();
        throw new StartError(name, `was not ready within ${READY_TIMEOUT_MS / 1000} s`, log);
      }
    }
  }
}

/** The operator stopped the cluster while it was starting. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
  readonly code = 'CLUSTER_STOPPED';
}

function ingressLines(plan: ClusterPlan): readonly string[] {
  const { http, https } = ingressPorts(plan);
  const urls = [
    ...(http === 'off' ? [] : [`http://${HOST}:${http}`]),
    ...(https === 'off' ? [] : [`https://${HOST}:${https}`]),
  ];
  return urls.length > 0 ? [`  Ingresses are reached at ${urls.join(' and ')}`] : [];
}

/** Processes whose supervisor was killed would hold the ports. */
async function refuseOrphans(directory: string): Promise<void> {
  const plan = await loadPlan(directory);
  const alive: string[] = [];
  for (const { name } of [...(plan?.masters ?? []), ...(plan?.nodes ?? [])]) {
    const pid = await readPid(paths.pid(directory, name));
    if (pid !== undefined && isAlive(pid)) alive.push(name);
  }
  if (alive.length === 0) return;
  throw new UsageError(
    `${alive.join(', ')} of this cluster still run${alive.length === 1 ? 's' : ''}, but what supervised them was killed: \`raftsman down --data-dir ${directory}\` stops them, then start again`,
  );
}

async function refuseSecond(directory: string): Promise<void> {
  const pid = await readPid(paths.supervisorPid(directory));
  if (pid === undefined || !isAlive(pid)) return;
  throw new UsageError(
    `a cluster runs already from ${directory} (process ${pid}): \`raftsman status\` shows it, \`raftsman down\` stops it, another --data-dir and --port make a second one`,
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolvePromise => {
    if (signal.aborted) resolvePromise();
    else signal.addEventListener('abort', () => resolvePromise(), { once: true });
  });
}
