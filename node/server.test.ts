import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { request } from 'node:https';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { until } from '../control/client/testing/until.ts';
import type { Pod } from './api.ts';
import { systemClock } from './clock.ts';
import { AgentServer } from './server.ts';
import { PassThroughApi } from './testing/pass-through-api.ts';
import { ProcessRuntime } from './testing/process-runtime.ts';
import { makeTestTls } from './testing/tls.ts';
import { quiet } from './testing/world.ts';

const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'default', uid: 'u1' },
  spec: { containers: [{ name: 'app', image: 'app:1', stdin: true }] },
  status: {
    phase: 'Running',
    containerStatuses: [
      {
        name: 'app',
        image: 'app:1',
        imageID: 'x',
        ready: true,
        restartCount: 1,
        containerID: 'fake://c2',
        state: { running: {} },
        lastState: { terminated: { exitCode: 1, containerID: 'fake://c1' } },
      },
    ],
  },
};
const tls = makeTestTls();

/** Every kubectl that this machine has, by version; older ones speak SPDY, from 1.31 on WebSocket first. */
function kubectls(): string[] {
  try {
    const folder = dirname(
      execFileSync('sh', ['-c', 'readlink -f "$(command -v kubectl)"'], { encoding: 'utf8' }).trim(),
    );
    const found = ['1.27', '1.28', '1.29', '1.30', '1.31', '1.33'].map(version => join(folder, `kubectl.${version}`));
    return found.filter(path => existsSync(path));
  } catch {
    return [];
  }
}

async function serve(t: ExecutionContext) {
  const runtime = new ProcessRuntime();
  const handle = { uid: 'u1', pod, status: pod.status, address: '127.0.0.1' };
  const server = new AgentServer({
    clock: systemClock,
    logger: quiet,
    runtime,
    tls: tls.server,
    facts: {
      nodeName: 'node-1',
      dataDir: '/',
      cpuCount: () => 2,
      memoryBytes: () => 1024,
      probeCounts: () => [],
      evictions: () => ({}),
      volumes: async () => [
        {
          podUid: 'u1',
          namespace: 'default',
          name: 'v',
          claim: 'data',
          figures: { at: 0, capacityBytes: 9, inodes: 3 },
        },
        { podUid: 'u1', namespace: 'default', name: 'own', claim: undefined, figures: { at: 0, usedBytes: 1 } },
      ],
      configuration: () => ({ clusterDomain: 'cluster.local' }),
    },
    pods: {
      find: (namespace, name) => (namespace === 'default' && name === 'web' ? handle : undefined),
      list: () => [handle],
    },
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  const api = new PassThroughApi({ pod, agentPort: server.port, tls });
  const url = await api.listen();
  t.teardown(async () => {
    await api.close();
    await server.close();
  });
  return { runtime, server, url };
}

interface Result {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}
function run(program: string, args: readonly string[], input?: Buffer): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { HOME: '/nonexistent', PATH: process.env.PATH } });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', chunk => out.push(chunk));
    child.stderr.on('data', chunk => err.push(chunk));
    child.on('error', reject);
    child.on('close', code => resolve({ code, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() }));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

