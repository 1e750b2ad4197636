/** Service accounts from end to end: their tokens, who accepts them and for how long, and the volume in new pods. */
import test from 'ava';
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose';
import type { Pod, PodSpec } from '../../api/generated/types.ts';
import { ServiceAccountTokens } from '../auth/service-account-tokens.ts';
import { systemClock } from '../clock.ts';
import { type Answer, createHarness, type Harness } from '../testing/harness.ts';
import { serviceAccountKey } from '../testing/service-account-key.ts';
import { ask, worldOf } from '../testing/tls-world.ts';
import type { Identity } from '../types.ts';

const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const CORE = '/api/v1/namespaces/default';
const nodeIdentity = (name: string): Identity => ({ user: `system:node:${name}`, groups: ['system:nodes'] });

async function worldWithRobot() {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const harness = await createHarness({ overrides: { serviceAccountKey: serviceAccountKey(), clock } });
  await harness.create(`${CORE}/serviceaccounts`, { metadata: { name: 'robot' } });
  const skip = (ms: number) => {
    aheadMs += ms;
  };
  return { harness, skip };
}

function tokenOf(harness: Harness, spec: object = {}, identity?: Identity): Promise<Answer> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
  return harness.call('POST', `${CORE}/serviceaccounts/robot/token`, { body, ...(identity && { identity }) });
}

async function review(harness: Harness, token: string, audiences?: string[]) {
  const body = { spec: { token, ...(audiences && { audiences }) } };
  const answer = await harness.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { body });
  return answer.body.status;
}

const pod = (name: string, spec: Partial<PodSpec> = {}): Pod => ({
  metadata: { name },
  spec: { serviceAccountName: 'robot', containers: [{ name: 'c', image: 'a:1' }], ...spec },
});

