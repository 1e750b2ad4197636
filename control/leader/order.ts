/** What the thread of a leader is told as it starts, and later. */
import type { MessagePort } from 'node:worker_threads';
import type { NodeHealthSettings } from '../controllers/node-health.ts';

export interface LeaderOrder {
  readonly term: number;
  /** Shown in the leases. */
  readonly identity: string;
  /** This master's name, in each line of the log. */
  readonly master: string;
  readonly logLevel: string;
  /** Leads to the API server of this process. */
  readonly port: MessagePort;
  /** The text of a KubeSchedulerConfiguration; undefined for the defaults. */
  readonly schedulerConfiguration: string | undefined;
  readonly controllers: {
    readonly clusterCidr: string;
    /** TCP ports of the nodes that no Service may take. */
    readonly reservedPorts: readonly number[];
    readonly balancesServices: boolean;
    readonly routesIngresses: boolean;
    /** How patient the cluster is with silent nodes, where it differs from Kubernetes' defaults. */
    readonly nodeHealth: Partial<NodeHealthSettings>;
    readonly legacyTokenUnusedMs: number | undefined;
  };
  /** What controllers sign with; it never leaves the process. */
  readonly signing: {
    readonly authority: { readonly certificate: string; readonly key: string };
    /** PKCS#8 PEM. */
    readonly serviceAccountKey: string;
    readonly issuer: string;
  };
}

/**
 * `begin` when the cluster has its roles, before which controllers may nothing; `stop` when the leadership is over; `metrics`
 * asks for the thread's figures, which it answers with their text.
 */
export type LeaderWord = 'begin' | 'stop' | 'metrics';
