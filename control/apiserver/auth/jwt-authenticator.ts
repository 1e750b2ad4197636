/** Users that an issuer of tokens vouches for: the bearer token is a JSON Web Token of that issuer. */
import { decodeJwt } from 'jose';
import type { Clock, Identity, Logger } from '../types.ts';
import { type ClaimRules, ClaimsError, identityOf } from './claims.ts';
import { Issuer, type IssuerOptions } from './issuer.ts';

export interface JwtAuthenticatorOptions {
  readonly issuer: IssuerOptions;
  readonly rules: ClaimRules;
}

/** Whoever knows users by their tokens. */
export interface TokenIdentifier {
  /** Who holds the token; undefined if it does not hold, or is not known here. */
  identify(token: string): Promise<Identity | undefined>;
}

export class JwtAuthenticator implements TokenIdentifier {
  readonly #options: JwtAuthenticatorOptions;
  readonly #issuer: Issuer;
  readonly #logger: Logger;

  constructor(options: JwtAuthenticatorOptions, dependencies: { readonly clock: Clock; readonly logger: Logger }) {
    this.#options = options;
    this.#issuer = new Issuer(options.issuer, dependencies);
    this.#logger = dependencies.logger;
  }

  async identify(token: string): Promise<Identity | undefined> {
    const { issuer, rules } = this.#options;
    if (issuerIn(token) !== issuer.url) return undefined;
    const payload = await this.#issuer.verify(token);
    if (!payload) return undefined;
    try {
      return identityOf(payload, rules);
    } catch (error) {
      if (!(error instanceof ClaimsError)) throw error;
      this.#logger.debug({ issuer: issuer.url, why: error.message }, 'a token of an issuer makes no user');
      return undefined;
    }
  }
}

/** Who the token says has issued it, which is not proven; undefined if it is no token. */
export function issuerIn(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}
