/** `raftsman top`: what nodes and pods use, as the metrics API (metrics.k8s.io) tells. */
import type { Command } from 'commander';
import type { Node } from '../../control/api/generated/types.ts';
import { milliValue, parseQuantity } from '../../control/api/schema/quantity.ts';
import { ApiError } from '../../control/api/status.ts';
import { failure } from '../client/errors.ts';
import { type Session, withSession } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import type { CommandContext } from '../context.ts';
import { TableWriter } from '../output/tables.ts';
import { ClusterCommand, withGlobalFlags } from './cluster-command.ts';

interface Flags {
  readonly selector?: string;
  readonly fieldSelector?: string;
  readonly sortBy?: string;
  readonly headers: boolean;
  readonly allNamespaces?: boolean;
  readonly containers?: boolean;
  readonly showCapacity?: boolean;
  readonly sum?: boolean;
}

const METRICS = '/apis/metrics.k8s.io/v1beta1';
const MEBIBYTE = 1024 * 1024;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('top')
    .summary('show what nodes and pods use')
    .description('Shows the CPU and the memory that nodes and pods use.')
    .asGroup(context)
    .addHelpText('after', '\nExamples:\n  raftsman top nodes\n  raftsman top pods -A --sort-by=memory');
  const node = new ClusterCommand('node')
    .alias('nodes')
    .alias('no')
    .description('Shows what nodes use.')
    .option('--show-capacity', 'of their capacity rather than of what pods may use')
    .addHelpText('after', '\nExamples:\n  raftsman top node\n  raftsman top node node-1')
    .action(withSession<Flags>(context, topNodes));
  const pod = new ClusterCommand('pod')
    .alias('pods')
    .alias('po')
    .description('Shows what pods use.')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('--containers', 'each container on its own')
    .option('--field-selector <fields>', 'only pods with these field values')
    .option('--sum', 'add them up')
    .addHelpText('after', '\nExamples:\n  raftsman top pod -n prod --containers')
    .action(withSession<Flags>(context, topPods));
  for (const sub of [node, pod]) {
    sub
      .argument('[words...]')
      .usage('[NAME | -l label] [flags]')
      .option('-l, --selector <labels>', 'only those with these labels')
      .option('--sort-by <what>', 'cpu or memory')
      .option('--no-headers', 'leave out the header')
      .option('--use-protocol-buffers', 'of no effect: JSON is asked for', true);
    command.addCommand(withGlobalFlags(sub));
  }
  program.addCommand(command);
}

interface Usage {
  readonly cpu?: string;
  readonly memory?: string;
}
interface Metrics {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly usage?: Usage;
  readonly containers?: readonly { readonly name: string; readonly usage: Usage }[];
}
interface Amount {
  readonly milliCpu: number;
  readonly memoryBytes: number;
}

const amountOf = ({ cpu = '0', memory = '0' }: Usage): Amount => ({
  milliCpu: milliValue(parseQuantity(cpu)),
  memoryBytes: milliValue(parseQuantity(memory)) / 1000,
});
const sumOf = (amounts: readonly Amount[]): Amount =>
  amounts.reduce(
    (sum, each) => ({ milliCpu: sum.milliCpu + each.milliCpu, memoryBytes: sum.memoryBytes + each.memoryBytes }),
    { milliCpu: 0, memoryBytes: 0 },
  );
const cpuText = ({ milliCpu }: Amount): string => `${Math.ceil(milliCpu)}m`;
const memoryText = ({ memoryBytes }: Amount): string => `${Math.floor(memoryBytes / MEBIBYTE)}Mi`;

async function fetchMetrics(
  session: Session,
  path: string,
  flags: Flags,
  name: string | undefined,
): Promise<Metrics[]> {
  if (flags.sortBy !== undefined && flags.sortBy !== 'cpu' && flags.sortBy !== 'memory') {
    throw failure('--sort-by accepts only cpu or memory');
  }
  if (name !== undefined && flags.selector !== undefined) {
    throw failure('only one of NAME or selector can be provided');
  }
  try {
    if (name !== undefined) return [await session.api.json<Metrics>('GET', `${path}/${encodeURIComponent(name)}`)];
    const query = { labelSelector: flags.selector, fieldSelector: flags.fieldSelector };
    return (await session.api.json<{ items?: Metrics[] }>('GET', path, { query })).items ?? [];
  } catch (error) {
    const isThere = (await session.discovery.resources()).some(({ group }) => group === 'metrics.k8s.io');
    if (!(error instanceof ApiError) || isThere) throw error;
    throw failure('Metrics API not available', error);
  }
}

