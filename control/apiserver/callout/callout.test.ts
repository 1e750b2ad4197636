/** Calls to real HTTPS servers: by URL, and by service through an agent; who is believed, and what failures read like. */
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import test, { type ExecutionContext } from 'ava';
import { createMemoryStore } from '../../../store/index.ts';
import { createAuthority, issueCertificate } from '../../pki/authority.ts';
import { WatchCache } from '../cache/watch-cache.ts';
import { systemClock } from '../clock.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { addNode, addService, fakeAgent, listening, send } from '../testing/fake-agent.ts';
import { silentLogger } from '../testing/harness.ts';
import { worldOf } from '../testing/tls-world.ts';
import { type Callout, type CalloutOptions, createCallout } from './client.ts';
import { nameMismatch } from './errors.ts';
import { callReview } from './review.ts';
import { destinationOf } from './target.ts';

type Listener = (request: IncomingMessage, response: ServerResponse, body: string) => void;

interface Trusted {
  readonly caBundle: string;
  serve(hosts: readonly string[], listener: Listener): Promise<number>;
}

/** An authority, and servers with certificates of it. */
async function trusted(t: ExecutionContext): Promise<Trusted> {
  const authority = await createAuthority('hooks', { nowMs: systemClock.now() });
  return {
    caBundle: Buffer.from(authority.certificate).toString('base64'),
    async serve(hosts, listener) {
      const own = await issueCertificate(
        authority,
        { commonName: 'hook', hosts, usages: ['server'] },
        { nowMs: systemClock.now(), validDays: 1 },
      );
      const server = createHttps({ key: own.key, cert: own.certificate }, async (request, response) => {
        let body = '';
        for await (const chunk of request) body += chunk;
        listener(request, response, body);
      });
      return listening(t, server);
    },
  };
}

/** A client in a cluster of nothing, for targets by URL. */
async function plainCallout(t: ExecutionContext, limits: CalloutOptions['limits'] = {}): Promise<Callout> {
  const store = createMemoryStore();
  const cache = new WatchCache({ store, clock: systemClock, logger: silentLogger, limits: DEFAULT_LIMITS });
  const callout = createCallout({
    core: { cache, clock: systemClock, limits: DEFAULT_LIMITS },
    agents: undefined,
    limits,
  });
  t.teardown(() => callout.close());
  t.teardown(() => store.close());
  return callout;
}

const echo: Listener = (request, response, body) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ url: request.url, method: request.method, headers: request.headers, body }));
};
const POST = { method: 'POST', timeoutMs: 5_000 };

test('targets are taken apart as Kubernetes names them', t => {
  t.like(destinationOf({ service: { namespace: 'n', name: 's' } }), {
    url: 'https://s.n.svc:443/',
    serverName: 's.n.svc',
    host: 's.n.svc:443',
    path: '/',
  });
  t.like(destinationOf({ service: { namespace: 'n', name: 's', path: '/a/b', port: 8443 } }), {
    url: 'https://s.n.svc:8443/a/b',
    path: '/a/b',
  });
  t.like(destinationOf({ url: 'https://x.example.com/y' }), {
    serverName: 'x.example.com',
    address: { host: 'x.example.com', port: '443' },
    path: '/y',
  });
  t.throws(() => destinationOf({}), { instanceOf: TypeError });
});

test('a URL is called with its host, and the connection is used again', async t => {
  const { caBundle, serve } = await trusted(t);
  const sockets = new Set<unknown>();
  const port = await serve(['127.0.0.1'], (request, response, body) => {
    sockets.add(request.socket);
    echo(request, response, body);
  });
  const callout = await plainCallout(t);
  const target = { url: `https://127.0.0.1:${port}/hook`, caBundle };
  for (let index = 0; index < 5; index++) {
    const answer = await callout.call(target, { ...POST, body: `b${index}` });
    t.is(answer.status, 200);
    const seen = JSON.parse(answer.body.toString());
    t.deepEqual([seen.url, seen.method, seen.body], ['/hook', 'POST', `b${index}`]);
    t.is(seen.headers.host, `127.0.0.1:${port}`);
  }
  // Also by an equal target that is another object, as every reading of a configuration gives one.
  await callout.call({ ...target }, POST);
  t.is(sockets.size, 1);
  await callout.call({ url: target.url, insecureSkipTLSVerify: true }, POST);
  t.is(sockets.size, 2, 'another trust is another connection');
});

test('a kept connection that the server closed is replaced unseen', async t => {
  const { caBundle, serve } = await trusted(t);
  let requests = 0;
  const port = await serve(['127.0.0.1'], (request, response, body) => {
    requests++;
    if (requests === 2) return void request.socket.destroy();
    echo(request, response, body);
  });
  const callout = await plainCallout(t);
  const target = { url: `https://127.0.0.1:${port}/`, caBundle };
  t.is((await callout.call(target, POST)).status, 200);
  t.is((await callout.call(target, POST)).status, 200);
  t.is(requests, 3);
});

