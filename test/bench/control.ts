/**
 * The control plane with many nodes and pods: how fast pods get nodes and run, what clients notice meanwhile, and what all
 * that costs the master. The nodes are hollow, in a process of their own (`hollow-nodes.ts`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Api, connectApi } from '../helpers/api.ts';
import type { TestCluster } from '../helpers/cluster.ts';
import type { HollowCounts } from './hollow-nodes.ts';
import { residentBytes } from './resident.ts';

export interface ControlOptions {
  readonly cluster: TestCluster;
  readonly masters: number;
  readonly nodes: number;
  /** How many there are before the deployment that is measured, which brings a third as many. */
  readonly pods: number;
  readonly print: (line: string) => void;
}

const NAMESPACE = 'default';
const REPLICAS_EACH = 1_000;
const IDLE_MS = 30_000;
const SETTLE_MS = 20_000;
const LOOK_MS = 50;
/** Between two calls of the client that measures what clients notice. */
const CALL_PAUSE_MS = 20;
const TICKS_A_SECOND = 100;
const WAIT_MS_MAX = 1_800_000;

export async function benchControl({ cluster, masters, nodes, pods, print }: ControlOptions): Promise<void> {
  const measured = Math.round(pods / 3);
  const before = pods - measured;
  const api = await connectApi(cluster.kubeconfig, cluster.port);
  const hollow = new Hollow(cluster, nodes);
  try {
    const registered = await timed(() => hollow.until(counts => counts.nodes === nodes));
    print(`${nodes} nodes registered in ${seconds(registered)}`);
    const count = Math.ceil(before / REPLICAS_EACH);
    const filled = await timed(async () => {
      for (let number = 0; number < count; number++) {
        const replicas = Math.min(REPLICAS_EACH, before - number * REPLICAS_EACH);
        await deploy(api, `fill-${number}`, replicas);
      }
      await hollow.until(counts => counts.running >= before);
    });
    print(`${count} deployments, ${before} pods: running after ${seconds(filled)}, ${rate(before, filled)} pods/s`);
    await pause(SETTLE_MS);

    const caller = new Caller(api);
    caller.start();
    const calm = await caller.during(() => pause(5_000));
    print(`calls with nothing going on: ${calm}`);
    let bound = 0;
    let running = 0;
    const pids = [...(await Promise.all(masterNames(masters).map(name => cluster.pidOf(name)))), hollow.pid];
    const usedBefore = await Promise.all(pids.map(processorSeconds));
    const busy = await caller.during(async () => {
      const startedMs = performance.now();
      await deploy(api, 'measured', measured);
      await hollow.until(counts => counts.bound >= before + measured);
      bound = performance.now() - startedMs;
      await hollow.until(counts => counts.running >= before + measured);
      running = performance.now() - startedMs;
      await until(async () => (await statusOf(api, 'measured')).availableReplicas === measured);
    });
    print(
      `create deployment --replicas=${measured}: bound after ${seconds(bound)} (${rate(measured, bound)} pods/s scheduled), running after ${seconds(running)}`,
    );
    print(`calls meanwhile: ${busy}`);
    const usedAfter = await Promise.all(pids.map(processorSeconds));
    const each = usedAfter.map((after, index) => ((1000 * (after - (usedBefore[index] ?? 0))) / measured).toFixed(2));
    print(
      `processor time a pod: ${each.map((ms, index) => `${[...masterNames(masters), 'hollow nodes'][index]} ${ms} ms`).join(', ')}`,
    );
    await caller.stop();

    await pause(SETTLE_MS);
    const used = await Promise.all(masterNames(masters).map(name => idle(cluster, name)));
    for (const line of used) print(line);
    print(`failures of the hollow nodes: ${hollow.counts.failures}`);
  } finally {
    hollow.stop();
    api.close();
  }
}

class Hollow {
  readonly #child: ChildProcess;
  counts: HollowCounts = { nodes: 0, bound: 0, running: 0, failures: 0 };

