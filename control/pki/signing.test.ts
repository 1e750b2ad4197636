/** What comes out when a request is signed as it stands. */
import { X509Certificate } from 'node:crypto';
import test from 'ava';
import { createAuthority } from './authority.ts';
import { signAsRequested } from './signing.ts';
import { makeRequest } from './testing/requests.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 3_600_000;

test('a certificate has the request’s names and key, and the signer’s usages', async t => {
  const authority = await createAuthority('ca', { nowMs: NOW_MS });
  for (const key of ['ec', 'rsa'] as const) {
    const request = await makeRequest({
      CN: 'system:node:n1',
      O: ['system:nodes'],
      dns: ['n1'],
      ip: ['10.0.0.1'],
      key,
    });
    const pem = await signAsRequested(authority, request, {
      usages: ['digital signature', 'server auth'],
      nowMs: NOW_MS,
      expirationSeconds: undefined,
    });
    const certificate = new X509Certificate(pem);
    t.true(certificate.verify(new X509Certificate(authority.certificate).publicKey));
    t.is(certificate.subject, 'O=system:nodes\nCN=system:node:n1');
    t.is(certificate.subjectAltName, 'DNS:n1, IP Address:10.0.0.1');
    t.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1']);
    t.false(certificate.ca);
    t.is(certificate.publicKey.asymmetricKeyType, key);
  }
});

test('a certificate holds as long as it was asked for, within bounds and never longer than its authority', async t => {
  const authority = await createAuthority('ca', { nowMs: NOW_MS });
  const request = await makeRequest({ CN: 'jane' });
  const end = async (expirationSeconds: number | undefined, nowMs = NOW_MS) => {
    const pem = await signAsRequested(authority, request, { usages: ['client auth'], nowMs, expirationSeconds });
    return Date.parse(new X509Certificate(pem).validTo) - nowMs;
  };
  t.is(await end(600), 600_000);
  t.is(await end(1), 600_000);
  t.is(await end(30 * 24 * 3600), 30 * DAY_MS - 300_000);
  t.is(await end(undefined), 365 * DAY_MS - 300_000);
  t.is(await end(undefined, NOW_MS + 3640 * DAY_MS), 10 * DAY_MS);
});

test('a request that is not signed by its own key is refused', async t => {
  const authority = await createAuthority('ca', { nowMs: NOW_MS });
  const der = Buffer.from((await makeRequest({ CN: 'jane' })).replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  const last = der.length - 1;
  der[last] = (der[last] ?? 0) ^ 1;
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  const options = { usages: ['client auth'] as const, nowMs: NOW_MS, expirationSeconds: undefined };
  await t.throwsAsync(signAsRequested(authority, pem, options), { message: /not signed by its own key/ });
});
