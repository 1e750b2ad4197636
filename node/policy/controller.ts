/**
 * Enforces the cluster's network policies on this node: it follows the API, compiles, and hands the rules to the enforcer.
 * A pod that starts waits in {@link PolicyController.admit} until its rules stand, before any container of it is made.
 *
 * Pods and namespaces of the whole cluster are followed only once there is a policy, and of each pod only what policies
 * look at is kept.
 */
import {
  type Client,
  type EventRecorder,
  Informer,
  type KubernetesObject,
  type Namespace,
  type NetworkPolicy,
  namespaces,
  networkpolicies,
  type Pod,
  pods,
} from '../api.ts';
import { type Clock, sleep } from '../clock.ts';
import { Coalescer } from '../coalescer.ts';
import type { Logger } from '../logger.ts';
import { staticUidOf } from '../static-pods/mirrors.ts';
import { compilePolicies } from './compile.ts';
import type { PolicyEnforcer } from './enforcer.ts';
import { ADMIT_TIMEOUT_MS, SYNC_REST_MS, TABLE_CHECK_MS } from './limits.ts';
import { PolicyLimitError, PolicyPendingError, PolicyUnavailableError } from './ruleset.ts';
import { isSameToPolicies, type PolicyPod, policyPod, slimPod } from './world.ts';

export interface PolicyControllerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly recorder: EventRecorder;
  readonly enforcer: PolicyEnforcer;
  readonly nodeName: string;
  /** The pods of this node. */
  readonly localPods: Informer<Pod>;
  /** What the pod network gave a pod. */
  readonly addressOf: (podUid: string) => string | undefined;
  /** The same of IPv6, where the cluster has both families. */
  readonly ipv6Of?: (podUid: string) => string | undefined;
}

export class PolicyController {
  readonly #options: PolicyControllerOptions;
  readonly #policies: Informer<NetworkPolicy>;
  readonly #pods: Informer<Pod>;
  readonly #namespaces: Informer<Namespace>;
  readonly #sync: Coalescer;
  readonly #running: Promise<void>[] = [];
  #waiting: PromiseWithResolvers<void>[] = [];
  #followsCluster = false;
  /** Why policies are not enforced here; undefined while they are, or while that is not known yet. */
  #unavailable: string | undefined;
  #isClosing = false;
  #hasStarted = false;
  #hasRules = false;

