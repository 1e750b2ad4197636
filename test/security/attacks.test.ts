/** Attacks on the API server, one test each: refused, quickly, without growth. The server is real, behind TLS. */
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:tls';
import test from 'ava';
import { SignJWT } from 'jose';
import { ADMIN } from '../../control/apiserver/testing/harness.ts';
import { serviceAccountKey } from '../../control/apiserver/testing/service-account-key.ts';
import { ask, type World, worldOf } from '../../control/apiserver/testing/tls-world.ts';
import { createAuthority, issueCertificate } from '../../control/pki/authority.ts';

const QUICKLY_MS = 2_000;
const SECRETS = '/api/v1/namespaces/default/secrets';
const JSON_TYPE = { 'content-type': 'application/json' };
const key = serviceAccountKey();
const ISSUER = 'https://kubernetes.default.svc.cluster.local';

async function admin(world: World) {
  const { key: clientKey, certificate } = await world.issue({
    commonName: 'root',
    organizations: ['system:masters'],
    usages: ['client'],
  });
  return { key: clientKey, cert: certificate };
}

/** Makes things as somebody who may do all. */
async function make(world: World, path: string, body: object): Promise<Record<string, unknown>> {
  const response = await world.server.handle(
    { method: 'POST', path, headers: JSON_TYPE, body: JSON.stringify(body) },
    ADMIN,
  );
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  if (response.status > 201) throw new Error(text);
  return JSON.parse(text) as Record<string, unknown>;
}

async function quickly<T>(work: Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const result = await work;
  const tookMs = performance.now() - startedMs;
  if (tookMs > QUICKLY_MS)
    throw new Error(`it took ${Math.round(tookMs)} ms: ${JSON.stringify(result)?.slice(0, 300)}`);
  return result;
}

const rssMiB = () => process.memoryUsage().rss / 1024 / 1024;

test.serial('who says nothing of himself reads nothing', async t => {
  const world = await worldOf(t);
  t.is((await quickly(ask(world, SECRETS))).status, 403);
  t.is((await ask(world, '/apis/apps/v1/deployments')).status, 403);
  t.is((await ask(world, '/readyz')).status, 200);
  const closed = await worldOf(t, { refusesAnonymous: true });
  t.is((await ask(closed, SECRETS)).status, 401);
});

