/**
 * What a client gets for its password: the user's name, since when it has this password, and until when the token is good,
 * signed with the cluster's secret. Every member can check it, and none has to remember it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { TOKEN_LENGTH_MAX, TOKEN_LIFE_MS, TOKENS_KNOWN_MAX } from './limits.ts';

export interface TokenClaims {
  readonly user: string;
  /** The auth revision at which the user got its password. */
  readonly since: number;
}

interface Known extends TokenClaims {
  readonly expiresAtMs: number;
}

export class Tokens {
  readonly #wallClock: () => Date;
  /** Those that were found good, with the secret that signed them. */
  readonly #known = new Map<string, Known>();
  #secret: Uint8Array = new Uint8Array(0);

  constructor(wallClock: () => Date) {
    this.#wallClock = wallClock;
  }

  issue({ user, since }: TokenClaims, secret: Uint8Array): string {
    const expiresAtMs = this.#wallClock().getTime() + TOKEN_LIFE_MS;
    const body = Buffer.from(`${expiresAtMs}:${since}:${user}`).toString('base64url');
    return `${body}.${signature(body, secret)}`;
  }

  /** What a token says; undefined if it is none of ours, or its time is over. */
  read(token: string, secret: Uint8Array): TokenClaims | undefined {
    if (this.#secret !== secret) {
      this.#known.clear();
      this.#secret = secret;
    }
    const claims = this.#known.get(token) ?? this.#checked(token, secret);
    return claims !== undefined && claims.expiresAtMs > this.#wallClock().getTime() ? claims : undefined;
  }

  #checked(token: string, secret: Uint8Array): Known | undefined {
    const [body = '', signed = ''] = token.split('.');
    if (token.length > TOKEN_LENGTH_MAX || !isSame(signed, signature(body, secret))) return undefined;
    const [, expiresAtMs, since, user] = /^(\d+):(\d+):(.*)$/s.exec(Buffer.from(body, 'base64url').toString()) ?? [];
    if (user === undefined) return undefined;
    const claims = { user, since: Number(since), expiresAtMs: Number(expiresAtMs) };
    if (this.#known.size >= TOKENS_KNOWN_MAX) this.#known.clear();
    this.#known.set(token, claims);
    return claims;
  }
}

function signature(body: string, secret: Uint8Array): string {
  return createHmac('sha256', secret).update(body).digest('base64url');
}

function isSame(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one), Buffer.from(other)];
  return first.length === second.length && timingSafeEqual(first, second);
}
