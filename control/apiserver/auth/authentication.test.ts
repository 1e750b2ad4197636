/** Who gets in with what, and who does not. */
import test from 'ava';
import { createAuthority, issueCertificate, type KeyPair } from '../../pki/authority.ts';
import { systemClock } from '../clock.ts';
import { ADMIN } from '../testing/harness.ts';
import { ask, type World, worldOf } from '../testing/tls-world.ts';
import { DEFAULT_HEADERS } from './request-header.ts';
import { parseTokenFile } from './token-file.ts';

const WHOAMI = '/apis/authentication.k8s.io/v1/selfsubjectreviews';

type Headers = Record<string, string | string[]>;
interface Who {
  readonly headers?: Headers;
  readonly certificate?: KeyPair;
}

/** The user as the server sees him, or the status of the refusal. */
async function whoami(world: World, { headers = {}, certificate }: Who): Promise<unknown> {
  const { status, text } = await ask(world, WHOAMI, {
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json', ...headers },
    ...(certificate && { key: certificate.key, cert: certificate.certificate }),
  });
  return status === 201 ? JSON.parse(text).status.userInfo : status;
}
const bearer = (token: string): Who => ({ headers: { authorization: `Bearer ${token}` } });

test('a token file names users, line by line', async t => {
  const staticTokens = parseTokenFile('one,jane,7,"dev, ops"\n\n# nobody\ntwo,joe,8\nquoted,"a ""b""",9,dev\n');
  const world = await worldOf(t, { staticTokens });
  t.deepEqual(await whoami(world, bearer('one')), {
    username: 'jane',
    uid: '7',
    groups: ['dev', 'ops', 'system:authenticated'],
  });
  t.deepEqual(await whoami(world, bearer('two')), { username: 'joe', uid: '8', groups: ['system:authenticated'] });
  t.like(await whoami(world, bearer('quoted')), { username: 'a "b"' });
  for (const wrong of ['three', 'on', 'onee', 'one,jane', '']) {
    t.is(await whoami(world, bearer(wrong)), wrong === '' ? 403 : 401, wrong);
  }
  for (const text of ['one,jane', ',jane,7', 'one,,7', 'one,"jane,7']) {
    t.throws(() => parseTokenFile(text), { code: 'TOKEN_FILE' }, text);
  }
});

test('a bootstrap token lets in whom it names, as long as it may and holds', async t => {
  const world = await worldOf(t);
  const HOUR_MS = 3_600_000;
  const at = (ms: number) => new Date(systemClock.now() + ms).toISOString();
  const make = async (id: string, more: Record<string, string>, type = 'bootstrap.kubernetes.io/token') => {
    const stringData = {
      'token-id': id,
      'token-secret': '0123456789abcdef',
      'usage-bootstrap-authentication': 'true',
      ...more,
    };
    const answer = await world.server.handle(
      {
        method: 'POST',
        path: '/api/v1/namespaces/kube-system/secrets',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ metadata: { name: `bootstrap-token-${id}` }, type, stringData }),
      },
      ADMIN,
    );
    t.is(answer.status, 201, id);
  };
  const table: readonly (readonly [string, Record<string, string>, readonly string[] | undefined, string?])[] = [
    ['aaaaaa', {}, ['system:bootstrappers']],
    ['bbbbbb', { expiration: at(HOUR_MS) }, ['system:bootstrappers']],
    ['cccccc', { expiration: at(-HOUR_MS) }, undefined],
    ['dddddd', { expiration: 'tomorrow' }, undefined],
    ['eeeeee', { 'usage-bootstrap-authentication': 'false' }, undefined],
    ['ffffff', { 'token-secret': 'another-secret-x' }, undefined],
    [
      'gggggg',
      { 'auth-extra-groups': 'system:bootstrappers:a,system:masters' },
      ['system:bootstrappers', 'system:bootstrappers:a'],
    ],
    ['hhhhhh', {}, undefined, 'Opaque'],
  ];
  for (const [id, more, groups, type] of table) {
    await make(id, more, type);
    const who = await whoami(world, bearer(`${id}.0123456789abcdef`));
    if (!groups) t.is(who, 401, id);
    else t.deepEqual(who, { username: `system:bootstrap:${id}`, groups: [...groups, 'system:authenticated'] });
  }
  t.is(await whoami(world, bearer('zzzzzz.0123456789abcdef')), 401);
});

test('a proxy in front says who asks, if it is one', async t => {
  const nowMs = systemClock.now();
  const proxies = await createAuthority('proxies', { nowMs });
  const world = await worldOf(t, {
    requestHeader: { ...DEFAULT_HEADERS, clientCa: proxies.certificate, allowedNames: ['front'] },
  });
  const issue = (authority: KeyPair, commonName: string) =>
    issueCertificate(
      authority,
      { commonName, organizations: ['system:masters'], usages: ['client'] },
      { nowMs, validDays: 1 },
    );
  const headers = {
    'x-remote-user': 'jane',
    'x-remote-uid': '7',
    'x-remote-group': ['dev', 'a,b'],
    'x-remote-extra-acme%2fteam': 'red',
  };
  const front = await issue(proxies, 'front');
  t.deepEqual(await whoami(world, { headers, certificate: front }), {
    username: 'jane',
    uid: '7',
    groups: ['dev', 'a,b', 'system:authenticated'],
    extra: { 'acme/team': ['red'] },
  });
  t.is(await whoami(world, { certificate: front }), 403, 'a proxy’s certificate makes nobody a user');
  t.is(await whoami(world, { headers, certificate: await issue(proxies, 'other') }), 403);
  t.is(await whoami(world, { headers }), 403, 'headers alone');
  const root = await issue(world.authority, 'front');
  t.like(await whoami(world, { headers, certificate: root }), { username: 'front' }, 'a client’s headers mean nothing');
  const foreign = await createAuthority('foreign', { nowMs });
  t.is(await whoami(world, { headers, certificate: await issue(foreign, 'front') }), 403);
});

test('whoever says nothing of himself is refused where he is not to be anonymous', async t => {
  const world = await worldOf(t, { refusesAnonymous: true });
  t.is((await ask(world, '/version')).status, 401);
  const open = await worldOf(t);
  t.is((await ask(open, '/version')).status, 200);
  t.is((await ask(open, '/api')).status, 403);
  t.is((await ask(open, '/raftsman/v1/known')).status, 403);
});

test('a certificate that is over lets nobody in', async t => {
  const world = await worldOf(t);
  const old = await issueCertificate(
    world.authority,
    { commonName: 'root', organizations: ['system:masters'], usages: ['client'] },
    { nowMs: systemClock.now() - 10 * 24 * 3_600_000, validDays: 1 },
  );
  t.is(await whoami(world, { certificate: old }), 403);
});
