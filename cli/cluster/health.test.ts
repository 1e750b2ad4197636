/** How masters are asked whether they are ready. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import test from 'ava';
import { createAuthority, issueCertificate } from '../../control/pki/authority.ts';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { isReady } from './health.ts';

interface Master {
  readonly connections: () => number;
  /** At once, with all connections. */
  end(): Promise<void>;
}

async function master(port: number, status: number): Promise<Master> {
  const nowMs = Date.now();
  const authority = await createAuthority('masters', { nowMs });
  const subject = { commonName: 'master', hosts: ['127.0.0.1'], usages: ['server' as const] };
  const { key, certificate } = await issueCertificate(authority, subject, { nowMs, validDays: 1 });
  const server: Server = createServer({ key, cert: certificate }, (_, response) =>
    response.writeHead(status).end('ok'),
  );
  let connections = 0;
  server.on('secureConnection', () => connections++);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    connections: () => connections,
    async end() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

test('a master is asked again on the connection that it was asked on', async t => {
  const port = await freePort();
  const first = await master(port, 200);
  for (let asked = 0; asked < 3; asked++) t.true(await isReady(port));
  t.is(first.connections(), 1);
  await first.end();
});

test('a master that is gone is not ready; one in its place says for itself', async t => {
  const port = await freePort();
  t.false(await isReady(port));
  const first = await master(port, 200);
  t.true(await isReady(port));
  await first.end();
  t.false(await isReady(port));
  const second = await master(port, 503);
  t.false(await isReady(port));
  await second.end();
  const third = await master(port, 200);
  // What it is asked first may still be asked of the connection that has just been lost.
  while (!(await isReady(port)));
  t.is(third.connections(), 1);
  await third.end();
});
