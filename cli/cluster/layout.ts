/**
 * The data directory of a cluster that `raftsman up` runs: where each process keeps its things, which ports it has, and
 * what was decided at the first start. `DIR/cluster.json` holds the decisions, so that a second start finds them.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writePrivately } from '../../control/pki/files.ts';

const port = z.number().int().min(1).max(65_535);
const masterSchema = z.object({ name: z.string(), apiPort: port, peerPort: port });
const nodeSchema = z.object({ name: z.string(), port });
const ingressPort = z.union([port, z.literal('off')]);
const planSchema = z.object({
  /** The layout's version; a newer one is refused. */
  version: z.literal(1),
  /** The stable address that outlives any master. */
  port,
  host: z.string(),
  runtime: z.enum(['docker', 'cri', 'native', 'fake']),
  /** Where the runtime listens, if it is a CRI runtime and not in its usual place. */
  runtimeEndpoint: z.string().optional(),
  /** Where pod addresses come from. */
  clusterCIDR: z.string(),
  /** The join token of this cluster's own processes. */
  token: z.string(),
  masters: z.array(masterSchema).min(1),
  nodes: z.array(nodeSchema),
  /** Where the nodes take requests for Ingresses, all of them together; the usual places unless the operator named others. */
  ingress: z.object({ http: ingressPort.optional(), https: ingressPort.optional() }).optional(),
});
/** What was decided at the first start. */
export type ClusterPlan = z.infer<typeof planSchema>;
export type PlannedMaster = z.infer<typeof masterSchema>;
export type PlannedNode = z.infer<typeof nodeSchema>;

/** Paths under the data directory. */
export const paths = {
  plan: (directory: string) => join(directory, 'cluster.json'),
  kubeconfig: (directory: string) => join(directory, 'kubeconfig'),
  /** The process that supervises all others. */
  supervisorPid: (directory: string) => join(directory, 'pid'),
  supervisorLog: (directory: string) => join(directory, 'log'),
  process: (directory: string, name: string) => join(directory, name),
  pid: (directory: string, name: string) => join(directory, name, 'pid'),
  log: (directory: string, name: string) => join(directory, name, 'log'),
};

/** The directory holds a cluster that this version cannot run. */
export class LayoutError extends Error {
  override readonly name = 'LayoutError';
  readonly code = 'CLUSTER_LAYOUT';
}

/** Reads the plan; undefined in a new directory. */
export async function loadPlan(directory: string): Promise<ClusterPlan | undefined> {
  let text: string;
  try {
    text = await readFile(paths.plan(directory), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const value = parseJson(text);
  const parsed = planSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const version = z.object({ version: z.number() }).safeParse(value);
  throw new LayoutError(
    version.success && version.data.version > 1
      ? `${directory} was made by a newer raftsman (layout ${version.data.version}, this one reads 1): upgrade, or name another --data-dir`
      : `${paths.plan(directory)} is damaged: ${parsed.error.issues[0]?.message ?? 'not readable'}; restore it, or remove the cluster with \`raftsman down --purge --data-dir ${directory}\``,
  );
}

export async function savePlan(directory: string, plan: ClusterPlan): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writePrivately(paths.plan(directory), `${JSON.stringify(plan, undefined, 2)}\n`);
}

/** Where the processes of a local cluster reach each other. */
export const HOST = '127.0.0.1';
/** How far apart the ports of masters and peers are laid out from the stable port. */
const PORT_STRIDE = 20;
/** Where all nodes of a local cluster together take requests for Ingresses, from the stable port. */
const INGRESS_OFFSETS = { http: 18, https: 19 } as const;
/** More masters than this make a slower cluster, not a safer one. */
export const MASTERS_MAX = 7;
export const NODES_MAX = 100;

/**
 * Lays out names and preferred ports: masters' API ports follow the stable port, peers and agents follow in strides.
 * Pure; whether the ports are free is the caller's to find out.
 */
export function planProcesses(options: { readonly port: number; readonly masters: number; readonly nodes: number }): {
  readonly masters: readonly PlannedMaster[];
  readonly nodes: readonly PlannedNode[];
} {
  return {
    masters: Array.from({ length: options.masters }, (_, i) => ({
      name: `master-${i + 1}`,
      apiPort: options.port + 1 + i,
      peerPort: options.port + PORT_STRIDE + 1 + i,
    })),
    nodes: Array.from({ length: options.nodes }, (_, i) => ({
      name: `node-${i + 1}`,
      port: options.port + 2 * PORT_STRIDE + 1 + i,
    })),
  };
}

/** The ports of Ingresses: those that the operator named, else the usual ones. Pure. */
export function ingressPorts({ port, ingress }: Pick<ClusterPlan, 'port' | 'ingress'>) {
  return {
    http: ingress?.http ?? port + INGRESS_OFFSETS.http,
    https: ingress?.https ?? port + INGRESS_OFFSETS.https,
  };
}

/** The second number of the ranges 10.N.0.0/16 that pods may get. */
const POD_RANGES = { first: 42, last: 99 } as const;

/**
 * The first range for pods in which this machine has no address yet, so that clusters on one machine keep apart. Pure.
 * @returns undefined if all are taken.
 */
export function freePodRange(addresses: readonly string[]): string | undefined {
  for (let n: number = POD_RANGES.first; n <= POD_RANGES.last; n++) {
    if (!addresses.some(address => address.startsWith(`10.${n}.`))) return `10.${n}.0.0/16`;
  }
  return undefined;
}

/**
 * Where this machine has routes to, from the text of /proc/net/route: there are also bridges without a pod on them, which
 * are no running interfaces. Pure.
 */
export function routedAddresses(table: string): string[] {
  return table.split('\n').flatMap(line => {
    const destination = /^\S+\s+([0-9A-F]{8})\s/.exec(line)?.[1];
    // The bytes stand in the machine's order: little-endian wherever Node runs.
    return destination === undefined ? [] : [Buffer.from(destination, 'hex').reverse().join('.')];
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
