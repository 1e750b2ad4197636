/**
 * The documents of the servers behind this one: what they serve, and their OpenAPI. Kept for a while; an old one is told
 * while a new one is fetched, and one that cannot be fetched is told as it was last, marked as stale.
 */
import type { Callout, CalloutAnswer } from '../callout/client.ts';
import type { ClientCredentials } from '../callout/connections.ts';
import type { Clock, Logger } from '../types.ts';
import type { RemoteService } from './api-services.ts';
import type { AggregationLimits } from './limits.ts';
import { AGGREGATOR, remoteHeaders } from './remote-user.ts';

export interface RemoteDocumentsOptions {
  readonly callout: Callout;
  readonly credentials: ClientCredentials | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: AggregationLimits;
}

export interface RemoteDocument {
  /** Undefined where there is none, or none could be had yet. */
  readonly value: Readonly<Record<string, unknown>> | undefined;
  /** The media type's parameters tell the form. */
  readonly contentType: string;
  /** True if it may not be so any more. */
  readonly isStale: boolean;
}

interface Entry {
  document: RemoteDocument;
  /** When it was asked for last. */
  askedMs: number;
  asking: Promise<void> | undefined;
  /** The server's own mark of this state. */
  etag: string;
}

const NONE: RemoteDocument = { value: undefined, contentType: '', isStale: true };
/** More places than any cluster has; beyond them the oldest are forgotten. */
const ENTRIES_MAX = 1_000;

export class RemoteDocuments {
  readonly #options: RemoteDocumentsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: RemoteDocumentsOptions) {
    this.#options = options;
  }

  /** The document at `path` of the server. Waits only for one that was never had. Never rejects. */
  async get(remote: RemoteService, path: string, accept: string): Promise<RemoteDocument> {
    const { clock, limits } = this.#options;
    const name = `${remote.place} ${path} ${accept}`;
    let entry = this.#entries.get(name);
    if (!entry) {
      entry = { document: NONE, askedMs: -Infinity, asking: undefined, etag: '' };
      this.#entries.set(name, entry);
      const [oldest] = this.#entries.keys();
      if (this.#entries.size > ENTRIES_MAX && oldest !== undefined) this.#entries.delete(oldest);
    }
    const ageMs = clock.now() - entry.askedMs;
    if (remote.isAvailable && !entry.asking && ageMs >= (entry.document.isStale ? limits.retryMs : limits.freshMs)) {
      entry.askedMs = clock.now();
      const asked = entry;
      entry.asking = this.#ask(remote, { path, accept, entry }).finally(() => {
        asked.asking = undefined;
      });
    }
    if (!entry.document.value || entry.document.isStale) await entry.asking;
    return remote.isAvailable ? entry.document : { ...entry.document, isStale: true };
  }

  async #ask(
    remote: RemoteService,
    { path, accept, entry }: { readonly path: string; readonly accept: string; readonly entry: Entry },
  ): Promise<void> {
    const { callout, credentials, limits, logger } = this.#options;
    try {
      const answer = await callout.call(remote.target, {
        method: 'GET',
        path,
        headers: { accept, ...(entry.etag && { 'if-none-match': entry.etag }), ...remoteHeaders(AGGREGATOR) },
        timeoutMs: limits.documentMsMax,
        ...(credentials && { credentials }),
      });
      take(entry, answer);
    } catch (error) {
      logger.debug({ apiService: remote.name, path, error: String(error) }, 'a document could not be fetched');
      entry.document = { ...entry.document, isStale: true };
    }
  }
}

/** Throws an Error for an answer that is no document. */
function take(entry: Entry, { status, headers, body }: CalloutAnswer): void {
  if (status === 304 && entry.document.value) {
    entry.document = { ...entry.document, isStale: false };
    return;
  }
  if (status === 404) {
    entry.document = { value: undefined, contentType: '', isStale: false };
    return;
  }
  if (status !== 200) throw new Error(`the answer's status is ${status}`);
  const value: unknown = JSON.parse(body.toString());
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('the answer is no object');
  entry.document = {
    value: value as Readonly<Record<string, unknown>>,
    contentType: headers['content-type'] ?? '',
    isStale: false,
  };
  entry.etag = headers.etag ?? '';
}
