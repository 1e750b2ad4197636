/** A node's agent as far as tunnels need it, and objects that make a service lead through it: for tests. */
import type { IncomingMessage, Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ExecutionContext } from 'ava';
import { ADMIN } from './harness.ts';
import type { World } from './tls-world.ts';

export const portOf = (server: Server) => (server.address() as AddressInfo).port;

/** Resolves when the server takes connections; it is closed at the end of the test. */
export async function listening(t: ExecutionContext, server: Server): Promise<number> {
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', () => resolve()));
  t.teardown(() => new Promise<void>(resolve => void server.close(() => resolve()).closeAllConnections()));
  return portOf(server);
}

export interface FakeAgent {
  readonly port: number;
  /** `NAMESPACE/POD:PORT` of every tunnel that was asked for. */
  readonly tunnels: string[];
}

/** An agent of node `n1` whose pods all listen on this machine's loopback. */
export async function fakeAgent(t: ExecutionContext, world: World): Promise<FakeAgent> {
  const own = await world.issue({ commonName: 'system:node:n1', organizations: ['system:nodes'], usages: ['server'] });
  const tunnels: string[] = [];
  const server = createHttps(
    { key: own.key, cert: own.certificate, ca: world.authority.certificate, requestCert: true },
    (_, response) => void response.end(),
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    const [, , namespace, name, port] = (request.url ?? '').split('/');
    tunnels.push(`${namespace}/${name}:${port}`);
    const pod = connect({ host: '127.0.0.1', port: Number(port), allowHalfOpen: true });
    const refuse = () => {
      const text = `dial tcp 127.0.0.1:${port}: connect: connection refused`;
      socket.end(`HTTP/1.1 502 Bad Gateway\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    };
    pod.once('error', refuse);
    pod.once('connect', () => {
      pod.off('error', refuse);
      pod.on('error', () => socket.destroy());
      pod.on('close', () => socket.destroy());
      socket.on('error', () => pod.destroy());
      socket.on('close', () => pod.destroy());
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
      socket.allowHalfOpen = true;
      socket.pipe(pod).pipe(socket);
    });
  });
  return { port: await listening(t, server), tunnels };
}

/** Sends a request to the world's server as its administrator; the answer must be a success. */
export async function send(
  world: World,
  method: string,
  path: string,
  body?: object,
): Promise<Record<string, unknown>> {
  const response = await world.server.handle(
    {
      method,
      path,
      headers: { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    },
    ADMIN,
  );
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  if (response.status >= 300) throw new Error(`${method} ${path}: ${text}`);
  return JSON.parse(text);
}

export interface ServiceOfPods {
  readonly namespace: string;
  readonly name: string;
  /** The pods behind it, by name, with the port of this machine that each listens on. */
  readonly pods: Readonly<Record<string, number>>;
  /** The Service's own port. */
  readonly port?: number;
}

/** Makes node `n1` with the agent's port. */
export async function addNode(world: World, agent: FakeAgent): Promise<void> {
  await send(world, 'POST', '/api/v1/nodes', {
    metadata: { name: 'n1' },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: agent.port } },
    },
  });
}

/** Makes a service whose ready endpoints are pods on node `n1`. */
export async function addService(world: World, { namespace, name, pods, port = 443 }: ServiceOfPods): Promise<void> {
  const within = `/api/v1/namespaces/${namespace}`;
  await send(world, 'POST', `${within}/services`, {
    metadata: { name },
    spec: { ports: [{ name: 'web', port, targetPort: 'web' }] },
  });
  let index = 0;
  for (const [podName, podPort] of Object.entries(pods)) {
    await send(world, 'POST', `${within}/pods`, {
      metadata: { name: podName },
      spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'a:1' }] },
    });
    // One slice a pod: all listen on one machine, so each has a port of its own.
    await send(world, 'POST', `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
      metadata: { name: `${name}-${podName}`, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: [
        {
          addresses: [`10.244.0.${++index}`],
          conditions: { ready: true },
          targetRef: { kind: 'Pod', name: podName, namespace },
        },
      ],
      ports: [{ name: 'web', port: podPort, protocol: 'TCP' }],
    });
  }
}
