/**
 * Sends spoiled requests to a server in the process and judges the answers: no failure of the server's own, an answer in time,
 * what was accepted reads back equal, and memory that does not grow. Everything follows from the seed.
 */
import { isDeepStrictEqual } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { readRequestInfo } from '../../control/apiserver/request-info.ts';
import { ADMIN, createHarness, type Harness, seededRandom } from '../../control/apiserver/testing/harness.ts';
import { serviceAccountKey } from '../../control/apiserver/testing/service-account-key.ts';
import { type FuzzRequest, NAMESPACE, readCorpus } from './corpus.ts';
import { mutate } from './mutate.ts';

export interface FuzzOptions {
  readonly requests: number;
  readonly seed: number;
  readonly say?: (line: string) => void;
}

export interface Finding {
  /** Which request it was, counted from 0. */
  readonly index: number;
  readonly what: 'failure' | 'hang' | 'reads back otherwise' | 'pollution' | 'memory';
  readonly detail: string;
  readonly request: FuzzRequest | undefined;
}

export interface Verdict {
  readonly findings: readonly Finding[];
  readonly requests: number;
  readonly byStatus: Readonly<Record<string, number>>;
  readonly readBack: number;
  readonly slowestMs: number;
}

/** A server is made anew after so many, so that deleted namespaces and full lists do not shut out what is to be tested. */
const REQUESTS_PER_WORLD = 2_000;
const HANG_MS = 10_000;
/** How long a watch is listened to. */
const WATCH_MS = 5;
const FINDINGS_MAX = 50;
/** The heap after a world is closed, beyond what it was after the first two. */
const GROWTH_BYTES_MAX = 48 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

export async function fuzz({ requests, seed, say = () => {} }: FuzzOptions): Promise<Verdict> {
  const corpus = readCorpus();
  const findings: Finding[] = [];
  const byStatus: Record<string, number> = {};
  const tally = { readBack: 0, slowestMs: 0 };
  let baseline: number | undefined;
  for (let start = 0; start < requests && findings.length < FINDINGS_MAX; start += REQUESTS_PER_WORLD) {
    const world = await openWorld();
    const end = Math.min(requests, start + REQUESTS_PER_WORLD);
    for (let index = start; index < end && findings.length < FINDINGS_MAX; index++) {
      const random = seededRandom(Math.imul(seed, 1_000_003) + index);
      const base = corpus[Math.floor(random() * corpus.length)];
      if (!base) break;
      await tryRequest(world, { index, request: mutate(random, base) }, { findings, byStatus, tally });
    }
    await world.harness.close();
    const heap = heapBytes();
    if (start === REQUESTS_PER_WORLD) baseline = heap;
    if (baseline !== undefined && heap - baseline > GROWTH_BYTES_MAX) {
      const detail = `the heap has grown by ${Math.round((heap - baseline) / 1024 / 1024)} MiB`;
      findings.push({ index: end, what: 'memory', detail, request: undefined });
      break;
    }
    say(`${end} of ${requests} requests, ${findings.length} findings, heap ${Math.round(heap / 1024 / 1024)} MiB`);
  }
  return { findings, requests, byStatus, ...tally };
}

interface World {
  readonly harness: Harness;
  /** What the server logged as its own failures since the last look. */
  readonly failures: string[];
}

async function openWorld(): Promise<World> {
  const failures: string[] = [];
  const logger = {
    debug() {},
    info() {},
    warn: (fields: object, message: string) => {
      const { error } = fields as { readonly error?: string };
      if (message === 'a request failed' && error !== undefined && !error.startsWith('ApiError')) failures.push(error);
    },
    error: (_fields: object, message: string) => failures.push(message),
  };
  const harness = await createHarness({
    limits: { freshnessWaitMsMax: 100, anyStateWaitMsMax: 50 },
    overrides: { logger, serviceAccountKey: serviceAccountKey() },
    withRoles: true,
  });
  await harness.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  return { harness, failures };
}

interface Records {
  readonly findings: Finding[];
  readonly byStatus: Record<string, number>;
  readonly tally: { readBack: number; slowestMs: number };
}

async function tryRequest(
  world: World,
  { index, request }: { readonly index: number; readonly request: FuzzRequest },
  { findings, byStatus, tally }: Records,
): Promise<void> {
  const report = (what: Finding['what'], detail: string) => findings.push({ index, what, detail, request });
  const startedMs = performance.now();
  const answer = await send(world.harness, request);
  tally.slowestMs = Math.max(tally.slowestMs, performance.now() - startedMs);
  if (answer === 'hang') {
    report('hang', `no answer within ${HANG_MS} ms`);
    return;
  }
  byStatus[answer.status] = (byStatus[answer.status] ?? 0) + 1;
  for (const failure of world.failures.splice(0)) report('failure', failure);
  if (Reflect.get({}, 'polluted') !== undefined) {
    report('pollution', 'every object has a field "polluted" now');
    Reflect.deleteProperty(Object.prototype, 'polluted');
  }
  const difference = await readBack(world.harness, request, answer);
  if (difference === undefined) return;
  tally.readBack++;
  if (difference !== '') report('reads back otherwise', difference);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function send({ server }: Harness, request: FuzzRequest): Promise<Answer | 'hang'> {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'hang'>(resolve => {
    timer = setTimeout(() => resolve('hang'), HANG_MS);
  });
  const isWatch = readRequestInfo(request.method, request.path).verb === 'watch';
  const work = (async (): Promise<Answer> => {
    const { method, path, headers, body } = request;
    const response = await server.handle(
      { method, path, headers, signal: stop.signal, ...(body !== undefined && { body }) },
      ADMIN,
    );
    if (isWatch) setTimeout(() => stop.abort(), WATCH_MS);
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    return { status: response.status, text: Buffer.concat(chunks).toString() };
  })();
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

/** Undefined if there is nothing to compare, empty if it is equal, else what differs. */
async function readBack(harness: Harness, request: FuzzRequest, answer: Answer): Promise<string | undefined> {
  const { method, path, headers } = request;
  const info = readRequestInfo(method, path);
  const isWrite = ['create', 'update', 'patch'].includes(info.verb) && info.isResource && info.subresource === '';
  if (!isWrite || (answer.status !== 200 && answer.status !== 201)) return undefined;
  if (/[?&]dryRun=/i.test(path) || /as=|yaml/.test(headers.accept ?? '')) return undefined;
  const written = JSON.parse(answer.text) as { metadata?: { name?: string; deletionTimestamp?: string } };
  if (!written.metadata?.name || /Review$/.test((written as { kind?: string }).kind ?? '')) return undefined;
  const base = path.split('?')[0] ?? path;
  const own = info.verb === 'create' ? `${base.replace(/\/$/, '')}/${encodeURIComponent(written.metadata.name)}` : base;
  const read = await send(harness, { method: 'GET', path: own, headers: {} });
  if (read === 'hang') return 'reading it back hung';
  if (read.status === 404 && written.metadata.deletionTimestamp) return undefined;
  if (read.status !== 200) return `GET ${own} answered ${read.status}: ${read.text.slice(0, 300)}`;
  return isDeepStrictEqual(JSON.parse(read.text), written) ? '' : `wrote ${answer.text} and read ${read.text}`;
}

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
