/**
 * Tells of changes by comparing what the runtime lists. How soon it looks depends on who tells: the runtime's own events
 * and the calls made here ask for a look at once; without them it looks every second, as the kubelet does.
 */
import type { ChangeHub } from '../change-hub.ts';
import { type Clock, delay } from '../clock.ts';
import { eventRetryMsMax, eventRetryMsMin, lookGapMs, relistMs, relistWithEventsMs, settlingMs } from './limits.ts';

export interface ChangeSource {
  /** What the runtime has now: a text for each pod that changes when anything of the pod does. */
  readonly look: () => Promise<ReadonlyMap<string, string>>;
  /** Gives something whenever anything may have changed. Undefined if the runtime has no such stream. */
  readonly events: (signal: AbortSignal) => AsyncIterable<unknown>;
  /** Whether an error of `events` means that there will never be any. */
  readonly isWithoutEvents: (error: unknown) => boolean;
}

export class ChangeWatch {
  readonly #source: ChangeSource;
  readonly #hub: ChangeHub;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #seen: ReadonlyMap<string, string> | undefined;
  #hasEvents = false;
  /** The runtime's own state comes a moment after what it tells: until then looks follow each other soon. */
  #unsettledUntil = 0;
  #wake: () => void = () => undefined;

  constructor(source: ChangeSource, tools: { hub: ChangeHub; clock: Clock; signal: AbortSignal }) {
    this.#source = source;
    this.#hub = tools.hub;
    this.#clock = tools.clock;
    this.#signal = tools.signal;
  }

  /** Something may have changed: look soon. */
  poke(): void {
    this.#unsettledUntil = this.#clock.now() + settlingMs;
    this.#wake();
  }

  /** Runs until the signal aborts. Never throws. */
  async run(): Promise<void> {
    await Promise.all([this.#watch(), this.#listen()]);
  }

  async #watch(): Promise<void> {
    while (!this.#signal.aborted) {
      await this.#look();
      await delay(this.#clock, lookGapMs, this.#signal);
      if (this.#clock.now() < this.#unsettledUntil) continue;
      await this.#rest(this.#hasEvents ? relistWithEventsMs : relistMs);
    }
  }

  async #rest(delayMs: number): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await delay(this.#clock, delayMs, AbortSignal.any([woken.signal, this.#signal]));
    this.#wake = () => undefined;
  }

  async #look(): Promise<void> {
    let found: ReadonlyMap<string, string>;
    try {
      found = await this.#source.look();
    } catch {
      // The runtime is away: what happens meanwhile is unknown.
      this.#seen = undefined;
      return;
    }
    const before = this.#seen;
    this.#seen = found;
    if (before === undefined) return this.#hub.publish(undefined);
    for (const [podUid, state] of found) if (before.get(podUid) !== state) this.#hub.publish(podUid);
    for (const podUid of before.keys()) if (!found.has(podUid)) this.#hub.publish(podUid);
  }

  async #listen(): Promise<void> {
    let retryMs = eventRetryMsMin;
    while (!this.#signal.aborted) {
      try {
        for await (const _event of this.#source.events(this.#signal)) {
          this.#hasEvents = true;
          retryMs = eventRetryMsMin;
          this.poke();
        }
      } catch (error) {
        if (this.#source.isWithoutEvents(error)) return;
      }
      // A gap: what happened in it is found by looking.
      this.#hasEvents = false;
      this.poke();
      await delay(this.#clock, retryMs, this.#signal);
      retryMs = Math.min(retryMs * 2, eventRetryMsMax);
    }
  }
}