  constructor(options: PolicyControllerOptions) {
    this.#options = options;
    const { client, clock, random, logger } = options;
    const shared = { client, clock, random, logger };
    this.#policies = new Informer({ ...shared, kind: networkpolicies });
    this.#pods = new Informer({ ...shared, kind: pods, keep: slimPod });
    this.#namespaces = new Informer({ ...shared, kind: namespaces, metadataOnly: true });
    this.#sync = new Coalescer({
      name: 'network policies',
      job: () => this.#syncOnce(),
      clock,
      logger,
      restMs: SYNC_REST_MS,
    });
  }

  /** Works until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#start();
    const request = () => this.#sync.request();
    const follow = <T extends KubernetesObject>(informer: Informer<T>) =>
      informer.addHandler({ added: request, updated: request, deleted: request });
    const followPods = (informer: Informer<Pod>) =>
      informer.addHandler({
        added: request,
        updated: (pod, old) => (isSameToPolicies(pod, old) ? undefined : request()),
        deleted: request,
      });
    this.#policies.addHandler({ added: () => this.#followCluster(signal) });
    follow(this.#policies);
    follow(this.#namespaces);
    followPods(this.#pods);
    followPods(this.#options.localPods);
    this.#running.push(this.#policies.run(signal));
    // An informer tells of its first objects before it says that it is synced.
    for (const informer of [this.#policies, this.#options.localPods]) {
      this.#running.push(informer.waitForSync(signal).then(request));
    }
    await this.#watchTable(signal);
    this.#isClosing = true;
    for (const waiter of this.#waiting) waiter.reject(new PolicyPendingError('the agent stops'));
    await Promise.all(this.#running);
  }

  /**
   * Resolves when the rules for what this node's network says now stand: to be called when a pod has its address, before
   * it runs anything. Throws {@link PolicyPendingError} if that takes too long.
   */
  async admit(): Promise<void> {
    if (this.#unavailable !== undefined) return;
    if (this.#isClosing) throw new PolicyPendingError('the agent stops');
    if (this.#isIdle()) return;
    const waiter = Promise.withResolvers<void>();
    this.#waiting.push(waiter);
    this.#sync.request();
    const cancel = this.#options.clock.setTimeout(() => {
      this.#waiting = this.#waiting.filter(one => one !== waiter);
      waiter.reject(new PolicyPendingError('the network policies of this pod do not stand yet'));
    }, ADMIT_TIMEOUT_MS);
    await waiter.promise.finally(cancel);
  }

  async close(options: { readonly remove: boolean }): Promise<void> {
    await this.#sync.close();
    await this.#options.enforcer.close(options);
  }

  /** No policy, and no rule left of one. */
  #isIdle(): boolean {
    return this.#hasStarted && this.#policies.hasSynced && this.#policies.size === 0 && !this.#hasRules;
  }

  async #start(): Promise<void> {
    const { enforcer, logger } = this.#options;
    try {
      await enforcer.start();
    } catch (error) {
      if (!(error instanceof PolicyUnavailableError)) throw error;
      this.#unavailable = error.message;
      logger.warn({ reason: error.message }, 'network policies are not enforced on this node');
      for (const waiter of this.#waiting.splice(0)) waiter.resolve();
    }
    this.#hasStarted = true;
  }

  /** Begins once, at the first policy. */
  #followCluster(signal: AbortSignal): void {
    if (this.#followsCluster) return;
    this.#followsCluster = true;
    const { logger, nodeName } = this.#options;
    if (this.#unavailable !== undefined) {
      this.#tell('NetworkPolicyNotEnforced', `Network policies are not enforced on this node: ${this.#unavailable}`);
      return;
    }
    logger.info({ node: nodeName }, 'there are network policies: they are enforced');
    this.#running.push(this.#pods.run(signal), this.#namespaces.run(signal));
    const synced = Promise.all([this.#pods.waitForSync(signal), this.#namespaces.waitForSync(signal)]);
    this.#running.push(synced.then(() => this.#sync.request()));
  }

  async #syncOnce(): Promise<void> {
    const { enforcer, localPods } = this.#options;
    if (this.#unavailable !== undefined || !this.#hasStarted || !this.#policies.hasSynced) return;
    const hasCluster = this.#pods.hasSynced && this.#namespaces.hasSynced;
    // Rules from half a picture would cut off peers that are merely not known yet; starting pods wait.
    if (!localPods.hasSynced || (this.#policies.size > 0 && !hasCluster)) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      const ruleset = compilePolicies({
        policies: this.#policies.list(),
        pods: this.#policyPods(),
        namespaces: new Map(
          this.#namespaces.list().map(({ metadata }) => [metadata?.name ?? '', metadata?.labels ?? {}]),
        ),
      });
      await enforcer.apply(ruleset);
      this.#hasRules = ruleset.chains.size > 0;
    } catch (error) {
      this.#waiting.push(...waiting);
      if (error instanceof PolicyLimitError) this.#tell('NetworkPolicyLimit', error.message);
      throw error;
    }
    for (const waiter of waiting) waiter.resolve();
  }

  /** This node's own from its own informer, which knows of a pod before it is started; the others from the cluster's. */
  #policyPods(): PolicyPod[] {
    const { nodeName, localPods, addressOf, ipv6Of } = this.#options;
    const local = localPods.list().map(pod => {
      // A static pod has its address under its own uid.
      const uid = staticUidOf(pod) ?? pod.metadata?.uid ?? '';
      return policyPod(pod, { isLocal: true, ownAddress: addressOf(uid), ownIpv6: ipv6Of?.(uid) });
    });
    const others = this.#pods
      .list()
      .filter(({ spec }) => spec?.nodeName !== nodeName)
      .map(pod => policyPod(pod, { isLocal: false }));
    return [...local, ...others].filter(pod => pod !== undefined);
  }

  /** Whoever flushes all rules of the machine takes ours along. */
  async #watchTable(signal: AbortSignal): Promise<void> {
    const { clock, enforcer, logger } = this.#options;
    while (!signal.aborted) {
      await sleep(clock, TABLE_CHECK_MS, signal);
      if (signal.aborted || this.#unavailable !== undefined || !this.#hasRules) continue;
      await this.#sync.settled();
      try {
        if (await enforcer.isInPlace()) continue;
        logger.warn({}, 'somebody removed the rules of the network policies; they are made anew');
        this.#sync.request();
      } catch (error) {
        logger.warn({ error }, 'the rules of the network policies could not be looked at');
      }
    }
  }

  #tell(reason: string, message: string): void {
    const { recorder, nodeName } = this.#options;
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } };
    recorder.record(node, { type: 'Warning', reason, message });
  }
}
