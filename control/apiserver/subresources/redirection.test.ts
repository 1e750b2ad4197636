/** Whatever a node answers, the API server goes nowhere else, and sends nobody elsewhere. */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { ADMIN } from '../testing/harness.ts';
import { ask, type World, worldOf } from '../testing/tls-world.ts';

const UPGRADE = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' };

/** An agent that answers everything so; it counts connections. */
async function agent(t: ExecutionContext, world: World, answer: (url: string) => string) {
  const own = await world.issue({ commonName: 'system:node:n', organizations: ['system:nodes'], usages: ['server'] });
  const heard = { connections: 0, port: 0 };
  const server: Server = createServer({ key: own.key, cert: own.certificate }, ({ url = '', socket }) =>
    socket.end(answer(url)),
  );
  server.on('upgrade', ({ url = '' }, socket: Duplex) => socket.end(answer(url)));
  server.on('connection', () => {
    heard.connections += 1;
  });
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise<void>(resolve => void server.close(() => resolve()).closeAllConnections()));
  heard.port = (server.address() as AddressInfo).port;
  return heard;
}

test('CVE-2020-8559: a node that redirects a stream leads nobody to another node', async t => {
  const world = await worldOf(t);
  const other = await agent(t, world, () => 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret');
  const hostile = await agent(
    t,
    world,
    url => `HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:${other.port}${url}\r\nContent-Length: 0\r\n\r\n`,
  );
  const send = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' };
    const request = { method: 'POST', path, headers, body: JSON.stringify(body) };
    t.true((await world.server.handle(request, ADMIN)).status < 300, path);
  };
  await send('/api/v1/nodes', {
    metadata: { name: 'n' },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: hostile.port } },
    },
  });
  await send('/api/v1/namespaces/default/pods', {
    metadata: { name: 'p' },
    spec: { nodeName: 'n', containers: [{ name: 'c', image: 'a:1' }] },
  });
  const admin = await world.issue({ commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
  const credentials = { key: admin.key, cert: admin.certificate };
  const pod = '/api/v1/namespaces/default/pods/p';
  const asked = ['exec?command=x&stdout=true', 'attach?stdout=true', 'portforward?ports=80', 'log'];
  for (const [index, what] of asked.entries()) {
    const stream = what === 'log' ? {} : { method: 'POST', headers: UPGRADE };
    const answer = await ask(world, `${pod}/${what}`, { ...stream, ...credentials });
    t.true(answer.status >= 300, `${what}: ${answer.status}`);
    t.is(answer.headers.location, undefined, what);
    t.is((JSON.parse(answer.text) as { kind: string }).kind, 'Status', what);
    t.is(hostile.connections, index + 1, `${what}: the node was asked`);
  }
  t.is(other.connections, 0);
});
