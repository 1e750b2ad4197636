/** Tells the operator what is being done and how long each step took. */

const NAME_WIDTH = 30;

export class Progress {
  readonly #out: NodeJS.WritableStream;
  readonly #startedAt = performance.now();

  constructor(out: NodeJS.WritableStream) {
    this.#out = out;
  }

  /** A sentence of its own. */
  note(line: string): void {
    this.#out.write(`${line}\n`);
  }

  /** Runs a step, then says how long it took; a failure is said too and passed on. */
  async step<T>(name: string, action: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      const result = await action();
      this.#line('✔', name, startedAt);
      return result;
    } catch (error) {
      this.#line('✘', name, startedAt);
      throw error;
    }
  }

  /** Closes with the whole time. */
  summary(lines: readonly string[]): void {
    this.#out.write(`\n${lines.join('\n')}\n(${seconds(performance.now() - this.#startedAt)} in all)\n`);
  }

  #line(mark: string, name: string, startedAt: number): void {
    const now = performance.now();
    const took = seconds(now - startedAt).padStart(7);
    this.#out.write(`  ${mark} ${name.padEnd(NAME_WIDTH)} ${took}   at ${seconds(now - this.#startedAt)}\n`);
  }
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
