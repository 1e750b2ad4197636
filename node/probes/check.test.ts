import { createServer as createHttp } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { LifecycleHandler, Probe } from '../api.ts';
import { systemClock } from '../clock.ts';
import { runHook } from '../pods/hooks.ts';
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
    response.writeHead(request.url === '/bad' ? 503 : 204).end();
  });
  const port = await listen(t, server);
  const headers = [{ name: 'X-Probe', value: 'yes' }];
  t.deepEqual(await run({ httpGet: { path: 'ok', port: 'main', httpHeaders: headers } }, { port }), {
    outcome: 'success',
    output: '',
  });
  t.deepEqual(await run({ httpGet: { path: '/bad', port } }), {
    outcome: 'failure',
    output: 'HTTP probe failed with statuscode: 503',
  });
  t.deepEqual(seen, ['/ok yes kube-probe/1.33', '/bad undefined kube-probe/1.33']);
});

test('HTTP: redirects are followed on the host that was asked', async t => {
  const seen: string[] = [];
  const server = createHttp((request, response) => {
    const { url = '', headers } = request;
    seen.push(`${url} ${headers['x-probe']}`);
    const local: Record<string, string> = { '/local': '/ok?a=b', '/failing': '/bad', '/round': '/round' };
    const to = url === '/away' ? 'http://0.0.0.0/' : local[url];
    if (to !== undefined) response.writeHead(302, { location: to }).end('elsewhere');
    else response.writeHead(url === '/bad' ? 500 : url === '/same' ? 304 : 200).end();
  });
  const port = await listen(t, server);
  const get = (path: string) => run({ httpGet: { path, port, httpHeaders: [{ name: 'X-Probe', value: 'yes' }] } });
  t.is((await get('/local')).outcome, 'success');
  t.deepEqual(seen, ['/local yes', '/ok?a=b yes']);
  t.is((await get('/failing')).outcome, 'failure');
  t.deepEqual(await get('/away'), {
    outcome: 'warning',
    output: 'Probe terminated redirects, Response body: elsewhere',
  });
  t.is((await get('/same')).outcome, 'warning');
  t.regex((await get('/round')).output, /^Get "http:\/\/127\.0\.0\.1:\d+\/round": stopped after 10 redirects$/);
});

test('HTTP: headers of the manifest win, and come as often as they stand there', async t => {
  const seen: unknown[] = [];
  const server = createHttp(({ headers, rawHeaders }, response) => {
    const values = rawHeaders.filter((_, index) => rawHeaders[index - 1]?.toLowerCase() === 'x-a');
    seen.push([headers['user-agent'], headers.accept, headers.host?.replace(/:\d+$/, ''), values]);
    response.end();
  });
  const port = await listen(t, server);
  await run({ httpGet: { path: '/', port } });
  const httpHeaders = Object.entries({ 'User-Agent': 'me', Accept: '', Host: 'example.test', 'X-A': '1', 'x-a': '2' });
  await run({ httpGet: { path: '/', port, httpHeaders: httpHeaders.map(([name, value]) => ({ name, value })) } });
  t.deepEqual(seen, [
    ['kube-probe/1.33', '*/*', '127.0.0.1', []],
    ['me', undefined, 'example.test', ['1', '2']],
  ]);
});

test('a long answer is not waited for', async t => {
  const server = createHttp((_, response) => {
    const goOn = () => {
      while (!response.destroyed && response.write('x'.repeat(1024)));
    };
    response.on('drain', goOn);
    goOn();
  });
  const port = await listen(t, server);
  t.is((await run({ httpGet: { path: '/', port } })).outcome, 'success');
});

test('what cannot be asked says nothing of the container', async t => {
  const error = (output: string) => ({ outcome: 'error', output });
  const unknown = error('strconv.Atoi: parsing "other": invalid syntax');
  t.deepEqual(await run({ httpGet: { port: 'other' } }, { port: 1 }), unknown);
  t.deepEqual(await run({ tcpSocket: { port: 'other' } }, { port: 1 }), unknown);
  t.deepEqual(await run({ tcpSocket: { port: '70000' } }), error('invalid port number: 70000'));
  t.deepEqual(await run({ exec: { command: ['true'] } }), error('no container c1'));
  t.is((await run({})).outcome, 'error');
});

test('a command of a probe has variables filled in that have values of their own', async t => {
  const runtime = new ScriptedRuntime(systemClock);
  const asked: unknown[] = [];
  runtime.exec = async (_, { command }) => {
    asked.push(command);
    throw new Error('that is enough');
  };
  const env = [
    { name: 'A', value: 'one' },
    { name: 'B', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
  ];
  const target = { runtime, clock: systemClock, containerId: 'c1', container: { name: 'app', env }, host: '' };
  await check(target, { exec: { command: ['test', '$(A)', '$(B)', '$(C)', '$$(A)'] } }, { timeoutMs: 5000 });
  await runHook(
    target,
    { exec: { command: ['test', '$(A)'] } },
    { timeoutMs: 5000, signal: new AbortController().signal },
  );
  t.deepEqual(asked, [
    ['test', 'one', '', '$(C)', '$(A)'],
    ['test', '$(A)'],
  ]);
});

test('hooks over HTTP: any answer will do, TLS or not', async t => {
  const seen: string[] = [];
  const server = createHttp(({ url, headers }, response) => {
    seen.push(`${url} ${headers['user-agent']} ${headers.authorization} ${headers['x-a']}`);
    response.writeHead(url === '/bad' ? 500 : 200).end();
  });
  const port = await listen(t, server);
  const container = { name: 'app' };
  const target = { runtime: new ScriptedRuntime(systemClock), clock: systemClock, containerId: 'c1', container };
  const hook = (action: LifecycleHandler, timeoutMs = 5000) =>
    runHook({ ...target, host: '127.0.0.1' }, action, { timeoutMs, signal: new AbortController().signal });
  t.is(await hook({ httpGet: { path: '/bad', port } }), undefined);
  const httpHeaders = [
    { name: 'Authorization', value: 'secret' },
    { name: 'X-A', value: 'b' },
  ];
  t.is(await hook({ httpGet: { path: '/open', port, scheme: 'HTTPS', httpHeaders } }), undefined);
  t.deepEqual(seen, ['/bad kube-lifecycle/1.33 undefined undefined', '/open kube-lifecycle/1.33 undefined b']);
  t.regex((await hook({ httpGet: { path: '/', port: 1 } })) ?? '', /connection refused/);
  t.regex((await hook({ tcpSocket: { port } })) ?? '', /invalid handler/);
  const silent = await listen(
    t,
    createTcp(() => undefined),
  );
  t.regex((await hook({ httpGet: { port: silent } }, 50)) ?? '', /deadline exceeded/);
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
  t.is((await run({ tcpSocket: { port } })).outcome, 'success');
  t.deepEqual(await run({ tcpSocket: { port: 1 } }), {
    outcome: 'failure',
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
  t.deepEqual(await run({ grpc: { port, service: 'db' } }), { outcome: 'success', output: '' });
  status = 2;
  t.deepEqual(await run({ grpc: { port } }), {
    outcome: 'failure',
    output: 'service unhealthy (responded with "NOT_SERVING")',
  });
  t.is((await run({ grpc: { port: 1 } })).outcome, 'failure');
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
