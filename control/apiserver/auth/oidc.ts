/**
 * Users that an OpenID Connect provider vouches for (k/k apiserver/plugin/pkg/authenticator/token/oidc): the bearer token is
 * an ID token. The provider's keys are fetched when a token first names it, and again when one names a key that is not known.
 */
import { request } from 'node:https';
import {
  createLocalJWKSet,
  decodeJwt,
  type JSONWebKeySet,
  type JWTPayload,
  errors as joseErrors,
  jwtVerify,
} from 'jose';
import { z } from 'zod';
import type { Clock, Identity, Logger } from '../types.ts';

export interface OidcOptions {
  /** `https://…`, exactly as it stands in the tokens. */
  readonly issuerUrl: string;
  readonly clientId: string;
  /** `sub` if not given. */
  readonly usernameClaim?: string;
  /** `-` for none; if not given the issuer and `#`, except for the claim `email`. */
  readonly usernamePrefix?: string;
  readonly groupsClaim?: string;
  readonly groupsPrefix?: string;
  readonly requiredClaims?: Readonly<Record<string, string>>;
  /** RS256 if not given. */
  readonly signingAlgorithms?: readonly string[];
  /** The authority of the provider's certificate, PEM; those of the system if not given. */
  readonly authority?: string;
}

const ALGORITHMS = new Set(['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']);
const FETCH_MS_MAX = 5_000;
const DOCUMENT_BYTES_MAX = 1024 * 1024;
/** Between two fetches because of a key that is not known: anybody can name one. */
const REFETCH_MS = 10_000;

const configurationSchema = z.object({ issuer: z.string(), jwks_uri: z.url() });
const keySetSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

/** The options make no sense; `message` names the flag. */
export class OidcOptionsError extends Error {
  override readonly name = 'OidcOptionsError';
  readonly code = 'OIDC_OPTIONS';
  /** A master must not be started again with them. */
  readonly exitCode = 3;
}

export class OidcAuthenticator {
  readonly #options: OidcOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #keys: ReturnType<typeof createLocalJWKSet> | undefined;
  #fetching: Promise<void> | undefined;
  #fetchedMs = Number.NEGATIVE_INFINITY;

  /** @throws OidcOptionsError */
  constructor(options: OidcOptions, { clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    if (URL.parse(options.issuerUrl)?.protocol !== 'https:') {
      throw new OidcOptionsError('--oidc-issuer-url must begin with https://');
    }
    const wrong = (options.signingAlgorithms ?? []).find(name => !ALGORITHMS.has(name));
    if (wrong !== undefined) throw new OidcOptionsError(`--oidc-signing-algs: ${wrong} is not supported`);
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Who holds the token; undefined if it is not the provider's, or does not hold. */
  async identify(token: string): Promise<Identity | undefined> {
    if (!this.#isOurs(token)) return undefined;
    const payload = await this.#verify(token);
    return payload && this.#identityOf(payload);
  }

  #isOurs(token: string): boolean {
    try {
      return decodeJwt(token).iss === this.#options.issuerUrl;
    } catch {
      return false;
    }
  }

  async #verify(token: string): Promise<JWTPayload | undefined> {
    if (!this.#keys) await this.#fetchOnce();
    const first = await this.#tryVerify(token);
    if (first !== 'unknown key') return first;
    await this.#fetchOnce();
    const second = await this.#tryVerify(token);
    return second === 'unknown key' ? undefined : second;
  }

  async #tryVerify(token: string): Promise<JWTPayload | undefined | 'unknown key'> {
    const { issuerUrl, clientId, signingAlgorithms = ['RS256'] } = this.#options;
    if (!this.#keys) return undefined;
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer: issuerUrl,
        audience: clientId,
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

  #identityOf(payload: JWTPayload): Identity | undefined {
    const {
      usernameClaim = 'sub',
      usernamePrefix,
      groupsClaim,
      groupsPrefix = '',
      requiredClaims = {},
    } = this.#options;
    const name = payload[usernameClaim];
    if (typeof name !== 'string' || name === '') return undefined;
    if (usernameClaim === 'email' && 'email_verified' in payload && payload.email_verified !== true) return undefined;
    for (const [claim, value] of Object.entries(requiredClaims)) if (payload[claim] !== value) return undefined;
    const standard = usernameClaim === 'email' ? '' : `${this.#options.issuerUrl}#`;
    const prefix = usernamePrefix === '-' ? '' : (usernamePrefix ?? standard);
    const claimed = groupsClaim === undefined ? [] : payload[groupsClaim];
    const groups = typeof claimed === 'string' ? [claimed] : Array.isArray(claimed) ? claimed : [];
    if (!groups.every(group => typeof group === 'string')) return undefined;
    return { user: prefix + name, groups: groups.map(group => groupsPrefix + group) };
  }

  /** Fetches the keys, once for all that wait for them, and not again at once. Never rejects. */
  #fetchOnce(): Promise<void> {
    if (!this.#fetching && this.#clock.now() - this.#fetchedMs < REFETCH_MS) return Promise.resolve();
    this.#fetching ??= this.#fetch()
      .catch((error: unknown) => {
        this.#logger.warn(
          { error: String(error), issuer: this.#options.issuerUrl },
          'the keys of the OIDC provider could not be fetched',
        );
      })
      .finally(() => {
        this.#fetchedMs = this.#clock.now();
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  async #fetch(): Promise<void> {
    const { issuerUrl } = this.#options;
    const configuration = configurationSchema.parse(
      await this.#document(`${issuerUrl.replace(/\/$/, '')}/.well-known/openid-configuration`),
    );
    if (configuration.issuer !== issuerUrl) throw new Error(`the provider says that it is ${configuration.issuer}`);
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
