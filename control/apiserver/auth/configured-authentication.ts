/** Who gets in by an AuthenticationConfiguration. It may be exchanged at any time; requests under way end by the one before. */
import type { Clock, Identity, Logger } from '../types.ts';
import type { AnonymousRule, AuthenticationConfiguration } from './authentication-configuration.ts';
import { issuerIn, JwtAuthenticator, type TokenIdentifier } from './jwt-authenticator.ts';

interface Known {
  readonly text: string;
  readonly authenticator: JwtAuthenticator;
}

export class ConfiguredAuthentication implements TokenIdentifier {
  readonly #dependencies: { readonly clock: Clock; readonly logger: Logger };
  #byIssuer: ReadonlyMap<string, Known> = new Map();
  #anonymous: AnonymousRule | undefined;

  constructor(
    configuration: AuthenticationConfiguration,
    dependencies: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#dependencies = dependencies;
    this.use(configuration);
  }

  /** Takes effect at once. Issuers for which nothing has changed keep their keys. */
  use({ jwt, anonymous }: AuthenticationConfiguration): void {
    const before = this.#byIssuer;
    this.#byIssuer = new Map(
      jwt.map(({ text, ...options }) => {
        const { url } = options.issuer;
        const known = before.get(url);
        const kept = known?.text === text ? known : undefined;
        return [url, kept ?? { text, authenticator: new JwtAuthenticator(options, this.#dependencies) }];
      }),
    );
    this.#anonymous = anonymous;
  }

  /** Whether a request for the path may be anonymous; undefined if nothing is said about it. */
  admitsAnonymous(path: string): boolean | undefined {
    if (!this.#anonymous) return undefined;
    const { enabled, paths } = this.#anonymous;
    return enabled && (paths.length === 0 || paths.includes(path));
  }

  async identify(token: string): Promise<Identity | undefined> {
    const issuer = issuerIn(token);
    return issuer === undefined ? undefined : this.#byIssuer.get(issuer)?.authenticator.identify(token);
  }
}
