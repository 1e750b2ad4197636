/** Processes full of clients, and etcd's own load generator. */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Figures, summarize } from '../measure.ts';
import type { DriverAnswer, DriverOrder, FanOut, Operation } from './driver.ts';
import { KEY_BYTES, keyOf, type Target, VALUE_BYTES } from './system.ts';

export interface Load {
  readonly operation: Operation;
  readonly concurrency: number;
}

/** Clients of ours in processes of their own. */
export class Drivers {
  readonly #children: readonly ChildProcess[];
  #keys = 0;

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  static async start(
    target: Target,
    options: { readonly processes: number; readonly connections: number },
  ): Promise<Drivers> {
    const children = Array.from({ length: options.processes }, () =>
      fork(fileURLToPath(new URL('./driver.ts', import.meta.url)), {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        serialization: 'advanced',
      }),
    );
    const drivers = new Drivers(children);
    const connections = Math.max(1, Math.floor(options.connections / options.processes));
    await drivers.#all(() => ({ type: 'connect', target, connections }));
    return drivers;
  }

  /** Keys that were put so far. */
  get keys(): number {
    return this.#keys;
  }

  async run({ operation, concurrency }: Load, forMs: number): Promise<Figures> {
    const children = this.#children.slice(0, concurrency);
    const first = operation === 'put' ? this.#keys : 0;
    // Numbers far apart, so that no two processes put the same new key; the first one's are without a gap.
    const answers = await this.#all(
      i => ({
        type: 'run',
        operation,
        concurrency: Math.floor(concurrency / children.length),
        forMs,
        first: first + i * 50_000_000,
        keys: Math.max(1, this.#keys),
      }),
      children,
    );
    const samples = answers.map(answer => expect(answer, 'sample'));
    if (operation === 'put') this.#keys = samples[0]?.next ?? this.#keys;
    return summarize(samples.map(({ sample }) => sample));
  }

  /** Puts new keys, as fast as it goes. */
  async fill(count: number): Promise<void> {
    await this.#all(() => ({ type: 'fill', first: this.#keys, count }), this.#children.slice(0, 1));
    this.#keys += count;
  }

  /** Puts keys that are there; answers the longest time without an answer too. */
  async overwrite(concurrency: number, forMs: number): Promise<Figures & { readonly longestGapMs: number }> {
    const order = { type: 'run', operation: 'put', overwrites: true, concurrency, forMs, first: 0 } as const;
    const [answer] = await this.#all(() => ({ ...order, keys: this.#keys }), this.#children.slice(0, 1));
    const { sample } = expect(answer, 'sample');
    return { ...summarize([sample]), longestGapMs: sample.longestGapMs };
  }

  async fanOut(key: string, watchers: number, puts: number): Promise<FanOut> {
    const [first] = this.#children;
    const only = first === undefined ? [] : [first];
    await this.#all(() => ({ type: 'watch', key, watchers }), only);
    const [answer] = await this.#all(() => ({ type: 'fanOut', key, watchers, puts }), only);
    return expect(answer, 'fannedOut').fanOut;
  }

  async stop(): Promise<void> {
    const gone = this.#children.map(child => new Promise(resolve => child.once('exit', resolve)));
    for (const child of this.#children) child.disconnect();
    await Promise.all(gone);
  }

  #all(order: (position: number) => DriverOrder, children = this.#children): Promise<DriverAnswer[]> {
    return Promise.all(
      children.map((child, position) => {
        const answer = new Promise<DriverAnswer>((resolve, reject) => {
          const onExit = () => reject(new Error('a driver has ended'));
          child.once('exit', onExit);
          child.once('message', (message: DriverAnswer) => {
            child.off('exit', onExit);
            if (message.type === 'failed') reject(new Error(message.message));
            else resolve(message);
          });
        });
        child.send(order(position));
        return answer;
      }),
    );
  }
}

function expect<Type extends DriverAnswer['type']>(
  answer: DriverAnswer | undefined,
  type: Type,
): Extract<DriverAnswer, { type: Type }> {
  if (answer?.type !== type) throw new Error(`a driver answered ${answer?.type}, not ${type}`);
  return answer as Extract<DriverAnswer, { type: Type }>;
}

/** etcd's `benchmark`, against whatever speaks its protocol. */
export class EtcdTool {
  readonly #path: string;
  readonly #target: Target;
  readonly #flags: readonly string[];

  private constructor(path: string, target: Target, flags: readonly string[]) {
    this.#path = path;
    this.#target = target;
    this.#flags = flags;
  }

  static async prepare(path: string, target: Target, folder: string): Promise<EtcdTool> {
    const flags: string[] = [];
    if (target.tls !== undefined) {
      await mkdir(folder, { recursive: true });
      for (const name of ['key', 'cert', 'ca'] as const) {
        const file = join(folder, `${name}.pem`);
        await writeFile(file, target.tls[name], { mode: 0o600 });
        flags.push(`--${name === 'ca' ? 'cacert' : name}=${file}`);
      }
    }
    return new EtcdTool(path, target, flags);
  }

  async run({ operation, concurrency }: Load, total: number): Promise<Figures> {
    const args =
      operation === 'put'
        ? [
            'put',
            `--key-size=${KEY_BYTES}`,
            `--val-size=${VALUE_BYTES}`,
            '--sequential-keys',
            `--key-space-size=${total}`,
          ]
        : ['range', keyOf(0), `--consistency=${operation === 'serializable get' ? 's' : 'l'}`];
    // As etcd's own published figures: a connection for each ten clients.
    const connections = Math.max(1, Math.ceil(concurrency / 10));
    return parseSummary(
      await this.#start([...args, `--total=${total}`, `--clients=${concurrency}`, `--conns=${connections}`]),
    );
  }

  /** Events per second delivered to watchers of one key. */
  async fanOut(watchers: number, puts: number): Promise<number> {
    const streams = 10;
    const output = await this.#start([
      'watch',
      `--streams=${streams}`,
      `--watch-per-stream=${watchers / streams}`,
      '--watched-key-total=1',
      `--key-size=${KEY_BYTES}`,
      `--put-total=${puts}`,
      '--put-rate=1000000',
      '--conns=4',
      '--clients=4',
    ]);
    const received = output.slice(output.indexOf('Watch events received summary'));
    return Number(/Requests\/sec:\s+([\d.]+)/.exec(received)?.[1]);
  }

  async #start(args: readonly string[]): Promise<string> {
    const [leader = ''] = this.#target.urls;
    const flags = [`--endpoints=${leader}`, ...this.#flags];
    const { stdout } = await promisify(execFile)(this.#path, [...args, ...flags], { maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  }
}

/** Reads what `benchmark` prints; times are seconds there. */
function parseSummary(text: string): Figures {
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const failures = /Error distribution:/.test(text)
    ? [...text.matchAll(/^\s+\[(\d+)\]/gm)].reduce((sum, match) => sum + Number(match[1]), 0)
    : 0;
  return {
    operations: Number.NaN,
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50Ms: number(/50%\w* in ([\d.]+)/) * 1000,
    p99Ms: number(/99%\w* in ([\d.]+)/) * 1000,
    maxMs: number(/Slowest:\s+([\d.]+)/) * 1000,
    failures,
  };
}
