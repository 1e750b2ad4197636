/**
 * An issuer of tokens (k/k apiserver/plugin/pkg/authenticator/token/oidc): its keys are fetched when a token first names it, and
 * again when one names a key that is not known.
 */
import { request } from 'node:https';
import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, errors as joseErrors, jwtVerify } from 'jose';
import { z } from 'zod';
import type { Clock, Logger } from '../types.ts';

export interface IssuerOptions {
  /** `https://…`, exactly as it stands in the tokens. */
  readonly url: string;
  /** Where it describes itself, if not at its well-known path. */
  readonly discoveryUrl?: string | undefined;
  /** A token is for one of them at least. */
  readonly audiences: readonly string[];
  /** Of {@link ALGORITHMS}. */
  readonly signingAlgorithms: readonly string[];
  /** The authority of the issuer's certificate, PEM; those of the system if not given. */
  readonly authority?: string | undefined;
}

/** How tokens may be signed at all. */
export const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'] as const;
const FETCH_MS_MAX = 5_000;
const DOCUMENT_BYTES_MAX = 1024 * 1024;
/** Between two fetches because of a key that is not known: anybody can name one. */
const REFETCH_MS = 10_000;

const configurationSchema = z.object({ issuer: z.string(), jwks_uri: z.url() });
const keySetSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

export class Issuer {
  readonly #options: IssuerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #keys: ReturnType<typeof createLocalJWKSet> | undefined;
  #fetching: Promise<void> | undefined;
  #fetchedMs = Number.NEGATIVE_INFINITY;

  constructor(options: IssuerOptions, { clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** What a token of this issuer says; undefined if it does not hold, or is for none of the audiences. */
  async verify(token: string): Promise<JWTPayload | undefined> {
    if (!this.#keys) await this.#fetchOnce();
    const first = await this.#tryVerify(token);
    if (first !== 'unknown key') return first;
    await this.#fetchOnce();
    const second = await this.#tryVerify(token);
    return second === 'unknown key' ? undefined : second;
  }

  async #tryVerify(token: string): Promise<JWTPayload | undefined | 'unknown key'> {
    const { url, audiences, signingAlgorithms } = this.#options;
    if (!this.#keys) return undefined;
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer: url,
        audience: [...audiences],
        algorithms: [...signingAlgorithms],
        requiredClaims: ['exp'],
        currentDate: new Date(this.#clock.now()),
      });
      return payload;
    } catch (error) {
      if (error instanceof joseErrors.JWKSNoMatchingKey) return 'unknown key';
      // A provider that keeps the name of a key and changes the key.
      if (error instanceof joseErrors.JWSSignatureVerificationFailed) return 'unknown key';
      if (error instanceof joseErrors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  }

  /** Fetches the keys, once for all that wait for them, and not again at once. Never rejects. */
  #fetchOnce(): Promise<void> {
    if (!this.#fetching && this.#clock.now() - this.#fetchedMs < REFETCH_MS) return Promise.resolve();
    this.#fetching ??= this.#fetch()
      .catch((error: unknown) => {
        this.#logger.warn(
          { error: String(error), issuer: this.#options.url },
          'the keys of an issuer of tokens could not be fetched',
        );
      })
      .finally(() => {
        this.#fetchedMs = this.#clock.now();
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  async #fetch(): Promise<void> {
    const { url, discoveryUrl } = this.#options;
    const configuration = configurationSchema.parse(
      await this.#document(discoveryUrl ?? `${url.replace(/\/$/, '')}/.well-known/openid-configuration`),
    );
    if (configuration.issuer !== url) throw new Error(`the issuer says that it is ${configuration.issuer}`);
    const keys = keySetSchema.parse(await this.#document(configuration.jwks_uri));
    this.#keys = createLocalJWKSet(keys as JSONWebKeySet);
  }

  #document(url: string): Promise<unknown> {
    const { authority } = this.#options;
    return new Promise((resolve, reject) => {
      const outgoing = request(
        url,
        { signal: AbortSignal.timeout(FETCH_MS_MAX), ...(authority !== undefined && { ca: authority }) },
        answer => {
          const chunks: Buffer[] = [];
          let size = 0;
          answer.on('data', (chunk: Buffer) => {
            size += chunk.length;
            if (size > DOCUMENT_BYTES_MAX) outgoing.destroy(new Error(`${url} is too large`));
            else chunks.push(chunk);
          });
          answer.on('error', reject);
          answer.on('end', () => {
            if (answer.statusCode !== 200) return reject(new Error(`${url} answered ${answer.statusCode}`));
            try {
              resolve(JSON.parse(Buffer.concat(chunks).toString()));
            } catch (error) {
              reject(error);
            }
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end();
    });
  }
}
