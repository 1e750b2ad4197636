/** An API server with one pod on a node whose agent is played: for tests of streams and logs. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ExecutionContext } from 'ava';
import type { Limits } from '../limits.ts';
import { ADMIN } from './harness.ts';
import { type World, worldOf } from './tls-world.ts';

/** An agent that upgrades and then gives everything back in capitals, or refuses. */
async function fakeAgent(
  t: ExecutionContext,
  world: World,
  nodeName: string,
): Promise<{ port: number; heads: string[] }> {
  const own = await world.issue({
    commonName: `system:node:${nodeName}`,
    organizations: ['system:nodes'],
    usages: ['server'],
  });
  const heads: string[] = [];
  const agent = createServer(
    {
      key: own.key,
      cert: own.certificate,
      ca: world.authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      heads.push(`${request.method} ${request.url}`);
      if (request.url?.includes('gone')) {
        response.statusCode = 404;
        response.end('no such container');
        return;
      }
      response.write('line 1\n');
      if (!request.url?.includes('endless')) response.end('line 2\n');
    },
  );
  agent.on('upgrade', (request, socket: Duplex) => {
    heads.push(`${request.method} ${request.url} ${request.headers['x-stream-protocol-version'] ?? ''}`);
    if (request.url?.includes('refuse')) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nnot you');
      return;
    }
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
    );
    socket.on('data', chunk => socket.write(chunk.toString().toUpperCase()));
    socket.on('end', () => socket.end('bye'));
  });
  await new Promise<void>(resolve => agent.listen(0, '127.0.0.1', resolve));
  t.teardown(() => agent.close());
  return { port: (agent.address() as AddressInfo).port, heads };
}

/** Pod `p` of node `n1` with containers `c`, `gone` (no log), `endless` (a log without an end) and `refuse` (no stream). */
export async function worldWithPod(t: ExecutionContext, limits: Partial<Limits> = {}) {
  const world = await worldOf(t, { limits });
  const agent = await fakeAgent(t, world, 'n1');
  const post = async (method: string, path: string, body: object) => {
    const headers = { 'content-type': 'application/json' };
    const response = await world.server.handle({ method, path, headers, body: JSON.stringify(body) }, ADMIN);
    t.true(response.status < 300, path);
  };
  const status = {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: agent.port } },
  };
  await post('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, status });
  await post('POST', '/api/v1/namespaces/default/pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: {
      nodeName: 'n1',
      containers: [
        { name: 'c', image: 'a:1' },
        { name: 'gone', image: 'a:1' },
        { name: 'endless', image: 'a:1' },
        { name: 'refuse', image: 'a:1' },
      ],
    },
  });
  const admin = await world.issue({ commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
  return { world, agent, credentials: { key: admin.key, cert: admin.certificate } };
}
