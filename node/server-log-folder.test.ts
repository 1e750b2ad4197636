import { request } from 'node:https';
import test, { type ExecutionContext } from 'ava';
import { until } from '../control/client/testing/until.ts';
import { systemClock } from './clock.ts';
import { LOG_FILES_MAX } from './limits.ts';
import { AgentServer } from './server.ts';
import { ProcessRuntime } from './testing/process-runtime.ts';
import { makeTestTls } from './testing/tls.ts';
import { quiet } from './testing/world.ts';

const tls = makeTestTls();

async function serve(t: ExecutionContext) {
  const runtime = new ProcessRuntime();
  const containers = [
    { id: 'c1', name: 'app', attempt: 0, image: 'app:1', imageId: 'x', createdAt: 0, state: 'created' as const },
  ];
  const pod = { uid: 'u1', namespace: 'default', name: 'web' };
  runtime.sandboxes = [{ id: 's', pod, attempt: 0, createdAt: 0, ready: true, pid: 1, containers }];
  const server = new AgentServer({
    ...{ clock: systemClock, logger: quiet, runtime, tls: tls.server },
    facts: {
      ...{ nodeName: 'node-1', dataDir: '/', cpuCount: () => 2, memoryBytes: () => 1024 },
      ...{ probeCounts: () => [], evictions: () => ({}), configuration: () => ({}) },
    },
    pods: { find: () => undefined, list: () => [] },
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => server.close());
  return { runtime, server };
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly location: string | undefined;
}

function ask(port: number, path: string, client: { cert?: string; key?: string } = tls.apiServer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, path, ca: tls.ca, ...client }, answer => {
      const { statusCode: status = 0, headers } = answer;
      let text = '';
      answer.on('data', chunk => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status, text, location: headers.location }));
    });
    asking.on('error', reject);
    asking.end();
  });
}

function page(...names: readonly string[]): string {
  const links = names.map(name => `<a href="${name}">${name}</a>\n`);
  return `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${links.join('')}</pre>\n`;
}

test('the folder of logs: pages of links and files, for nobody else either', async t => {
  const { server, runtime } = await serve(t);
  runtime.log = async function* (follow, _signal, id) {
    yield Buffer.from(`${follow} ${id}\n`);
  };
  const get = (path: string) => ask(server.port, path);
  t.like(await get('/logs/'), { status: 200, text: page('containers/', 'pods/') });
  t.like(await get('/logs/pods/default_web_u1/app/'), { status: 200, text: page('0.log') });
  t.like(await get('/logs/pods/default_web_u1/app/0.log'), { status: 200, text: 'false c1\n' });
  t.like(await get('/logs/containers/web_default_app-c1.log'), { status: 200, text: 'false c1\n' });
  t.like(await get('/logs'), { status: 301, location: 'logs/' });
  t.like(await get('/logs/pods'), { status: 301, location: 'pods/' });
  t.like(await get('/logs/pods/default_web_u1/app/0.log/'), { status: 301, location: '../0.log' });
  for (const path of [
    '/logs/../../etc/passwd',
    '/logs/%2e%2e/%2e%2e/etc/passwd',
    '/logs/..%2f..%2fetc%2fpasswd',
    '/logs//',
    '/logs/pods/default_web_u1/app/1.log',
  ])
    t.is((await get(path)).status, 404, path);
  t.is((await ask(server.port, '/logs/', {})).status, 401);
  t.is((await ask(server.port, '/logs/', tls.stranger)).status, 403);
});

test('so many logs are read at once and no more', async t => {
  const { server, runtime } = await serve(t);
  const gate = Promise.withResolvers<void>();
  let reading = 0;
  runtime.log = async function* () {
    reading++;
    await gate.promise;
    yield Buffer.from('end\n');
  };
  const path = '/logs/containers/web_default_app-c1.log';
  const open = Array.from({ length: LOG_FILES_MAX }, () => ask(server.port, path));
  await until('all are read', () => reading === LOG_FILES_MAX);
  t.is((await ask(server.port, path)).status, 503);
  gate.resolve();
  t.true((await Promise.all(open)).every(({ text }) => text === 'end\n'));
  t.is((await ask(server.port, path)).text, 'end\n');
});
