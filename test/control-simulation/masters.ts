/** Who leads: lives of the real controllers and the real scheduler, one term after the other, and how they end. */
import type { ApiServer } from '../../control/apiserver/server.ts';
import type { ApiRequest, ApiResponse } from '../../control/client/client.ts';
import { discoverKinds } from '../../control/client/discovery.ts';
import { Informers } from '../../control/client/informers.ts';
import { silentLogger } from '../../control/client/logger.ts';
import { RestClient } from '../../control/client/rest.ts';
import { startControllers } from '../../control/controllers/all.ts';
import { runScheduler } from '../../control/scheduler/scheduler.ts';
import type { MemoryStore } from '../../store/index.ts';
import type { Random } from '../simulation/random.ts';
import { LifeClock, type VirtualClock } from '../simulation/virtual-clock.ts';
import type { EventName } from './coverage.ts';
import { FaultyTransport, type Weather } from './faults.ts';
import { Shown } from './shown.ts';

export interface MastersOptions {
  readonly clock: VirtualClock;
  readonly startMs: number;
  readonly store: MemoryStore;
  readonly server: () => ApiServer;
  readonly random: Random;
  readonly weather: Weather;
  readonly note: (name: EventName) => void;
  readonly nodeGracePeriodMs: number;
  readonly onLostCreation: (request: ApiRequest) => void;
  /** Everything that a controller or the scheduler asks for. */
  readonly onRequest?: (request: ApiRequest, term: number) => void;
  /** Errors and warnings of the controllers. */
  readonly onTrouble?: (line: string) => void;
}

const POD_RANGE = '10.42.0.0/16';
/** The leases of controllers and scheduler decide nothing: they are renewed as rarely as makes sense. */
const LEASE_RENEWAL_MS = 3_600_000;

interface Life {
  readonly term: number;
  readonly clock: LifeClock;
  readonly stop: AbortController;
  readonly transports: FaultyTransport[];
  readonly ended: Promise<unknown>;
}

export class Masters {
  readonly #options: MastersOptions;
  #term = 0;
  #life: Life | undefined;
  #shown: Shown;
  /** Those that were deposed and do not know it, or stand still. */
  readonly #deposed = new Set<Life>();

  constructor(options: MastersOptions) {
    this.#options = options;
    this.#shown = this.#newShown();
  }

  get term(): number {
    return this.#term;
  }

  /** What the caches of the latest leader show. */
  get shown(): Shown {
    return this.#shown;
  }

  /** A new leadership begins. */
  elect(): void {
    this.#term++;
    this.#options.store.setTerm(this.#term);
    this.#life = this.#begin(this.#term);
  }

  /** The leader stops in good order. */
  handOver(): void {
    this.#options.note('leader handed over');
    this.#life?.stop.abort();
    this.#bury(this.#life);
    this.#life = undefined;
  }

  /** The leader dies in the middle of whatever it does. */
  kill(): void {
    this.#options.note('leader died');
    this.#bury(this.#life);
    this.#life = undefined;
  }

  /** Another leads from now on; the old one has yet to notice. */
  depose(): void {
    const old = this.#life;
    this.elect();
    if (!old) return;
    this.#options.note('leader deposed unawares');
    this.#deposed.add(old);
  }

  /** The leader stands still while another takes over, and wakes up afterwards. */
  freeze(): void {
    const old = this.#life;
    if (!old) return;
    this.#options.note('leader stood still');
    old.clock.freeze();
    this.#life = undefined;
    this.#deposed.add(old);
  }

  /** Whoever stood still goes on. */
  thaw(): void {
    for (const { clock } of this.#deposed) clock.thaw();
  }

  /** Whoever was deposed has noticed, and stops. */
  endDeposed(): void {
    for (const life of this.#deposed) {
      life.stop.abort();
      this.#bury(life);
    }
    this.#deposed.clear();
  }

  #bury(life: Life | undefined): void {
    if (!life) return;
    life.clock.end();
    for (const transport of life.transports) transport.cutOff();
  }

