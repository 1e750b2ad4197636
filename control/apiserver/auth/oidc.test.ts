/** ID tokens of an OpenID Connect provider: good ones name their user, all others are refused. */
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../clock.ts';
import { silentLogger } from '../testing/harness.ts';
import { ellipticKey, provider as newProvider, otherKey, otherPublicKey } from '../testing/oidc-provider.ts';
import { ask, worldOf } from '../testing/tls-world.ts';
import { type OidcOptions, OidcOptionsError, oidcAuthenticator } from './oidc.ts';

async function provider(t: ExecutionContext) {
  const { authority, ...rest } = await newProvider(t);
  const options: OidcOptions = { issuerUrl: rest.url, clientId: 'raftsman', authority };
  return { ...rest, options };
}
const authenticator = (options: OidcOptions, clock = systemClock) =>
  oidcAuthenticator(options, { clock, logger: silentLogger });

test('claims become user and groups, with their prefixes', async t => {
  const { options, sign, url } = await provider(t);
  const who = (more: Partial<OidcOptions>, token: string) => authenticator({ ...options, ...more }).identify(token);
  t.deepEqual(await who({}, await sign({})), { user: `${url}#jane`, groups: [] });
  t.deepEqual(await who({ usernamePrefix: 'x:', groupsClaim: 'groups', groupsPrefix: 'g:' }, await sign({})), {
    user: 'x:jane',
    groups: ['g:dev', 'g:ops'],
  });
  t.deepEqual(await who({ usernamePrefix: '-', groupsClaim: 'groups' }, await sign({ groups: 'one' })), {
    user: 'jane',
    groups: ['one'],
  });
  const mail = { usernameClaim: 'email' };
  t.is((await who(mail, await sign({ email: 'j@x', email_verified: true })))?.user, 'j@x');
  t.is(await who(mail, await sign({ email: 'j@x', email_verified: false })), undefined);
  t.is(await who({ usernameClaim: 'nick' }, await sign({})), undefined);
  t.truthy(await who({ requiredClaims: { tenant: 'a' } }, await sign({})));
  t.is(await who({ requiredClaims: { tenant: 'b' } }, await sign({})), undefined);
});

test('tokens that do not hold are nobody’s', async t => {
  const { options, sign } = await provider(t);
  const oidc = authenticator(options);
  t.truthy(await oidc.identify(await sign({})));
  t.is(await oidc.identify(await sign({ aud: 'another' })), undefined);
  t.is(await oidc.identify(await sign({ iss: 'https://elsewhere' })), undefined);
  t.is(await oidc.identify(await sign({}, { expires: '-1m' })), undefined);
  t.is(await oidc.identify(await sign({}, { key: otherKey })), undefined);
  t.is(await oidc.identify(await sign({}, { key: ellipticKey, alg: 'ES256' })), undefined);
  t.is(await oidc.identify('nonsense'), undefined);
  const [, body] = (await sign({})).split('.');
  t.is(await oidc.identify(`${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`), undefined);
});

test('a new key of the provider is found, and nobody can make us fetch all the time', async t => {
  const { options, sign, keys, fetches } = await provider(t);
  let nowMs = Date.now();
  const clock = { ...systemClock, now: () => nowMs };
  const oidc = authenticator(options, clock);
  t.truthy(await oidc.identify(await sign({})));
  t.is(fetches(), 2);
  const later = await sign({}, { key: otherKey, kid: 'two' });
  for (let count = 0; count < 20; count++) t.is(await oidc.identify(later), undefined);
  t.is(fetches(), 2);
  keys.push({ ...(await otherPublicKey()), kid: 'two', alg: 'RS256', use: 'sig' });
  nowMs += 11_000;
  t.truthy(await oidc.identify(later));
  t.is(fetches(), 4);
});

test('options that make no sense are refused', t => {
  const options = { issuerUrl: 'https://x', clientId: 'y' };
  t.throws(() => authenticator({ ...options, issuerUrl: 'http://x' }), { instanceOf: OidcOptionsError });
  t.throws(() => authenticator({ ...options, signingAlgorithms: ['HS256'] }), { instanceOf: OidcOptionsError });
});

test('over the API: known with a good token, 401 with any other, also while the provider is away', async t => {
  const { options, sign, url } = await provider(t);
  const world = await worldOf(t, { oidc: options });
  const use = async (token: string) =>
    ask(world, '/api/v1/namespaces/default/pods', { headers: { authorization: `Bearer ${token}` } });
  const known = await use(await sign({}));
  t.is(known.status, 403);
  t.true(known.text.includes(`${url}#jane`));
  t.is((await use(await sign({}, { expires: '-1m' }))).status, 401);
  t.is((await use(await sign({ aud: 'x' }))).status, 401);
  const away = await worldOf(t, { oidc: { ...options, issuerUrl: 'https://127.0.0.1:1' } });
  const token = await sign({ iss: 'https://127.0.0.1:1' });
  t.is((await ask(away, '/version', { headers: { authorization: `Bearer ${token}` } })).status, 401);
});
