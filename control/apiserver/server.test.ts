import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import test from 'ava';
import { createMemoryStore } from '../../store/index.ts';
import { createAuthority, issueCertificate } from '../pki/authority.ts';
import { systemClock } from './clock.ts';
import { ADMIN, createHarness, seededRandom } from './testing/harness.ts';
import { worldWithPod } from './testing/pod-world.ts';
import { ask, worldOf } from './testing/tls-world.ts';

test('a client certificate makes its user; without one the asker is anonymous', async t => {
  const world = await worldOf(t);
  const admin = await world.issue({ commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
  const credentials = { key: admin.key, cert: admin.certificate };
  t.is((await ask(world, '/api/v1/namespaces', credentials)).status, 200);
  const jane = await world.issue({ commonName: 'jane', organizations: ['dev', 'ops'], usages: ['client'] });
  const refused = await ask(world, '/api/v1/namespaces', { key: jane.key, cert: jane.certificate });
  t.regex(
    refused.text,
    /User \\"jane\\" cannot list resource \\"namespaces\\" in API group \\"\\" at the cluster scope/,
  );
  t.is((await ask(world, '/api', { key: jane.key, cert: jane.certificate })).status, 200);
  t.is((await ask(world, '/api')).status, 403);
  t.is((await ask(world, '/livez')).text, 'ok');
});

test('a certificate of another authority is no certificate', async t => {
  const world = await worldOf(t);
  const other = await createAuthority('other', { nowMs: systemClock.now() });
  const subject = { commonName: 'root', organizations: ['system:masters'], usages: ['client'] as const };
  const forged = await issueCertificate(other, subject, { nowMs: systemClock.now(), validDays: 1 });
  const answer = await ask(world, '/api/v1/namespaces', { key: forged.key, cert: forged.certificate });
  t.is(answer.status, 403);
  t.regex(answer.text, /system:anonymous/);
});

test('bootstrap tokens hold while their secret does; wrong and expired ones are refused', async t => {
  const world = await worldOf(t);
  const secretOf = (id: string, data: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system' },
    type: 'bootstrap.kubernetes.io/token',
    stringData: {
      'token-id': id,
      'token-secret': '0123456789abcdef',
      'usage-bootstrap-authentication': 'true',
      ...data,
    },
  });
  for (const [id, data] of [
    ['aaaaaa', {}],
    ['bbbbbb', { expiration: '2020-01-01T00:00:00Z' }],
    ['cccccc', { 'usage-bootstrap-authentication': 'false' }],
  ] as const) {
    const response = await world.server.handle(
      {
        method: 'POST',
        path: '/api/v1/namespaces/kube-system/secrets',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(secretOf(id, data)),
      },
      ADMIN,
    );
    t.is(response.status, 201);
  }
  const known = (token: string) => ask(world, '/raftsman/v1/known', { headers: { authorization: `Bearer ${token}` } });
  t.deepEqual(JSON.parse((await known('aaaaaa.0123456789abcdef')).text), { user: 'system:bootstrap:aaaaaa' });
  for (const token of [
    'aaaaaa.0123456789abcdeX',
    'aaaaaa.0123456789abcdff',
    'bbbbbb.0123456789abcdef',
    'cccccc.0123456789abcdef',
    'x',
  ]) {
    t.is((await known(token)).status, 401, token);
  }
  t.is((await known('')).status, 403);
  const pods = await ask(world, '/api/v1/pods', { headers: { authorization: 'Bearer aaaaaa.0123456789abcdef' } });
  t.is(pods.status, 403);
});

test('a path of the product may be open to anyone', async t => {
  const world = await worldOf(t);
  const answer = await ask(world, '/raftsman/v1/open', {
    method: 'POST',
    body: 'abc',
    headers: { authorization: 'Bearer x' },
  });
  t.deepEqual(JSON.parse(answer.text), { user: 'system:anonymous', size: 3 });
});

test('HTTP/2 and HTTP/1.1 are answered alike, with ETags on discovery', async t => {
  const world = await worldOf(t);
  const admin = await world.issue({ commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
  const credentials = { key: admin.key, cert: admin.certificate };
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
  const session = connectHttp2(`https://127.0.0.1:${world.port}`, { ca: world.authority.certificate, ...credentials });
  t.teardown(() => session.close());
  const overHttp2 = await new Promise<{ status: number; text: string; type: string }>((resolve, reject) => {
    const stream = session.request({ ':path': '/apis', accept });
    let text = '';
    let status = 0;
    let type = '';
    stream.on('response', headers => {
      status = Number(headers[':status']);
      type = String(headers['content-type']);
    });
    stream.on('data', chunk => {
      text += chunk;
    });
    stream.on('end', () => resolve({ status, text, type }));
    stream.on('error', reject);
  });
  t.is(overHttp2.status, 200);
  t.is(overHttp2.type, 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
  const overHttp1 = await ask(world, '/apis', { ...credentials, headers: { accept } });
  t.is(overHttp1.text, overHttp2.text);
  const headers = { accept, 'if-none-match': String(overHttp1.headers.etag) };
  t.is((await ask(world, '/apis', { ...credentials, headers })).status, 304);
});

test('the head of a quiet watch is sent at once, and the watch ends with its client', async t => {
  const world = await worldOf(t);
  const admin = await world.issue({ commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
  const status = await new Promise<number>((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        host: '127.0.0.1',
        port: world.port,
        path: '/api/v1/pods?watch=true',
        ca: world.authority.certificate,
        key: admin.key,
        cert: admin.certificate,
        agent: false,
      },
      answer => {
        resolve(answer.statusCode ?? 0);
        outgoing.destroy();
      },
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
  t.is(status, 200);
});

test('a body that is too large is refused before it is read whole', async t => {
  const world = await worldOf(t);
  const admin = await world.issue({ commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
  const answer = await ask(world, '/api/v1/namespaces/default/configmaps', {
    method: 'POST',
    key: admin.key,
    cert: admin.certificate,
    headers: { 'content-type': 'application/json', 'content-length': String(4 * 1024 * 1024) },
    body: 'x'.repeat(4 * 1024 * 1024),
  });
  t.is(answer.status, 413);
});

const UPGRADE = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' };

test('an exec is joined with the agent: bytes both ways, and an end stays an end', async t => {
  const { world, agent, credentials } = await worldWithPod(t);
  const text = await new Promise<string>((resolve, reject) => {
    const outgoing = httpsRequest({
      host: '127.0.0.1',
      port: world.port,
      method: 'POST',
      path: '/api/v1/namespaces/default/pods/p/exec?container=c&command=echo&command=a+b&stdin=true&stdout=True&tty=false',
      ca: world.authority.certificate,
      agent: false,
      headers: UPGRADE,
      ...credentials,
    });
    outgoing.on('upgrade', (answer, socket) => {
      t.is(answer.headers['x-stream-protocol-version'], 'v4.channel.k8s.io');
      let got = '';
      socket.on('data', chunk => {
        got += chunk;
        if (got === 'HELLO') socket.end();
      });
      socket.on('end', () => resolve(got));
      socket.write('hello');
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
  t.is(text, 'HELLObye');
  t.deepEqual(agent.heads, ['POST /exec/default/p/c?input=1&output=1&command=echo&command=a+b v4.channel.k8s.io']);
});

test('what fails before the upgrade is a Status', async t => {
  const { world, credentials } = await worldWithPod(t);
  const exec = '/api/v1/namespaces/default/pods/p/exec';
  const refused = await ask(world, `${exec}?container=refuse&command=x`, {
    method: 'POST',
    headers: UPGRADE,
    ...credentials,
  });
  t.like(JSON.parse(refused.text), { kind: 'Status', code: 403, message: 'not you' });
  const ambiguous = await ask(world, `${exec}?command=x`, { method: 'POST', headers: UPGRADE, ...credentials });
  t.is(
    JSON.parse(ambiguous.text).message,
    'a container name must be specified for pod p, choose one of: [c gone endless refuse]',
  );
  const missing = await ask(world, '/api/v1/namespaces/default/pods/none/exec?command=x', {
    method: 'POST',
    headers: UPGRADE,
    ...credentials,
  });
  t.is(missing.status, 404);
  const plain = await ask(world, `${exec}?container=c&command=x`, { method: 'POST', ...credentials });
  t.is(JSON.parse(plain.text).message, 'Upgrade request required');
  const unknown = await ask(world, `${exec}?container=c&command=x`, { method: 'POST', headers: UPGRADE });
  t.is(unknown.status, 403);
});

test('a log comes from the agent as it is; its failure is a Status', async t => {
  const { world, agent, credentials } = await worldWithPod(t);
  const log = '/api/v1/namespaces/default/pods/p/log';
  const answer = await ask(world, `${log}?container=c&tailLines=10&follow=true`, credentials);
  t.is(answer.text, 'line 1\nline 2\n');
  t.is(answer.headers['content-type'], 'text/plain');
  t.deepEqual(agent.heads, ['GET /containerLogs/default/p/c?follow=true&tailLines=10']);
  const failed = await ask(world, `${log}?container=gone`, credentials);
  t.like(JSON.parse(failed.text), { kind: 'Status', code: 404, message: 'no such container' });
});

test('two masters never give out the same address or port', async t => {
  const memory = createMemoryStore();
  // The same guesses in the same order: every service of one meets one of the other.
  const harnesses = await Promise.all(
    [0, 1].map(() => createHarness({ memory, overrides: { random: seededRandom(3) } })),
  );
  t.teardown(() => Promise.all(harnesses.map(harness => harness.close())));
  const services = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      (harnesses[index % 2] ?? harnesses[0])?.call('POST', '/api/v1/namespaces/default/services', {
        body: {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: `s${index}` },
          spec: { type: 'NodePort', ports: [{ port: 80 }] },
        },
      }),
    ),
  );
  t.true(
    services.every(answer => answer?.status === 201),
    services.map(answer => answer?.text).join('\n'),
  );
  t.is(new Set(services.map(answer => answer?.body.spec.clusterIP)).size, 20);
  t.is(new Set(services.map(answer => answer?.body.spec.ports[0].nodePort)).size, 20);
});
