/** Flags that say who gets in besides those whom the cluster itself knows, named as Kubernetes names them. */
import { type Command, InvalidArgumentError } from 'commander';
import type { AuthenticationFlags } from '../../control/master/options.ts';
import { UsageError } from '../cluster/errors.ts';
import { duration } from './failover-options.ts';

export interface AuthenticationOptionFlags {
  readonly tokenAuthFile?: string;
  readonly requestheaderClientCaFile?: string;
  readonly requestheaderAllowedNames: readonly string[];
  readonly anonymousAuth: boolean;
  readonly oidcIssuerUrl?: string;
  readonly oidcClientId?: string;
  readonly oidcUsernameClaim?: string;
  readonly oidcUsernamePrefix?: string;
  readonly oidcGroupsClaim?: string;
  readonly oidcGroupsPrefix?: string;
  readonly oidcRequiredClaim: readonly string[];
  readonly oidcSigningAlgs?: string;
  readonly oidcCaFile?: string;
  readonly authenticationConfig?: string;
  readonly legacyServiceAccountTokenCleanUpPeriod?: number;
}

export function addAuthenticationOptions(command: Command): Command {
  return command
    .option('--token-auth-file <file>', 'static tokens: lines of token,user,uid,"group1,group2"')
    .option(
      '--requestheader-client-ca-file <file>',
      'the authority of proxies in front, which say in X-Remote-User and X-Remote-Group who asks',
    )
    .option(
      '--requestheader-allowed-names <name>',
      'a common name that such a proxy may have (may be repeated; any if none is given)',
      collect,
      [],
    )
    .option('--oidc-issuer-url <url>', 'an OpenID Connect provider that vouches for users; https only')
    .option('--oidc-client-id <id>', 'whom its tokens must be for')
    .option('--oidc-username-claim <claim>', 'the claim that names the user (default: sub)')
    .option('--oidc-username-prefix <prefix>', 'what stands before it; - for nothing (default: the issuer and #)')
    .option('--oidc-groups-claim <claim>', 'the claim that names the groups')
    .option('--oidc-groups-prefix <prefix>', 'what stands before each of them')
    .option('--oidc-required-claim <key=value>', 'a claim that a token must have (may be repeated)', collect, [])
    .option('--oidc-signing-algs <list>', 'how tokens may be signed, by commas (default: RS256)')
    .option('--oidc-ca-file <file>', 'the authority of the provider’s certificate')
    .option(
      '--authentication-config <file>',
      'an AuthenticationConfiguration (apiserver.config.k8s.io/v1beta1): issuers of tokens, and who may be anonymous; read again when it changes',
    )
    .option('--no-anonymous-auth', 'refuse requests without credentials, health checks among them')
    .option(
      '--legacy-service-account-token-clean-up-period <time>',
      'how long a token that an old cluster made for an account goes unused before it is refused, and then removed (default 8760h)',
      period,
    );
}

/** What the flags ask for. Throws UsageError where they make no sense together. */
export function authenticationOf(flags: AuthenticationOptionFlags): AuthenticationFlags {
  const ofOidc = Object.entries(OIDC_FLAGS).find(([name]) => isGiven(flags[name as keyof AuthenticationOptionFlags]));
  if (flags.authenticationConfig !== undefined && ofOidc) {
    throw new UsageError(
      `--authentication-config and ${ofOidc[1]} exclude each other: the file names all issuers, under jwt`,
    );
  }
  return {
    tokenFile: flags.tokenAuthFile,
    proxyAuthorityFile: flags.requestheaderClientCaFile,
    proxyNames: flags.requestheaderAllowedNames,
    isAnonymousRefused: !flags.anonymousAuth,
    oidc: oidcOf(flags),
    configurationFile: flags.authenticationConfig,
    legacyTokenUnusedMs: flags.legacyServiceAccountTokenCleanUpPeriod,
  };
}

const OIDC_FLAGS = {
  oidcIssuerUrl: '--oidc-issuer-url',
  oidcClientId: '--oidc-client-id',
  oidcUsernameClaim: '--oidc-username-claim',
  oidcUsernamePrefix: '--oidc-username-prefix',
  oidcGroupsClaim: '--oidc-groups-claim',
  oidcGroupsPrefix: '--oidc-groups-prefix',
  oidcRequiredClaim: '--oidc-required-claim',
  oidcSigningAlgs: '--oidc-signing-algs',
  oidcCaFile: '--oidc-ca-file',
} as const satisfies Partial<Record<keyof AuthenticationOptionFlags, string>>;

const isGiven = (value: unknown) => value !== undefined && !(Array.isArray(value) && value.length === 0);

function oidcOf(flags: AuthenticationOptionFlags): AuthenticationFlags['oidc'] {
  const { oidcIssuerUrl: issuerUrl, oidcClientId: clientId } = flags;
  if (issuerUrl === undefined && clientId === undefined) return undefined;
  if (issuerUrl === undefined || clientId === undefined) {
    throw new UsageError('--oidc-issuer-url and --oidc-client-id need each other');
  }
  const requiredClaims = Object.fromEntries(
    flags.oidcRequiredClaim.map(pair => {
      const [, claim, value] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
      if (claim === undefined || value === undefined)
        throw new UsageError(`--oidc-required-claim: ${pair} must be key=value`);
      return [claim, value];
    }),
  );
  const { oidcUsernameClaim: usernameClaim, oidcUsernamePrefix: usernamePrefix } = flags;
  const { oidcGroupsClaim: groupsClaim, oidcGroupsPrefix: groupsPrefix } = flags;
  return {
    issuerUrl,
    clientId,
    ...(usernameClaim !== undefined && { usernameClaim }),
    ...(usernamePrefix !== undefined && { usernamePrefix }),
    ...(groupsClaim !== undefined && { groupsClaim }),
    ...(groupsPrefix !== undefined && { groupsPrefix }),
    requiredClaims,
    ...(flags.oidcSigningAlgs !== undefined && { signingAlgorithms: flags.oidcSigningAlgs.split(',') }),
    authorityFile: flags.oidcCaFile,
  };
}

/** A time of more than nothing, in milliseconds. */
function period(text: string): number {
  const ms = duration(text);
  if (ms <= 0) throw new InvalidArgumentError('it must be more than 0.');
  return ms;
}

const collect = (value: string, before: readonly string[]) => [...before, value];
