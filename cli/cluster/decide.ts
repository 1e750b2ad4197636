/**
 * What a cluster on this machine is to be: decided at its first start from what the operator asked for, extended at later
 * ones, and refused before anything is started where it cannot be.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { bearerOf, randomToken } from '../../control/pki/token.ts';
import { UsageError } from './errors.ts';
import {
  type ClusterPlan,
  freePodRange,
  HOST,
  loadPlan,
  MASTERS_MAX,
  NODES_MAX,
  planProcesses,
  routedAddresses,
  savePlan,
} from './layout.ts';

export type RuntimeChoice = 'auto' | 'docker' | 'cri' | 'native' | 'fake';
/** What the operator asked for; undefined leaves the choice to the plan or the default. */
export interface Wishes {
  readonly masters: number | undefined;
  readonly nodes: number | undefined;
  readonly port: number | undefined;
  readonly runtime: RuntimeChoice | undefined;
  /** Where a CRI runtime listens. */
  readonly runtimeEndpoint?: string | undefined;
  /** Where Ingresses are reached. */
  readonly ingress?: { readonly http?: number | 'off'; readonly https?: number | 'off' };
}
/** Turns `auto` into what this machine has; throws with a sentence on what to install. */
export type ChooseRuntime = (
  choice: RuntimeChoice,
  runtimeEndpoint: string | undefined,
) => Promise<'docker' | 'cri' | 'native' | 'fake'>;

const DEFAULTS = { masters: 3, nodes: 2, port: 6443 } as const;

/** Reads or makes the plan and writes it down. @throws {UsageError} and what `chooseRuntime` throws. */
export async function decide(directory: string, options: Wishes, chooseRuntime: ChooseRuntime): Promise<ClusterPlan> {
  const found = await loadPlan(directory);
  checkCount('--masters', options.masters, { min: 1, max: MASTERS_MAX });
  checkCount('--nodes', options.nodes, { min: 0, max: NODES_MAX });
  checkCount('--port', options.port, { min: 1, max: 65_000 });
  const runtimeEndpoint = options.runtimeEndpoint ?? found?.runtimeEndpoint;
  const runtime = await chooseRuntime(options.runtime ?? found?.runtime ?? 'auto', runtimeEndpoint);
  if (found) {
    const plan = { ...extend(found, options, runtime), ...(runtimeEndpoint !== undefined && { runtimeEndpoint }) };
    await checkPorts(plan);
    await savePlan(directory, plan);
    return plan;
  }
  const port = options.port ?? DEFAULTS.port;
  const layout = planProcesses({
    port,
    masters: options.masters ?? DEFAULTS.masters,
    nodes: options.nodes ?? DEFAULTS.nodes,
  });
  const plan: ClusterPlan = {
    version: 1,
    host: HOST,
    port,
    runtime,
    ...(runtimeEndpoint !== undefined && { runtimeEndpoint }),
    clusterCIDR: await podRange(),
    token: bearerOf(randomToken()),
    masters: [...layout.masters],
    nodes: [...layout.nodes],
    ingress: { ...options.ingress },
  };
  await checkPorts(plan);
  await savePlan(directory, plan);
  return plan;
}

async function podRange(): Promise<string> {
  const addresses = Object.values(networkInterfaces()).flatMap(list => (list ?? []).map(({ address }) => address));
  const routes = await readFile('/proc/net/route', 'utf8').catch(() => '');
  const range = freePodRange([...addresses, ...routedAddresses(routes)]);
  if (range === undefined)
    throw new UsageError(
      'no range is left for pods: this machine has addresses in all of 10.42.0.0/16 to 10.99.0.0/16; stop another cluster',
    );
  return range;
}

/** Applies new wishes to a cluster that exists: it can grow, not shrink. */
function extend(plan: ClusterPlan, options: Wishes, runtime: ClusterPlan['runtime']): ClusterPlan {
  const port = options.port ?? plan.port;
  const masters = options.masters ?? plan.masters.length;
  const nodes = options.nodes ?? plan.nodes.length;
  if (port !== plan.port)
    throw new UsageError(`this cluster has the port ${plan.port}; a cluster keeps its address, so leave --port out`);
  if (masters < plan.masters.length)
    throw new UsageError(
      `this cluster has ${plan.masters.length} masters; \`raftsman up\` adds masters but does not remove them`,
    );
  if (nodes < plan.nodes.length)
    throw new UsageError(
      `this cluster has ${plan.nodes.length} nodes; \`raftsman up\` adds nodes but does not remove them (\`raftsman delete node\` does)`,
    );
  const layout = planProcesses({ port: plan.port, masters, nodes });
  return {
    ...plan,
    runtime,
    masters: [...plan.masters, ...layout.masters.slice(plan.masters.length)],
    nodes: [...plan.nodes, ...layout.nodes.slice(plan.nodes.length)],
    ingress: { ...plan.ingress, ...options.ingress },
  };
}

function checkCount(
  flag: string,
  value: number | undefined,
  { min, max }: { readonly min: number; readonly max: number },
): void {
  if (value !== undefined && (!Number.isSafeInteger(value) || value < min || value > max)) {
    throw new UsageError(`${flag} takes a whole number from ${min} to ${max}`);
  }
}

async function checkPorts(plan: ClusterPlan): Promise<void> {
  const ports = [
    { port: plan.port, what: 'the API (--port)' },
    ...plan.masters.flatMap(({ name, apiPort, peerPort }) => [
      { port: apiPort, what: `${name}'s API` },
      { port: peerPort, what: `${name}'s peers` },
    ]),
    ...plan.nodes.map(({ name, port }) => ({ port, what: name })),
    // Only what the operator named: agents do without a port that is taken.
    ...Object.entries(plan.ingress ?? {}).flatMap(([protocol, port]) =>
      typeof port === 'number' ? [{ port, what: `Ingress (--ingress-${protocol}-port)` }] : [],
    ),
  ];
  for (const { port, what } of ports) {
    if (!(await isFree(port))) {
      throw new UsageError(
        `port ${port}, meant for ${what}, is in use: stop what listens there (\`ss -ltnp sport = :${port}\` names it), or choose another range with --port`,
      );
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });
}
