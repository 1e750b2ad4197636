/**
 * The node agent: it registers its node, beats, runs the pods that the API assigns to it, and serves logs, exec and the
 * like to the API server. Start reading here: this file says when each part begins and ends. Each has one subject —
 *
 *   agent-parts.ts              makes the parts, and joins them
 *   registration.ts, lease.ts   the node's object and heartbeat
 *   pods/manager.ts             one serial worker a pod; pods/step.ts decides what it does
 *   static-pods/static-pods.ts  pods that a folder of this node wants
 *   node-networking.ts          pod network, service proxy and DNS, kept to what the API says
 *   removal.ts                  everything off the machine
 *   ingress/ingress.ts          HTTP from outside to services
 *   server.ts                   what the API server asks of this node
 *
 * Invariant: losing the API server changes nothing for pods that run. Nothing is stopped or removed but for an object
 * that the API has shown to be gone.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentOptions } from './agent-options.ts';
import { AgentParts } from './agent-parts.ts';
import { familiesOf } from './api.ts';
import { aborted } from './clock.ts';
import { importFolder } from './images/folder.ts';
import { beat } from './lease.ts';
import { LEASE_DURATION_SECONDS, LEASE_RENEW_SHARE } from './limits.ts';
import { readMachine } from './machine.ts';
import { STARTING } from './node-events.ts';
import type { PodManager } from './pods/manager.ts';
import { removeHoldings } from './removal.ts';
import type { AgentTls } from './server.ts';
import type { StaticPods } from './static-pods/static-pods.ts';

/** Makes an agent; {@link Agent.start} brings it to life. */
export function createAgent(options: AgentOptions): Agent {
  return new Agent(options);
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #parts: AgentParts;
  readonly #stopping = new AbortController();
  readonly #ready = Promise.withResolvers<void>();

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#parts = new AgentParts(options);
  }

  /** Where requests for Ingresses are taken; undefined where they are not. */
  ingressPort(protocol: 'http' | 'https'): number | undefined {
    return this.#parts.ingress?.port(protocol);
  }

  /** Where the agent's server listens; defined once {@link start} has resolved. */
  get port(): number {
    return this.#parts.server.port;
  }

  /** Resolves when the node is registered, has its network, and has begun to run pods. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /**
   * Connects to the runtime, opens the server and begins to work in the background. The API server need not be reachable.
   * Throws `RuntimeUnavailableError`, or the system's error if it cannot listen.
   */
  async start(): Promise<void> {
    const { background, csi, registration, server } = this.#parts;
    const hasBothFamilies = familiesOf(this.#options.clusterCIDR).length > 1;
    const { runtime, dataDir, listen, addresses, logger, client, clock, name, timing = {} } = this.#options;
    await mkdir(join(dataDir, 'pods'), { recursive: true, mode: 0o750 });
    await runtime.start();
    const { name: runtimeName, version } = await runtime.version();
    this.#parts.runtimeVersion = `${runtimeName}://${version}`;
    this.#parts.machine = await readMachine({ dataDir, ...(addresses && { addresses }), hasBothFamilies });
    await server.listen(listen);
    await this.#parts.imageServer.listen();
    const { signal } = this.#stopping;
    await csi?.volumes.load();
    this.#parts.announce(STARTING);
    background.spawn('registration', () => registration.run(signal));
    background.spawn('heartbeat', async () => {
      await Promise.race([registration.registered, aborted(signal)]);
      const node = () => registration.node;
      const durationSeconds = timing.leaseDurationSeconds ?? LEASE_DURATION_SECONDS;
      const renewMs = timing.leaseRenewMs ?? durationSeconds * 1_000 * LEASE_RENEW_SHARE;
      await beat({ client, clock, logger, nodeName: name, node, renewMs, durationSeconds }, signal);
    });
    if (csi) background.spawn('CSI drivers', () => csi.run(signal));
    background.spawn('pods', () => this.#work(signal));
  }

  /** New certificates for the agent's server, for connections from now on. */
  setTls(tls: AgentTls): void {
    this.#parts.server.setTls(tls);
  }

  /** Stops the agent. Pods go on running; the next agent of this node finds them. */
  async close(): Promise<void> {
    await this.#stop();
    await this.#options.dns?.close({ remove: false });
    await this.#options.proxy?.close({ remove: false });
    await this.#parts.policies?.close({ remove: false });
    await this.#options.network.close({ remove: false });
    await this.#options.runtime.close();
  }

  /**
   * Stops the agent and takes everything of the node's pods off the machine: containers, mounts, network and rules.
   * Throws `RemovalError` if something is still there.
   */
  async drainAndRemove(): Promise<void> {
    await this.#stop();
    const { dataDir, runtime, network, proxy, dns } = this.#options;
    await removeHoldings({ dataDir, runtime, network, services: [dns, proxy], policies: this.#parts.policies });
  }

  async #stop(): Promise<void> {
    const { background, csi, imageServer, ingress, localReclaim, networking, server, statuses } = this.#parts;
    this.#stopping.abort();
    statuses.close();
    await server.close();
    await ingress?.close();
    await imageServer.close();
    await csi?.close();
    await this.#parts.staticPods?.close();
    await this.#parts.manager?.close();
    await Promise.all([networking.close(), localReclaim.close()]);
    await background.ended();
  }

  /** From the wait for a podCIDR to the pods. */
  async #work(signal: AbortSignal): Promise<void> {
    const { background, imageLedger, ingress, networking, nodes, policies, services, slices, view } = this.#parts;
    const { name, runtime, dataDir, logger } = this.#options;
    background.spawn('node informer', () => nodes.run(signal));
    // Before the first pod asks for one of them.
    await importFolder({ runtime, directory: join(dataDir, 'images'), logger });
    await imageLedger.load();
    const podCIDR = await networking.start(this.#parts.machine?.addresses ?? [], signal);
    await background.persist('runtime list', signal, () => view.refresh());
    if (signal.aborted) return;
    this.#parts.networkStarted = true;
    this.#parts.registration.nudge();
    networking.follow();
    background.spawn('service informer', () => services.run(signal));
    background.spawn('endpoint informer', () => slices.run(signal));
    if (policies) background.spawn('network policies', () => policies.run(signal));
    if (ingress) background.spawn('ingress', () => ingress.run(signal));
    const [manager, staticPods] = await this.#runStaticPods(signal);
    // Environment variables of services must be whole before the first container of the API's pods is made.
    if (!(await services.waitForSync(signal))) return;
    await this.#runPods(manager, staticPods, signal);
    logger.info({ node: name, podCIDR }, 'node ready');
    this.#ready.resolve();
  }

  /** Pods of the node's own, which need no API server. */
  async #runStaticPods(signal: AbortSignal): Promise<readonly [PodManager, StaticPods]> {
    const { background, view } = this.#parts;
    const { manager, staticPods } = this.#parts.makePods();
    background.spawn('runtime view', () => view.run(signal));
    await staticPods.start();
    background.spawn('static pods', () => staticPods.run(signal));
    return [manager, staticPods];
  }

  async #runPods(manager: PodManager, staticPods: StaticPods, signal: AbortSignal): Promise<void> {
    const { background, evictor, imageCollector, localReclaim, networking, pods } = this.#parts;
    pods.addHandler(staticPods.handler);
    background.spawn('pod informer', () => pods.run(signal));
    if (!(await pods.waitForSync(signal))) return;
    networking.podsKnown();
    manager.markSynced();
    staticPods.apiReady();
    background.spawn('pod upkeep', () => manager.run(signal));
    background.spawn('eviction', () => evictor.run(signal));
    background.spawn('image collection', () => imageCollector.run(signal));
    background.spawn('first sweep', () => manager.sweep());
    background.spawn('local volumes', () => localReclaim.run(signal));
  }
}