  #begin(term: number): Life {
    const { clock: virtual, startMs, server, random, weather, note, onLostCreation, onRequest } = this.#options;
    const clock = new LifeClock(virtual, { startMs: startMs + virtual.now() });
    const stop = new AbortController();
    const transports: FaultyTransport[] = [];
    const clientOf = (user: string) => {
      const identity = { user, groups: ['system:masters'], fenceTerm: term };
      const transport = new FaultyTransport({
        handle: request => {
          onRequest?.(request, term);
          return discovered(request, () => server().handle(request, identity));
        },
        life: clock,
        random,
        weather,
        note,
        onLostCreation,
      });
      transports.push(transport);
      return new RestClient({ transport, clock, userAgent: user });
    };
    const logger = { ...silentLogger, ...this.#troubleLogger(term) };
    const own = { clock, random, logger, signal: stop.signal, identity: `master-${term}`, renewMs: LEASE_RENEWAL_MS };
    const client = clientOf('system:kube-controller-manager');
    const informers = new Informers({ ...own, client });
    const controllers = startControllers({
      ...own,
      client,
      informers,
      leaderTerm: term,
      options: {
        clusterCidr: POD_RANGE,
        nodeHealth: {
          gracePeriodMs: this.#options.nodeGracePeriodMs,
          startupGracePeriodMs: this.#options.nodeGracePeriodMs,
        },
        rootCa: 'none',
      },
    });
    // After the controllers: who asks for an informer first decides the order in which they start.
    this.#shown = this.#newShown();
    this.#shown.follow(informers);
    const scheduler = runScheduler({ ...own, client: clientOf('system:kube-scheduler') });
    return { term, clock, stop, transports, ended: Promise.all([controllers, scheduler]) };
  }

  #newShown(): Shown {
    const { clock, startMs } = this.#options;
    return new Shown(() => startMs + clock.now());
  }

  #troubleLogger(term: number) {
    const { onTrouble } = this.#options;
    if (!onTrouble) return {};
    const tell = (level: string) => (details: object, message: string) => {
      const { err, ...rest } = details as { err?: unknown };
      onTrouble(
        `${level} master-${term}: ${message} ${JSON.stringify(rest)} ${err instanceof Error ? (err.stack ?? err) : ''}`,
      );
    };
    return { warn: tell('warn'), error: tell('error') };
  }
}

/** What a server serves never changes in here, and asking for it is dear: the answers are kept for all seeds. */
const DISCOVERY = new Map<string, { readonly response: ApiResponse; readonly body: readonly Uint8Array[] }>();
const DISCOVERY_PATHS: ReadonlySet<string> = new Set(['/api', '/apis']);

/** Asks once for all: a seed must not depend on which seeds ran before it in the same thread. */
export async function warmUp(handle: (request: ApiRequest) => Promise<ApiResponse>): Promise<void> {
  if (DISCOVERY.size > 0) return;
  const request = async (asked: ApiRequest): Promise<ApiResponse> => {
    const response = await handle(asked);
    const body: Uint8Array[] = [];
    for await (const chunk of response.body) body.push(chunk);
    DISCOVERY.set(asked.path, { response, body });
    return { ...response, body: all(body) };
  };
  await discoverKinds({ request, close: async () => {} });
}

async function discovered(request: ApiRequest, ask: () => Promise<ApiResponse>): Promise<ApiResponse> {
  const known = DISCOVERY_PATHS.has(request.path) ? DISCOVERY.get(request.path) : undefined;
  if (!known) return ask();
  const { etag } = known.response.headers;
  if (etag !== undefined && request.headers?.['if-none-match'] === etag)
    return { ...known.response, status: 304, body: all([]) };
  return { ...known.response, body: all(known.body) };
}

async function* all(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
