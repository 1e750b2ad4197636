/** What a registry asks for with `WWW-Authenticate`: Basic, or a Bearer token from where it says (Distribution's token specification). */
import { z } from 'zod';
import { RegistryError } from '../errors.ts';
import type { EndpointSettings } from './config.ts';
import { bodyOf, type Http } from './http.ts';

export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Reads the header. Pure. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const pattern = /([A-Za-z]+)(?=\s+[A-Za-z_]+=|\s*$|\s*,)|([A-Za-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g;
  for (const [, scheme, name, quoted, bare] of header.matchAll(pattern)) {
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    else if (name !== undefined) {
      const last = challenges.at(-1);
      if (last) last.parameters[name.toLowerCase()] = (quoted ?? bare ?? '').replaceAll(/\\(.)/g, '$1');
    }
  }
  return challenges;
}

const tokenSchema = z.object({ token: z.string().optional(), access_token: z.string().optional() });

/** The value of `Authorization` that answers a challenge; undefined if there is none. Throws {@link RegistryError}. */
export async function answerChallenge(
  http: Http,
  challenges: readonly Challenge[],
  options: {
    readonly credentials: EndpointSettings['credentials'];
    readonly repository: string;
    readonly signal: AbortSignal;
  },
): Promise<string | undefined> {
  const { credentials, repository, signal } = options;
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
  if (bearer === undefined) {
    const hasBasic = challenges.some(({ scheme }) => scheme === 'basic');
    return hasBasic ? basic(credentials) : undefined;
  }
  const { realm, service, scope = `repository:${repository}:pull` } = bearer.parameters;
  if (realm === undefined || !URL.canParse(realm))
    throw new RegistryError('the registry does not say where tokens are');
  const url = new URL(realm);
  const fields = { ...(service !== undefined && { service }), scope };
  const authorization = basic(credentials);
  const refresh = credentials?.identityToken;
  for (const [name, value] of refresh === undefined ? Object.entries(fields) : []) url.searchParams.append(name, value);
  const response = await http(
    refresh === undefined
      ? { url, signal, headers: authorization === undefined ? {} : { authorization } }
      : {
          url,
          signal,
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({
            grant_type: 'refresh_token',
            refresh_token: refresh,
            client_id: 'raftsman',
            ...fields,
          }).toString(),
        },
  );
  const body = await bodyOf(response);
  if (response.statusCode !== 200) {
    const status = response.statusCode ?? 0;
    throw new RegistryError(
      `failed to fetch anonymous token: unexpected status: ${status}`.replace(
        'anonymous',
        credentials === undefined ? 'anonymous' : 'oauth',
      ),
      status,
    );
  }
  const { token, access_token: accessToken } = tokenSchema.parse(JSON.parse(body.toString()));
  const value = token ?? accessToken;
  if (value === undefined) throw new RegistryError('the registry gave no token');
  return `Bearer ${value}`;
}

function basic(credentials: EndpointSettings['credentials']): string | undefined {
  if (credentials?.username === undefined) return undefined;
  const pair = `${credentials.username}:${credentials.password ?? ''}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}