function inOrder<T extends { readonly amount: Amount; readonly key: string }>(rows: T[], flags: Flags): T[] {
  const by = flags.sortBy === 'cpu' ? 'milliCpu' : 'memoryBytes';
  return rows.sort((a, b) =>
    flags.sortBy === undefined ? (a.key < b.key ? -1 : 1) : b.amount[by] - a.amount[by] || (a.key < b.key ? -1 : 1),
  );
}

async function topNodes(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  if (words.length > 1) throw usageFailure(self, `${self.name()} [NAME | -l label]`);
  const [only] = words;
  const metrics = await fetchMetrics(session, `${METRICS}/nodes`, flags, only);
  const { items } = await session.api.json<{ items: Node[] }>('GET', '/api/v1/nodes');
  const rows = inOrder(
    metrics.map(({ metadata, usage = {} }) => ({ key: metadata.name, amount: amountOf(usage) })),
    flags,
  );
  const table = rows.map(({ key, amount }) => {
    const status = items.find(({ metadata }) => metadata?.name === key)?.status;
    const room = flags.showCapacity ? status?.capacity : status?.allocatable;
    const whole = amountOf((room ?? {}) as Usage);
    const part = (used: number, of: number) => (of > 0 ? `${Math.floor((used / of) * 100)}%` : '<unknown>');
    return [
      key,
      cpuText(amount),
      part(amount.milliCpu, whole.milliCpu),
      memoryText(amount),
      part(amount.memoryBytes, whole.memoryBytes),
    ];
  });
  print(session, ['NAME', 'CPU(cores)', 'CPU(%)', 'MEMORY(bytes)', 'MEMORY(%)'], table, flags);
}

async function topPods(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const [only] = words;
  const path = flags.allNamespaces ? `${METRICS}/pods` : `${METRICS}/namespaces/${session.namespace}/pods`;
  const metrics = await fetchMetrics(session, path, flags, only);
  if (metrics.length === 0) {
    session.error(flags.allNamespaces ? 'No resources found' : `No resources found in ${session.namespace} namespace.`);
    return;
  }
  const rows = inOrder(
    metrics.flatMap(({ metadata, containers = [] }) => {
      const key = `${metadata.namespace ?? ''}/${metadata.name}`;
      const base = { key, namespace: metadata.namespace ?? '', name: metadata.name };
      if (flags.containers) {
        return containers.map(each => ({ ...base, container: each.name, amount: amountOf(each.usage) }));
      }
      return [{ ...base, container: '', amount: sumOf(containers.map(({ usage }) => amountOf(usage))) }];
    }),
    flags,
  );
  const head = [
    ...(flags.allNamespaces ? ['NAMESPACE'] : []),
    flags.containers ? 'POD' : 'NAME',
    ...(flags.containers ? ['NAME'] : []),
  ];
  const table = rows.map(row => [
    ...(flags.allNamespaces ? [row.namespace] : []),
    row.name,
    ...(flags.containers ? [row.container] : []),
    cpuText(row.amount),
    memoryText(row.amount),
  ]);
  if (flags.sum) {
    const sum = sumOf(rows.map(({ amount }) => amount));
    const blanks = head.slice(1).map(() => '');
    table.push([...blanks, '', '________', '________'], [...blanks, '', cpuText(sum), memoryText(sum)]);
  }
  print(session, [...head, 'CPU(cores)', 'MEMORY(bytes)'], table, flags);
}

function print(session: Session, header: readonly string[], rows: readonly (readonly string[])[], flags: Flags): void {
  const table = flags.headers ? [header, ...rows] : rows;
  // kubectl ends each cell of this table with a tab, the last one too.
  new TableWriter(line => session.print(line)).print(table.map(row => [...row, '']));
}
