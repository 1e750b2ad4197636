/** The other masters, asked as an administrator: whoever of them answers will do. */
import type { z } from 'zod';
import { askMaster, JoinError, type MasterCredentials } from '../join/client.ts';
import { readMemberFile } from './member-file.ts';

export interface PeersOptions {
  readonly credentials: MasterCredentials;
  /** `https://host:port` of each that is known now. */
  readonly servers: () => Promise<readonly string[]>;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** Hears why an attempt failed. */
  readonly onFailure?: (error: Error) => void;
}

export interface Question<S extends z.ZodType> {
  readonly path: string;
  /** Undefined for a GET. */
  readonly body?: unknown;
  readonly answer: S;
}

const RETRY_MS = 500;
const RETRY_MS_MAX = 5_000;
/** Longer than a master tries to do what it was asked for. */
const ANSWER_TIMEOUT_MS = 60_000;

export class Peers {
  readonly #options: PeersOptions;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /**
   * Asks one after the other until one answers, again and again until told to stop: what is asked bears repetition.
   * @throws {JoinError} a refusal that would stay, or the last failure once stopped
   */
  async ask<S extends z.ZodType>(question: Question<S>): Promise<z.infer<S>> {
    const { servers, delay, signal, onFailure } = this.#options;
    for (let delayMs = RETRY_MS; ; delayMs = Math.min(delayMs * 1.5, RETRY_MS_MAX)) {
      for (const server of await servers()) {
        try {
          return await this.askOne(server, question, ANSWER_TIMEOUT_MS);
        } catch (error) {
          if (!(error instanceof JoinError) || !error.retriable || signal.aborted) throw error;
          onFailure?.(error);
        }
      }
      await delay(delayMs, signal);
    }
  }

  /** Asks one, once. @throws {JoinError} */
  askOne<S extends z.ZodType>(server: string, question: Question<S>, timeoutMs: number): Promise<z.infer<S>> {
    return askMaster(server, this.#options.credentials, { ...question, timeoutMs });
  }
}

/** The masters that this one knows: those of `member.json`, and those that it was told to join through. */
export function masterPeers(options: {
  readonly dataDir: string;
  readonly join: readonly string[] | undefined;
  readonly credentials: MasterCredentials;
  readonly delay: PeersOptions['delay'];
  readonly signal: AbortSignal;
  readonly logger: { info(fields: object, message: string): void };
}): Peers {
  const { dataDir, join = [], logger, ...rest } = options;
  return new Peers({
    ...rest,
    async servers() {
      const known = await readMemberFile(dataDir);
      const others = (known?.members ?? []).filter(({ id }) => id !== known?.memberId);
      return [...new Set([...others.map(({ clientUrl }) => clientUrl), ...join])];
    },
    onFailure: error => logger.info({ reason: error.message }, 'another master could not do it yet; it is asked again'),
  });
}