test('a token says who it is for, and holds for its hour', async t => {
  const { harness, skip } = await worldWithRobot();
  const answer = await tokenOf(harness);
  t.is(answer.status, 201, answer.text);
  t.deepEqual(answer.body.spec, { audiences: [ISSUER], boundObjectRef: null, expirationSeconds: 3600 });
  const { token } = answer.body.status;
  const claims = decodeJwt(token);
  t.like(claims, { iss: ISSUER, aud: [ISSUER], sub: 'system:serviceaccount:default:robot' });
  t.is((claims.exp ?? 0) - (claims.iat ?? 0), 3600);
  const status = await review(harness, token);
  t.true(status.authenticated);
  t.like(status.user, { username: 'system:serviceaccount:default:robot' });
  t.deepEqual(status.user.groups, ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated']);
  skip(3600_000 + 61_000);
  t.deepEqual(await review(harness, token), { user: {}, error: 'invalid bearer token' });
  await harness.close();
});

test('the token in a Secret holds as long as Secret and account do', async t => {
  const { harness, skip } = await worldWithRobot();
  const tokens = new ServiceAccountTokens({
    key: serviceAccountKey(),
    issuer: ISSUER,
    clock: systemClock,
    newUid: () => 'x',
  });
  const { uid = '' } = (await harness.call('GET', `${CORE}/serviceaccounts/robot`)).body.metadata;
  const token = await tokens.signForSecret({
    namespace: 'default',
    secret: 's',
    serviceAccount: { name: 'robot', uid },
  });
  t.falsy((await review(harness, token)).authenticated, 'no Secret has it');
  const path = `${CORE}/secrets/s`;
  await harness.create(`${CORE}/secrets`, {
    metadata: { name: 's', annotations: { 'kubernetes.io/service-account.name': 'robot' } },
    type: 'kubernetes.io/service-account-token',
    data: { token: Buffer.from(token).toString('base64') },
  } as Pod);
  const status = await review(harness, token);
  t.true(status.authenticated);
  t.like(status.user, { username: 'system:serviceaccount:default:robot', uid });
  t.falsy((await review(harness, token, ['somebody.else'])).authenticated);
  skip(10 * 365 * 24 * 3600_000);
  t.true((await review(harness, token)).authenticated, 'it has no end');
  const label = (value: string | null) =>
    harness.call('PATCH', path, {
      body: { metadata: { labels: { 'kubernetes.io/legacy-token-invalid-since': value } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
  await label('2026-01-01');
  t.falsy((await review(harness, token)).authenticated, 'it was marked as invalid');
  await label(null);
  t.true((await review(harness, token)).authenticated);
  await harness.call('DELETE', path);
  t.falsy((await review(harness, token)).authenticated);
  await harness.close();
});

test('a token is good for its audiences only', async t => {
  const { harness } = await worldWithRobot();
  const { token } = (await tokenOf(harness, { audiences: ['vault', 'other'] })).body.status;
  t.is((await review(harness, token)).error, 'invalid bearer token');
  t.deepEqual((await review(harness, token, ['vault', 'more'])).audiences, ['vault']);
  await harness.close();
});

test('a forged token and one of another key are refused', async t => {
  const { harness } = await worldWithRobot();
  const { token } = (await tokenOf(harness)).body.status;
  const [head, payload, signature] = token.split('.');
  const other = Buffer.from(JSON.stringify({ ...decodeJwt(token), sub: 'system:serviceaccount:kube-system:admin' }));
  const unsigned = Buffer.from('{"alg":"none"}').toString('base64url');
  for (const forged of [
    `${head}.${other.toString('base64url')}.${signature}`,
    `${unsigned}.${payload}.`,
    `${unsigned}.${payload}.${signature}`,
    `${head}.${payload}.${signature?.slice(4)}AAAA`,
    'nonsense',
  ]) {
    t.is((await review(harness, forged)).error, 'invalid bearer token', forged);
  }
  await harness.close();
});

test('a token ends with its account and with the pod that it is bound to', async t => {
  const { harness } = await worldWithRobot();
  const created = await harness.create(`${CORE}/pods`, pod('p'));
  const reference = { apiVersion: 'v1', kind: 'Pod', name: 'p' };
  const bound = (await tokenOf(harness, { boundObjectRef: reference })).body.status.token;
  const free = (await tokenOf(harness)).body.status.token;
  const { user } = await review(harness, bound);
  t.deepEqual(user.extra['authentication.kubernetes.io/pod-name'], ['p']);
  t.deepEqual(user.extra['authentication.kubernetes.io/pod-uid'], [created.metadata?.uid]);
  await harness.call('DELETE', `${CORE}/pods/p?gracePeriodSeconds=0`);
  t.is((await review(harness, bound)).error, 'invalid bearer token');
  t.true((await review(harness, free)).authenticated);
  await harness.call('DELETE', `${CORE}/serviceaccounts/robot`);
  await harness.create(`${CORE}/serviceaccounts`, { metadata: { name: 'robot' } });
  t.is((await review(harness, free)).error, 'invalid bearer token');
  await harness.close();
});

test('requests that cannot be met are refused with a reason', async t => {
  const { harness } = await worldWithRobot();
  await harness.create(`${CORE}/pods`, pod('p', { serviceAccountName: 'default' }));
  await harness.create(`${CORE}/pods`, pod('q'));
  const told = async (spec: object) => {
    const { status, body } = await tokenOf(harness, spec);
    return [status, body.message];
  };
  const to = (kind: string, name: string, uid?: string) => ({
    boundObjectRef: { apiVersion: 'v1', kind, name, ...(uid && { uid }) },
  });
  t.deepEqual(await told({ expirationSeconds: 60 }), [
    422,
    'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes',
  ]);
  t.is((await told({ expirationSeconds: 2 ** 33 }))[0], 422);
  t.deepEqual(await told(to('Pod', 'none')), [404, 'pods "none" not found']);
  t.deepEqual(await told(to('Banana', 'x')), [400, 'cannot bind token to object of type /v1, Kind=Banana']);
  t.deepEqual(await told(to('Pod', 'p')), [
    400,
    'cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name.',
  ]);
  t.is((await told(to('Pod', 'q', 'another')))[0], 409);
  await harness.close();
});

test('a node gets tokens for its own pods only, with their uid', async t => {
  const { harness } = await worldWithRobot();
  const { metadata } = await harness.create(`${CORE}/pods`, pod('p', { nodeName: 'n1' }));
  const reference = { apiVersion: 'v1', kind: 'Pod', name: 'p' };
  const bound = { boundObjectRef: { ...reference, uid: metadata?.uid } };
  t.is((await tokenOf(harness, bound, nodeIdentity('n1'))).status, 201);
  for (const [spec, node, why] of [
    [bound, 'n2', /no relationship found between node 'n2' and this object/],
    [{}, 'n1', /node requested token not bound to a pod/],
    [{ boundObjectRef: reference }, 'n1', /node requested token with a pod binding without a uid/],
  ] as const) {
    const refused = await tokenOf(harness, spec, nodeIdentity(node));
    t.is(refused.status, 403);
    t.regex(refused.body.message, why);
  }
  await harness.create(`${CORE}/pods`, pod('elsewhere', { nodeName: 'n2' }));
  const foreign = await tokenOf(harness, bound, nodeIdentity('n2'));
  t.regex(foreign.body.message, /node requested token bound to a pod scheduled on a different node/);
  await harness.close();
});

test('a pod gets the volume with its token unless it or its account does not want it', async t => {
  const { harness } = await worldWithRobot();
  const volumesOf = async (name: string, spec: Partial<PodSpec>) => {
    const made = (await harness.create(`${CORE}/pods`, pod(name, spec))).spec;
    return { volumes: made?.volumes ?? [], mounts: made?.containers.map(({ volumeMounts = [] }) => volumeMounts) };
  };
  const { volumes, mounts } = await volumesOf('on', {});
  const name = volumes[0]?.name ?? '';
  t.regex(name, /^kube-api-access-[a-z0-9]{5}$/);
  t.is(volumes[0]?.projected?.defaultMode, 0o644);
  t.deepEqual(mounts, [[{ name, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }]]);
  t.deepEqual(await volumesOf('off', { automountServiceAccountToken: false }), { volumes: [], mounts: [[]] });
  const own = { name: 'mine', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' };
  const container = { name: 'c', image: 'a:1', volumeMounts: [own] };
  const kept = await volumesOf('own', { containers: [container], volumes: [{ name: 'mine', emptyDir: {} }] });
  t.deepEqual(
    kept.volumes.map(volume => volume.name),
    ['mine'],
  );
  const patch = {
    body: { automountServiceAccountToken: false },
    headers: { 'content-type': 'application/merge-patch+json' },
  };
  await harness.call('PATCH', `${CORE}/serviceaccounts/robot`, patch);
  t.deepEqual((await volumesOf('by-account', {})).volumes, []);
  t.is((await volumesOf('insists', { automountServiceAccountToken: true })).volumes.length, 1);
  await harness.close();
});

test('a token that is mounted outlives its hour for clients that read it once', async t => {
  const { harness } = await worldWithRobot();
  await harness.create(`${CORE}/pods`, pod('p'));
  const spec = { expirationSeconds: 3607, boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p' } };
  const { body } = await tokenOf(harness, spec);
  const claims = decodeJwt(body.status.token);
  t.is((claims.exp ?? 0) - (claims.iat ?? 0), 365 * 24 * 3600);
  const left = Date.parse(body.status.expirationTimestamp) - systemClock.now();
  t.true(left <= 3_607_000 && left > 3_500_000);
  await harness.close();
});

test('over a connection a token makes its user, a bad one is refused, and others may check it by themselves', async t => {
  const world = await worldOf(t, { serviceAccountKey: serviceAccountKey() });
  const admin = await world.issue({ commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
  const credentials = { key: admin.key, cert: admin.certificate };
  const post = (path: string, body: object) =>
    ask(world, path, {
      ...credentials,
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
  await post(`${CORE}/serviceaccounts`, { metadata: { name: 'robot' } });
  const { token } = JSON.parse((await post(`${CORE}/serviceaccounts/robot/token`, {})).text).status;
  const as = (bearer: string, path: string) => ask(world, path, { headers: { authorization: `Bearer ${bearer}` } });
  t.is((await as(token, '/apis')).status, 200);
  const refused = await as(token, `${CORE}/pods`);
  t.is(refused.status, 403);
  t.is(
    JSON.parse(refused.text).message,
    'pods is forbidden: User "system:serviceaccount:default:robot" cannot list resource "pods" in API group "" in the namespace "default"',
  );
  t.is((await as(`${token}x`, '/apis')).status, 401);
  const document = JSON.parse((await as(token, '/.well-known/openid-configuration')).text);
  t.is(document.issuer, ISSUER);
  const keys = await as(token, new URL(document.jwks_uri).pathname);
  t.is(keys.headers['content-type'], 'application/jwk-set+json');
  const { payload } = await jwtVerify(token, createLocalJWKSet(JSON.parse(keys.text)), { issuer: ISSUER });
  t.is(payload.sub, 'system:serviceaccount:default:robot');
});