async function tokenWorld(t: Parameters<typeof worldOf>[0]) {
  const world = await worldOf(t, { serviceAccountKey: key });
  const account = await make(world, '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'robot' } });
  const uid = (account.metadata as { uid: string }).uid;
  const sign = async (change: {
    audience?: string;
    issuer?: string;
    expiresInSeconds?: number;
    uid?: string;
    key?: Uint8Array;
  }) => {
    const { createPrivateKey } = await import('node:crypto');
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({
      'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'robot', uid: change.uid ?? uid } },
      sub: 'system:serviceaccount:default:robot',
      aud: [change.audience ?? ISSUER],
      iss: change.issuer ?? ISSUER,
      iat: now - 7_200,
      nbf: now - 7_200,
      exp: now + (change.expiresInSeconds ?? 600),
    })
      .setProtectedHeader({ alg: change.key ? 'HS256' : 'RS256' })
      .sign(change.key ?? createPrivateKey(key));
  };
  const use = (token: string) => quickly(ask(world, SECRETS, { headers: { authorization: `Bearer ${token}` } }));
  return { world, sign, use };
}

test.serial('a token counts only for its audience, its time, its account, and with our signature', async t => {
  const { sign, use } = await tokenWorld(t);
  t.is((await use(await sign({}))).status, 403, 'known, and without rights');
  t.is((await use(await sign({ audience: 'https://elsewhere' }))).status, 401);
  t.is((await use(await sign({ issuer: 'https://elsewhere' }))).status, 401);
  t.is((await use(await sign({ expiresInSeconds: -3_600 }))).status, 401);
  t.is((await use(await sign({ uid: 'of-one-before' }))).status, 401);
  t.is((await use(await sign({ key: Buffer.from(key) }))).status, 401, 'the key as the secret of another algorithm');
  const [head = '', body = ''] = (await sign({})).split('.');
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  t.is((await use(`${none}.${body}.`)).status, 401);
  t.is((await use(`${head}.${body}.AAAA`)).status, 401);
  t.is((await use('x'.repeat(30_000))).status, 401);
});

test.serial('a certificate of another authority is nobody', async t => {
  const world = await worldOf(t);
  const nowMs = Date.now();
  const foreign = await createAuthority('test', { nowMs });
  const subject = { commonName: 'root', organizations: ['system:masters'], usages: ['client' as const] };
  const wrong = await issueCertificate(foreign, subject, { nowMs, validDays: 1 });
  t.is((await quickly(ask(world, SECRETS, { key: wrong.key, cert: wrong.certificate }))).status, 403);
  const late = await issueCertificate(world.authority, subject, { nowMs: nowMs - 3 * 86_400_000, validDays: 1 });
  t.is((await ask(world, SECRETS, { key: late.key, cert: late.certificate })).status, 403);
  t.is((await ask(world, SECRETS, await admin(world))).status, 200);
});

test.serial('nobody gives himself or others what he has not', async t => {
  const world = await worldOf(t);
  await make(world, '/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: { name: 'role-writer' },
    rules: [
      { apiGroups: ['rbac.authorization.k8s.io'], resources: ['*'], verbs: ['get', 'create', 'update', 'patch'] },
    ],
  });
  await make(world, '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'role-writer' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'role-writer' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'eve' }],
  });
  const { key: clientKey, certificate } = await world.issue({ commonName: 'eve', usages: ['client'] });
  const eve = (method: string, path: string, body: object, headers: Record<string, string> = JSON_TYPE) =>
    quickly(ask(world, path, { method, key: clientKey, cert: certificate, headers, body: JSON.stringify(body) }));
  const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
  const all = { rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] };
  const denied = await eve('POST', roles, { metadata: { name: 'mine' }, ...all });
  t.is(denied.status, 403);
  t.regex(denied.text, /attempting to grant RBAC permissions not currently held/);
  const patch = { 'content-type': 'application/merge-patch+json' };
  t.is((await eve('PATCH', `${roles}/role-writer`, all, patch)).status, 403);
  const binding = {
    metadata: { name: 'mine' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'eve' }],
  };
  t.is((await eve('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', binding)).status, 403);
  for (const headers of [
    { 'impersonate-user': 'root' },
    { 'impersonate-user': 'eve', 'impersonate-group': 'system:masters' },
    { 'impersonate-user': 'system:serviceaccount:kube-system:default' },
    { 'impersonate-user': 'eve', 'impersonate-uid': '1' },
  ]) {
    const answer = await quickly(ask(world, SECRETS, { key: clientKey, cert: certificate, headers }));
    t.is(answer.status, 403, JSON.stringify(headers));
    t.regex(answer.text, /cannot impersonate/);
  }
});

test.serial('a node reads the Secrets of its own pods, and no others', async t => {
  const world = await worldOf(t);
  for (const name of ['ours', 'theirs']) await make(world, SECRETS, { metadata: { name } });
  await make(world, '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  for (const [pod, node, secret] of [
    ['p', 'one', 'ours'],
    ['q', 'two', 'theirs'],
  ] as const) {
    await make(world, '/api/v1/namespaces/default/pods', {
      metadata: { name: pod },
      spec: {
        nodeName: node,
        containers: [{ name: 'c', image: 'i', envFrom: [{ secretRef: { name: secret } }] }],
      },
    });
  }
  const { key: clientKey, certificate } = await world.issue({
    commonName: 'system:node:one',
    organizations: ['system:nodes'],
    usages: ['client'],
  });
  const read = (path: string) => quickly(ask(world, path, { key: clientKey, cert: certificate }));
  t.is((await read(`${SECRETS}/ours`)).status, 200);
  t.is((await read(`${SECRETS}/theirs`)).status, 403);
  t.is((await read(SECRETS)).status, 403);
});

