/** An agent on a real runtime, with an API in memory: pods whose containers run scripts, and what those printed. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { RestClient } from '../../../control/client/rest.ts';
import { systemClock } from '../../../control/client/system-clock.ts';
import { MemoryApi } from '../../../control/client/testing/memory-api.ts';
import { until } from '../../../control/client/testing/until.ts';
import { type Agent, createAgent } from '../../agent.ts';
import { type Container, nodes, type Pod, pods, type Volume } from '../../api.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { makeTestTls } from '../../testing/tls.ts';
import { quiet, TestNetwork } from '../../testing/world.ts';

/** What the agent brings up to date in a volume is seen after this at the latest; sources are cached for ten seconds. */
export const UPDATE_MS_MAX = 90_000;
/** How long anything else may take on a machine that has other work. */
export const WAIT_MS_MAX = 90_000;

/** A runtime to try. */
export interface Target {
  readonly name: string;
  readonly image: string;
  readonly lacks: string | undefined;
  make(dataDir: string): Runtime;
}

/** An agent on a real runtime with an API in memory. */
export class Bench {
  readonly dataDir: string;
  readonly client: RestClient;
  readonly image: string;
  readonly #target: Target;
  runtime: Runtime;
  #agent: Agent | undefined;

  constructor(dataDir: string, target: Target) {
    this.dataDir = dataDir;
    this.image = target.image;
    this.#target = target;
    this.runtime = target.make(dataDir);
    this.client = new RestClient({ transport: new MemoryApi(systemClock), clock: systemClock, userAgent: 'test' });
  }

  async start(): Promise<void> {
    const agent = createAgent({
      name: 'node-1',
      client: this.client,
      runtime: this.runtime,
      network: new TestNetwork(),
      dataDir: this.dataDir,
      clock: systemClock,
      random: () => 0.5,
      logger: quiet,
      tls: makeTestTls().server,
      listen: { host: '127.0.0.1', port: 0 },
      addresses: ['192.0.2.1'],
      version: 'v1.33.1+raftsman',
      clusterCIDR: '10.42.0.0/16',
      serviceCIDR: '10.43.0.0/16',
      resolvConf: 'nameserver 192.0.2.53\n',
      canMount: true,
      timing: { volumeRefreshMs: 300 },
    });
    this.#agent = agent;
    await agent.start();
    await until('the node is registered', async () => (await this.client.list(nodes)).items.length > 0);
    const node = await this.client.get(nodes, { name: 'node-1' });
    if (!node.spec?.podCIDR) {
      const patch = { type: 'application/merge-patch+json' as const, body: { spec: { podCIDR: '10.42.0.0/24' } } };
      await this.client.patch(nodes, { name: 'node-1' }, patch);
    }
    await agent.ready;
  }

  /** Another agent takes over; pods go on meanwhile. */
  async restart(): Promise<void> {
    await this.#agent?.close();
    this.runtime = this.#target.make(this.dataDir);
    await this.start();
  }

  async close(): Promise<void> {
    await this.#agent?.drainAndRemove();
  }

  /** A pod whose container runs the script; everything else as given. */
  async create(name: string, script: string, { container = {}, ...spec }: PodOptions = {}): Promise<Pod> {
    return this.client.create(pods, {
      metadata: { name, namespace: 'ns', labels: { app: 'web' }, annotations: { note: 'first' } },
      spec: {
        nodeName: 'node-1',
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 0,
        containers: [this.container('app', script, container)],
        ...spec,
      },
    });
  }

  container(name: string, script: string, more: Partial<Container> = {}): Container {
    return { name, image: this.image, imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', script], ...more };
  }

  pod(name: string): Promise<Pod> {
    return this.client.get(pods, { namespace: 'ns', name });
  }

  async untilPod(name: string, what: string, isTrue: (pod: Pod) => boolean, timeoutMs = WAIT_MS_MAX): Promise<Pod> {
    let seen: Pod | undefined;
    try {
      await until(
        `${name}: ${what}`,
        async () => {
          seen = await this.pod(name);
          return isTrue(seen);
        },
        timeoutMs,
      );
    } catch (error) {
      throw new Error(`${String(error)}: ${JSON.stringify(seen?.status)} ${await this.log(name)}`);
    }
    return seen ?? {};
  }

  /** Runs a pod to its end and gives what it printed. */
  async run(name: string, script: string, options: PodOptions = {}): Promise<string> {
    await this.create(name, script, options);
    const { status } = await this.untilPod(name, 'over', pod => /Succeeded|Failed/.test(pod.status?.phase ?? ''));
    const text = await this.log(name);
    if (status?.phase !== 'Succeeded') throw new Error(`${name} failed: ${text} ${JSON.stringify(status)}`);
    await this.remove(name);
    return text;
  }

  async log(name: string, container = 'app'): Promise<string> {
    const { uid } = (await this.pod(name)).metadata ?? {};
    const sandbox = (await this.runtime.list()).find(({ pod }) => pod.uid === uid);
    const newest = sandbox?.containers
      .filter(each => each.name === container)
      .toSorted((a, b) => b.attempt - a.attempt)[0];
    if (!newest) return '';
    const chunks: Uint8Array[] = [];
    const { signal } = new AbortController();
    for await (const chunk of this.runtime.logs(newest.id, { follow: false, timestamps: false, signal }))
      chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  async remove(name: string): Promise<void> {
    const { uid = '' } = (await this.pod(name)).metadata ?? {};
    await this.client.delete(pods, { namespace: 'ns', name });
    await until(`${name} leaves nothing`, () => !existsSync(join(this.dataDir, 'pods', uid)), WAIT_MS_MAX);
  }
}

/** Of a pod with one container, which may be told more of. */
export type PodOptions = Partial<NonNullable<Pod['spec']>> & { readonly container?: Partial<Container> };

/** A mount. */
export const at = (mountPath: string, name = 'v', more: object = {}) => ({ name, mountPath, ...more });
/** A pod with one volume, mounted at its usual place. */
export const one = (volume: Omit<Volume, 'name'>, mount: object = {}): PodOptions => ({
  volumes: [{ name: 'v', ...volume }],
  container: { volumeMounts: [at('/v', 'v', mount)] },
});
/** Shell, in words that GNU and busybox agree on: mode, owner and group of what is at a path. */
export const see = (path: string) => `stat -L -c '%a %u %g' ${path}`;
/** Shell: which file system is mounted at a path. */
export const fileSystem = (path: string) => `awk '$2=="${path}"{print $3}' /proc/mounts | tail -1`;
export const lines = (...text: (string | number)[]) => `${text.join('\n')}\n`;
