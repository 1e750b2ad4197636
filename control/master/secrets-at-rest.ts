/**
 * How Secrets lie in this master's store: under keys of the masters' own, or as a file says. Holds the keys, asks the other
 * masters for those that it lacks, and, on the leader, keeps all masters at one key set and all values under the active key.
 */
import { readFile } from 'node:fs/promises';
import type { StoreClient } from '../../store/index.ts';
import { EncryptionConfigurationError, readEncryptionConfiguration } from '../apiserver/encryption/configuration.ts';
import { encryptingClient } from '../apiserver/encryption/encrypting-client.ts';
import { Encryption, OWN_PREFIXES, ownRules } from '../apiserver/encryption/encryption.ts';
import { countByKey, type RewriteOptions, rewriteStale } from '../apiserver/encryption/rewrite.ts';
import { type Clock, sleep } from '../client/clock.ts';
import { askMaster, type MasterCredentials } from '../join/client.ts';
import type { MembershipView } from '../join/handlers.ts';
import { PATHS, type RotatedAnswer } from '../join/protocol.ts';
import { type KeyHolder, rotateKeys, settleKeys } from '../operations/secrets-rotation.ts';
import { secretsRoutes } from '../operations/secrets-routes.ts';
import { KEYS_NOTE } from '../operations/snapshot-keys.ts';
import {
  EncryptionKeyRing,
  type EncryptionKeys,
  encryptionKeysFile,
  encryptionKeysSchema,
} from '../pki/encryption-keys.ts';

export interface SecretsAtRestOptions {
  readonly dataDir: string;
  readonly name: string;
  /** An EncryptionConfiguration; undefined for keys of the masters' own. */
  readonly configurationFile: string | undefined;
  readonly store: { readonly client: StoreClient; membership(): MembershipView };
  /** An administrator's, for the other masters. */
  readonly credentials: MasterCredentials;
  readonly clock: Clock;
  readonly logger: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

const PEER_TIMEOUT_MS = 5_000;
/** Between two questions for a key that nobody had. */
const FETCH_PAUSE_MS = 1_000;
/** The leader looks after keys and values this often, and sooner after a failure. */
const KEEP_MS = 300_000;
const RETRY_MS = 5_000;

export class SecretsAtRest {
  readonly #options: SecretsAtRestOptions;
  readonly #encryption: Encryption;
  readonly #ring: EncryptionKeyRing | undefined;
  readonly #scan: RewriteOptions;
  #fetching: Promise<void> | undefined;
  #nextFetchMs = 0;
  #rewriting: Promise<unknown> = Promise.resolve();
  #rotating: Promise<RotatedAnswer> | undefined;

  private constructor(options: SecretsAtRestOptions, encryption: Encryption, ring: EncryptionKeyRing | undefined) {
    this.#options = options;
    this.#encryption = encryption;
    this.#ring = ring;
    this.#scan = { store: options.store.client, encryption, ...(ring && { prefixes: OWN_PREFIXES }) };
  }

  /** @throws EncryptionConfigurationError */
  static async open(options: SecretsAtRestOptions): Promise<SecretsAtRest> {
    const { configurationFile, dataDir } = options;
    if (configurationFile !== undefined) {
      return new SecretsAtRest(options, new Encryption(await readRules(configurationFile)), undefined);
    }
    const encryption = new Encryption([]);
    const ring = await EncryptionKeyRing.open(encryptionKeysFile(dataDir), ({ keys, active }) =>
      encryption.use(ownRules(keys, active)),
    );
    return new SecretsAtRest(options, encryption, ring);
  }

  /** The store as the API server is to see it. */
  client(): StoreClient {
    const { store, logger } = this.#options;
    return encryptingClient({
      store: store.client,
      encryption: this.#encryption,
      fetchKeys: () => this.#fetchKeys(),
      onDamaged: error => logger.error({ err: error }, 'a stored value is damaged and is left out'),
    });
  }