test.serial('names do not lead out of their place', async t => {
  const world = await worldOf(t);
  await make(world, SECRETS, { metadata: { name: 'known' } });
  const { key: clientKey, certificate } = await world.issue({ commonName: 'eve', usages: ['client'] });
  await make(world, '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles', {
    metadata: { name: 'maps' },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['*'] }],
  });
  await make(world, '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
    metadata: { name: 'maps' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'maps' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'eve' }],
  });
  const maps = '/api/v1/namespaces/default/configmaps';
  for (const path of [
    `${maps}/../secrets/known`,
    `${maps}/..%2fsecrets%2fknown`,
    `${maps}/%2e%2e/secrets/known`,
    `${maps}/..%252fsecrets%252fknown`,
    `${maps}//../secrets/known`,
    `${maps}/..%5csecrets%5cknown`,
    `${maps}/x%00y`,
    '/api/v1/namespaces/default%2fsecrets%2fknown/configmaps/x',
    '/api/v1/namespaces/../namespaces/default/secrets/known',
  ]) {
    const answer = await quickly(ask(world, path, { key: clientKey, cert: certificate }));
    t.true([400, 403, 404].includes(answer.status), `${path}: ${answer.status}`);
    t.false(answer.text.includes('"kind":"Secret"'), path);
  }
  for (const name of ['..', '../secrets/x', 'a/b', 'a%2fb', '.']) {
    const body = JSON.stringify({ metadata: { name } });
    const own = { key: clientKey, cert: certificate, method: 'POST', headers: JSON_TYPE, body };
    t.is((await quickly(ask(world, maps, own))).status, 422, name);
  }
});

test.serial('a body that is too large is refused before it is read', async t => {
  const world = await worldOf(t, { limits: { bodyBytesMax: 100_000 } });
  const own = await admin(world);
  const body = Buffer.alloc(30_000_000, 'a');
  const before = rssMiB();
  const told = await quickly(
    ask(world, SECRETS, { ...own, method: 'POST', headers: JSON_TYPE, body: body.subarray(0, 200_000) }),
  );
  t.is(told.status, 413);
  t.regex(told.text, /Request entity too large: limit is 100000/);
  const chunked = { ...JSON_TYPE, 'transfer-encoding': 'chunked' };
  const answer = await ask(world, SECRETS, { ...own, method: 'POST', headers: chunked, body }).catch(() => undefined);
  t.true(answer === undefined || answer.status === 413);
  t.true(rssMiB() - before < 150);
  t.is((await ask(world, SECRETS, own)).status, 200, 'others go on');
});

const deep = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels);

test.serial('texts that are nested deeply are refused, in JSON, in YAML and in patches', async t => {
  const world = await worldOf(t);
  const own = await admin(world);
  await make(world, '/api/v1/namespaces/default/configmaps', { metadata: { name: 'known' } });
  const map = '/api/v1/namespaces/default/configmaps/known';
  const lists = deep('[', ']', 400_000);
  const maps = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
  const block = Array.from({ length: 1_400 }, (_, level) => `${' '.repeat(level)}a:`).join('\n');
  for (const [method, path, type, body] of [
    ['POST', SECRETS, 'application/json', `{"metadata":{"name":"x"},"data":${lists}}`],
    ['POST', SECRETS, 'application/json', maps],
    ['POST', SECRETS, 'application/json', '['.repeat(1_000_000)],
    ['POST', SECRETS, 'application/yaml', deep('[', ']', 20_000)],
    ['POST', SECRETS, 'application/yaml', block],
    ['PATCH', map, 'application/merge-patch+json', maps],
    ['PATCH', map, 'application/strategic-merge-patch+json', maps],
    ['PATCH', map, 'application/json-patch+json', `[{"op":"add","path":"/data","value":${maps}}]`],
    ['PATCH', `${map}?fieldManager=x`, 'application/apply-patch+yaml', maps],
    ['PATCH', `${map}?fieldManager=x`, 'application/apply-patch+yaml', deep('[', ']', 20_000)],
    ['DELETE', map, 'application/json', maps],
    ['POST', '/apis/authentication.k8s.io/v1/tokenreviews', 'application/json', maps],
    ['POST', '/apis/authentication.k8s.io/v1/tokenreviews', 'application/yaml', block],
  ] as const) {
    const answer = await quickly(
      ask(world, path, { ...own, method, headers: { 'content-type': type, 'content-length': body.length }, body }),
    ).catch((error: Error) => {
      throw new Error(`${method} ${type} ${body.slice(0, 20)}`, { cause: error });
    });
    t.true([400, 413, 422].includes(answer.status), `${method} ${type}: ${answer.status} ${answer.text.slice(0, 300)}`);
    t.true(answer.text.length < 20_000, `${method} ${type}: an answer of ${answer.text.length} characters`);
  }
  t.is((await ask(world, map, own)).status, 200);
});

