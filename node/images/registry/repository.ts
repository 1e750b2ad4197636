/** One repository at one endpoint: manifests and blobs, with keys asked for when they are needed, and tries again. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Clock, delay } from '../../runtime/clock.ts';
import { digestOf, formatDigest } from '../digest.ts';
import { hasCode, RegistryError } from '../errors.ts';
import { attemptsMax, documentBytesMax, retryDelayMs, retryDelayMsMax } from '../limits.ts';
import { type Descriptor, manifestTypes } from '../manifest.ts';
import { answerChallenge, parseChallenges } from './auth.ts';
import type { Endpoint, EndpointSettings } from './config.ts';
import { bodyOf, type Http } from './http.ts';

export interface RepositoryOptions {
  readonly endpoint: Endpoint;
  readonly credentials: EndpointSettings['credentials'];
  readonly http: Http;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Worth another attempt: not what the registry meant. */
class BrokenError extends Error {
  override readonly name = 'BrokenError';
}

export class Repository {
  readonly #options: RepositoryOptions;
  #authorization: string | undefined;

  constructor(options: RepositoryOptions) {
    this.#options = options;
  }

  /** By tag or digest; checked against a digest. Throws {@link RegistryError}. */
  async manifest(name: string): Promise<{ readonly text: string; readonly digest: string }> {
    return await this.#persist(async () => {
      const response = await this.#get(`manifests/${name}`, { accept: manifestTypes.join(', ') });
      await expectStatus(response, 200);
      const bytes = await bodyOf(response, documentBytesMax);
      const digest = digestOf(bytes);
      if (name.startsWith('sha256:') && name !== digest)
        throw new RegistryError(`the manifest has the digest ${digest}, not ${name}`);
      return { text: bytes.toString(), digest };
    });
  }

  /** A small blob. Throws {@link RegistryError}. */
  async document({ digest }: Descriptor): Promise<string> {
    return await this.#persist(async () => {
      const response = await this.#get(`blobs/${digest}`, {});
      await expectStatus(response, 200);
      const bytes = await bodyOf(response, documentBytesMax);
      if (digestOf(bytes) !== digest) throw new BrokenError(`the blob is not what its name says: ${digest}`);
      return bytes.toString();
    });
  }

  /** Brings a blob into a directory, going on where an earlier attempt broke. Gives its file. Throws {@link RegistryError}. */
  async download({ digest, size }: Descriptor, directory: string): Promise<string> {
    const file = path.join(directory, digest.replace(':', '-'));
    if ((await sizeOf(file)) === size) return file;
    const part = `${file}.part`;
    await this.#persist(() => this.#fetchPart({ digest, size, part }));
    await rename(part, file);
    return file;
  }

  async #fetchPart({ digest, size, part }: { digest: string; size: number; part: string }): Promise<void> {
    let from = (await sizeOf(part)) ?? 0;
    if (from > size) from = 0;
    if (from < size || size === 0) {
      const response = await this.#get(`blobs/${digest}`, from > 0 ? { range: `bytes=${from}-` } : {});
      // A registry may not know of ranges and send all of it.
      if (response.statusCode !== 206) {
        await expectStatus(response, 200);
        from = 0;
      }
      const output = createWriteStream(part, { flags: from > 0 ? 'a' : 'w', mode: 0o600 });
      await pipeline(response, boundedTo(size - from), output, { signal: this.#options.signal });
    }
    const hash = createHash('sha256');
    await pipeline(createReadStream(part), hash);
    const found = formatDigest(hash);
    if (found === digest) return;
    if (((await sizeOf(part)) ?? 0) < size) throw new BrokenError('the connection ended early');
    await rm(part, { force: true });
    throw new BrokenError(`the blob has the digest ${found}, not ${digest}`);
  }

  async #get(what: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    const { endpoint, http, signal } = this.#options;
    const url = new URL(`${endpoint.repository}/${what}`, endpoint.url);
    if (endpoint.isMirror) url.searchParams.set('ns', endpoint.registry);
    const ask = () =>
      http({
        url,
        signal,
        headers: { ...headers, ...(this.#authorization !== undefined && { authorization: this.#authorization }) },
      });
    const first = await ask();
    if (first.statusCode !== 401) return first;
    const challenges = parseChallenges(first.headers['www-authenticate'] ?? '');
    first.resume();
    // A token may have run out since.
    const { credentials } = this.#options;
    this.#authorization = await answerChallenge(http, challenges, {
      credentials,
      repository: endpoint.repository,
      signal,
    });
    if (this.#authorization === undefined)
      throw new RegistryError('authorization failed: no basic auth credentials', 401);
    return await ask();
  }

  async #persist<T>(work: () => Promise<T>): Promise<T> {
    const { clock, signal, endpoint } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (signal.aborted) throw error;
        const isFinal = error instanceof RegistryError && !isPassing(error.status);
        if (isFinal || attempt >= attemptsMax || hasCode(error, 'ECONNREFUSED', 'ENOTFOUND', 'ENOSPC')) {
          if (error instanceof RegistryError) throw error;
          const why = error instanceof Error ? error.message || String(error) : String(error);
          throw new RegistryError(`failed to do request to ${endpoint.url.host}: ${why}`, undefined, { cause: error });
        }
        await delay(clock, Math.min(retryDelayMs * 2 ** (attempt - 1), retryDelayMsMax), signal);
      }
    }
  }
}

function isPassing(status: number | undefined): boolean {
  return status !== undefined && (status >= 500 || status === 408 || status === 429);
}

const errorsMessage = (text: string): string | undefined => {
  try {
    const { errors } = JSON.parse(text) as { errors?: { code?: string; message?: string }[] };
    return errors?.map(({ code, message }) => [code?.toLowerCase(), message].filter(Boolean).join(': ')).join('; ');
  } catch {
    return undefined;
  }
};

/** Throws {@link RegistryError} with the registry's words. */
async function expectStatus(response: IncomingMessage, wanted: number): Promise<void> {
  const { statusCode = 0 } = response;
  if (statusCode === wanted) return;
  const text = (await bodyOf(response).catch(() => Buffer.alloc(0))).toString();
  const said = errorsMessage(text);
  if (statusCode === 404) throw new RegistryError(said ? `not found (${said})` : 'not found', statusCode);
  if (statusCode === 401 || statusCode === 403) {
    throw new RegistryError(
      `pull access denied, repository does not exist or may require authorization: ${said ?? `status ${statusCode}`}`,
      statusCode,
    );
  }
  throw new RegistryError(`unexpected status ${statusCode}${said ? `: ${said}` : ''}`, statusCode);
}

function boundedTo(bytesMax: number): Transform {
  let left = bytesMax;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      left -= chunk.length;
      if (left < 0) done(new RegistryError('a blob is longer than its manifest says'));
      else done(null, chunk);
    },
  });
}

async function sizeOf(file: string): Promise<number | undefined> {
  return await stat(file).then(
    found => found.size,
    () => undefined,
  );
}
