/**
 * Clients that write and read while masters die. Each key has one writer that counts upwards, so what a read may return
 * follows from the history alone: nothing older than what was acknowledged before the read began, nothing newer than what
 * was tried before it ended.
 */
import type { Api } from '../helpers/api.ts';

/** What went wrong, in words. */
export type Violation = string;

/** One register and all that is known of it. */
export class Register {
  readonly name: string;
  acknowledged = 0;
  tried = 0;
  readonly violations: Violation[] = [];
  constructor(name: string) {
    this.name = name;
  }

  /** Notes what a read may return at least; the answer checks what it did return. */
  beginRead(): (value: number) => void {
    const floor = this.acknowledged;
    return value => {
      if (value < floor) this.violations.push(`${this.name}: read ${value} after ${floor} was acknowledged`);
      if (value > this.tried)
        this.violations.push(`${this.name}: read ${value}, but only ${this.tried} was ever written`);
    };
  }
}

export interface WorkloadOptions {
  /** A fresh client for each worker, so that they do not share connections. */
  readonly connect: () => Promise<Api>;
  readonly registers: number;
  readonly namespace: string;
}

const WRITE_TIMEOUT_MS = 3_000;
const PAUSE_MS = 10;

export class Workload {
  readonly registers: readonly Register[];
  /** When each write was acknowledged, in milliseconds on the test's clock. */
  readonly acknowledgements: number[] = [];
  refused = 0;
  unknown = 0;
  reads = 0;
  readonly #options: WorkloadOptions;
  readonly #stop = new AbortController();
  readonly #workers: Promise<void>[] = [];

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.registers = Array.from({ length: options.registers }, (_, i) => new Register(`register-${i}`));
  }

  async start(): Promise<void> {
    const api = await this.#options.connect();
    for (const register of this.registers) {
      const { status } = await api.call('POST', this.#path(), this.#object(register.name, 0));
      if (status !== 201) throw new Error(`could not make ${register.name}: ${status}`);
    }
    api.close();
    for (const register of this.registers) {
      this.#workers.push(
        this.#loop(api => this.#write(api, register)),
        this.#loop(api => this.#read(api, register)),
      );
    }
  }

  /** Ends the load and reads everything once more. */
  async finish(): Promise<readonly Violation[]> {
    this.#stop.abort();
    await Promise.all(this.#workers);
    const api = await this.#options.connect();
    for (const register of this.registers) await this.#read(api, register);
    api.close();
    return this.registers.flatMap(register => register.violations);
  }

  get acknowledgedTotal(): number {
    return this.acknowledgements.length;
  }

  /**
   * The longest time without any acknowledgement between two moments. After a kill this is what clients notice: the first
   * acknowledgement alone may belong to a write that was as good as done before.
   */
  longestSilence(from: number, to: number): number {
    const between = this.acknowledgements.filter(at => at > from && at < to);
    return [...between, to].reduce((state, at) => ({ last: at, worst: Math.max(state.worst, at - state.last) }), {
      last: from,
      worst: 0,
    }).worst;
  }

  /** The first acknowledgement after this moment; undefined if none came yet. */
  firstAcknowledgementAfter(moment: number): number | undefined {
    return this.acknowledgements.find(at => at > moment);
  }

  async #loop(action: (api: Api) => Promise<void>): Promise<void> {
    const api = await this.#options.connect();
    while (!this.#stop.signal.aborted) {
      await action(api);
      await new Promise(resolve => setTimeout(resolve, PAUSE_MS));
    }
    api.close();
  }

  async #write(api: Api, register: Register): Promise<void> {
    const value = ++register.tried;
    try {
      const { status } = await api.call('PUT', `${this.#path()}/${register.name}`, this.#object(register.name, value), {
        timeoutMs: WRITE_TIMEOUT_MS,
      });
      if (status === 200) {
        register.acknowledged = value;
        this.acknowledgements.push(performance.now());
      } else this.refused++;
    } catch {
      this.unknown++;
    }
  }

  async #read(api: Api, register: Register): Promise<void> {
    const check = register.beginRead();
    try {
      const { status, body } = await api.call('GET', `${this.#path()}/${register.name}`);
      if (status === 404) register.violations.push(`${register.name} is gone`);
      if (status !== 200) return;
      this.reads++;
      check(Number((body as { data: { value: string } }).data.value));
    } catch {
      // Not answered: says nothing.
    }
  }

  #path(): string {
    return `/api/v1/namespaces/${this.#options.namespace}/configmaps`;
  }

  #object(name: string, value: number): unknown {
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value: String(value) } };
  }
}
