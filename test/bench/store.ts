/**
 * raftsman's store beside etcd: three members of each on loopback and on the same disk, in turn, several rounds; the
 * clients are processes of their own. Every figure is the median over the rounds, the peak stands beside it. etcd is
 * driven by its own tool and by a client of ours, and the better of the two counts; with TLS as raftsman has it, and once
 * more in plain text.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Figures, median } from './measure.ts';
import { Drivers, EtcdTool, type Load } from './store/drivers.ts';
import { etcdMissing, etcdVersion, startEtcd } from './store/etcd.ts';
import { startRaftsman } from './store/raftsman.ts';
import { makeTls, type System, VALUE_BYTES } from './store/system.ts';

export interface StoreBenchOptions {
  readonly rounds: number;
  /** Each measurement takes so long, after a quarter of it to warm up. */
  readonly forMs: number;
  /** Only these systems and these numbers of clients; all if undefined. */
  readonly systems?: readonly string[];
  readonly clients?: readonly number[];
  readonly print: (line: string) => void;
}

const CLIENTS = [1, 64, 1_000];
const OPERATIONS = ['put', 'linearizable get', 'serializable get'] as const;
/** Connections of our clients, over all their processes. */
const CONNECTIONS = 4;
const WATCHERS = 1_000;
const WATCH_PUTS = 200;
const WATCH_KEY = 'w'.repeat(8);
/** A run of etcd's tool is as long as one of ours, by the speed that ours has shown, within these bounds. */
const TOOL_TOTAL = { min: 300, max: 200_000, maxThroughDoor: 30_000 };
/** Who measured, where it is not a client of ours with the store's own protocol. */
const OWN_TOOL = ', own tool';
const DOOR = ", gRPC, etcd's tool";

/** One measured thing, such as "put, 64 clients, by etcd's tool", over all rounds. */
interface Series {
  readonly figures: Figures[];
}
type Results = Map<string, Series>;

