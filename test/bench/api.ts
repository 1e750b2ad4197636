/**
 * The API server under load: creates, gets and lists by `wrk` over TLS, a list of 20,000 objects, a thousand watchers of one
 * kind, and the memory that it takes. Load goes straight to one master; the others replicate.
 */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type ClientHttp2Session, connect } from 'node:http2';
import { join } from 'node:path';
import { readKubeconfigCredentials } from '../../control/pki/kubeconfig.ts';
import { type Api, connectApi } from '../helpers/api.ts';
import type { TestCluster } from '../helpers/cluster.ts';
import { until } from '../helpers/run.ts';
import { closedLoop, row } from './measure.ts';
import { residentBytes } from './resident.ts';
import { creatingScript, findWrk, runWrk } from './wrk.ts';

const LIST_SIZE = 500;
const LARGE_LIST_SIZE = 20_000;
const WATCHERS = 1_000;
const WATCHERS_A_SESSION = 100;
const WATCHED_CREATES = 500;

export interface ApiBenchOptions {
  readonly cluster: TestCluster;
  readonly masters: number;
  readonly seconds: number;
  print(line: string): void;
}

/** Prints its table; the cluster must be up and otherwise idle. */
export async function benchApi({ cluster, masters, seconds, print }: ApiBenchOptions): Promise<void> {
  const wrk = findWrk();
  if (!wrk) return print('skipped: it needs wrk on the PATH (Debian: apt-get install wrk)');
  // The address that `up` gives goes through a proxy of its own; load goes to the first master behind it.
  const port = cluster.port + 1;
  const api = await connectApi(cluster.kubeconfig, port);
  const token = await makeToken(api);
  const origin = `https://127.0.0.1:${port}`;
  const path = '/api/v1/namespaces/bench/configmaps';
  const script = join(cluster.directory, 'create.lua');
  await writeFile(script, creatingScript(path, token));
  const load = { token, seconds };

  for (const connections of [1, 64]) {
    const figures = await runWrk(wrk, { ...load, url: origin, connections, script });
    print(row(`create ConfigMaps of 1 KiB, ${connections} at once`, figures));
  }
  await must(api, 'POST', path, configMap('one'));
  print(
    row('get one of them, 64 at once', await runWrk(wrk, { ...load, url: `${origin}${path}/one`, connections: 64 })),
  );
  const listUrl = `${origin}${path}?limit=${LIST_SIZE}`;
  print(row(`list ${LIST_SIZE}, 4 at once`, await runWrk(wrk, { ...load, url: listUrl, connections: 4 })));

  const large = '/api/v1/namespaces/large/configmaps';
  await closedLoop({
    concurrency: 32,
    total: LARGE_LIST_SIZE,
    operation: async i => void (await must(api, 'POST', large, configMap(`c-${i}`))),
  });
  print(row(`list ${LARGE_LIST_SIZE}, 2 at once`, await runWrk(wrk, { ...load, url: origin + large, connections: 2 })));
  await benchWatchers(cluster, { api, port, print });
  for (let number = 1; number <= masters; number++) {
    const bytes = await residentBytes(await cluster.pidOf(`master-${number}`));
    print(`master-${number} afterwards${' '.repeat(19)}${Math.round(bytes / 2 ** 20)} MiB resident`);
  }
  api.close();
}

const configMap = (name: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { text: 'x'.repeat(1024) },
});

async function must(api: Api, method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await api.call(method, path, body, { timeoutMs: 30_000 });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Namespaces for the load, and a ServiceAccount that may do all: wrk cannot show a client certificate. */
async function makeToken(api: Api): Promise<string> {
  for (const name of ['bench', 'large', 'watched']) {
    await must(api, 'POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
  const accounts = '/api/v1/namespaces/bench/serviceaccounts';
  await must(api, 'POST', accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'load' } });
  await must(api, 'POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'bench-load' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'load', namespace: 'bench' }],
  });
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const { status } = (await must(api, 'POST', `${accounts}/load/token`, request)) as { status: { token: string } };
  return status.token;
}

/** A thousand clients that watch one namespace while objects are made in it. */
async function benchWatchers(
  { kubeconfig }: TestCluster,
  { api, port, print }: { readonly api: Api; readonly port: number; readonly print: (line: string) => void },
): Promise<void> {
  const { authority, certificate, key } = await readKubeconfigCredentials(kubeconfig);
  const path = '/api/v1/namespaces/watched/configmaps';
  let told = 0;
  const sessions: ClientHttp2Session[] = [];
  for (let first = 0; first < WATCHERS; first += WATCHERS_A_SESSION) {
    const session = connect(`https://127.0.0.1:${port}`, { ca: authority, cert: certificate, key });
    sessions.push(session);
    const heads = Array.from({ length: WATCHERS_A_SESSION }, () => {
      const stream = session.request({ ':path': `${path}?watch=1` });
      // Each event is one line.
      stream.on('data', (chunk: Buffer) => {
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) told++;
      });
      stream.on('error', () => {});
      return once(stream, 'response');
    });
    await Promise.all(heads);
  }
  const startedAt = performance.now();
  const creates = await closedLoop({
    concurrency: 16,
    total: WATCHED_CREATES,
    operation: async i => void (await must(api, 'POST', path, configMap(`w-${i}`))),
  });
  // The loop's warm-up makes objects, too.
  const expected = WATCHERS * (creates.operations + Math.floor(WATCHED_CREATES / 10));
  await until('all events', () => told >= expected, 120_000);
  const elapsedMs = performance.now() - startedAt;
  print(row(`create under ${WATCHERS.toLocaleString('en')} watchers, 16 at once`, creates));
  print(
    `events told to them${' '.repeat(16)}${Math.round(told / (elapsedMs / 1000))
      .toLocaleString('en')
      .padStart(9)}/s`,
  );
  for (const session of sessions) session.destroy();
}
