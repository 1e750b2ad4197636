/** An HTTPS server of a test's own, with a certificate of its own, whose connections can be cut. */
import 'reflect-metadata';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import * as x509 from '@peculiar/x509';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

async function selfSigned() {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date('2020-01-01'),
    notAfter: new Date('2099-01-01'),
    extensions: [
      new x509.BasicConstraintsExtension(true),
      new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
    ],
  });
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { cert: certificate.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n` };
}

/** Certificate and key of every server made here. */
export const identity = selfSigned();

/** Serves on loopback; `kill` ends it as a crash would, in the middle of whatever it was sending. */
export async function serve(handler: Handler, { http1 = false } = {}) {
  const { cert, key } = await identity;
  const sockets = new Set<{ destroy(): void }>();
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http1
    ? https.createServer({ cert, key }, handler)
    : http2.createSecureServer({ cert, key, allowHTTP1: true }, handler as never);
  server.on('secureConnection', socket => sockets.add(socket));
  server.on('session', session => sessions.add(session));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kill = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { url, kill, sessions: sessions as ReadonlySet<http2.ServerHttp2Session> };
}
