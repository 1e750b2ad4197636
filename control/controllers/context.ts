/** What every controller is given, and what it gives back. */
import type { Client } from '../client/client.ts';
import type { Clock } from '../client/clock.ts';
import type { ControllerMetrics } from '../client/controller.ts';
import { type ReconcileResult, runController } from '../client/controller.ts';
import type { EventRecorder } from '../client/events.ts';
import type { Informers } from '../client/informers.ts';
import type { Logger } from '../client/logger.ts';
import { WorkQueue } from '../client/workqueue.ts';
import { WORKERS } from './limits.ts';
import type { NodeHealthSettings } from './node-health.ts';

export interface ControllerOptions {
  /** Pod addresses of the whole cluster; each node gets one /24 of it. Undefined: nodes get none. */
  readonly clusterCidr?: string;
  /** The authority that signed the API servers' certificates, in PEM, for `kube-root-ca.crt`. */
  readonly rootCa?: string;
  /** Signs a certificate request in PEM with the cluster's authority, and gives the certificate in PEM. */
  readonly signCertificate?: (asked: {
    readonly request: string;
    readonly usages: readonly string[];
    readonly expirationSeconds: number | undefined;
  }) => Promise<string>;
  /** Signs the token that lies in a Secret, and holds as long as the Secret does. */
  readonly signSecretToken?: (subject: {
    readonly namespace: string;
    readonly secret: string;
    readonly serviceAccount: { readonly name: string; readonly uid: string };
  }) => Promise<string>;
  /** False if somebody else gives Services of type LoadBalancer their addresses. */
  readonly balancesServices?: boolean;
  /** False if agents route no Ingresses: then there is no class for them, and no addresses. */
  readonly routesIngresses?: boolean;
  /** TCP ports of the nodes that no such Service may take: the cluster listens there itself. */
  readonly reservedPorts?: readonly number[];
  /** How patient the cluster is with silent nodes, where it differs from Kubernetes' defaults. */
  readonly nodeHealth?: Partial<NodeHealthSettings>;
  readonly terminatedPodsMax?: number;
  /** How long a token that was made automatically goes unused before it is marked, and marked before it is removed. */
  readonly legacyTokenUnusedMs?: number | undefined;
  /** Where CronJobs without a time zone are at home; UTC unless given. */
  readonly timeZone?: string;
}

export interface ControllerContext {
  /** Acts as the controller's own account. */
  readonly client: Client;
  /** Lists and watches for all controllers: their own accounts need not be allowed to. */
  readonly reader?: Client;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly informers: Informers;
  readonly signal: AbortSignal;
  readonly options: ControllerOptions;
  readonly metrics?: ControllerMetrics | undefined;
  /** Events whose source is this component. */
  recorder(component: string): EventRecorder;
}

/** With whom a controller of this context lists and watches. */
export const readerOf = ({ reader, client }: ControllerContext): Client => reader ?? client;

/**
 * A controller that is set up: its handlers are on their informers. `run` is called when all caches are filled, and resolves
 * after the context's signal has aborted.
 */
export interface Controller {
  readonly name: string;
  run(): Promise<void>;
}

/** The usual controller: a queue and a reconciliation. */
export function queueController(
  context: ControllerContext,
  spec: {
    readonly name: string;
    readonly queue: WorkQueue;
    readonly workers?: number;
    reconcile(key: string): Promise<ReconcileResult | undefined>;
  },
): Controller {
  return {
    name: spec.name,
    run: () =>
      runController({
        name: spec.name,
        queue: spec.queue,
        workers: spec.workers ?? WORKERS,
        logger: context.logger,
        signal: context.signal,
        metrics: context.metrics,
        now: () => context.clock.now(),
        reconcile: key => spec.reconcile(key),
      }),
  };
}

export function newQueue(
  { clock }: Pick<ControllerContext, 'clock'>,
  backoff: { readonly backoffMsMin?: number; readonly backoffMsMax?: number } = {},
): WorkQueue {
  return new WorkQueue({ clock, ...backoff });
}
