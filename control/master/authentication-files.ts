/** Reads the files that the flags of authentication name. */
import { readFile } from 'node:fs/promises';
import { DEFAULT_HEADERS } from '../apiserver/auth/request-header.ts';
import { parseTokenFile } from '../apiserver/auth/token-file.ts';
import { AuthenticationFile, type AuthenticationFileOptions } from './authentication-file.ts';
import type { AuthenticationFlags } from './options.ts';

/**
 * The API server's options that follow from the flags. A configuration is followed until its closer is called. Throws if a file
 * cannot be read or understood.
 */
export async function readAuthentication({
  flags: { tokenFile, proxyAuthorityFile, proxyNames, isAnonymousRefused, oidc, configurationFile: file },
  closers,
  ...rest
}: {
  readonly flags: AuthenticationFlags;
  readonly closers: (() => Promise<void>)[];
} & Pick<AuthenticationFileOptions, 'ownIssuer' | 'clock' | 'logger'>) {
  const configuration =
    file === undefined ? undefined : await AuthenticationFile.open({ ...rest, file, isAnonymousRefused });
  if (configuration) closers.push(() => configuration.close());
  return {
    refusesAnonymous: isAnonymousRefused,
    configuredAuthentication: configuration?.authentication,
    ...(oidc && {
      oidc: {
        ...oidc,
        ...(oidc.authorityFile !== undefined && { authority: await readFile(oidc.authorityFile, 'utf8') }),
      },
    }),
    ...(tokenFile !== undefined && { staticTokens: parseTokenFile(await readFile(tokenFile, 'utf8')) }),
    ...(proxyAuthorityFile !== undefined && {
      requestHeader: {
        ...DEFAULT_HEADERS,
        clientCa: await readFile(proxyAuthorityFile, 'utf8'),
        allowedNames: proxyNames ?? [],
      },
    }),
  };
}