  /** What a master that joins is given; undefined where a file has the keys. */
  get keys(): (() => EncryptionKeys) | undefined {
    const ring = this.#ring;
    return ring && (() => ring.current);
  }

  /** What a snapshot says of the keys that it needs; the keys themselves do not go with it. */
  snapshotNote(): Record<string, string> {
    const keys = this.#ring?.current.keys.map(({ id }) => id) ?? [];
    return { [KEYS_NOTE]: JSON.stringify({ source: this.#ring ? 'masters' : 'file', keys }) };
  }

  routes() {
    return secretsRoutes({
      ring: this.#ring,
      writes: () => this.#encryption.writesUnder(OWN_PREFIXES[0]),
      count: () => countByKey(this.#scan),
      rotate: () => {
        this.#rotating ??= this.#rotate().finally(() => {
          this.#rotating = undefined;
        });
        return this.#rotating;
      },
    });
  }

  /** The leader's part, until `signal` aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    while (!signal.aborted) {
      let pauseMs = KEEP_MS;
      try {
        if (this.#ring) await settleKeys(this.#rotation());
      } catch (error) {
        pauseMs = RETRY_MS;
        logger.info({ err: error }, 'not all masters could be asked for their keys; they are asked again');
      }
      try {
        const count = await rewriteStale({ ...this.#scan, signal });
        if (count > 0) logger.info({ count }, 'values were rewritten under the present key');
      } catch (error) {
        pauseMs = RETRY_MS;
        if (!signal.aborted) logger.warn({ err: error }, 'values could not be rewritten under the present key');
      }
      await sleep(clock, pauseMs, signal);
    }
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await this.#rewriting;
  }

  async #rotate(): Promise<RotatedAnswer> {
    const rotated = await rotateKeys(this.#rotation());
    const { logger } = this.#options;
    logger.info(rotated, 'Secrets are written under a new key');
    this.#rewriting = rewriteStale(this.#scan).then(
      count => logger.info({ count }, 'values were rewritten under the present key'),
      (error: unknown) => logger.warn({ err: error }, 'rewriting broke off; the leader goes on'),
    );
    return rotated;
  }

  #rotation() {
    return { holders: () => this.#holders(), now: () => this.#options.clock.now() };
  }

  #holders(): KeyHolder[] {
    const { store, name } = this.#options;
    const ring = this.#ring;
    return store
      .membership()
      .members.map(member =>
        member.name === name && ring
          ? { name, read: async () => ring.current, merge: keys => ring.merge(keys) }
          : this.#remote(member),
      );
  }

  #remote({ name, clientUrl }: { readonly name: string; readonly clientUrl: string }): KeyHolder {
    const question = { path: PATHS.encryptionKeys, answer: encryptionKeysSchema, timeoutMs: PEER_TIMEOUT_MS };
    const { credentials } = this.#options;
    return {
      name,
      read: () => askMaster(clientUrl, credentials, question),
      merge: keys => askMaster(clientUrl, credentials, { ...question, body: keys }),
    };
  }

  #fetchKeys(): Promise<void> {
    if (this.#options.clock.now() < this.#nextFetchMs) return Promise.resolve();
    this.#fetching ??= this.#askOthers().finally(() => {
      this.#nextFetchMs = this.#options.clock.now() + FETCH_PAUSE_MS;
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #askOthers(): Promise<void> {
    const ring = this.#ring;
    if (!ring) return;
    const others = this.#holders().filter(({ name }) => name !== this.#options.name);
    const answers = await Promise.allSettled(others.map(holder => holder.read()));
    for (const answer of answers) if (answer.status === 'fulfilled') await ring.merge(answer.value);
  }
}

async function readRules(file: string) {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new EncryptionConfigurationError(`--encryption-provider-config: ${error.message}`);
  });
  try {
    return readEncryptionConfiguration(text);
  } catch (error) {
    if (!(error instanceof EncryptionConfigurationError)) throw error;
    throw new EncryptionConfigurationError(`--encryption-provider-config: ${file}: ${error.message}`);
  }
}