test('failures read as Go tells them', async t => {
  const { caBundle, serve } = await trusted(t);
  const callout = await plainCallout(t, { answerBytesMax: 1_000 });
  const port = await serve(['localhost', 'hook.example.com'], (request, response) => {
    if (request.url === '/hang') return;
    if (request.url === '/cut') return void request.socket.destroy();
    response.end('x'.repeat(2_000));
  });
  const plain = await listening(
    t,
    createHttp((_, response) => void response.end('plain')),
  );
  const cases: readonly (readonly [string, { caBundle?: string }, string | RegExp])[] = [
    ['https://127.0.0.1:1/x', {}, 'Post "https://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused'],
    [
      `https://localhost:${port}/x`,
      {},
      `Post "https://localhost:${port}/x": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    ],
    [
      `https://127.0.0.1:${port}/x`,
      { caBundle },
      `Post "https://127.0.0.1:${port}/x": tls: failed to verify certificate: x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs`,
    ],
    [`https://127.0.0.1:${plain}/`, {}, /: http: server gave HTTP response to HTTPS client$/],
    [
      `https://localhost:${port}/hang`,
      { caBundle },
      `Post "https://localhost:${port}/hang": context deadline exceeded`,
    ],
    [`https://localhost:${port}/cut`, { caBundle }, `Post "https://localhost:${port}/cut": EOF`],
    [`https://localhost:${port}/long`, { caBundle }, /: the answer is longer than 1000 bytes$/],
  ];
  for (const [url, trust, message] of cases) {
    await t.throwsAsync(callout.call({ url, ...trust }, { ...POST, timeoutMs: url.endsWith('hang') ? 300 : 5_000 }), {
      code: 'CALLOUT',
      message,
    });
  }
});

test('a caller who goes ends the call', async t => {
  const { caBundle, serve } = await trusted(t);
  const port = await serve(['127.0.0.1'], () => undefined);
  const callout = await plainCallout(t);
  const gone = new AbortController();
  const call = callout.call({ url: `https://127.0.0.1:${port}/`, caBundle }, { ...POST, signal: gone.signal });
  gone.abort(new Error('context canceled'));
  await t.throwsAsync(call, { message: /context canceled$/ });
});

test('names are judged by alternative names alone', t => {
  const judged = (name: string, subjectaltname: string, isAddress = false) =>
    nameMismatch(name, { subject: { CN: name }, subjectaltname } as never, isAddress)?.message;
  t.is(judged('a.n.svc', 'DNS:a.n.svc'), undefined);
  t.is(judged('a.n.svc', 'DNS:*.n.svc'), undefined);
  t.is(judged('A.n.svc', 'DNS:a.n.svc'), undefined);
  t.regex(judged('b.a.n.svc', 'DNS:*.n.svc') ?? '', /certificate is valid for \*\.n\.svc, not b\.a\.n\.svc$/);
  t.regex(judged('a.n.svc', 'DNS:x, DNS:y') ?? '', /certificate is valid for x, y, not a\.n\.svc$/);
  t.regex(judged('a.n.svc', '') ?? '', /certificate relies on legacy Common Name field, use SANs instead$/);
  t.regex(judged('a.n.svc', 'IP Address:1.2.3.4') ?? '', /not valid for any names, but wanted to match a\.n\.svc$/);
  t.is(judged('1.2.3.4', 'IP Address:1.2.3.4', true), undefined);
  t.regex(judged('1.2.3.4', 'IP Address:1.2.3.5', true) ?? '', /certificate is valid for 1\.2\.3\.5, not 1\.2\.3\.4$/);
});