for (const kubectl of kubectls()) {
  const name = kubectl.split('/').at(-1);
  const exec = (url: string, ...rest: string[]) => [`--server=${url}`, 'exec', ...rest];

  test(`${name}: exec gives output, errors and the exit code`, async t => {
    const { url } = await serve(t);
    const result = await run(kubectl, exec(url, 'web', '--', 'sh', '-c', 'echo "to out"; echo oops >&2; exit 3'));
    t.is(result.code, 3, result.stderr);
    t.is(result.stdout.toString(), 'to out\n');
    t.true(result.stderr.startsWith('oops\n'), result.stderr);
    t.true(result.stderr.includes('command terminated with exit code 3'), result.stderr);
  });

  test(`${name}: exec passes input and its end`, async t => {
    const { url } = await serve(t);
    const input = Buffer.alloc(3_000_000, 'raftsman ');
    const result = await run(kubectl, exec(url, '-i', 'web', '--', 'sh', '-c', 'wc -c; echo end'), input);
    t.is(result.code, 0, result.stderr);
    t.is(result.stdout.toString().trim().replace(/\s+/g, ' '), '3000000 end');
  });

  test(`${name}: exec delivers ten megabytes whole`, async t => {
    const { url } = await serve(t);
    const result = await run(kubectl, exec(url, 'web', '--', 'sh', '-c', 'head -c 10000000 /dev/zero; exit 4'));
    t.is(result.code, 4, result.stderr);
    t.is(result.stdout.length, 10_000_000);
  });

  test(`${name}: port-forward carries data both ways and half-closes`, async t => {
    const { url } = await serve(t);
    const echo = createServer({ allowHalfOpen: true }, socket => {
      const chunks: Buffer[] = [];
      socket.on('data', chunk => chunks.push(chunk));
      socket.on('error', () => socket.destroy());
      socket.on('end', () => socket.end(Buffer.concat([Buffer.from('got:'), ...chunks])));
    });
    await new Promise<void>(resolve => echo.listen(0, '127.0.0.1', resolve));
    t.teardown(() => echo.close());
    const remote = (echo.address() as AddressInfo).port;
    const child = spawn(kubectl, [`--server=${url}`, 'port-forward', 'web', `:${remote}`], {
      env: { HOME: '/nonexistent' },
    });
    t.teardown(() => child.kill());
    let said = '';
    child.stdout.on('data', chunk => {
      said += chunk;
    });
    await until('kubectl listens', () => /127\.0\.0\.1:(\d+)/.test(said));
    const local = Number(/127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
    const talk = (text: Buffer) =>
      new Promise<Buffer>((resolve, reject) => {
        const socket = connectTcp(local, '127.0.0.1');
        const chunks: Buffer[] = [];
        socket.on('data', chunk => chunks.push(chunk));
        socket.on('error', reject);
        socket.on('end', () => resolve(Buffer.concat(chunks)));
        socket.end(text);
      });
    const large = Buffer.alloc(2_000_000, 'x');
    const answers = await Promise.all([talk(Buffer.from('one')), talk(large)]);
    t.is(answers[0]?.toString(), 'got:one');
    t.is(answers[1]?.length, large.length + 4);
  });

  test(`${name}: attach ends with its input`, async t => {
    const { url } = await serve(t);
    const result = await run(kubectl, [`--server=${url}`, 'attach', '-i', 'web'], Buffer.from('over and out\n'));
    t.is(result.code, 0, result.stderr);
    t.is(result.stdout.toString(), 'over and out\n');
  });

  test(`${name}: a client that vanishes leaves no process behind`, async t => {
    const { url, runtime } = await serve(t);
    const child = spawn(kubectl, exec(url, '-i', 'web', '--', 'sh', '-c', 'sleep 600'), {
      env: { HOME: '/nonexistent' },
    });
    await until('the command runs', () => runtime.running === 1);
    child.kill('SIGKILL');
    await until('the command was ended', () => runtime.running === 0);
    t.is(runtime.kills, 1);
  });

  test(`${name}: logs, previous logs and what kubectl is told without a container`, async t => {
    const { url, runtime } = await serve(t);
    runtime.log = async function* () {
      yield Buffer.from('line one\nline two\n');
    };
    const all = await run(kubectl, [`--server=${url}`, 'logs', 'web']);
    t.is(all.stdout.toString(), 'line one\nline two\n', all.stderr);
    const cut = await run(kubectl, [`--server=${url}`, 'logs', 'web', '--limit-bytes=8', '-p']);
    t.is(cut.stdout.toString(), 'line one', cut.stderr);
  });
}

if (kubectls().length === 0) test.skip('streams with kubectl: this machine has none', () => undefined);

function ask(
  port: number,
  path: string,
  client: { cert?: string; key?: string },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, path, ca: tls.ca, ...client }, answer => {
      let text = '';
      answer.on('data', chunk => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    asking.on('error', reject);
    asking.end();
  });
}

test('only the API server and administrators get in', async t => {
  const { server } = await serve(t);
  t.is((await ask(server.port, '/healthz', tls.apiServer)).text, 'ok');
  t.is((await ask(server.port, '/healthz/syncloop', tls.apiServer)).text, 'ok');
  t.is((await ask(server.port, '/healthz/other', tls.apiServer)).status, 404);
  t.is((await ask(server.port, '/healthz', {})).status, 401);
  t.is((await ask(server.port, '/healthz', tls.stranger)).status, 403);
});

test('a client that says nothing does not hold up the end of the server', async t => {
  const { server } = await serve(t);
  const silent = connectTcp(server.port, '127.0.0.1');
  t.teardown(() => silent.destroy());
  await once(silent, 'connect');
  // Its connection was accepted before this one.
  t.is((await ask(server.port, '/healthz', tls.apiServer)).status, 200);
  let isClosed = false;
  void server.close().then(() => {
    isClosed = true;
  });
  await until('the server is closed', () => isClosed);
  t.pass();
});

test('tells why a log or a pod is not there', async t => {
  const { server } = await serve(t);
  t.deepEqual(await ask(server.port, '/containerLogs/default/none/app', tls.apiServer), {
    status: 404,
    text: 'pod "none_default" not found',
  });
  const missing = await ask(server.port, '/containerLogs/default/web/other', tls.apiServer);
  t.deepEqual(missing, { status: 404, text: 'container "other" in pod "web" is not available' });
  const bad = await ask(server.port, '/containerLogs/default/web/app?tailLines=x', tls.apiServer);
  t.is(bad.status, 400);
  const { text } = await ask(server.port, '/pods', tls.apiServer);
  t.is((JSON.parse(text) as { items: unknown[] }).items.length, 1);
});

