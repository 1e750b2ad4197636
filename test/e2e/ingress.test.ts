/**
 * Ingress in a whole cluster: the example of docs/ingress.md, asked with curl, over a rolling update under load, and with one
 * of two nodes gone. Backends are servers of the test on this machine, behind EndpointSlices of the test's own; at the end a
 * Deployment of real pods on two nodes is rolled out.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { testWith } from '../helpers/requirements.ts';
import { mustRun, run, until } from '../helpers/run.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
/** An EndpointSlice must not name loopback. */
const address = Object.values(networkInterfaces())
  .flatMap(list => list ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

let cluster: TestCluster | undefined;
const clusters: TestCluster[] = [];
let folder = '';
const servers = new Set<Server>();
test.after.always('remove the cluster', async () => {
  for (const server of servers) server.close();
  for (const one of clusters) await one.remove();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** A server on this machine that tells its name and what it was asked. */
async function startServer(name: string, delayMs = 0): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const answer = () =>
      response.end(`${name} ${request.method} ${request.url} ${request.headers['x-forwarded-proto']}\n`);
    request.resume().once('end', () => setTimeout(answer, delayMs));
  });
  servers.add(server);
  await new Promise<void>(resolve => server.listen(0, address, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise(resolve => server.close(() => resolve())),
  };
}

type State = 'ready' | 'draining';
function sliceOf(service: string, port: number, state: State) {
  const conditions = { ready: state === 'ready', serving: true, terminating: state === 'draining' };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${service}-${port}`, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port }],
    endpoints: [{ addresses: [address], conditions }],
  };
}
const serviceOf = (name: string, port: number) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { ports: [{ name: 'http', port }] },
});

async function apply(on: TestCluster, ...objects: readonly object[]): Promise<void> {
  const input = objects.map(object => JSON.stringify(object)).join('\n---\n');
  const { code, stderr } = await on.raftsman(['apply', '-f', '-'], { input });
  if (code !== 0) throw new Error(stderr);
}

async function makeCertificate(name: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:web.example.com', '-days', '2'];
  await mustRun('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert]);
  return { cert, key };
}

testWith(['curl'])('the example of the documentation', async t => {
  if (!address) {
    t.log('this machine has no address but loopback');
    t.pass();
    return;
  }
  folder = await mkdtemp(join(tmpdir(), 'raftsman-ingress-'));
  const own = await newCluster({ masters: 1, nodes: 2, runtime: 'fake', args: ['--restart-delay', '600'] });
  cluster = own;
  clusters.push(own);
  await own.start();
  const [http, https] = [own.port + 18, own.port + 19];
  t.true(own.output.includes(`Ingresses are reached at http://127.0.0.1:${http} and https://127.0.0.1:${https}`));
  const [web, api] = [await startServer('web'), await startServer('api')];
  await apply(
    own,
    serviceOf('web', 80),
    serviceOf('api', 8080),
    sliceOf('web', web.port, 'ready'),
    sliceOf('api', api.port, 'ready'),
  );

  const [, example = ''] = /```yaml\n(.*?)```/s.exec(await readFile(join(root, 'docs/ingress.md'), 'utf8')) ?? [];
  await writeFile(join(folder, 'ingress.yaml'), example);
  const raftsman = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await own.raftsman(args);
    if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  await until('the class', () => raftsman('get', 'ingressclass', 'raftsman'));
  await raftsman('apply', '-f', join(folder, 'ingress.yaml'));
  const first = await makeCertificate('first');
  await raftsman('create', 'secret', 'tls', 'web-tls', '--cert', first.cert, '--key', first.key);

  const curl = async (authority: string, path: string, ...more: readonly string[]) => {
    const resolve = [
      '--resolve',
      `web.example.com:${http}:127.0.0.1`,
      '--resolve',
      `web.example.com:${https}:127.0.0.1`,
    ];
    const { stdout, stderr, code } = await run('curl', [
      '-sS',
      '--max-time',
      '10',
      '--cacert',
      authority,
      ...resolve,
      ...more,
      `https://web.example.com:${https}${path}`,
    ]);
    return code === 0 ? stdout : `curl ended with ${code}: ${stderr}`;
  };
  await until('the page', async () => (await curl(first.cert, '/x')) === 'web GET /x https\n');
  t.is(await curl(first.cert, '/api/users?a=b'), 'api GET /api/users?a=b https\n');
  t.is(await curl(first.cert, '/apix', '--http1.1', '-d', 'body'), 'web POST /apix https\n');
  const redirect = await mustRun('curl', [
    '-sS',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code} %{redirect_url}',
    '-H',
    'Host: web.example.com',
    `http://127.0.0.1:${http}/a`,
  ]);
  t.is(redirect, `308 https://web.example.com:${https}/a`);
  t.is(await mustRun('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code}', `http://127.0.0.1:${http}/`]), '404');

  const table = await until('the address', async () => {
    const text = await raftsman('get', 'ingress', 'web');
    return text.includes(address) && text;
  });
  t.regex(table, /^NAME +CLASS +HOSTS +ADDRESS +PORTS +AGE\nweb +raftsman +web\.example\.com +[\d.,]+ +80, 443 /);

  const second = await makeCertificate('second');
  const renewed = await raftsman(
    ...['create', 'secret', 'tls', 'web-tls', '--cert', second.cert, '--key', second.key],
    ...['--dry-run=client', '-o', 'json'],
  );
  await apply(own, JSON.parse(renewed));
  await until('the renewed certificate', async () => (await curl(second.cert, '/')) === 'web GET / https\n');
});