test.serial('a billion laughs in YAML are not laughed', async t => {
  const world = await worldOf(t);
  const own = await admin(world);
  const lines = ['a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]'];
  for (const [name, of] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf', 'hg', 'ih'].map(pair => [...pair])) {
    lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${of}`).join(', ')}]`);
  }
  const before = rssMiB();
  for (const path of [SECRETS, '/apis/authentication.k8s.io/v1/tokenreviews']) {
    const answer = await quickly(
      ask(world, path, {
        ...own,
        method: 'POST',
        headers: { 'content-type': 'application/yaml' },
        body: lines.join('\n'),
      }),
    );
    t.is(answer.status, 400, answer.text);
  }
  t.true(rssMiB() - before < 200);
});

test.serial('YAML that would keep the server busy is refused', async t => {
  const world = await worldOf(t);
  const own = await admin(world);
  for (const body of [
    '!a '.repeat(100_000),
    '&a '.repeat(100_000),
    '['.repeat(100_000),
    '- '.repeat(20_000),
    '? '.repeat(20_000),
    Array.from({ length: 100_000 }, (_, index) => `key${index}: value`).join('\n'),
  ]) {
    const headers = { 'content-type': 'application/yaml', 'content-length': body.length };
    const answer = await quickly(ask(world, SECRETS, { ...own, method: 'POST', headers, body }));
    t.is(answer.status, 400, answer.text);
  }
});

test.serial('keys of prototypes are keys like any others', async t => {
  const world = await worldOf(t);
  const own = await admin(world);
  const text =
    '{"metadata":{"name":"x","annotations":{"__proto__":"a"}},"data":{"constructor":"YQ=="},"__proto__":{"polluted":1}}';
  const created = await ask(world, SECRETS, { ...own, method: 'POST', headers: JSON_TYPE, body: text });
  t.true([201, 422].includes(created.status), created.text);
  await make(world, '/api/v1/namespaces/default/configmaps', { metadata: { name: 'known' } });
  for (const [type, body] of [
    ['application/merge-patch+json', '{"__proto__":{"polluted":1},"data":{"__proto__":"x"}}'],
    ['application/strategic-merge-patch+json', '{"metadata":{"__proto__":{"polluted":1}}}'],
    ['application/json-patch+json', '[{"op":"add","path":"/__proto__/polluted","value":1}]'],
    ['application/json-patch+json', '[{"op":"add","path":"/metadata/constructor/prototype/polluted","value":1}]'],
  ] as const) {
    const path = '/api/v1/namespaces/default/configmaps/known';
    const answer = await quickly(
      ask(world, path, { ...own, method: 'PATCH', headers: { 'content-type': type }, body }),
    );
    t.true(answer.status < 500, `${type}: ${answer.text}`);
  }
  t.is(Reflect.get({}, 'polluted'), undefined);
});

test.serial('headers that come slowly, or are too many, end the connection', async t => {
  const world = await worldOf(t, { limits: { headersMsMax: 400 } });
  const socket = connect({ port: world.port, host: '127.0.0.1', ca: world.authority.certificate });
  await new Promise<void>(resolve => socket.once('secureConnect', () => resolve()));
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  socket.resume();
  socket.write('GET /readyz HTTP/1.1\r\nHost: x\r\n');
  const drip = setInterval(() => socket.write('X-A: b\r\n'), 50);
  await quickly(closed);
  clearInterval(drip);
  const many = Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`x-${index}`, 'y'.repeat(40)]));
  const answer = await quickly(ask(world, '/readyz', { headers: many }).catch(() => ({ status: 431 })));
  t.is(answer.status, 431);
  t.is((await ask(world, '/readyz')).status, 200);
});

test.serial('thousands of streams that are opened and reset leave others their turn', async t => {
  const world = await worldOf(t);
  const session = connectHttp2(`https://127.0.0.1:${world.port}`, { ca: world.authority.certificate });
  session.on('error', () => {});
  for (let index = 0; index < 3_000 && !session.destroyed; index++) {
    const stream = session.request({ ':path': '/readyz' });
    stream.on('error', () => {});
    stream.close(8);
  }
  t.is((await quickly(ask(world, '/readyz'))).status, 200);
  session.destroy();
});
