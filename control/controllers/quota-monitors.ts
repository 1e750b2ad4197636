/**
 * Watches what quotas count, to hear when something has gone. Kinds that other controllers keep anyway are followed in their
 * caches; of others only the metadata is kept, and only while a quota counts them.
 */
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { evaluatorOf } from '../api/quota/evaluators.ts';
import { Informer } from '../client/informer.ts';
import { type ControllerContext, readerOf } from './context.ts';
import type { QuotaKind } from './resource-quota-plan.ts';

export interface QuotaMonitorsOptions {
  /** Called with what has gone, and with what takes less than before. */
  freed(kind: QuotaKind, object: KubernetesObject): void;
  /** What went before a kind was watched was not heard: everything that counts it is due. */
  started(kind: QuotaKind): void;
}

export class QuotaMonitors {
  readonly #context: ControllerContext;
  readonly #options: QuotaMonitorsOptions;
  /** By name; what is shared is never stopped. */
  readonly #stops = new Map<string, (() => void) | undefined>();
  readonly #running = new Set<Promise<void>>();

  constructor(context: ControllerContext, options: QuotaMonitorsOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Follows a kind in an informer that somebody else runs. */
  follow<T extends KubernetesObject>(informer: Informer<T>): void {
    const { group, plural } = informer.kind;
    this.#stops.set(`${group}/${plural}`, undefined);

    const evaluator = evaluatorOf(group, plural);
    informer.addHandler({
      deleted: object => this.#options.freed({ group, plural }, object),
      ...(evaluator?.frees && {
        updated: (object: T, old: T) => {
          if (evaluator.frees?.(object, old)) this.#options.freed({ group, plural }, object);
        },
      }),
    });
  }

  /** These kinds are counted, and no others besides those that are followed. */
  watch(kinds: readonly Kind[]): void {
    const wanted = new Set(kinds.map(({ group, plural }) => `${group}/${plural}`));
    for (const [name, stop] of this.#stops) {
      if (!stop || wanted.has(name)) continue;
      stop();
      this.#stops.delete(name);
    }
    for (const kind of kinds) {
      if (this.#stops.has(`${kind.group}/${kind.plural}`)) continue;
      const existing = this.#context.informers.existing(kind);
      if (existing) this.follow(existing);
      else this.#start(kind);
    }
  }

  /** Resolves when all have stopped, after the context's signal has aborted. */
  async stopped(): Promise<void> {
    await Promise.all(this.#running);
  }

  #start(kind: Kind): void {
    const informer = new Informer({ ...this.#context, client: readerOf(this.#context), kind, metadataOnly: true });
    this.follow(informer);
    const stop = new AbortController();
    this.#stops.set(`${kind.group}/${kind.plural}`, () => stop.abort());
    const signal = AbortSignal.any([stop.signal, this.#context.signal]);
    const { group, plural } = kind;
    const running = Promise.all([
      informer.run(signal),
      informer.waitForSync(signal).then(isSynced => isSynced && this.#options.started({ group, plural })),
    ]).then(() => {
      this.#running.delete(running);
    });
    this.#running.add(running);
  }
}
