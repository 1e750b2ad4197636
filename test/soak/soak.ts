/** One soak: a cluster, clients, faults one after the other with a time of health after each, and a verdict. */

import { keyValueModel } from '../../store/testing/key-value-model.ts';
import { checkLinearizable } from '../../store/testing/linearizability.ts';
import { until } from '../helpers/run.ts';
import { shuffled } from '../simulation/random.ts';
import { Clients } from './clients.ts';
import { Cluster } from './cluster.ts';
import { FAULTS, type Fault, type FaultContext } from './faults.ts';
import { canDelay } from './hosts.ts';
import { judge } from './judge.ts';
import { keyValueHistory } from './key-value-history.ts';

/** After a fault is healed, a write has to be acknowledged within so long. */
const PROGRESS_MS_MAX = 15_000;
const HEALTHY_MS = 1_500;
const CATCH_UP_MS_MAX = 60_000;
const VIOLATIONS_SHOWN = 20;

export interface SoakOptions {
  readonly folder: string;
  readonly members: number;
  /** How long faults go on. */
  readonly durationMs: number;
  /** Uniform in [0, 1); one seed gives one order of faults. */
  readonly random: () => number;
  /** Only faults whose name contains this. */
  readonly only: string | undefined;
  readonly tell: (line: string) => void;
}

export interface SoakReport {
  readonly violations: readonly string[];
  readonly faults: ReadonlyMap<string, number>;
  readonly left: readonly string[];
  readonly calls: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly refused: number;
  readonly revisions: number;
  readonly leasesEnded: number;
  /** From the end of a fault to the next acknowledged write, the longest. */
  readonly recoveryMsMax: number;
  readonly linearizability: string;
}

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { random, tell } = options;
  const cluster = await Cluster.create(options.folder, options.members);
  try {
    await cluster.bootstrap();
    const context: FaultContext = { cluster, random, tell, rest, canDelay: await canDelay() };
    const clients = new Clients({ urls: cluster.members.map(({ url }) => url), tls: cluster.tls, random });
    await clients.start();
    const { faults, left, recoveryMsMax } = await causeFaults(options, context, clients);
    await clients.finish(CATCH_UP_MS_MAX);
    return { ...reportOf(clients), faults, left, recoveryMsMax };
  } finally {
    await cluster.stop();
  }
}

async function causeFaults(options: SoakOptions, context: FaultContext, clients: Clients) {
  const { only, durationMs, random, tell } = options;
  const wanted = FAULTS.filter(({ name }) => only === undefined || name.includes(only));
  const left = wanted.flatMap(({ name, lacks }) => {
    const lack = lacks?.(context);
    return lack === undefined ? [] : [`${name} (needs ${lack})`];
  });
  const possible = wanted.filter(({ lacks }) => lacks?.(context) === undefined);
  if (possible.length === 0) throw new Error('there is no fault to cause');
  const faults = new Map<string, number>();
  let recoveryMsMax = 0;
  const endMs = performance.now() + durationMs;
  let round: Fault[] = [];
  while (performance.now() < endMs) {
    // Each once before any comes again, so that a short run meets as many as it can.
    if (round.length === 0) round = shuffled(random, possible);
    const fault = round.pop();
    if (fault === undefined) break;
    tell(`fault: ${fault.name}`);
    await fault.cause(context);
    faults.set(fault.name, (faults.get(fault.name) ?? 0) + 1);
    await context.cluster.heal();
    const healedMs = performance.now();
    await until('a write is acknowledged again', () => clients.lastAcknowledgedAtMs > healedMs, PROGRESS_MS_MAX);
    const recoveryMs = clients.lastAcknowledgedAtMs - healedMs;
    recoveryMsMax = Math.max(recoveryMsMax, recoveryMs);
    await rest(HEALTHY_MS);
  }
  return { faults, left, recoveryMsMax };
}

function reportOf(clients: Clients) {
  const { calls, log } = clients;
  const violations = [
    ...clients.watchers.flatMap(view => view.violations),
    ...clients.leases.violations,
    ...judge(calls, log),
  ];
  // The same history once more, by a search that knows nothing of revisions.
  const { type } = checkLinearizable(keyValueHistory(calls, log), keyValueModel);
  if (type === 'violation') violations.push('the search finds no order that explains the answers');
  const count = (outcome: string) => calls.filter(call => call.outcome.type === outcome).length;
  return {
    violations: violations.slice(0, VIOLATIONS_SHOWN),
    calls: calls.length,
    acknowledged: count('done'),
    unknown: count('unknown'),
    refused: count('notDone'),
    revisions: log.entries.length,
    leasesEnded: clients.leases.kept,
    linearizability: type,
  };
}

const rest = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));
