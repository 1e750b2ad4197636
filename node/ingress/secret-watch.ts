/**
 * Follows TLS Secrets one by one, by name: a node may look at none but those that an Ingress names, and at those only if they
 * are of the type for it (control/apiserver/auth/node-references.ts).
 */
import { type Client, Informer, type Secret, secrets, TLS_SECRET_TYPE } from '../api.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';

export interface SecretWatchOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** By `namespace/name`. Undefined: it is not there (any more), or of another type. */
  readonly changed: (key: string, secret: Secret | undefined) => void;
}

export class SecretWatch {
  readonly #options: SecretWatchOptions;
  readonly #watches = new Map<string, AbortController>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: SecretWatchOptions) {
    this.#options = options;
  }

  /** Follows these from now on, and no others. */
  follow(keys: ReadonlySet<string>): void {
    for (const [key, stop] of this.#watches) {
      if (keys.has(key)) continue;
      stop.abort();
      this.#watches.delete(key);
    }
    for (const key of keys) if (!this.#watches.has(key)) this.#start(key);
  }

  async close(): Promise<void> {
    this.follow(new Set());
    await Promise.all(this.#running);
  }

  #start(key: string): void {
    const { changed, ...common } = this.#options;
    const stop = new AbortController();
    this.#watches.set(key, stop);
    const [namespace = '', name = ''] = key.split('/');
    const fieldSelector = `metadata.name=${name},type=${TLS_SECRET_TYPE}`;
    const informer = new Informer<Secret>({ ...common, kind: secrets, namespace, fieldSelector });
    const tell = (secret: Secret | undefined) => {
      if (!stop.signal.aborted) changed(key, secret);
    };
    informer.addHandler({ added: tell, updated: tell, deleted: () => tell(undefined) });
    const running = Promise.all([
      informer.run(stop.signal),
      this.#tellMissing(informer, stop.signal, () => tell(undefined)),
    ])
      .then(() => undefined)
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #tellMissing(informer: Informer<Secret>, signal: AbortSignal, tell: () => void): Promise<void> {
    if ((await informer.waitForSync(signal)) && informer.size === 0) tell();
  }
}
