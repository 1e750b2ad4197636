/** An API server on a store in memory, spoken to in process: for tests of its verbs. */
import { randomUUID } from 'node:crypto';
import { createMemoryStore, type MemoryStore, type StoreClient } from '../../../store/index.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { bootstrap } from '../bootstrap.ts';
import { reconcileRoles } from '../bootstrap-roles.ts';
import { systemClock } from '../clock.ts';
import type { Limits } from '../limits.ts';
import { type ApiServer, type ApiServerOptions, createApiServer } from '../server.ts';
import type { Identity, Logger } from '../types.ts';

const SERVICE_CIDR = '10.96.0.0/16';

export const ADMIN: Identity = { user: 'admin', groups: ['system:masters'] };

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** A reproducible source in [0, 1): mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const VERSION = {
  major: '1',
  minor: '33',
  emulationMajor: '1',
  emulationMinor: '33',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '32',
  gitVersion: 'v1.33.1+raftsman',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
};

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the test is about
  readonly body: any;
}

export interface CallOptions {
  readonly body?: object | string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly identity?: Identity;
}

export interface Harness {
  readonly server: ApiServer;
  readonly store: MemoryStore;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** A POST that must succeed; gives the object. */
  create<T extends KubernetesObject>(path: string, object: T): Promise<T>;
  /** Frames of a watch as they come; ends with the signal. */
  watch(path: string, signal: AbortSignal, options?: CallOptions): AsyncGenerator<WatchFrame>;
  close(): Promise<void>;
}
export interface WatchFrame {
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly object: any;
}

export interface HarnessOptions {
  readonly store?: StoreClient;
  readonly memory?: MemoryStore;
  readonly limits?: Partial<Limits>;
  readonly overrides?: Partial<ApiServerOptions>;
  /** Makes the default roles, without which only administrators and nodes may do anything. */
  readonly withRoles?: boolean;
}

/** Makes a server with the first objects of a cluster. TLS stays unused. */
export async function createHarness(options: HarnessOptions = {}): Promise<Harness> {
  const memory = options.memory ?? createMemoryStore();
  const server = createApiServer({
    store: options.store ?? memory,
    tls: { key: '', cert: '', ca: '' },
    listen: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    random: seededRandom(1),
    newUid: randomUUID,
    logger: silentLogger,
    serviceCIDR: SERVICE_CIDR,
    nodePortRange: '30000-32767',
    version: VERSION,
    ...(options.limits && { limits: options.limits }),
    ...options.overrides,
  });
  const send = (
    method: string,
    path: string,
    { body, headers = {}, identity = ADMIN }: CallOptions,
    signal?: AbortSignal,
  ) =>
    server.handle(
      {
        method,
        path,
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && {
          body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
        }),
        ...(signal && { signal }),
      },
      identity,
    );
  const call = async (method: string, path: string, callOptions: CallOptions = {}): Promise<Answer> => {
    const response = await send(method, path, callOptions);
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const isJson = response.headers['content-type']?.startsWith('application/json') ?? false;
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson && text ? lastJson(text) : undefined,
    };
  };
  const harness: Harness = {
    server,
    store: memory,
    call,
    async create(path, object) {
      const answer = await call('POST', path, { body: object });
      if (answer.status !== 201) throw new Error(`${path}: ${answer.text}`);
      return answer.body;
    },
    async *watch(path, signal, callOptions = {}) {
      const response = await send('GET', path, callOptions, signal);
      let rest = '';
      for await (const chunk of response.body) {
        const lines = (rest + Buffer.from(chunk).toString()).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) yield JSON.parse(line) as WatchFrame;
      }
    },
    async close() {
      await server.close();
      await memory.close();
    },
  };
  const serviceCIDR = options.overrides?.serviceCIDR ?? SERVICE_CIDR;
  await bootstrap({ server, identity: ADMIN, serviceCIDR, securePort: 6443 });
  if (options.withRoles) await reconcileRoles({ server, identity: ADMIN });
  return harness;
}

/** A document, or of a watch its last line. */
function lastJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');
  }
}

/** The next frames of a watch, exactly `count` of them. */
export async function take(frames: AsyncGenerator<WatchFrame>, count: number): Promise<WatchFrame[]> {
  const taken: WatchFrame[] = [];
  while (taken.length < count) {
    const { value, done } = await frames.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}
