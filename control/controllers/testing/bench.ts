/** One or a few controllers over an API in memory and a clock that a test moves. */
import type { ExecutionContext } from 'ava';
import type { ApiTransport } from '../../client/client.ts';
import { Informers } from '../../client/informers.ts';
import { silentLogger } from '../../client/logger.ts';
import { RestClient } from '../../client/rest.ts';
import { ManualClock } from '../../client/testing/manual-clock.ts';
import { MemoryApi } from '../../client/testing/memory-api.ts';
import type { Controller, ControllerContext, ControllerOptions } from '../context.ts';

export interface RecordedEvent {
  readonly component: string;
  readonly kind: string;
  readonly name: string;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

export interface Bench {
  readonly clock: ManualClock;
  readonly api: MemoryApi;
  readonly client: RestClient;
  readonly events: RecordedEvent[];
  /** Starts what `make` gives, and leaves it running until it is stopped or the test ends. */
  start(make: (context: ControllerContext) => readonly Controller[]): Promise<{ stop(): Promise<void> }>;
}

export interface BenchOptions {
  readonly nowMs?: number;
  readonly options?: ControllerOptions;
  /** Answers what the API in memory does not know. */
  readonly transport?: (api: MemoryApi) => ApiTransport;
}

export function newBench(
  t: ExecutionContext,
  { nowMs, options = {}, transport = api => api }: BenchOptions = {},
): Bench {
  const clock = new ManualClock(nowMs);
  const api = new MemoryApi(clock);
  const client = new RestClient({ transport: transport(api), clock, userAgent: 'test' });
  const events: RecordedEvent[] = [];
  const start: Bench['start'] = async make => {
    const stopping = new AbortController();
    const common = { client, clock, random: () => 0.5, logger: silentLogger };
    const informers = new Informers(common);
    const controllers = make({
      ...common,
      informers,
      signal: stopping.signal,
      options,
      recorder: component => ({
        record: ({ kind = '', metadata }, { type, reason, message }) =>
          void events.push({ component, kind, name: metadata?.name ?? '', type, reason, message }),
      }),
    });
    informers.start(stopping.signal);
    await informers.waitForSync(stopping.signal);
    const running = Promise.all(controllers.map(controller => controller.run()));
    const stop = async () => {
      stopping.abort();
      await running;
      await informers.stopped();
    };
    t.teardown(stop);
    return { stop };
  };
  return { clock, api, client, events, start };
}
