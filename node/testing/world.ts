/** An agent on a scripted runtime and an API in memory, for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RestClient } from '../../control/client/rest.ts';
import { ManualClock } from '../../control/client/testing/manual-clock.ts';
import { MemoryApi } from '../../control/client/testing/memory-api.ts';
import { until } from '../../control/client/testing/until.ts';
import { type Agent, createAgent } from '../agent.ts';
import type { AgentOptions } from '../agent-options.ts';
import { type Event, events, nodes, type Pod, pods } from '../api.ts';
import { timeText } from '../clock.ts';
import type { NodeRoute, PodNetwork } from '../network/network.ts';
import type { Announcement } from '../network/way.ts';
import type { ServicePort, ServiceProxy } from '../proxy/proxy.ts';
import { ScriptedRuntime } from './scripted-runtime.ts';
import { makeTestTls, type TestTls } from './tls.ts';

/** Gives addresses and remembers routes. */
export class TestNetwork implements PodNetwork {
  readonly addresses = new Map<string, string>();
  routes: readonly NodeRoute[] = [];
  started: Parameters<PodNetwork['start']>[0] | undefined;
  /** What every pod gets besides. */
  ipv6: string | undefined;
  closed: { remove: boolean } | undefined;
  async start(options: Parameters<PodNetwork['start']>[0]) {
    this.started = options;
  }
  async attach({ uid }: { uid: string }) {
    const address = this.addresses.get(uid) ?? `10.42.0.${this.addresses.size + 2}`;
    this.addresses.set(uid, address);
    return { address, ...(this.ipv6 !== undefined && { ipv6: this.ipv6 }) };
  }
  announced: Announcement | undefined;
  announcement() {
    return this.announced;
  }
  ipv6Of() {
    return this.ipv6;
  }
  addressOf(uid: string) {
    return this.addresses.get(uid);
  }
  async detach(uid: string) {
    this.addresses.delete(uid);
  }
  async collectGarbage() {}
  async setRoutes(routes: readonly NodeRoute[]) {
    this.routes = routes;
  }
  async close(options: { remove: boolean }) {
    this.closed = options;
  }
}

class TestProxy implements ServiceProxy {
  ports: readonly ServicePort[] = [];
  async start() {}
  async sync(ports: readonly ServicePort[]) {
    this.ports = ports;
  }
  async close() {}
}

export const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export class World {
  readonly clock = new ManualClock();
  readonly api = new MemoryApi(this.clock);
  readonly client = new RestClient({ transport: this.api, clock: this.clock, userAgent: 'test' });
  readonly runtime = new ScriptedRuntime(this.clock);
  network = new TestNetwork();
  readonly proxy = new TestProxy();
  readonly tls: TestTls = makeTestTls();
  dataDir = '';
  agent: Agent | undefined;

  static async create(): Promise<World> {
    const world = new World();
    world.dataDir = await mkdtemp(join(tmpdir(), 'raftsman-agent-'));
    return world;
  }

  /** Starts an agent and gives its node a podCIDR, as the cluster's controllers do. */
  async startAgent(options: Partial<AgentOptions> = {}): Promise<Agent> {
    const agent = await this.beginAgent(options);
    await until('the node is registered', async () => (await this.client.list(nodes)).items.length > 0);
    const node = await this.client.get(nodes, { name: 'node-1' });
    if (!node.spec?.podCIDR)
      await this.client.update(nodes, { ...node, spec: { ...node.spec, podCIDR: '10.42.0.0/24' } });
    await agent.ready;
    return agent;
  }

  /** Starts an agent and waits for nothing: the API need not answer. */
  async beginAgent(options: Partial<AgentOptions> = {}): Promise<Agent> {
    const agent = createAgent({
      name: 'node-1',
      client: this.client,
      runtime: this.runtime,
      network: this.network,
      proxy: this.proxy,
      dataDir: this.dataDir,
      clock: this.clock,
      random: () => 0.5,
      logger: quiet,
      tls: this.tls.server,
      listen: { host: '127.0.0.1', port: 0 },
      addresses: ['192.0.2.1'],
      version: 'v1.33.1+raftsman',
      clusterCIDR: '10.42.0.0/16',
      serviceCIDR: '10.43.0.0/16',
      resolvConf: 'nameserver 192.0.2.53\n',
      canMount: false,
      ...options,
    });
    this.agent = agent;
    await agent.start();
    return agent;
  }

  createPod(name: string, spec: Partial<NonNullable<Pod['spec']>> = {}): Promise<Pod> {
    return this.client.create(pods, {
      metadata: { name, namespace: 'default', finalizers: ['test/graceful'] },
      spec: { nodeName: 'node-1', containers: [{ name: 'app', image: 'app:1' }], ...spec },
    });
  }

  /** Deletes as the API server does with a grace period: the object stays, marked. */
  async markDeleted(name: string, graceSeconds: number): Promise<void> {
    const metadata = { deletionTimestamp: timeText(this.clock.now()), deletionGracePeriodSeconds: graceSeconds };
    const patch = { type: 'application/merge-patch+json' as const, body: { metadata } };
    await this.client.patch(pods, { namespace: 'default', name }, patch);
  }

  pod(name: string): Promise<Pod> {
    return this.client.get(pods, { namespace: 'default', name });
  }

  async untilPod(name: string, what: string, isTrue: (pod: Pod) => boolean): Promise<Pod> {
    let seen: Pod | undefined;
    try {
      await until(
        `pod ${name}: ${what}`,
        async () => {
          seen = await this.pod(name);
          return isTrue(seen);
        },
        5000,
      );
    } catch (error) {
      throw new Error(`${String(error)}: ${JSON.stringify(seen?.status)} ${this.runtime.calls.join(', ')}`);
    }
    return seen ?? {};
  }

  /** Reasons and messages of the pod's events, in order. */
  async events(name: string): Promise<string[]> {
    const { items } = await this.client.list<Event>(events);
    return items
      .filter(({ involvedObject }) => involvedObject.name === name)
      .map(({ reason, message }) => `${reason}: ${message}`);
  }

  async close(): Promise<void> {
    await this.agent?.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
