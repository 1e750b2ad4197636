/**
 * Keeps the last two looks at each node's use. Agents are asked only when somebody wants to know and what is known has
 * grown old: a cluster in which nobody looks pays nothing.
 */
import type { Clock, Logger } from '../types.ts';
import type { MetricsLimits } from './limits.ts';
import { type Look, type NodeUsage, readSummary, usageBetween } from './rates.ts';

export interface CollectorOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: MetricsLimits;
  /** The nodes whose agents can be asked. */
  nodes(): readonly string[];
  /** The agent's summary. Rejects if it cannot be had in time. */
  fetch(node: string): Promise<unknown>;
}

export class UsageCollector {
  readonly #options: CollectorOptions;
  readonly #looks = new Map<string, Look>();
  #usage: ReadonlyMap<string, NodeUsage> = new Map();
  #collectedMs = Number.NEGATIVE_INFINITY;
  #collecting: Promise<void> | undefined;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** By node: what it and its pods use. Nodes that do not answer are not in it. */
  async usage(): Promise<ReadonlyMap<string, NodeUsage>> {
    const { clock, limits } = this.#options;
    if (clock.now() - this.#collectedMs >= limits.freshMs) {
      this.#collecting ??= this.#collect().finally(() => {
        this.#collecting = undefined;
      });
      await this.#collecting;
    }
    return this.#usage;
  }

  async #collect(): Promise<void> {
    const { clock, limits } = this.#options;
    const nodes = this.#options.nodes();
    for (const name of this.#looks.keys()) if (!nodes.includes(name)) this.#looks.delete(name);
    const isOld = (name: string) =>
      clock.now() - (this.#looks.get(name)?.atMs ?? Number.NEGATIVE_INFINITY) > limits.windowMsMax;
    const unknown = nodes.filter(isOld);
    if (unknown.length > 0) {
      for (const [name, look] of await this.#lookAt(unknown)) this.#looks.set(name, look);
      await new Promise<void>(resolve => void clock.setTimeout(resolve, limits.windowMsMin));
    }
    const usage = new Map<string, NodeUsage>();
    for (const [name, look] of await this.#lookAt(nodes.filter(node => this.#looks.has(node)))) {
      const before = this.#looks.get(name);
      if (before) usage.set(name, usageBetween(before, look));
      this.#looks.set(name, look);
    }
    this.#usage = usage;
    this.#collectedMs = clock.now();
  }

  async #lookAt(nodes: readonly string[]): Promise<ReadonlyMap<string, Look>> {
    const { clock, logger, limits } = this.#options;
    const looks = new Map<string, Look>();
    for (let start = 0; start < nodes.length; start += limits.asksAtOnce) {
      const some = nodes.slice(start, start + limits.asksAtOnce);
      await Promise.all(
        some.map(async node => {
          try {
            const summary = await this.#options.fetch(node);
            looks.set(node, readSummary(summary, clock.now()));
          } catch (error) {
            logger.debug({ node, error: String(error) }, 'the use of a node could not be read');
          }
        }),
      );
    }
    return looks;
  }
}
