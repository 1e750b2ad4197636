/** One container of the fake runtime: its states and its log. */
import { EventEmitter, once } from 'node:events';
import type { Clock } from './clock.ts';
import type { ContainerSpec, ContainerStatus, LogOptions } from './runtime.ts';

/** What the container is told by its image; see `FakeBehaviour`. */
interface Behaviour {
  readonly exitCode?: number;
  readonly exitAfterMs?: number;
  readonly printsArguments?: boolean;
}

interface Facts {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly imageId: string;
  readonly pid: number;
}
type State =
  | { readonly state: 'created' }
  | { readonly state: 'running'; readonly startedAt: number }
  | {
      readonly state: 'exited';
      readonly startedAt: number;
      readonly finishedAt: number;
      readonly exitCode: number;
      readonly message?: string;
    };

const startFailedExitCode = 128;
const signalExitBase = 128;

export class FakeContainer {
  readonly spec: ContainerSpec;
  readonly ended: Promise<number>;
  readonly #facts: Facts;
  readonly #clock: Clock;
  readonly #changed: () => void;
  readonly #createdAt: number;
  readonly #lines: { readonly time: number; readonly text: string }[] = [];
  readonly #news = new EventEmitter();
  readonly #end = Promise.withResolvers<number>();
  #state: State = { state: 'created' };
  #cancelExit: () => void = () => undefined;

  constructor(facts: Facts, clock: Clock, changed: () => void) {
    this.spec = facts.spec;
    this.#facts = facts;
    this.#clock = clock;
    this.#changed = changed;
    this.#createdAt = clock.now();
    this.ended = this.#end.promise;
    // One listener a follower of the log.
    this.#news.setMaxListeners(0);
  }

  get id(): string {
    return this.#facts.id;
  }

  get isRunning(): boolean {
    return this.#state.state === 'running';
  }

  status(): ContainerStatus {
    const { id, spec, imageId, pid } = this.#facts;
    const { name, attempt, image } = spec;
    const common = { id, name, attempt, image, imageId, createdAt: this.#createdAt };
    if (this.#state.state === 'created') return { ...common, state: 'created' };
    if (this.#state.state === 'running') return { ...common, ...this.#state, pid };
    const signal = this.#state.exitCode - signalExitBase;
    const isSignal = signal > 0 && this.#state.message === undefined;
    return { ...common, ...this.#state, oomKilled: false, ...(isSignal && { signal }) };
  }

  start(behaviour: Behaviour): void {
    this.#set({ state: 'running', startedAt: this.#clock.now() });
    if (behaviour.printsArguments === true) {
      for (const text of this.spec.args ?? []) this.#lines.push({ time: this.#clock.now(), text });
    }
    const { exitCode, exitAfterMs = 0 } = behaviour;
    if (exitCode === undefined) return;
    this.#cancelExit = this.#clock.setTimeout(() => this.#exit(exitCode), exitAfterMs);
  }

  failToStart(message: string): void {
    const now = this.#clock.now();
    this.#set({ state: 'exited', startedAt: now, finishedAt: now, exitCode: startFailedExitCode, message });
    this.#end.resolve(startFailedExitCode);
  }

  /** Does nothing unless it runs. */
  kill(exitCode: number): void {
    if (this.isRunning) this.#exit(exitCode);
  }

  async *logs(options: LogOptions): AsyncGenerator<Uint8Array> {
    const since = this.#lines.filter(line => line.time >= (options.sinceMs ?? 0));
    const start = options.tailLines === undefined ? 0 : Math.max(0, since.length - options.tailLines);
    for (const line of since.slice(start)) yield format(line, options.timestamps);
    // Lines are written at the start only.
    while (options.follow && !options.signal.aborted && this.isRunning) {
      await once(this.#news, 'change', { signal: options.signal }).catch(() => undefined);
    }
  }

  #exit(exitCode: number): void {
    this.#cancelExit();
    if (this.#state.state !== 'running') return;
    const { startedAt } = this.#state;
    this.#set({ state: 'exited', startedAt, finishedAt: this.#clock.now(), exitCode });
    this.#end.resolve(exitCode);
  }

  #set(state: State): void {
    this.#state = state;
    this.#news.emit('change');
    this.#changed();
  }
}

function format(line: { readonly time: number; readonly text: string }, timestamps: boolean): Uint8Array {
  const time = timestamps ? `${new Date(line.time).toISOString().replace('Z', '000000Z')} ` : '';
  return Buffer.from(`${time}${line.text}\n`);
}
