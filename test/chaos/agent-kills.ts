/**
 * The agent of a node is killed at random moments of its pods' lives, again and again. After each restart no container may
 * run twice, none may be lost, none may be started again without need, and in the end nothing may be left over.
 *
 * The short form of it is part of `npm test`. Every container leaves marks in a folder of the machine: a line for each
 * start, and a folder for as long as it runs. So what happened is told by the containers themselves.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, Pod, PodSpec } from '../../control/api/generated/types.ts';
import { type Api, connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { flagsOf } from '../helpers/flags.ts';
import { makeBusyboxImage } from '../helpers/images.ts';
import { remains } from '../helpers/remains.ts';
import { until } from '../helpers/run.ts';
import { integerBetween, pick, type Random, seededRandom } from '../simulation/random.ts';

export interface AgentKillsOptions {
  readonly runtime: 'docker' | 'native';
  readonly kills: number;
  readonly seed: number;
  readonly print: (line: string) => void;
}

const IMAGE = 'raftsman-agent-kills/busybox:1';
const PODS = '/api/v1/namespaces/default/pods';
const NODE = 'node-1';
const RESTART_DELAY_S = 0.1;
/** Longer than an agent takes to start, so that it is met at work as often as at its start. */
const LIFE_MS_MAX = 5_000;
/** They live through all kills. */
const KEEPERS = 3;
const PODS_AT_ONCE_MAX = 12;
const END_MS_MAX = 120_000;

/** Gives what went wrong, in words; nothing if all went right. */
export async function agentKills({ runtime, kills, seed, print }: AgentKillsOptions): Promise<readonly string[]> {
  if (runtime === 'docker') await makeBusyboxImage(IMAGE);
  const cluster = await newCluster({
    masters: 1,
    nodes: 1,
    runtime,
    args: ['--restart-delay', String(RESTART_DELAY_S)],
  });
  try {
    const before = await remains(cluster);
    const marks = join(cluster.directory, 'marks');
    await mkdir(marks, { recursive: true });
    await cluster.start();
    const api = await connectApi(cluster.kubeconfig, cluster.port);
    const random = seededRandom(seed);
    const churn = new Churn({ api, random, marks, image: runtime === 'docker' ? IMAGE : 'host' });
    try {
      await churn.begin();
      for (let kill = 1; kill <= kills; kill++) {
        await churn.step();
        await killAgent(cluster, integerBetween(random, 0, LIFE_MS_MAX));
        if (kill % 20 === 0) print(churn.tell(kill));
      }
      await churn.settle();
    } finally {
      api.close();
    }
    print(churn.tell(kills));
    const problems = [...churn.problems, ...(await judgeMarks(marks))];
    await cluster.remove();
    const after = await remains(cluster);
    for (const [what, lines] of Object.entries(after)) {
      const left = lines.filter(line => !before[what]?.includes(line));
      if (left.length > 0) problems.push(`${what} left over: ${left.join(', ')}`);
    }
    return problems;
  } finally {
    await cluster.remove();
  }
}

/** Kills the agent so long after it was started, at the earliest when it has a process. */
async function killAgent(cluster: TestCluster, afterMs: number): Promise<void> {
  const pid = await until('the agent', () => cluster.pidOf(NODE).catch(() => undefined));
  await new Promise(resolve => setTimeout(resolve, afterMs));
  process.kill(pid, 'SIGKILL');
  await until('the next agent', async () => (await cluster.pidOf(NODE).catch(() => pid)) !== pid);
}

interface ChurnOptions {
  readonly api: Api;
  readonly random: Random;
  readonly marks: string;
  readonly image: string;
}

/** Pods that come, run and go. */
class Churn {
  readonly problems: string[] = [];
  #made = 0;
  #removed = 0;
  readonly #options: ChurnOptions;
  /** What is there and not yet being deleted. */
  readonly #quick = new Set<string>();
  readonly #steady = new Set<string>();

  constructor(options: ChurnOptions) {
    this.#options = options;
  }

  tell(kills: number): string {
    return `${kills} kills, ${this.#made} pods made, ${this.#removed} removed`;
  }

