/** An API server behind real TLS on a store in memory, and certificates for whoever wants to speak to it: for tests. */
import { randomUUID } from 'node:crypto';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { ExecutionContext } from 'ava';
import { createMemoryStore, type MemoryStore } from '../../../store/index.ts';
import { type CertificateSubject, createAuthority, issueCertificate, type KeyPair } from '../../pki/authority.ts';
import { bootstrap } from '../bootstrap.ts';
import { reconcileRoles } from '../bootstrap-roles.ts';
import { systemClock } from '../clock.ts';
import { type ApiServer, type ApiServerOptions, createApiServer } from '../server.ts';
import { ADMIN, seededRandom, silentLogger, VERSION } from './harness.ts';

export interface World {
  readonly server: ApiServer;
  readonly authority: KeyPair;
  readonly port: number;
  readonly store: MemoryStore;
  issue(subject: CertificateSubject): Promise<KeyPair>;
}

export async function worldOf(t: ExecutionContext, overrides: Partial<ApiServerOptions> = {}): Promise<World> {
  const authority = await createAuthority('test', { nowMs: systemClock.now() });
  const issue = (subject: CertificateSubject) =>
    issueCertificate(authority, subject, { nowMs: systemClock.now(), validDays: 1 });
  const own = await issue({ commonName: 'apiserver', hosts: ['127.0.0.1', 'localhost'], usages: ['server'] });
  const kubelet = await issue({ commonName: 'kube-apiserver', organizations: ['system:masters'], usages: ['client'] });
  const store = createMemoryStore();
  const server = createApiServer({
    store,
    tls: { key: own.key, cert: own.certificate, ca: authority.certificate },
    kubeletClient: { key: kubelet.key, cert: kubelet.certificate, ca: authority.certificate },
    listen: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    random: seededRandom(7),
    newUid: randomUUID,
    logger: silentLogger,
    serviceCIDR: '10.96.0.0/16',
    nodePortRange: '30000-32767',
    version: VERSION,
    routes: [
      {
        method: 'POST',
        path: '/raftsman/v1/open',
        authenticate: false,
        handler: async ({ body }, { user }) => ({ status: 200, body: { user, size: body.byteLength } }),
      },
      {
        method: 'GET',
        path: '/raftsman/v1/known',
        authenticate: true,
        handler: async (_request, { user }) => ({ status: 200, body: { user } }),
      },
    ],
    ...overrides,
  });
  await server.listen();
  t.teardown(() => server.close());
  await bootstrap({ server, identity: ADMIN, serviceCIDR: '10.96.0.0/16', securePort: 6443 });
  await reconcileRoles({ server, identity: ADMIN });
  return { server, authority, port: server.address.port, store, issue };
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}
export function ask(
  { port, authority }: World,
  path: string,
  options: RequestOptions & { body?: string | Buffer } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, ...rest } = options;
    const outgoing = httpsRequest(
      { host: '127.0.0.1', port, path, ca: authority.certificate, agent: false, ...rest },
      answer => {
        const chunks: Buffer[] = [];
        answer.on('data', chunk => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString(), headers: answer.headers }),
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