export async function benchStore(options: StoreBenchOptions): Promise<void> {
  const { print, rounds, forMs } = options;
  const missing = etcdMissing();
  const tool = missing === undefined ? await etcdTool(print) : undefined;
  print(missing === undefined ? await etcdVersion() : `etcd is missing, nothing to compare with: ${missing}`);
  print(`${rounds} rounds, ${forMs / 1000} s a measurement, median (peak); ${VALUE_BYTES}-byte values\n`);
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-bench-'));
  const results: Results = new Map();
  try {
    const tls = await makeTls();
    const starts: Record<string, (into: string) => Promise<System>> = {
      raftsman: into => startRaftsman({ folder: into, tls }),
      ...(missing === undefined && {
        etcd: into => startEtcd({ folder: into, tls }),
        'etcd, plain text': into => startEtcd({ folder: into }),
      }),
    };
    for (let round = 0; round < rounds; round++) {
      for (const [name, start] of Object.entries(starts)) {
        if (options.systems !== undefined && !options.systems.includes(name)) continue;
        const into = join(folder, `${round}-${name.replaceAll(/\W+/g, '-')}`);
        const system = await start(into);
        try {
          await measure(system, { ...options, results, tool, folder: into });
        } finally {
          await system.stop();
          await rm(into, { recursive: true, force: true });
        }
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  printTable(results, print);
}

async function etcdTool(print: (line: string) => void): Promise<string | undefined> {
  const script = fileURLToPath(new URL('./etcd-tools.sh', import.meta.url));
  try {
    const { stdout } = await promisify(execFile)('sh', [script], { maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  } catch (error) {
    print(`etcd's own tool is missing and could not be built: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

interface Context extends StoreBenchOptions {
  readonly results: Results;
  readonly tool: string | undefined;
  readonly folder: string;
}

async function measure(system: System, context: Context): Promise<void> {
  const { results, forMs, folder, print } = context;
  const target = await system.target();
  const note = (what: string, by: string, figures: Figures) => {
    const name = `${what}|${system.name}${by}`;
    const series = results.get(name);
    if (series === undefined) results.set(name, { figures: [figures] });
    else series.figures.push(figures);
    print(`  ${system.name}${by}: ${what}: ${cell(figures)}`);
  };
  // A second client process would only take its core from the members.
  const drivers = await Drivers.start(target, { processes: 1, connections: CONNECTIONS });
  const toolTarget = target.protocol === 'etcd' ? target : await system.etcdTarget?.();
  const tool =
    context.tool !== undefined && toolTarget !== undefined
      ? await EtcdTool.prepare(context.tool, toolTarget, folder)
      : undefined;
  const byTool = target.protocol === 'etcd' ? OWN_TOOL : DOOR;
  try {
    for (const concurrency of context.clients ?? CLIENTS) {
      for (const operation of OPERATIONS) {
        const load: Load = { operation, concurrency };
        const what = `${operation}, ${concurrency.toLocaleString('en')} clients`;
        const figures = await drivers.run(load, forMs);
        note(what, '', figures);
        if (tool === undefined) continue;
        const total = Math.round((figures.perSecond * forMs) / 1000);
        const max = target.protocol === 'etcd' ? TOOL_TOTAL.max : TOOL_TOTAL.maxThroughDoor;
        const bounded = Math.min(max, Math.max(TOOL_TOTAL.min, total));
        note(what, byTool, await tool.run(load, bounded));
      }
    }
    const fanOut = await drivers.fanOut(WATCH_KEY, WATCHERS, WATCH_PUTS);
    const what = `watch, 1 key to ${WATCHERS.toLocaleString('en')} watchers`;
    note(what, '', { ...latencies(fanOut.untilAllMs), perSecond: fanOut.eventsPerSecond });
    if (tool !== undefined) {
      const perSecond = await tool.fanOut(WATCHERS, WATCH_PUTS);
      note(what, byTool, { ...latencies(new Float64Array()), perSecond });
    }
  } finally {
    await drivers.stop();
  }
}

function latencies(values: Float64Array): Figures {
  const sorted = values.toSorted();
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { operations: values.length, perSecond: 0, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), failures: 0 };
}

function cell({ perSecond, p50Ms, p99Ms, failures }: Figures): string {
  const ms = (value: number) => (Number.isNaN(value) ? '–' : value.toFixed(value < 10 ? 2 : 0));
  const failed = failures > 0 ? ` ${failures} FAILED` : '';
  return `${Math.round(perSecond).toLocaleString('en')}/s, p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)} ms${failed}`;
}

/** What a reader compares: raftsman, and the better of etcd's drivers with TLS and in plain text. */
function printTable(results: Results, print: (line: string) => void): void {
  const whats = [...new Set([...results.keys()].map(name => name.split('|')[0] as string))];
  const header = [
    '',
    'raftsman',
    'etcd',
    'ratio',
    'etcd, plain text',
    'ratio',
    "raftsman's gRPC door",
    'ratio to etcd',
  ];
  const lines = whats.map(what => {
    const of = (system: string) => middle(results.get(`${what}|${system}`));
    const ours = of('raftsman');
    const rivals = ['etcd', 'etcd, plain text'].map(system => better(of(system), of(`${system}${OWN_TOOL}`)));
    const cells = rivals.flatMap(rival => [rival?.text ?? '–', ratio(ours, rival)]);
    const door = of(`raftsman${DOOR}`);
    // The same tool on both sides.
    const doorRatio = ratio(door, of(`etcd${OWN_TOOL}`));
    return [what, ours?.text ?? '–', ...cells, door?.text ?? '–', doorRatio];
  });
  print('');
  for (const line of [header, header.map(() => '---'), ...lines]) print(`| ${line.join(' | ')} |`);
}

interface Middle {
  readonly perSecond: number;
  readonly text: string;
}

function middle(series: Series | undefined): Middle | undefined {
  if (series === undefined) return undefined;
  const over = (pick: (figures: Figures) => number) => median(series.figures.map(pick));
  const figures: Figures = {
    operations: Number.NaN,
    perSecond: over(one => one.perSecond),
    p50Ms: over(one => one.p50Ms),
    p99Ms: over(one => one.p99Ms),
    maxMs: over(one => one.maxMs),
    failures: Math.max(...series.figures.map(one => one.failures)),
  };
  const peak = Math.round(Math.max(...series.figures.map(one => one.perSecond))).toLocaleString('en');
  return { perSecond: figures.perSecond, text: cell(figures).replace('/s', `/s (${peak})`) };
}

function better(one: Middle | undefined, other: Middle | undefined): Middle | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.perSecond >= other.perSecond ? one : other;
}

function ratio(ours: Middle | undefined, theirs: Middle | undefined): string {
  if (ours === undefined || theirs === undefined) return '–';
  return (ours.perSecond / theirs.perSecond).toFixed(1);
}