const loadBackend = { service: { name: 'load', port: { name: 'http' } } };
const loadIngress = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { name: 'load' },
  spec: {
    rules: [{ host: 'load.example.com', http: { paths: [{ path: '/', pathType: 'Prefix', backend: loadBackend }] } }],
  },
};

interface Load {
  readonly statuses: ReadonlyMap<string, number>;
  sent(): number;
  stop(): Promise<void>;
}
/** Sends 100 requests a second on connections of their own, every other one with a body. */
function startLoad(t: ExecutionContext, port: number): Load {
  const statuses = new Map<string, number>();
  const pending = new Set<Promise<void>>();
  let count = 0;
  const ask = (method: string) =>
    new Promise<string>(resolve => {
      const headers = { host: 'load.example.com' };
      const outgoing = httpRequest({ host: '127.0.0.1', port, method, path: '/', agent: false, headers }, response => {
        response.resume().once('close', () => resolve(response.complete ? String(response.statusCode) : 'broken off'));
      });
      outgoing.on('error', error => resolve(error.message));
      outgoing.end(method === 'POST' ? 'body' : undefined);
    });
  const timer = setInterval(() => {
    const one = ask(count++ % 2 === 0 ? 'GET' : 'POST').then(status => {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      pending.delete(one);
    });
    pending.add(one);
  }, 10);
  t.teardown(() => clearInterval(timer));
  return {
    statuses,
    sent: () => count,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(pending);
    },
  };
}

testWith(['curl'])(
  'a rolling update under 100 requests a second loses none, and a node that dies takes none of the ports along',
  async t => {
    const own = cluster;
    if (!own || !address) {
      t.pass();
      return;
    }
    const http = own.port + 18;
    let current = await Promise.all([startServer('old-1', 20), startServer('old-2', 20)]);
    await apply(own, serviceOf('load', 80), loadIngress, ...current.map(({ port }) => sliceOf('load', port, 'ready')));
    const isServed = async () => {
      const answer = await run('curl', [
        '-sS',
        '--max-time',
        '5',
        '-H',
        'Host: load.example.com',
        `http://127.0.0.1:${http}/`,
      ]);
      return /^(old|new)/.test(answer.stdout);
    };
    // Both nodes have to know it.
    await until('both nodes route it', async () =>
      (await Promise.all(Array.from({ length: 12 }, isServed))).every(Boolean),
    );
    const load = startLoad(t, http);
    for (let round = 0; round < 2; round++) {
      const [old, ...rest] = current;
      const next = await startServer(`new-${round}`, 20);
      await apply(own, sliceOf('load', next.port, 'ready'));
      current = [...rest, next];
      if (!old) break;
      await apply(own, sliceOf('load', old.port, 'draining'));
      const before = load.sent();
      await until('a preStop hook’s time', () => load.sent() > before + 100);
      await old.close();
      await own.raftsman(['delete', 'endpointslice', `load-${old.port}`]);
    }
    await until('500 requests', () => load.sent() > 500);
    await load.stop();
    t.deepEqual([...load.statuses.keys()], ['200'], JSON.stringify([...load.statuses]));

    process.kill(await own.pidOf('node-1'), 'SIGKILL');
    await until('the other node answers', isServed);
    for (let request = 0; request < 20; request++) t.true(await isServed());
  },
);

/** Answers with its version, and finishes what it has at SIGTERM. */
const SERVER = `
const server = require('node:http').createServer((request, response) => {
  request.resume().once('end', () => setTimeout(() => response.end(process.env.VERSION), 10));
});
server.listen(8080);
process.on('SIGTERM', () => server.close(() => process.exit(0)));`;
const pods = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'load' },
  spec: {
    replicas: 3,
    strategy: { rollingUpdate: { maxUnavailable: 0 } },
    selector: { matchLabels: { app: 'load' } },
    template: {
      metadata: { labels: { app: 'load' } },
      spec: {
        containers: [
          {
            name: 'web',
            image: 'host',
            imagePullPolicy: 'IfNotPresent',
            command: [process.execPath, '-e', SERVER],
            env: [{ name: 'VERSION', value: 'one' }],
            readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1, timeoutSeconds: 5 },
            lifecycle: { preStop: { sleep: { seconds: 3 } } },
          },
        ],
      },
    },
  },
};

testWith(['root', 'iproute2', 'nftables', 'curl'])('a Deployment of real pods is rolled out under load', async t => {
  t.timeout(600_000);
  const own = await newCluster({ masters: 1, nodes: 2, runtime: 'native' });
  clusters.push(own);
  await own.start(240_000);
  const http = own.port + 18;
  await apply(
    own,
    pods,
    {
      ...serviceOf('load', 80),
      spec: { selector: { app: 'load' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    },
    loadIngress,
  );
  const rolledOut = async () => {
    const { code, stderr } = await own.raftsman(['rollout', 'status', 'deployment/load', '--timeout=240s'], {
      timeoutMs: 250_000,
    });
    t.is(code, 0, stderr);
  };
  await rolledOut();
  const answer = async () =>
    (await run('curl', ['-sS', '-H', 'Host: load.example.com', `http://127.0.0.1:${http}/`])).stdout;
  await until('both nodes route it', async () =>
    (await Promise.all(Array.from({ length: 12 }, answer))).every(text => text === 'one'),
  );
  const load = startLoad(t, http);
  const { code, stderr } = await own.raftsman(['set', 'env', 'deployment/load', 'VERSION=two']);
  t.is(code, 0, stderr);
  await rolledOut();
  await until('the old pods have gone', async () =>
    (await Promise.all(Array.from({ length: 12 }, answer))).every(text => text === 'two'),
  );
  await load.stop();
  t.log(`${load.sent()} requests`);
  t.deepEqual([...load.statuses.keys()], ['200'], JSON.stringify([...load.statuses]));
});
