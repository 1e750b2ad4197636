/** An OpenID Connect provider on this machine, for tests. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { createAuthority, issueCertificate } from '../../pki/authority.ts';

const { privateKey, publicKey } = await generateKeyPair('RS256');
const other = await generateKeyPair('RS256');
const elliptic = await generateKeyPair('ES256');

export const otherKey = other.privateKey;
export const ellipticKey = elliptic.privateKey;
/** The public keys of {@link otherKey} and {@link ellipticKey}, as a provider tells them. */
export const otherPublicKey = () => exportJWK(other.publicKey);
export const ellipticPublicKey = () => exportJWK(elliptic.publicKey);

/** A provider that lives as long as the test, and signs whatever it is asked to. */
export async function provider(t: ExecutionContext) {
  const nowMs = Date.now();
  const authority = await createAuthority('provider-ca', { nowMs });
  const own = await issueCertificate(
    authority,
    { commonName: 'provider', hosts: ['127.0.0.1', 'localhost'], usages: ['server'] },
    { nowMs, validDays: 1 },
  );
  const keys: JWK[] = [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }];
  const asked: string[] = [];
  const server = createServer({ key: own.key, cert: own.certificate }, (request, response) => {
    asked.push(request.url ?? '');
    const isKeys = request.url === '/keys';
    response.end(JSON.stringify(isKeys ? { keys } : { issuer: url, jwks_uri: `${url}/keys` }));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()));
  t.teardown(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sign = (
    claims: object,
    change: { kid?: string; key?: typeof privateKey; alg?: string; expires?: string } = {},
  ) =>
    new SignJWT({ iss: url, aud: 'raftsman', sub: 'jane', groups: ['dev', 'ops'], tenant: 'a', ...claims })
      .setProtectedHeader({ alg: change.alg ?? 'RS256', kid: change.kid ?? 'one' })
      .setExpirationTime(change.expires ?? '10m')
      .sign(change.key ?? privateKey);
  return { url, authority: authority.certificate, sign, keys, asked, fetches: () => asked.length };
}