  constructor(cluster: TestCluster, nodes: number) {
    const main = fileURLToPath(new URL('./hollow-nodes.ts', import.meta.url));
    const args = ['--kubeconfig', cluster.kubeconfig, '--port', String(cluster.port), '--nodes', String(nodes)];
    this.#child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const { stdout } = this.#child;
    if (!stdout) throw new Error('the hollow nodes cannot be heard');
    createInterface({ input: stdout }).on('line', line => {
      this.counts = JSON.parse(line) as HollowCounts;
    });
  }

  until(isSo: (counts: HollowCounts) => boolean): Promise<void> {
    return until(async () => {
      if (this.#child.exitCode !== null) throw new Error(`the hollow nodes ended with ${this.#child.exitCode}`);
      return isSo(this.counts);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Somebody who uses the API all the time, one call after the other. */
class Caller {
  readonly #api: Api;
  #latenciesMs: number[] = [];
  #failures = 0;
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(api: Api) {
    this.#api = api;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async during(work: () => Promise<void>): Promise<string> {
    this.#latenciesMs = [];
    this.#failures = 0;
    await work();
    const sorted = Float64Array.from(this.#latenciesMs).sort();
    const at = (share: number) =>
      (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(0);
    return `${sorted.length} calls, ${at(0.5)} ms in the middle, p99 ${at(0.99)} ms, ${at(1)} ms at most, ${this.#failures} failed`;
  }

  async #run(): Promise<void> {
    const base = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
    for (let number = 0; !this.#isStopped; number++) {
      const name = `call-${number}`;
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { a: 'b' } };
      await this.#call('POST', base, body);
      await this.#call('GET', `${base}/${name}`);
      await this.#call('GET', `/api/v1/namespaces/${NAMESPACE}/pods?limit=100`);
      await this.#call('GET', '/api/v1/nodes?limit=50');
      await this.#call('DELETE', `${base}/${name}`);
    }
  }

  async #call(method: string, path: string, body?: object): Promise<void> {
    const startedMs = performance.now();
    try {
      const { status } = await this.#api.call(method, path, body, { timeoutMs: 60_000 });
      if (status >= 400) this.#failures++;
    } catch {
      this.#failures++;
    }
    this.#latenciesMs.push(performance.now() - startedMs);
    await pause(CALL_PAUSE_MS);
  }
}

async function deploy(api: Api, name: string, replicas: number): Promise<void> {
  const labels = { app: name };
  const container = { name: 'c', image: 'hollow:1', resources: { requests: { cpu: '100m', memory: '64Mi' } } };
  const { status, body } = await api.call('POST', `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  });
  if (status !== 201) throw new Error(`deployment ${name}: ${status} ${JSON.stringify(body)}`);
}

async function statusOf(api: Api, name: string): Promise<{ readonly availableReplicas?: number }> {
  const { body } = await api.call('GET', `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/${name}`, undefined, {
    timeoutMs: 60_000,
  });
  return (body as { status?: { availableReplicas?: number } }).status ?? {};
}

const masterNames = (masters: number) => Array.from({ length: masters }, (_, index) => `master-${index + 1}`);

/** What a master costs while nothing happens but heartbeats. */
async function idle(cluster: TestCluster, name: string): Promise<string> {
  const pid = await cluster.pidOf(name);
  const from = await processorSeconds(pid);
  await pause(IDLE_MS);
  const used = (100 * ((await processorSeconds(pid)) - from)) / (IDLE_MS / 1000);
  const bytes = await residentBytes(pid);
  return `${name}: ${used.toFixed(1)} % of a core while idle, ${(bytes / 1e6).toFixed(0)} MB resident`;
}

async function processorSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error('it did not happen in time');
    await pause(LOOK_MS);
  }
}

const pause = (delayMs: number) => new Promise<void>(resolve => setTimeout(resolve, delayMs));
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
const rate = (count: number, ms: number) => ((count * 1000) / ms).toFixed(0);
