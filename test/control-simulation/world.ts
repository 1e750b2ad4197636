/**
 * One run: a cluster of the real API server, controllers and scheduler with hollow nodes, on a virtual clock. Users and
 * misfortunes for a day; then everything heals, and within two hours the world has to be what the objects ask for, and stay
 * so without another write, also under a new leader.
 */
import { bootstrap } from '../../control/apiserver/bootstrap.ts';
import { type ApiServer, createApiServer } from '../../control/apiserver/server.ts';
import { silentLogger, VERSION } from '../../control/apiserver/testing/harness.ts';
import type { ApiRequest } from '../../control/client/client.ts';
import { RestClient } from '../../control/client/rest.ts';
import { createMemoryStore, type MemoryStore } from '../../store/index.ts';
import { integerBetween, type Random, seededRandom } from '../simulation/random.ts';
import { LifeClock, VirtualClock } from '../simulation/virtual-clock.ts';
import { type Counts, Coverage } from './coverage.ts';
import { FAIR, FaultyTransport, type Weather } from './faults.ts';
import { heal } from './healing.ts';
import { HollowNode } from './hollow-node.ts';
import { Judge, Violation } from './judge-always.ts';
import { problemsAtTheEnd } from './judge-end.ts';
import { Masters, warmUp } from './masters.ts';
import { Misfortunes } from './misfortunes.ts';
import { act } from './operations.ts';
import { type Shape, shapeOf } from './shape.ts';
import { Users } from './users.ts';
import { View } from './view.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly trace?: (line: string) => void;
  /** How long users and misfortunes are at work; a day if not given. */
  readonly hours?: number;
}

export interface SimulationReport {
  readonly seed: number;
  readonly operations: number;
  readonly revisions: number;
  readonly simulatedMs: number;
  readonly healedAfterMs: number;
  readonly coverage: Counts;
}

/** After the healing the world was not what the objects ask for. */
export class UnhealedWorld extends Error {
  override readonly name = 'UnhealedWorld';
}

const START_MS = Date.UTC(2026, 0, 5);
const HOUR_MS = 3_600_000;
const SERVICE_RANGE = '10.96.0.0/16';
const HEALING_MS_MAX = 4 * HOUR_MS;
/** How often it is looked whether the world is right yet. */
const LOOK_MS = 60_000;
/** How long nothing may be written once it is right. */
const STILL_MS = 15 * 60_000;
export const ADMIN = { user: 'admin', groups: ['system:masters'] };

export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const world = new World(options);
  try {
    return await world.run();
  } finally {
    await world.close();
  }
}

class World {
  readonly #seed: number;
  readonly #hours: number;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #clock = new VirtualClock();
  readonly #life: LifeClock;
  readonly #shape: Shape;
  readonly #coverage = new Coverage();
  readonly #store: MemoryStore;
  readonly #server: ApiServer;
  readonly #weather: Weather;
  readonly #view = new View();
  readonly #judge: Judge;
  readonly #masters: Masters;
  readonly #users: Users;
  readonly #misfortunes: Misfortunes;
  readonly #nodes = new Map<string, HollowNode>();
  readonly #stop = new AbortController();
  readonly #client: RestClient;
  #randomCount = 0;
  #uids = 0;
  #revision = 0;
  #failure: unknown;
  /** Set once nothing but heartbeats may be written any more. */
  #isStill = false;
  #stirred: string[] = [];

