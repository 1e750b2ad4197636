/**
 * How cost grows with the number of keys, beside etcd: latency of puts, memory, restart; and how long puts stand still while
 * history is compacted, a checkpoint is folded, or a snapshot is saved.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RemoteClient, systemClock } from '../../store/index.ts';
import { Drivers } from './store/drivers.ts';
import { etcdMissing, startEtcd } from './store/etcd.ts';
import { startRaftsman } from './store/raftsman.ts';
import { makeTls, type System, VALUE_BYTES } from './store/system.ts';

export interface ScaleOptions {
  readonly forMs: number;
  readonly systems?: readonly string[];
  /** The largest number of keys; the others are a tenth and a hundredth of it. */
  readonly keys: number;
  readonly print: (line: string) => void;
}

const CONNECTIONS = 4;
const CLIENTS = 64;
const SETTLE_MS = 3_000;

export async function benchScale(options: ScaleOptions): Promise<void> {
  const { print, keys, systems } = options;
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-bench-'));
  const wants = (name: string) => systems === undefined || systems.includes(name);
  try {
    const tls = await makeTls();
    print(`${keys.toLocaleString('en')} keys of ${VALUE_BYTES} bytes, ${CLIENTS} clients that overwrite them\n`);
    if (wants('raftsman')) await measure(await startRaftsman({ folder: join(folder, 'r'), tls }), options);
    if (!wants('etcd')) return;
    const missing = etcdMissing();
    if (missing !== undefined) print(`etcd is missing, nothing to compare with: ${missing}`);
    else await measure(await startEtcd({ folder: join(folder, 'e'), tls }), options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(system: System, options: ScaleOptions): Promise<void> {
  const { keys, print } = options;
  const say = (what: string, text: string) => print(`${system.name}: ${what}: ${text}`);
  let drivers = await startDrivers(system);
  try {
    for (const count of [keys / 100, keys / 10, keys]) {
      await drivers.fill(count - drivers.keys);
      await sleep(SETTLE_MS);
      say(`put at ${count.toLocaleString('en')} keys`, await overwrite(system, drivers, options.forMs));
    }
    say('memory of the members', await memory(system));
    if (system.name === 'raftsman') await stalls(system, { ...options, drivers, say });
    await drivers.stop();
    const at = performance.now();
    await system.restart();
    say('all three killed and started again', `${((performance.now() - at) / 1000).toFixed(1)} s`);
    drivers = await startDrivers(system);
    await sleep(SETTLE_MS);
    say('memory after that', await memory(system));
  } finally {
    await drivers.stop();
    await system.stop();
  }
}

async function stalls(
  system: System,
  context: ScaleOptions & { drivers: Drivers; say: (what: string, text: string) => void },
): Promise<void> {
  const { drivers, say, forMs } = context;
  const target = await system.target();
  const client = new RemoteClient({
    urls: target.urls,
    ...(target.tls && { tls: target.tls }),
    clock: systemClock,
    random: () => Math.random(),
  });
  const during = async (what: string, action: () => Promise<string>) => {
    await system.longestTurnsMs?.();
    const [text, done] = await Promise.all([overwrite(system, drivers, forMs), action()]);
    say(`put during ${what}`, `${text}; ${done}`);
  };
  try {
    await during('nothing else', async () => '');
    await during('compaction of all history', async () => {
      const { revision } = await client.status();
      const at = performance.now();
      await client.compact(revision);
      return `to revision ${revision} in ${(performance.now() - at).toFixed(0)} ms`;
    });
    await during('saving a snapshot', async () => {
      const at = performance.now();
      let bytes = 0;
      for await (const part of client.saveSnapshot()) bytes += part.length;
      return `${(bytes / 2 ** 20).toFixed(0)} MiB in ${((performance.now() - at) / 1000).toFixed(1)} s`;
    });
  } finally {
    await client.close();
  }
}

async function overwrite(system: System, drivers: Drivers, forMs: number): Promise<string> {
  await system.longestTurnsMs?.();
  const { perSecond, p50Ms, p99Ms, maxMs, longestGapMs } = await drivers.overwrite(CLIENTS, forMs);
  const turns = await system.longestTurnsMs?.();
  const held =
    turns === undefined ? '' : `, event loops held up for ${turns.map(ms => ms.toFixed(0)).join(', ')} ms at most`;
  return `${Math.round(perSecond).toLocaleString('en')}/s, p50 ${p50Ms.toFixed(1)}, p99 ${p99Ms.toFixed(0)}, max ${maxMs.toFixed(0)} ms, longest without an answer ${longestGapMs.toFixed(0)} ms${held}`;
}

async function memory(system: System): Promise<string> {
  const bytes = await system.residentBytes();
  return `${bytes.map(one => (one / 2 ** 20).toFixed(0)).join(', ')} MiB resident`;
}

async function startDrivers(system: System): Promise<Drivers> {
  return await Drivers.start(await system.target(), { processes: 1, connections: CONNECTIONS });
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