test('a review is posted and read as client-go does', async t => {
  const { caBundle, serve } = await trusted(t);
  const callout = await plainCallout(t);
  let answer: [number, string, string] = [200, 'application/json', ''];
  let seen: IncomingMessage | undefined;
  const port = await serve(['127.0.0.1'], (request, response) => {
    seen = request;
    response.writeHead(answer[0], { 'content-type': answer[1] }).end(answer[2]);
  });
  const ask = () =>
    callReview(
      callout,
      { url: `https://127.0.0.1:${port}/convert`, caBundle },
      { review: { apiVersion: 'apiextensions.k8s.io/v1', kind: 'ConversionReview' }, timeoutMs: 30_000 },
    );
  const good = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'ConversionReview', response: { uid: 'u' } };
  answer = [200, 'text/plain', JSON.stringify(good)];
  t.deepEqual(await ask(), good);
  t.is(seen?.url, '/convert?timeout=30s');
  const cases: readonly (readonly [number, string, string, string])[] = [
    [500, 'application/json', '{}', 'an error on the server ("unknown") has prevented the request from succeeding'],
    [500, 'text/plain', 'boom\n', 'an error on the server ("boom") has prevented the request from succeeding'],
    [404, 'text/plain', 'no', 'the server could not find the requested resource'],
    [302, 'text/plain', '', 'the server responded with the status code 302 but did not return more information'],
    [409, 'application/json', '{"kind":"Status","status":"Failure","message":"mine"}', 'mine'],
    [
      200,
      'application/json',
      '"text"',
      `couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
    ],
    [
      200,
      'application/json',
      JSON.stringify({ ...good, apiVersion: 'apiextensions.k8s.io/v1beta1' }),
      'converting (v1beta1.ConversionReview) to (v1.ConversionReview): unknown conversion',
    ],
    [
      200,
      'application/json',
      JSON.stringify({ ...good, kind: 'Other' }),
      'no kind "Other" is registered for version "apiextensions.k8s.io/v1" in scheme "pkg/runtime/scheme.go:110"',
    ],
  ];
  for (const [status, type, text, message] of cases) {
    answer = [status, type, text];
    await t.throwsAsync(ask(), { message });
  }
});

/** A cluster with an agent, and a client that reaches services as the server does. */
async function clusterCallout(t: ExecutionContext) {
  const world = await worldOf(t);
  const agent = await fakeAgent(t, world);
  await addNode(world, agent);
  const kubelet = await world.issue({
    commonName: 'kube-apiserver',
    organizations: ['system:masters'],
    usages: ['client'],
  });
  const cache = new WatchCache({
    store: world.store,
    clock: systemClock,
    logger: silentLogger,
    limits: DEFAULT_LIMITS,
  });
  cache.start();
  t.teardown(() => cache.close());
  const callout = createCallout({
    core: { cache, clock: systemClock, limits: DEFAULT_LIMITS },
    agents: { key: kubelet.key, cert: kubelet.certificate, ca: world.authority.certificate },
  });
  t.teardown(() => callout.close());
  return { world, agent, cache, callout };
}

test('a service is reached through the agents of its pods, in turn', async t => {
  const { world, agent, cache, callout } = await clusterCallout(t);
  const { caBundle, serve } = await trusted(t);
  const named = (name: string) =>
    serve(['hook.default.svc'], (_, response) => {
      response.setHeader('connection', 'close');
      response.end(name);
    });
  const pods = { a: await named('a'), b: await named('b') };
  await addService(world, { namespace: 'default', name: 'hook', pods });
  await cache.freshen();
  const target = { service: { namespace: 'default', name: 'hook', path: '/x' }, caBundle };
  const answers: string[] = [];
  for (let index = 0; index < 4; index++) answers.push((await callout.call(target, POST)).body.toString());
  t.deepEqual(answers, ['a', 'b', 'a', 'b']);
  t.deepEqual(agent.tunnels.slice(0, 2), [`default/a:${pods.a}`, `default/b:${pods.b}`]);
});

test('an endpoint that does not answer is passed over, and tried last for a while', async t => {
  const { world, agent, cache, callout } = await clusterCallout(t);
  const { caBundle, serve } = await trusted(t);
  const alive = await serve(['hook.default.svc'], (_, response) => {
    response.setHeader('connection', 'close');
    response.end('alive');
  });
  await addService(world, { namespace: 'default', name: 'hook', pods: { dead: 1, live: alive } });
  await cache.freshen();
  const target = { service: { namespace: 'default', name: 'hook' }, caBundle };
  for (let index = 0; index < 4; index++) t.is((await callout.call(target, POST)).body.toString(), 'alive');
  t.is(agent.tunnels.filter(tunnel => tunnel === 'default/dead:1').length, 1);
});

test('services that lead nowhere say why', async t => {
  const { world, cache, callout } = await clusterCallout(t);
  const { caBundle, serve } = await trusted(t);
  const outside = await serve(['outside.default.svc'], (_, response) => void response.end('outside'));
  await addService(world, { namespace: 'default', name: 'empty', pods: {} });
  await addService(world, { namespace: 'default', name: 'dead', pods: { d: 1 } });
  await send(world, 'POST', '/api/v1/namespaces/default/services', {
    metadata: { name: 'outside' },
    spec: { type: 'ExternalName', externalName: 'localhost' },
  });
  await cache.freshen();
  const ask = (name: string, port?: number) =>
    callout.call({ service: { namespace: 'default', name, ...(port && { port }) }, caBundle }, POST);
  const at = (name: string, port = 443) => `Post "https://${name}.default.svc:${port}/": `;
  await t.throwsAsync(ask('none'), { message: `${at('none')}service "none" not found` });
  await t.throwsAsync(ask('empty'), { message: `${at('empty')}no endpoints available for service "empty"` });
  await t.throwsAsync(ask('empty', 8443), {
    message: `${at('empty', 8443)}no service port 8443 found for service "empty"`,
  });
  await t.throwsAsync(ask('dead'), { message: `${at('dead')}dial tcp 127.0.0.1:1: connect: connection refused` });
  t.is((await ask('outside', outside)).body.toString(), 'outside');
});
