/** Ingress of one node over an API in memory, with backends on loopback, for tests. */

import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { RestClient } from '../../../control/client/rest.ts';
import { MemoryApi } from '../../../control/client/testing/memory-api.ts';
import { until } from '../../../control/client/testing/until.ts';
import {
  type EndpointSlice,
  endpointslices,
  Informer,
  type Ingress,
  ingressclasses,
  ingresses,
  type Kind,
  type KubernetesObject,
  type Node,
  nodes,
  type Secret,
  type Service,
  services,
} from '../../api.ts';
import { systemClock } from '../../clock.ts';
import { makeTestTls } from '../../testing/tls.ts';
import { quiet } from '../../testing/world.ts';
import { NodeIngress } from '../ingress.ts';
import type { IngressPorts } from '../listeners.ts';
import { ownClass, serviceOf, sliceOf } from './objects.ts';

export interface IngressBench {
  readonly client: RestClient;
  readonly ingress: NodeIngress;
  readonly http: number;
  readonly https: number;
  /** `reason: message` of events. */
  readonly told: string[];
  put<T extends KubernetesObject>(kind: Kind<T>, object: T): Promise<void>;
  /** Makes the Service `name` with these backends, and waits until the node routes to them. */
  serve(name: string, ports: readonly number[]): Promise<void>;
  /** Adds an Ingress, and waits until the node knows it. */
  route(object: Ingress): Promise<void>;
}

export async function newIngressBench(
  t: ExecutionContext,
  ports: Partial<IngressPorts> = {},
  options: { readonly isReady?: boolean } = {},
): Promise<IngressBench> {
  const clock = systemClock;
  const api = new MemoryApi(clock);
  const client = new RestClient({ transport: api, clock, userAgent: 'test' });
  const common = { client, clock, random: () => 0.5, logger: quiet };
  const informer = <T extends KubernetesObject>(kind: Kind<T>) => new Informer<T>({ ...common, kind });
  const informers = {
    services: informer<Service>(services),
    slices: informer<EndpointSlice>(endpointslices),
    nodes: informer<Node>(nodes),
  };
  await client.create(ingressclasses, ownClass);
  await client.create(nodes, { metadata: { name: 'node-1' } });
  const told: string[] = [];
  const { server } = makeTestTls();
  const ingress = new NodeIngress({
    ...common,
    ...informers,
    nodeName: 'node-1',
    recorder: { record: (_object, { reason, message }) => void told.push(`${reason}: ${message}`) },
    ports: { http: 0, https: 0, host: '127.0.0.1', ...ports },
    defaultCertificate: { cert: server.cert, key: server.key },
  });
  const stopping = new AbortController();
  const running = [...Object.values(informers).map(one => one.run(stopping.signal)), ingress.run(stopping.signal)];
  t.teardown(async () => {
    stopping.abort();
    await ingress.close();
    await Promise.all(running);
  });
  const put: IngressBench['put'] = async (kind, object) => {
    const { namespace, name = '' } = object.metadata ?? {};
    const key = { name, ...(namespace && { namespace }) };
    const known = await client.get(kind, key).catch(() => undefined);
    if (!known) await client.create(kind, object);
    else await client.update(kind, { ...object, metadata: { ...known.metadata, ...object.metadata } });
  };
  if (options.isReady !== false) await until('the table', () => ingress.isReady);
  return {
    client,
    ingress,
    told,
    get http() {
      return ingress.port('http') ?? 0;
    },
    get https() {
      return ingress.port('https') ?? 0;
    },
    put,
    async serve(name, backends) {
      await put(services, serviceOf(name));
      for (const port of backends) await put(endpointslices, sliceOf(name, { port }));
      await until(`the endpoints of ${name}`, () => {
        const found = ingress.backend({ key: `default/${name}:80`, service: `default/${name}`, port: 80 });
        return found.type === 'endpoints' && found.endpoints.length === backends.length;
      });
    },
    async route(object) {
      await put(ingresses, object);
      const host = object.spec?.rules?.[0]?.host ?? '';
      const path = object.spec?.rules?.[0]?.http?.paths[0]?.path ?? '/';
      const wanted = `${object.metadata?.namespace}/${object.metadata?.name}`;
      const target = { host, path, forwarded: path, authority: host };
      await until(`the route of ${wanted}`, () => ingress.route(target)?.ingress === wanted);
    },
  };
}

/** An HTTP server on a free loopback port, closed with the test. */
export async function startBackend(
  t: ExecutionContext,
  listener: RequestListener,
): Promise<{ port: number; server: Server }> {
  const server = createServer(listener);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server };
}

export function tlsSecret(name: string, { cert, key }: { cert: string; key: string }): Secret {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'default' },
    type: 'kubernetes.io/tls',
    data: { 'tls.crt': encode(cert), 'tls.key': encode(key) },
  };
}