  constructor({ seed, trace, hours }: SimulationOptions) {
    this.#seed = seed;
    this.#trace = trace;
    this.#shape = shapeOf(this.#random());
    this.#hours = hours ?? this.#shape.hours;
    this.#life = new LifeClock(this.#clock, { startMs: START_MS });
    this.#weather = { ...this.#shape.weather };
    this.#store = createMemoryStore({ clock: this.#life });
    this.#server = createApiServer({
      store: this.#store,
      tls: { key: '', cert: '', ca: '' },
      listen: { host: '127.0.0.1', port: 0 },
      clock: this.#life,
      random: this.#random(),
      newUid: () => this.#newUid(),
      logger: silentLogger,
      serviceCIDR: SERVICE_RANGE,
      nodePortRange: '30000-32767',
      version: VERSION,
      // What only idle hours are full of costs more than all the rest; the store tells the cache every write at once.
      limits: { bookmarkMs: HOUR_MS, cacheProgressMs: HOUR_MS, watchSecondsMin: 12 * 3600 },
    });
    this.#judge = new Judge({
      view: this.#view,
      now: () => this.#life.now(),
      note: name => this.#coverage.note(name),
      shown: () => this.#masters.shown,
    });
    this.#masters = new Masters({
      clock: this.#clock,
      startMs: START_MS,
      store: this.#store,
      server: () => this.#server,
      random: this.#random(),
      weather: this.#weather,
      note: name => this.#coverage.note(name),
      nodeGracePeriodMs: this.#shape.graceMs,
      onLostCreation: request => this.#judge.excuse(request.body),
      ...(trace && { onTrouble: (line: string) => this.#tell(line) }),
    });
    this.#client = new RestClient({
      transport: new FaultyTransport({
        handle: request => this.#server.handle(request, ADMIN),
        life: this.#life,
        random: this.#random(),
        weather: FAIR,
        note: () => {},
      }),
      clock: this.#life,
      userAgent: 'user',
    });
    this.#users = new Users({
      client: this.#client,
      clock: this.#life,
      random: this.#random(),
      view: this.#view,
      note: name => this.#coverage.note(name),
      tell: line => this.#tell(line),
    });
    this.#misfortunes = new Misfortunes({
      masters: this.#masters,
      nodes: this.#nodes,
      addNode: () => this.#addNode(),
      users: this.#users,
      clock: this.#life,
      random: this.#random(),
      note: name => this.#coverage.note(name),
      tell: line => this.#tell(line),
    });
  }

  async run(): Promise<SimulationReport> {
    await this.#turn(this.#setUp());
    const endMs = this.#clock.now() + this.#hours * HOUR_MS;
    await this.#turn(this.#day(endMs));
    const healedAtMs = this.#clock.now();
    await this.#turn(this.#heal());
    const healedAfterMs = this.#clock.now() - healedAtMs;
    await this.#turn(this.#standStill());
    return {
      seed: this.#seed,
      operations: this.#users.operations,
      revisions: this.#revision,
      simulatedMs: this.#clock.now(),
      healedAfterMs,
      coverage: this.#coverage.counts,
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#life.end();
    this.#masters.kill();
    this.#masters.endDeposed();
    for (const node of this.#nodes.values()) node.die();
  }

  /** Turns time forward until the work is done. */
  async #turn(work: Promise<void>): Promise<void> {
    let isDone = false;
    work.then(
      () => {
        isDone = true;
      },
      (error: unknown) => {
        this.#failure ??= error;
      },
    );
    const limitMs = this.#clock.now() + (this.#hours + 24) * HOUR_MS;
    await this.#clock.run(limitMs, () => isDone || this.#failure !== undefined);
    if (this.#failure !== undefined) throw this.#failure;
    if (!isDone) throw new Error('the harness: its work has not ended');
  }

  async #setUp(): Promise<void> {
    void this.#follow();
    await warmUp(request => this.#server.handle(request, ADMIN));
    // The cache of the server begins with its first request.
    await bootstrap({ server: this.#server, identity: ADMIN, serviceCIDR: SERVICE_RANGE, securePort: 6443 });
    for (let count = 0; count < this.#shape.nodes; count++) this.#addNode();
    this.#masters.elect();
    await this.#users.prepare();
  }

  async #day(endMs: number): Promise<void> {
    const random = this.#random();
    const spells = this.#shape.spells;
    const quietMs = (endMs - this.#clock.now()) / spells;
    for (let spell = 0; spell < spells; spell++) {
      const until = this.#clock.now() + quietMs;
      Object.assign(this.#weather, this.#shape.weather);
      const count = integerBetween(random, ...this.#shape.operations);
      for (let number = 0; number < count; number++) {
        await this.#pause(this.#shape.paceMs * (0.05 - Math.log(1 - random())));
        if (random() < this.#shape.misfortunes) this.#misfortunes.strike();
        else act(this.#users);
      }
      await this.#pause(10 * 60_000);
      await this.#misfortunes.relent();
      Object.assign(this.#weather, FAIR);
      if (this.#clock.now() < until) await this.#pause(until - this.#clock.now());
    }
  }

  async #heal(): Promise<void> {
    this.#tell('everything heals');
    Object.assign(this.#weather, FAIR);
    await this.#misfortunes.heal();
    await heal(this.#users);
    const limitMs = this.#clock.now() + HEALING_MS_MAX;
    for (;;) {
      await this.#pause(LOOK_MS);
      const problems = problemsAtTheEnd(this.#view);
      if (problems.length === 0) return;
      if (this.#clock.now() >= limitMs) throw new UnhealedWorld(problems.slice(0, 4).join('; '));
    }
  }

  /** What is right stays right: nobody writes, and a new leader finds nothing to do. */
  async #standStill(): Promise<void> {
    this.#tell('the world is right');
    // What counts again and again, such as quotas and budgets, comes to its end.
    await this.#pause(STILL_MS);
    this.#isStill = true;
    await this.#pause(STILL_MS);
    this.#refuseStir('under the same leader');
    this.#masters.handOver();
    this.#masters.elect();
    await this.#pause(STILL_MS);
    this.#refuseStir('under a new leader');
    const problems = problemsAtTheEnd(this.#view);
    if (problems.length > 0) throw new UnhealedWorld(`not any more: ${problems.slice(0, 4).join('; ')}`);
  }

  #refuseStir(when: string): void {
    if (this.#stirred.length > 0) throw new UnhealedWorld(`writes ${when}: ${this.#stirred.slice(0, 3).join('; ')}`);
  }

  async #follow(): Promise<void> {
    const batches = this.#store.watch({
      key: '/registry/',
      end: '/registry0',
      startRevision: 1,
      signal: this.#stop.signal,
    });
    try {
      for await (const batch of batches) {
        this.#revision = batch.revision;
        for (const change of this.#view.take(batch)) {
          if (this.#trace) this.#tell(describe(change));
          if (this.#isStill && change.plural !== 'nodes') this.#stirred.push(describe(change));
          this.#judge.look(change);
        }
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure ??= error;
    }
  }

  #addNode(): HollowNode {
    const name = `node-${this.#nodes.size + 1}`;
    const node = new HollowNode({
      name,
      clock: this.#clock,
      startMs: START_MS,
      random: this.#random(),
      weather: this.#weather,
      note: event => this.#coverage.note(event),
      handle: (request: ApiRequest) =>
        this.#server.handle(request, { user: `system:node:${name}`, groups: ['system:masters'] }),
      heartbeatMs: this.#shape.heartbeatMs,
      cpuMillis: 4_000,
    });
    this.#nodes.set(name, node);
    node.boot();
    return node;
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise(resolve => void this.#life.setTimeout(resolve, delayMs));
  }

  /** Each part has chance of its own, so that a change in one does not shift the others more than it must. */
  #random(): Random {
    return seededRandom(this.#seed * 1_000 + this.#randomCount++);
  }

  #newUid(): string {
    this.#uids++;
    return `00000000-0000-4000-8000-${this.#uids.toString(16).padStart(12, '0')}`;
  }

  #tell(line: string): void {
    this.#trace?.(`${new Date(this.#life.now()).toISOString().slice(8, 23)} ${line}`);
  }
}

export { Violation };

function describe({ plural, key, before, after }: import('./view.ts').Change): string {
  if (!after) return `- ${plural} ${key}`;
  if (!before) return `+ ${plural} ${key}`;
  const parts = [after, before].map(object =>
    Object.fromEntries(
      Object.entries(object).map(([name, value]) => [name, name === 'metadata' ? shortMetadata(value) : value]),
    ),
  );
  const changed = Object.keys(parts[0] ?? {}).filter(
    name => JSON.stringify(parts[0]?.[name]) !== JSON.stringify(parts[1]?.[name]),
  );
  const shown = changed.map(name => `${name}=${JSON.stringify(parts[0]?.[name])}`).join(' ');
  return `~ ${plural} ${key} ${shown.slice(0, 700)}`;
}

function shortMetadata(value: unknown): object {
  const { managedFields, resourceVersion, generation, ...rest } = value as Record<string, unknown>;
  return rest;
}
