import { createServer as createHttp } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { Probe } from '../api.ts';
import { systemClock } from '../clock.ts';
import { ScriptedRuntime } from '../testing/scripted-runtime.ts';
import { check } from './check.ts';
import { concluded, extend, type Run, timingOf } from './verdict.ts';

async function listen(t: ExecutionContext, server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}
function run(probe: Probe, options: { port?: number; timeoutMs?: number } = {}) {
  const container = { name: 'app', ports: [{ name: 'main', containerPort: options.port ?? 1 }] };
  const target = {
    runtime: new ScriptedRuntime(systemClock),
    clock: systemClock,
    containerId: 'c1',
    container,
    host: '127.0.0.1',
  };
  return check(target, probe, { timeoutMs: options.timeoutMs ?? 5000 });
}

test('HTTP: by status, path, headers and named port', async t => {
  const seen: string[] = [];
  const server = createHttp((request, response) => {
    seen.push(`${request.url} ${request.headers['x-probe']} ${request.headers['user-agent']}`);
    response.writeHead(request.url === '/bad' ? 503 : 302).end('body');
  });
  const port = await listen(t, server);
  const headers = [{ name: 'X-Probe', value: 'yes' }];
  t.deepEqual(await run({ httpGet: { path: 'ok', port: 'main', httpHeaders: headers } }, { port }), {
    ok: true,
    output: '',
  });
  t.deepEqual(await run({ httpGet: { path: '/bad', port } }), {
    ok: false,
    output: 'HTTP probe failed with statuscode: 503',
  });
  t.deepEqual(seen, ['/ok yes kube-probe/1.33', '/bad undefined kube-probe/1.33']);
  t.deepEqual(await run({ httpGet: { port: 'other' } }, { port }), { ok: false, output: "couldn't find port: other" });
});

test('HTTP: nobody there, and nobody in time', async t => {
  const silent = await listen(
    t,
    createTcp(() => undefined),
  );
  const late = await run({ httpGet: { path: '/', port: silent } }, { timeoutMs: 50 });
  t.regex(late.output, /^Get "http:\/\/127\.0\.0\.1:\d+\/": context deadline exceeded/);
  const refused = await run({ httpGet: { path: '/', port: 1 } });
  t.is(refused.output, 'Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused');
});

test('TCP', async t => {
  const port = await listen(
    t,
    createTcp(socket => socket.end()),
  );
  t.true((await run({ tcpSocket: { port } })).ok);
  t.deepEqual(await run({ tcpSocket: { port: 1 } }), {
    ok: false,
    output: 'dial tcp 127.0.0.1:1: connect: connection refused',
  });
});

test('gRPC health', async t => {
  let status = 1;
  const server = createHttp2();
  server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'grpc-status': headers[':path'] === '/grpc.health.v1.Health/Check' ? '0' : '12' }),
    );
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
  });
  const port = await listen(t, server);
  t.deepEqual(await run({ grpc: { port, service: 'db' } }), { ok: true, output: '' });
  status = 2;
  t.deepEqual(await run({ grpc: { port } }), { ok: false, output: 'service unhealthy (responded with "NOT_SERVING")' });
  t.false((await run({ grpc: { port: 1 } })).ok);
});

test('thresholds count answers of one kind in a row', t => {
  const timing = timingOf({ failureThreshold: 3, successThreshold: 2 });
  let state: Run | undefined;
  const answers = ['failure', 'failure', 'success', 'failure', 'failure', 'failure', 'success', 'success'] as const;
  const proved = answers.map(outcome => {
    state = extend(state, outcome);
    return concluded(state, timing);
  });
  t.deepEqual(proved, [undefined, undefined, undefined, undefined, undefined, 'failure', undefined, 'success']);
  t.deepEqual(timingOf({}), {
    initialDelayMs: 0,
    periodMs: 10_000,
    timeoutMs: 1000,
    successThreshold: 1,
    failureThreshold: 3,
  });
});
