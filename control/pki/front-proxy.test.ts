/** The front proxies' authority: the same for all who have the cluster's, and none that could be mistaken for it. */
import { X509Certificate } from 'node:crypto';
import test from 'ava';
import { createAuthority } from './authority.ts';
import { createFrontProxy } from './front-proxy.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const terms = { nowMs: NOW_MS, validDays: 1 };

test('what one master shows is believed by who knows the authority from another', async t => {
  const cluster = await createAuthority('cluster', terms);
  const [one, other] = await Promise.all([createFrontProxy(cluster, terms), createFrontProxy(cluster, terms)]);
  const [authority, client] = [new X509Certificate(one.authority), new X509Certificate(other.client.certificate)];
  t.true(client.verify(authority.publicKey));
  t.true(client.checkIssued(authority));
  t.is(client.subject, 'CN=front-proxy-client');
  t.is(authority.subject, 'CN=front-proxy-ca');
  t.true(authority.ca);
});

test('the cluster’s own authority vouches for no proxy, nor another cluster’s', async t => {
  const [cluster, foreign] = await Promise.all([createAuthority('a', terms), createAuthority('a', terms)]);
  const { client } = await createFrontProxy(cluster, terms);
  const certificate = new X509Certificate(client.certificate);
  t.false(certificate.verify(new X509Certificate(cluster.certificate).publicKey));
  t.false(certificate.verify(new X509Certificate((await createFrontProxy(foreign, terms)).authority).publicKey));
});