test('a follower that leaves ends the log', async t => {
  const { server, runtime } = await serve(t);
  let ended = false;
  runtime.log = async function* (_follow, signal) {
    yield Buffer.from('first\n');
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
    ended = true;
  };
  const asking = request({
    host: '127.0.0.1',
    port: server.port,
    path: '/containerLogs/default/web/app?follow=true',
    ca: tls.ca,
    ...tls.apiServer,
  });
  const first = new Promise<string>(resolve =>
    asking.on('response', answer => answer.on('data', chunk => resolve(String(chunk)))),
  );
  asking.on('error', () => undefined);
  asking.end();
  t.is(await first, 'first\n');
  asking.destroy();
  await until('the log was closed', () => ended);
  t.true(ended);
});

/** Asks for a tunnel; gives the status, and what came back after `input` and its end. */
function tunnel(
  port: number,
  path: string,
  { input, key, cert }: { input: string; key: string; cert: string },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: '127.0.0.1',
      port,
      path,
      key,
      cert,
      rejectUnauthorized: false,
      agent: false,
      headers: { connection: 'Upgrade', upgrade: 'tcp' },
    });
    const collect = async (status: number, body: AsyncIterable<Buffer>) => {
      let text = '';
      for await (const chunk of body) text += chunk.toString();
      resolve({ status, text });
    };
    outgoing.on('error', reject);
    outgoing.on('response', answer => void collect(answer.statusCode ?? 0, answer));
    outgoing.on('upgrade', (answer, socket) => {
      socket.allowHalfOpen = true;
      void collect(answer.statusCode ?? 0, socket);
      socket.end(input);
    });
    outgoing.end();
  });
}

test('a tunnel carries bytes to a port of the pod and back, and each end by itself', async t => {
  const { server } = await serve(t);
  const echo = createServer({ allowHalfOpen: true }, socket => {
    let size = 0;
    socket.on('data', chunk => {
      size += chunk.length;
    });
    socket.on('end', () => socket.end(`${size} bytes`));
  });
  await new Promise<void>(resolve => void echo.listen(0, '127.0.0.1', () => resolve()));
  t.teardown(() => new Promise<void>(resolve => void echo.close(() => resolve())));
  const { port } = echo.address() as AddressInfo;
  const input = 'x'.repeat(2_000_000);
  const through = await tunnel(server.port, `/tunnel/default/web/${port}`, { input, ...tls.apiServer });
  t.deepEqual(through, { status: 101, text: '2000000 bytes' });
  const nobody = await tunnel(server.port, '/tunnel/default/web/1', { input, ...tls.apiServer });
  t.deepEqual(nobody, { status: 502, text: 'dial tcp 127.0.0.1:1: connect: connection refused' });
  t.is((await tunnel(server.port, '/tunnel/default/other/1', { input, ...tls.apiServer })).status, 404);
  t.is((await tunnel(server.port, '/tunnel/default/web/70000', { input, ...tls.apiServer })).status, 400);
});

test('figures in the formats that collectors read', async t => {
  const { server } = await serve(t);
  const get = (path: string) => ask(server.port, path, tls.apiServer);
  const summary = JSON.parse((await get('/stats/summary')).text) as {
    node: { nodeName: string; fs: object };
    pods: { volume: object[] }[];
  };
  t.is(summary.node.nodeName, 'node-1');
  t.truthy(summary.node.fs);
  t.is(summary.pods.length, 1);
  const time = '1970-01-01T00:00:00Z';
  t.deepEqual(summary.pods[0]?.volume, [
    { time, name: 'v', capacityBytes: 9, inodes: 3, pvcRef: { name: 'data', namespace: 'default' } },
    { time, name: 'own', usedBytes: 1 },
  ]);
  const figures = /^kubelet_volume_stats.*$/gm;
  t.deepEqual((await get('/metrics')).text.match(figures), [
    'kubelet_volume_stats_capacity_bytes{namespace="default",persistentvolumeclaim="data"} 9',
    'kubelet_volume_stats_inodes{namespace="default",persistentvolumeclaim="data"} 3',
  ]);
  t.regex((await get('/metrics')).text, /^kubelet_running_pods 1$/m);
  t.regex((await get('/metrics/resource')).text, /^node_memory_working_set_bytes \d+ \d+$/m);
  t.regex((await get('/metrics/cadvisor')).text, /^machine_cpu_cores 2$/m);
  t.is((await get('/metrics/probes')).status, 200);
  t.is((await get('/metrics/none')).status, 404);
  t.like(JSON.parse((await get('/configz')).text), {
    kubeletconfig: { clusterDomain: 'cluster.local', maxPods: 110, nodeStatusReportFrequency: '5m0s' },
  });
});
