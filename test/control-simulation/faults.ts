/**
 * The way between a process and the API server, and what goes wrong on it: answers are lost, watches break, fall silent or
 * expire, events come late or twice. While the process is frozen nothing reaches it; when it is dead, nothing ever does.
 */

import { ConnectionLostError } from '../../control/client/body.ts';
import type { ApiRequest, ApiResponse, ApiTransport } from '../../control/client/client.ts';
import { NotSentError } from '../../control/client/connection.ts';
import type { Random } from '../simulation/random.ts';
import type { LifeClock } from '../simulation/virtual-clock.ts';
import type { EventName } from './coverage.ts';

/** How bad it is now; all zero once everything has healed. */
export interface Weather {
  /** Of all writes, how many fail; half of them are done nevertheless. */
  writeFailures: number;
  readFailures: number;
  /** Of the times that a watch is opened. */
  watchRefusals: number;
  watchExpiries: number;
  /** How long a watch lives, on average; Infinity for ever. */
  watchLifeMs: number;
  /** Of the chunks of a watch, how many are late, and how late at most. */
  lateness: number;
  latenessMsMax: number;
  doubling: number;
}

export const FAIR: Weather = {
  writeFailures: 0,
  readFailures: 0,
  watchRefusals: 0,
  watchExpiries: 0,
  watchLifeMs: Number.POSITIVE_INFINITY,
  lateness: 0,
  latenessMsMax: 0,
  doubling: 0,
};

export interface FaultyTransportOptions {
  readonly handle: (request: ApiRequest) => Promise<ApiResponse>;
  readonly life: LifeClock;
  readonly random: Random;
  readonly weather: Weather;
  readonly note: (name: EventName) => void;
  /** A creation was done whose author will never know. */
  readonly onLostCreation?: (request: ApiRequest) => void;
}

/** Kinds whose objects come, go and change in here. Four in five watches are of others, which are open for nothing. */
const LIVELY: ReadonlySet<string> = new Set([
  'configmaps',
  'controllerrevisions',
  'cronjobs',
  'daemonsets',
  'deployments',
  'endpoints',
  'endpointslices',
  'ipaddresses',
  'jobs',
  'leases',
  'namespaces',
  'nodes',
  'poddisruptionbudgets',
  'pods',
  'replicasets',
  'replicationcontrollers',
  'resourcequotas',
  'serviceaccounts',
  'services',
  'statefulsets',
]);
/**
 * So many times as long as others live the watches of a kind of which there is nothing to tell: to open them again every few
 * minutes is most of what an idle hour costs.
 */
const IDLE_WATCH_LIVES = 10;
/** The longest that a watch stays silent before it breaks: half of what our clients' pings take to notice. */
const SILENCE_MS_MAX = 20_000;
const LATENCY_MS_MIN = 1;
const LATENCY_MS_SPREAD = 8;

export class FaultyTransport implements ApiTransport {
  readonly #options: FaultyTransportOptions;
  readonly #watches = new Set<AbortController>();
  /** True while nothing gets through in either direction. */
  isCut = false;

  constructor(options: FaultyTransportOptions) {
    this.#options = options;
  }

