/** How others verify ServiceAccount tokens by themselves: OpenID Connect's discovery document and the public key. */
import type { ServiceAccountTokens } from './auth/service-account-tokens.ts';
import { jsonReply } from './http/replies.ts';
import type { Exchange, Reply } from './types.ts';

const CONFIGURATION = '/.well-known/openid-configuration';
const KEYS = '/openid/v1/jwks';
export const OPENID_PATHS: readonly string[] = [CONFIGURATION, KEYS];
const CACHED = { 'cache-control': 'public, max-age=3600' } as const;

/** Answers a GET of one of the two documents; undefined for any other path. */
export async function answerOpenId(exchange: Exchange, tokens: ServiceAccountTokens): Promise<Reply | undefined> {
  switch (exchange.info.path.replace(/\/$/, '')) {
    case CONFIGURATION:
      return jsonReply(
        200,
        {
          issuer: tokens.issuer,
          jwks_uri: `https://${exchange.localAddress}${KEYS}`,
          response_types_supported: ['id_token'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
        },
        CACHED,
      );
    case KEYS:
      return jsonReply(200, await tokens.keySet(), { 'content-type': 'application/jwk-set+json', ...CACHED });
    default:
      return undefined;
  }
}
