/**
 * What the pods of `bench -- node` run: `traffic-pod.ts serve`, or `traffic-pod.ts measure JSON`, which prints its
 * measures as one line of JSON. Nothing is connected to but the addresses that it is given.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import { type DecodedPacket, decode, encode, RECURSION_DESIRED } from 'dns-packet';

const BYTES_PORT = 8001;
const CONNECTIONS_PORT = 8002;

export interface MeasureOrder {
  /** Ways to the same server, by name. */
  readonly ways: Readonly<Record<string, string>>;
  readonly nameserver: string;
  readonly name: string;
  readonly rounds: number;
  readonly secondsEach: number;
}
export interface Rate {
  readonly perSecond: number;
  readonly latenciesMs: readonly number[];
  readonly failures: number;
}
export interface Measures {
  readonly bytesPerSecond: Readonly<Record<string, readonly number[]>>;
  readonly connections: Readonly<Record<string, readonly Rate[]>>;
  readonly answers: Readonly<Record<string, readonly Rate[]>>;
}

const CHUNK_BYTES = 256 * 1024;
const STREAMS = 4;
const CONNECTORS = 16;
/** Ends a measure before its time: connections leave entries in the kernel for a while. */
const CONNECTIONS_MAX = 20_000;
const QUESTIONS_AT_ONCE = [1, 32] as const;
const ANSWER_MS_MAX = 2_000;
/** Of one measure. Datagrams may get lost. */
const FAILURES_MAX = 100;
/** Of what is told, so that the line stays short. */
const LATENCIES_TOLD = 1_000;

const [word, order = '{}'] = process.argv.slice(2);
if (word === 'serve') serve();
if (word === 'measure') console.log(JSON.stringify(await measure(JSON.parse(order) as MeasureOrder)));

function serve(): void {
  const zeros = Buffer.alloc(CHUNK_BYTES);
  const pour = (socket: Socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(zeros));
    };
    socket.on('drain', more);
    socket.on('error', () => socket.destroy());
    more();
  };
  createServer(pour).listen(BYTES_PORT);
  createServer(socket => {
    socket.on('error', () => socket.destroy());
    socket.end('x');
  }).listen(CONNECTIONS_PORT, undefined, 1_024);
}

async function measure({ ways, nameserver, name, rounds, secondsEach }: MeasureOrder): Promise<Measures> {
  const names = Object.keys(ways);
  const bytesPerSecond = listsFor<number>(names);
  const connections = listsFor<Rate>(names);
  const answers = listsFor<Rate>(QUESTIONS_AT_ONCE.map(String));
  const forMs = secondsEach * 1_000;
  // In turn, so that a slow minute hits all ways.
  for (let round = 0; round < rounds; round++) {
    for (const [way, host] of Object.entries(ways)) {
      bytesPerSecond[way]?.push(await receive(host, forMs));
      const connecting = { workers: CONNECTORS, forMs, most: CONNECTIONS_MAX };
      connections[way]?.push(await loop(connecting, async () => () => connectOnce(host)));
    }
    for (const atOnce of QUESTIONS_AT_ONCE) {
      const asking = { workers: atOnce, forMs, most: Number.POSITIVE_INFINITY };
      answers[String(atOnce)]?.push(await loop(asking, () => asker(nameserver, name)));
    }
  }
  return { bytesPerSecond, connections, answers };
}

function listsFor<T>(names: readonly string[]): Record<string, T[]> {
  return Object.fromEntries(names.map(name => [name, []]));
}

/** Bytes a second, by a few streams at once. */
async function receive(host: string, forMs: number): Promise<number> {
  let received = 0;
  const sockets = Array.from({ length: STREAMS }, () => {
    const socket = connect(BYTES_PORT, host);
    socket.on('data', chunk => {
      received += chunk.length;
    });
    return socket;
  });
  await Promise.all(sockets.map(socket => new Promise(resolve => socket.once('data', resolve))));
  const [from, fromMs] = [received, performance.now()];
  await new Promise(resolve => setTimeout(resolve, forMs));
  const perSecond = ((received - from) * 1_000) / (performance.now() - fromMs);
  for (const socket of sockets) socket.destroy();
  return perSecond;
}

/** One connection, one byte, and its end. */
function connectOnce(host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(CONNECTIONS_PORT, host);
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.resume();
  });
}

/** A socket of its own for each who asks; one question at a time. */
async function asker(nameserver: string, name: string): Promise<() => Promise<void>> {
  const socket = createSocket('udp4');
  await new Promise<void>(resolve => socket.connect(53, nameserver, resolve));
  socket.unref();
  let id = 0;
  return async () => {
    id = (id + 1) % 65_536;
    const answered = new Promise<DecodedPacket>((resolve, reject) => {
      const hear = (message: Buffer) => {
        const answer = decode(message);
        // What came too late for the question before.
        if (answer.id === id) end(() => resolve(answer));
      };
      const timer = setTimeout(() => end(() => reject(new Error('no answer'))), ANSWER_MS_MAX);
      const end = (settle: () => void) => {
        clearTimeout(timer);
        socket.off('message', hear);
        settle();
      };
      socket.on('message', hear);
    });
    socket.send(encode({ type: 'query', id, flags: RECURSION_DESIRED, questions: [{ name, type: 'A' }] }));
    const answer = await answered;
    if ((answer.answers ?? []).length !== 1) throw new Error(`no address of ${name}`);
  };
}

/** Each worker does its work again and again; many failures end all. */
async function loop(
  { workers, forMs, most }: { readonly workers: number; readonly forMs: number; readonly most: number },
  make: () => Promise<() => Promise<void>>,
): Promise<Rate> {
  const works = await Promise.all(Array.from({ length: workers }, make));
  const latenciesMs: number[] = [];
  let failures = 0;
  const startedMs = performance.now();
  await Promise.all(
    works.map(async work => {
      while (performance.now() - startedMs < forMs && latenciesMs.length < most) {
        const atMs = performance.now();
        try {
          await work();
          latenciesMs.push(performance.now() - atMs);
        } catch (error) {
          if (++failures > FAILURES_MAX) throw error;
        }
      }
    }),
  );
  const perSecond = (latenciesMs.length * 1_000) / (performance.now() - startedMs);
  const each = Math.max(1, Math.floor(latenciesMs.length / LATENCIES_TOLD));
  return { perSecond, latenciesMs: latenciesMs.filter((_, index) => index % each === 0), failures };
}