  async request(request: ApiRequest): Promise<ApiResponse> {
    const { life } = this.#options;
    await pause(life, this.#latencyMs());
    if (request.signal?.aborted) throw request.signal.reason;
    if (this.isCut) throw new NotSentError('the network is cut');
    if (request.path.includes('watch=true')) return this.#watch(request);
    return request.method === 'GET' ? this.#read(request) : this.#write(request);
  }

  /** The process has died: the server sees its connections close. */
  cutOff(): void {
    for (const watch of [...this.#watches]) watch.abort(OVER);
  }

  async close(): Promise<void> {
    this.cutOff();
  }

  async #read(request: ApiRequest): Promise<ApiResponse> {
    const { weather, note } = this.#options;
    if (this.#happens(weather.readFailures)) {
      note('read failed');
      return failure(500, 'InternalError');
    }
    return this.#answer(request);
  }

  async #write(request: ApiRequest): Promise<ApiResponse> {
    const { weather, random, note, onLostCreation } = this.#options;
    if (!this.#happens(weather.writeFailures)) return this.#answer(request);
    if (random() < 0.5) {
      note('write refused by chance');
      const how = random();
      if (how < 0.3) throw new NotSentError('the connection is closing');
      if (how < 0.5) return failure(429, 'TooManyRequests', '1');
      return how < 0.8 ? failure(500, 'InternalError') : failure(503, 'ServiceUnavailable');
    }
    const { status } = await this.#answer(request);
    if (status < 300) {
      note('write with a lost answer');
      if (request.method === 'POST') onLostCreation?.(request);
    }
    if (random() < 0.5) throw new ConnectionLostError('the connection broke');
    return failure(504, 'Timeout');
  }

  async #answer(request: ApiRequest): Promise<ApiResponse> {
    const { handle, life, note } = this.#options;
    const response = await handle(request);
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    await pause(life, this.#latencyMs());
    if (this.isCut) throw new ConnectionLostError('the network is cut');
    if (response.status === 403 && request.method !== 'GET' && isFenced(chunks)) note('deposed write refused');
    return { ...response, body: all(chunks) };
  }

  async #watch(request: ApiRequest): Promise<ApiResponse> {
    const { handle, weather, life, random, note } = this.#options;
    if (this.#happens(weather.watchRefusals)) return failure(503, 'ServiceUnavailable');
    if (this.#happens(weather.watchExpiries)) {
      note('watch expired');
      const object = {
        kind: 'Status',
        apiVersion: 'v1',
        status: 'Failure',
        reason: 'Expired',
        code: 410,
        message: 'old',
      };
      return { status: 200, headers: {}, body: all([Buffer.from(`${JSON.stringify({ type: 'ERROR', object })}\n`)]) };
    }
    const stop = new AbortController();
    const end = () => stop.abort(OVER);
    request.signal?.addEventListener('abort', end, { once: true });
    this.#watches.add(stop);
    const lives = isLively(request.path) ? 1 : IDLE_WATCH_LIVES;
    const path = request.path.replace(/\btimeoutSeconds=(\d+)/, (_, seconds) => `timeoutSeconds=${seconds * lives}`);
    const response = await handle({ ...request, path, signal: stop.signal });
    const state: Stream = { end: undefined };
    const watchLifeMs = weather.watchLifeMs * lives;
    const cancel = Number.isFinite(watchLifeMs)
      ? life.setTimeout(() => this.#break(state, stop), -Math.log(1 - random()) * watchLifeMs)
      : () => {};
    const body = this.#body(response.body, state);
    const release = () => {
      cancel();
      request.signal?.removeEventListener('abort', end);
      this.#watches.delete(stop);
      stop.abort(OVER);
      note('watch ended');
    };
    return { ...response, body: released(body, release) };
  }

  #break(state: Stream, stop: AbortController): void {
    const { random, note, life } = this.#options;
    const how = random();
    if (how < 0.3) {
      state.end = 'end';
      stop.abort(OVER);
    } else if (how < 0.6) {
      note('watch broke');
      state.end = 'error';
      stop.abort(OVER);
    } else {
      note('watch fell silent');
      state.end = 'silent';
      life.setTimeout(() => stop.abort(OVER), random() * SILENCE_MS_MAX);
    }
  }

  async *#body(body: AsyncIterable<Uint8Array>, state: Stream): AsyncGenerator<Uint8Array> {
    const { life, weather, random, note } = this.#options;
    for await (const chunk of body) {
      const thawed = life.thawed();
      if (thawed) await thawed;
      if (life.isOver) await NEVER;
      if (this.#happens(weather.lateness)) {
        note('event late');
        await pause(life, weather.latenessMsMax * random() ** 3);
      }
      if (this.isCut || state.end === 'error' || state.end === 'silent') continue;
      if (this.#happens(weather.doubling)) {
        note('event doubled');
        yield eachTwice(chunk);
      } else yield chunk;
    }
    if (life.isOver) await NEVER;
    if (state.end !== undefined && state.end !== 'end') throw new ConnectionLostError('the watch broke');
  }

  #happens(share: number): boolean {
    return share > 0 && this.#options.random() < share;
  }

  #latencyMs(): number {
    return LATENCY_MS_MIN + this.#options.random() * LATENCY_MS_SPREAD;
  }
}

interface Stream {
  /** Why nothing more comes. */
  end: 'end' | 'error' | 'silent' | undefined;
}

/** Why a watch's request ends: one error for all, as a stack for each is most of what an abort costs. */
const OVER = new Error('the watch is over');

/** What a dead process waits for. */
const NEVER = new Promise<never>(() => {});

function pause(life: LifeClock, delayMs: number): Promise<void> {
  return new Promise(resolve => void life.setTimeout(resolve, delayMs));
}

async function* all(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function* released(body: AsyncIterable<Uint8Array>, release: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } finally {
    release();
  }
}

/**
 * Each event of a chunk twice in a row. The whole chunk once more would go back in time: an object that went within it would
 * come again, which no server ever tells, and which informers of Kubernetes, too, take for a new object.
 */
function eachTwice(chunk: Uint8Array): Uint8Array {
  const lines = Buffer.from(chunk).toString();
  return Buffer.from(lines.replace(/[^\n]*\n/g, '$&$&'));
}

function failure(code: number, reason: string, retryAfter?: string): ApiResponse {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, code, message: 'chance' };
  return {
    status: code,
    headers: { 'content-type': 'application/json', ...(retryAfter !== undefined && { 'retry-after': retryAfter }) },
    body: all([Buffer.from(JSON.stringify(status))]),
  };
}

/** Whether the collection at a path is of a kind of which there is something to tell. */
function isLively(path: string): boolean {
  const [collection = ''] = path.split('?', 1);
  return LIVELY.has(collection.slice(collection.lastIndexOf('/') + 1));
}

const isFenced = (chunks: readonly Uint8Array[]) => Buffer.concat(chunks).includes('leadership under which');
