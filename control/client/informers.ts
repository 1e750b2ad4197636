/** One informer a kind, shared by everything in the process that wants to know of that kind. */
import type { Kind, KubernetesObject } from '../api/kind.ts';
import type { Client } from './client.ts';
import type { Clock } from './clock.ts';
import { Informer, type InformerOptions } from './informer.ts';
import type { Logger } from './logger.ts';

export interface InformersOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** False leaves objects unfrozen: {@link InformerOptions.freezes}. */
  readonly freezes?: boolean;
}

export class Informers {
  readonly #options: InformersOptions;
  readonly #informers = new Map<string, Informer<KubernetesObject>>();
  readonly #running = new Set<Promise<void>>();
  #signal: AbortSignal | undefined;

  constructor(options: InformersOptions) {
    this.#options = options;
  }

  /** The informer of a kind; it starts with {@link start}, or at once if that has been called. */
  for<T extends KubernetesObject>(kind: Kind<T>): Informer<T> {
    return this.existing(kind) ?? this.#add(kind);
  }

  /** The informer of a kind if somebody asked for it already. */
  existing<T extends KubernetesObject>(kind: Kind<T>): Informer<T> | undefined {
    // The name holds the kind, so the informer under it is the one of T.
    return this.#informers.get(nameOf(kind)) as unknown as Informer<T> | undefined;
  }

  /** Runs all informers, also those asked for later, until the signal aborts. */
  start(signal: AbortSignal): void {
    this.#signal = signal;
    for (const informer of this.#informers.values()) this.#run(informer, signal);
  }

  /** True when every informer that exists now has its first list; false if the signal aborted before. */
  async waitForSync(signal: AbortSignal): Promise<boolean> {
    const synced = await Promise.all([...this.#informers.values()].map(informer => informer.waitForSync(signal)));
    return synced.every(Boolean);
  }

  /** Resolves when all informers have stopped after an abort. */
  async stopped(): Promise<void> {
    await Promise.all(this.#running);
  }

  #add<T extends KubernetesObject>(kind: Kind<T>): Informer<T> {
    const informer = new Informer<T>({ ...this.#options, kind });
    this.#informers.set(nameOf(kind), informer as unknown as Informer<KubernetesObject>);
    if (this.#signal && !this.#signal.aborted) this.#run(informer, this.#signal);
    return informer;
  }

  #run(informer: { run(signal: AbortSignal): Promise<void> }, signal: AbortSignal): void {
    const running = informer.run(signal).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }
}

const nameOf = (kind: Kind) => `${kind.group}/${kind.version}/${kind.plural}`;
