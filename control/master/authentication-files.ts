/** Reads the files that the flags of authentication name. */
import { readFile } from 'node:fs/promises';
import { DEFAULT_HEADERS } from '../apiserver/auth/request-header.ts';
import { parseTokenFile } from '../apiserver/auth/token-file.ts';
import type { AuthenticationFlags } from './options.ts';

/** The API server's options that follow from the flags. Throws if a file cannot be read or understood. */
export async function readAuthentication({
  tokenFile,
  proxyAuthorityFile,
  proxyNames,
  isAnonymousRefused,
  oidc,
}: AuthenticationFlags) {
  return {
    refusesAnonymous: isAnonymousRefused,
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