  async begin(): Promise<void> {
    await until(
      'the service account',
      async () => (await this.#call('GET', '/api/v1/namespaces/default/serviceaccounts/default')) === 200,
    );
    for (let keeper = 0; keeper < KEEPERS; keeper++) await this.#make('keeper');
    await until('the keepers', async () => (await this.#pods()).every(isReady), END_MS_MAX);
  }

  /** One random change: a pod more, or one less. */
  async step(): Promise<void> {
    const { random } = this.#options;
    const mayMake = this.#quick.size + this.#steady.size < PODS_AT_ONCE_MAX;
    if (mayMake && integerBetween(random, 0, 2) > 0) {
      await this.#make(pick(random, ['quick', 'steady'] as const) ?? 'quick');
      return;
    }
    const pods = await this.#pods();
    const over = pods.filter(pod => this.#quick.has(nameOf(pod)) && pod.status?.phase === 'Succeeded');
    const running = pods.filter(pod => this.#steady.has(nameOf(pod)) && isReady(pod));
    const victim = pick(random, [...over, ...running]);
    if (victim) await this.#remove(victim);
  }

  /** Lets everything come to its end, then removes it. */
  async settle(): Promise<void> {
    let last: readonly Pod[] = [];
    await until(
      'the ends of all pods',
      async () => {
        last = (await this.#pods()).filter(({ metadata }) => !metadata?.deletionTimestamp);
        return last.every(pod => (this.#quick.has(nameOf(pod)) ? pod.status?.phase === 'Succeeded' : isReady(pod)));
      },
      END_MS_MAX,
    ).catch(error => this.problems.push(String(error), ...last.map(describe)));
    const names = new Set(last.map(nameOf));
    for (const name of [...this.#quick, ...this.#steady]) if (!names.has(name)) this.problems.push(`${name} is lost`);
    for (const pod of last) await this.#remove(pod);
    await until('all pods to be gone', async () => (await this.#pods()).length === 0, END_MS_MAX).catch(async error =>
      this.problems.push(String(error), ...(await this.#pods()).map(describe)),
    );
  }

  async #make(kind: 'quick' | 'steady' | 'keeper'): Promise<void> {
    this.#made++;
    const name = `${kind}-${this.#made}`;
    const pod = podOf(name, kind, this.#options);
    await until('the pod', async () => [201, 409].includes(await this.#call('POST', PODS, pod)));
    (kind === 'quick' ? this.#quick : this.#steady).add(name);
  }

  async #remove(pod: Pod): Promise<void> {
    const name = nameOf(pod);
    for (const { name: container, restartCount } of pod.status?.containerStatuses ?? []) {
      if (restartCount !== 0) this.problems.push(`${name}/${container} was started ${restartCount} times more`);
    }
    await until('the deletion', async () => [200, 202, 404].includes(await this.#call('DELETE', `${PODS}/${name}`)));
    this.#removed++;
    this.#quick.delete(name);
    this.#steady.delete(name);
  }

  async #call(method: string, path: string, body?: object): Promise<number> {
    return (await this.#options.api.call(method, path, body)).status;
  }

  async #pods(): Promise<readonly Pod[]> {
    return until('the pods', async () => {
      const { body, status } = await this.#options.api.call('GET', PODS);
      return status === 200 && (body as { items: Pod[] }).items;
    });
  }
}

const nameOf = ({ metadata }: Pod) => metadata?.name ?? '';
const isReady = ({ status }: Pod) =>
  (status?.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True');
const describe = (pod: Pod) =>
  `${nameOf(pod)}: ${JSON.stringify({ phase: pod.status?.phase, containers: pod.status?.containerStatuses?.map(({ state }) => state) })}`;

/** A quick pod ends by itself; the others run until they are told to end. */
function podOf(name: string, kind: 'quick' | 'steady' | 'keeper', { marks, image }: ChurnOptions): Pod {
  const container = (mark: string, body: string): Container => ({
    name: mark,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['sh', '-c', `${begins(`${name}.${mark}`)}; ${body}; ${ends(`${name}.${mark}`)}`],
    volumeMounts: [
      { name: 'marks', mountPath: '/marks' },
      { name: 'memory', mountPath: '/memory' },
    ],
  });
  const wait = `trap '${ends(`${name}.main`)}; exit 0' TERM; while :; do sleep 1 & wait $!; done`;
  const spec: PodSpec = {
    terminationGracePeriodSeconds: 10,
    restartPolicy: kind === 'quick' ? 'Never' : 'Always',
    initContainers: [container('first', 'sleep 0.2')],
    containers: [container('main', kind === 'quick' ? 'sleep 0.3' : wait)],
    volumes: [
      { name: 'marks', hostPath: { path: marks, type: 'Directory' } },
      { name: 'memory', emptyDir: { medium: 'Memory' } },
    ],
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
}

/** Making a folder succeeds for one alone, so that a second one that runs at the same time is seen. */
const begins = (mark: string) =>
  `mkdir /marks/${mark}.runs || echo ${mark} >> /marks/twice; echo started >> /marks/${mark}.starts`;
const ends = (mark: string) => `rmdir /marks/${mark}.runs`;

async function judgeMarks(marks: string): Promise<string[]> {
  const problems: string[] = [];
  for (const name of await readdir(marks)) {
    if (name === 'twice') problems.push(`ran twice at once: ${(await readFile(join(marks, name), 'utf8')).trim()}`);
    if (name.endsWith('.runs')) problems.push(`${name} was not ended as it should be`);
    if (!name.endsWith('.starts')) continue;
    const count = (await readFile(join(marks, name), 'utf8')).trim().split('\n').length;
    if (count !== 1) problems.push(`${name}: ${count}`);
  }
  return problems;
}

const USAGE = `Kills the agent of a node at random moments of its pods' lives, and looks at what came of the pods. Needs root.

  node test/chaos/agent-kills.ts [--runtime native|docker] [--kills 200] [--seed 1]

Exit code 1 if anything went wrong.`;

if (import.meta.main) {
  const values = flagsOf(USAGE, {
    runtime: { type: 'string', default: 'native' },
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
  });
  const runtime = values.runtime === 'docker' ? 'docker' : 'native';
  const problems = await agentKills({
    runtime,
    kills: Number(values.kills),
    seed: Number(values.seed),
    print: line => console.log(line),
  });
  console.log(problems.length === 0 ? `${values.kills} kills on ${runtime}: nothing went wrong` : problems.join('\n'));
  process.exitCode = problems.length === 0 ? 0 : 1;
}
