/** Users that an OpenID Connect provider vouches for, as the flags `--oidc-…` name it: the bearer token is an ID token. */
import type { Clock, Logger } from '../types.ts';
import { ALGORITHMS } from './issuer.ts';
import { JwtAuthenticator } from './jwt-authenticator.ts';

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

/** The options make no sense; `message` names the flag. */
export class OidcOptionsError extends Error {
  override readonly name = 'OidcOptionsError';
  readonly code = 'OIDC_OPTIONS';
  /** A master must not be started again with them. */
  readonly exitCode = 3;
}

/** @throws OidcOptionsError */
export function oidcAuthenticator(
  options: OidcOptions,
  dependencies: { readonly clock: Clock; readonly logger: Logger },
): JwtAuthenticator {
  const { issuerUrl, clientId, signingAlgorithms = ['RS256'], requiredClaims = {}, authority } = options;
  if (URL.parse(issuerUrl)?.protocol !== 'https:') {
    throw new OidcOptionsError('--oidc-issuer-url must begin with https://');
  }
  const known: readonly string[] = ALGORITHMS;
  const wrong = signingAlgorithms.find(name => !known.includes(name));
  if (wrong !== undefined) throw new OidcOptionsError(`--oidc-signing-algs: ${wrong} is not supported`);
  const { usernameClaim = 'sub', usernamePrefix, groupsClaim, groupsPrefix = '' } = options;
  const standard = usernameClaim === 'email' ? '' : `${issuerUrl}#`;
  return new JwtAuthenticator(
    {
      issuer: { url: issuerUrl, audiences: [clientId], signingAlgorithms, authority },
      rules: {
        username: { claim: usernameClaim, prefix: usernamePrefix === '-' ? '' : (usernamePrefix ?? standard) },
        groups: groupsClaim === undefined ? undefined : { claim: groupsClaim, prefix: groupsPrefix },
        requiredClaims,
      },
    },
    dependencies,
  );
}
