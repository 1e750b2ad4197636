/**
 * What the leader does for the aggregation layer: it keeps the APIServices of what the masters serve themselves, and the
 * conditions that tell whether the servers behind the others are there. Level-triggered: it looks at the cache again and
 * again, and writes only what is not so.
 */
import { apiservices, customresourcedefinitions, services } from '../../api/generated/kinds.ts';
import type { APIService, CustomResourceDefinition } from '../../api/generated/types.ts';
import { declarationOf } from '../../api/registry.ts';
import { hasReason } from '../../api/status.ts';
import { type BootstrapCaller, call, create, pathOf } from '../bootstrap-call.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import type { Callout } from '../callout/client.ts';
import type { ClientCredentials } from '../callout/connections.ts';
import { timestamp } from '../core.ts';
import { resourcePrefix } from '../keys.ts';
import type { Clock, Logger } from '../types.ts';
import { cached } from '../verbs/get.ts';
import { ApiServices, type RemoteService } from './api-services.ts';
import { checkAvailability, conditionsAfter, slicesOf } from './availability.ts';
import type { AggregationLimits } from './limits.ts';
import { type GroupVersion, planLocalServices, type Step } from './local-services.ts';

export interface KeeperOptions {
  readonly cache: WatchCache;
  readonly callout: Callout;
  readonly credentials: ClientCredentials | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: AggregationLimits;
  /** What the program itself serves. */
  readonly builtIn: readonly GroupVersion[];
}

interface Look {
  /** When it began, and what there was to see. */
  readonly atMs: number;
  readonly seen: string;
  readonly isAvailable: boolean;
}

const DEFINITIONS = resourcePrefix(customresourcedefinitions);
const SERVICE = declarationOf(services);

export class ApiServiceKeeper {
  readonly #options: KeeperOptions;
  readonly #apiServices: ApiServices;
  readonly #looks = new Map<string, Look>();
  #planned = -1;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#apiServices = new ApiServices(options.cache);
  }

  /** Keeps until the signal aborts. Never rejects. */
  async run(caller: BootstrapCaller, signal: AbortSignal): Promise<void> {
    const { logger, clock, limits } = this.#options;
    while (!signal.aborted) {
      try {
        await this.round(caller);
      } catch (error) {
        logger.warn({ error: String(error) }, 'the APIServices could not be kept');
      }
      await new Promise<void>(resolve => {
        const done = () => {
          cancel();
          signal.removeEventListener('abort', done);
          resolve();
        };
        const cancel = clock.setTimeout(done, limits.lookMs);
        signal.addEventListener('abort', done);
        if (signal.aborted) done();
      });
    }
  }

  /** One look at everything. Throws ApiError; the next round tries again. */
  async round(caller: BootstrapCaller): Promise<void> {
    if (!this.#options.cache.isFilled) return;
    await this.#keepLocal(caller);
    await this.#keepAvailability(caller);
  }

  async #keepLocal(caller: BootstrapCaller): Promise<void> {
    const { cache, builtIn } = this.#options;
    const definitions = cache.resource(DEFINITIONS);
    const change = Math.max(this.#apiServices.change, definitions.lastChange);
    if (change === this.#planned) return;
    const custom = definitions.list(DEFINITIONS).map(object => object.parse<CustomResourceDefinition>());
    const steps = planLocalServices(this.#apiServices.all(), { builtIn, custom });
    for (const step of steps) await perform(caller, step);
    if (steps.length === 0) this.#planned = change;
  }

  async #keepAvailability(caller: BootstrapCaller): Promise<void> {
    const { clock, limits } = this.#options;
    const remotes = [...this.#apiServices.remote.values()];
    const names = new Set(remotes.map(({ name }) => name));
    for (const name of this.#looks.keys()) if (!names.has(name)) this.#looks.delete(name);
    if (remotes.length === 0) return;
    const due = remotes.filter(remote => {
      const look = this.#looks.get(remote.name);
      if (look?.seen !== this.#whatIsBehind(remote)) return true;
      return clock.now() - look.atMs >= (look.isAvailable ? limits.recheckMs : limits.recheckFailedMs);
    });
    for (let index = 0; index < due.length; index += limits.checksAtOnce) {
      const some = due.slice(index, index + limits.checksAtOnce);
      await Promise.all(some.map(remote => this.#look(caller, remote)));
    }
  }

  /** Changes whenever the service, its endpoints or the way to them do. */
  #whatIsBehind({ target, place, group, version }: RemoteService): string {
    const { cache } = this.#options;
    const { namespace = '', name = '' } = target.service ?? {};
    const service = cached({ cache }, SERVICE, namespace, name)?.revision;
    const slices = slicesOf(cache, namespace, name).map(({ revision }) => revision);
    return [group, version, place, service, ...slices].join(' ');
  }

  async #look(caller: BootstrapCaller, remote: RemoteService): Promise<void> {
    const { clock, limits } = this.#options;
    const atMs = clock.now();
    const seen = this.#whatIsBehind(remote);
    const found = await checkAvailability({ ...this.#options, timeoutMs: limits.documentMsMax }, remote);
    try {
      await this.#tell(caller, remote, found);
    } catch (error) {
      // Somebody changed it meanwhile: the next round sees that.
      if (!hasReason(error, 'Conflict') && !hasReason(error, 'NotFound')) throw error;
      return;
    }
    this.#looks.set(remote.name, { atMs, seen, isAvailable: found.status === 'True' });
  }

  async #tell(
    caller: BootstrapCaller,
    { name }: RemoteService,
    found: Parameters<typeof conditionsAfter>[1],
  ): Promise<void> {
    const path = pathOf(apiservices, { metadata: { name } });
    const object = await call<APIService>(caller, { method: 'GET', path });
    const conditions = conditionsAfter(object.status?.conditions ?? [], found, timestamp(this.#options.clock));
    if (!conditions) return;
    const body = { ...object, status: { ...object.status, conditions } };
    await call(caller, { method: 'PUT', path: `${path}/status`, body });
  }
}

async function perform(caller: BootstrapCaller, { type, object }: Step): Promise<void> {
  try {
    if (type === 'create') await create(caller, apiservices, object);
    else if (type === 'update') await call(caller, { method: 'PUT', path: pathOf(apiservices, object), body: object });
    else await call(caller, { method: 'DELETE', path: pathOf(apiservices, object) });
  } catch (error) {
    // Somebody else changed it: the next round sees how it is.
    if (!hasReason(error, 'Conflict') && !hasReason(error, 'NotFound')) throw error;
  }
}
