import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import test from 'ava';
import { createAuthority, createRequest, fingerprint, issueCertificate, signRequest } from './authority.ts';

const nowMs = Date.UTC(2030, 0, 1);
const options = { nowMs, validDays: 30 };

test('a leaf carries its user, groups and hosts, and is signed by its authority', async t => {
  const authority = await createAuthority('raftsman-ca', { nowMs });
  const leaf = await issueCertificate(
    authority,
    {
      commonName: 'system:node:node-1',
      organizations: ['system:nodes'],
      hosts: ['127.0.0.1', 'localhost'],
      usages: ['client', 'server'],
    },
    options,
  );
  const parsed = new X509Certificate(leaf.certificate);
  t.true(parsed.verify(new X509Certificate(authority.certificate).publicKey));
  t.is(parsed.subject, 'O=system:nodes\nCN=system:node:node-1');
  t.is(parsed.subjectAltName, 'IP Address:127.0.0.1, DNS:localhost');
  t.is(Date.parse(parsed.validTo), nowMs + 30 * 86_400_000);
  t.false(parsed.ca);
});

test('a request is signed with the subject that the authority decides', async t => {
  const authority = await createAuthority('raftsman-ca', { nowMs });
  const { request, key } = await createRequest('system:masters-please');
  const certificate = await signRequest(
    authority,
    { pem: request, subject: { commonName: 'node-1', usages: ['client'] } },
    options,
  );
  t.is(new X509Certificate(certificate).subject, 'CN=node-1');
  t.true(new X509Certificate(certificate).checkPrivateKey((await import('node:crypto')).createPrivateKey(key)));
  await t.throwsAsync(signRequest(authority, { pem: 'nonsense', subject: { commonName: 'x', usages: [] } }, options));
});

test('TLS accepts a leaf of its own authority and refuses one of another', async t => {
  const clock = { nowMs: Date.now(), validDays: 1 };
  const [ours, foreign] = await Promise.all([createAuthority('ca', clock), createAuthority('ca', clock)]);
  const serving = await issueCertificate(ours, { commonName: 's', hosts: ['localhost'], usages: ['server'] }, clock);
  const server = createServer(
    { key: serving.key, cert: serving.certificate, ca: ours.certificate, requestCert: true, rejectUnauthorized: false },
    socket => {
      socket.end(String(socket.authorized));
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const ask = async (authority: typeof ours) => {
    const client = await issueCertificate(authority, { commonName: 'c', usages: ['client'] }, clock);
    const socket = connect({
      port: (server.address() as AddressInfo).port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: ours.certificate,
      key: client.key,
      cert: client.certificate,
    });
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    return text;
  };
  t.is(await ask(ours), 'true');
  t.is(await ask(foreign), 'false');
  t.regex(fingerprint(ours.certificate), /^[0-9a-f]{64}$/);
  server.close();
});
