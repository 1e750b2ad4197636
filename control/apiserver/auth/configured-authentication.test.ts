/** An AuthenticationConfiguration over the API: several issuers, users made by expressions, and anonymous only where it says so. */
import test from 'ava';
import { systemClock } from '../clock.ts';
import { silentLogger } from '../testing/harness.ts';
import { ellipticKey, ellipticPublicKey, provider } from '../testing/oidc-provider.ts';
import { ask, worldOf } from '../testing/tls-world.ts';
import { readAuthenticationConfiguration } from './authentication-configuration.ts';
import { ConfiguredAuthentication } from './configured-authentication.ts';

const configurationOf = (body: object) =>
  readAuthenticationConfiguration(
    JSON.stringify({
      apiVersion: 'apiserver.config.k8s.io/v1beta1',
      kind: 'AuthenticationConfiguration',
      ...body,
    }),
  );
const configured = (body: object) =>
  new ConfiguredAuthentication(configurationOf(body), { clock: systemClock, logger: silentLogger });
const entryOf = (
  { url, authority }: { url: string; authority: string },
  { issuer = {}, ...more }: { issuer?: object; claimMappings?: object; claimValidationRules?: object[] } = {},
) => ({
  issuer: {
    url,
    audiences: ['raftsman', 'other'],
    audienceMatchPolicy: 'MatchAny',
    certificateAuthority: authority,
    ...issuer,
  },
  claimMappings: { username: { claim: 'sub', prefix: 'first:' } },
  ...more,
});

test('each issuer’s tokens make its own users; one that nobody names makes none', async t => {
  const [first, second, third] = [await provider(t), await provider(t), await provider(t)];
  const expressions = {
    claimMappings: {
      username: { expression: "'second:' + claims.sub" },
      groups: { expression: "claims.groups.map(group, 'g:' + group)" },
      extra: [{ key: 'acme.io/tenant', valueExpression: 'claims.tenant' }],
    },
    claimValidationRules: [{ expression: "claims.tenant != 'bad'" }],
  };
  const authentication = configured({ jwt: [entryOf(first), entryOf(second, expressions)] });
  t.deepEqual(await authentication.identify(await first.sign({})), { user: 'first:jane', groups: [] });
  t.deepEqual(await authentication.identify(await first.sign({ aud: ['x', 'other'] })), {
    user: 'first:jane',
    groups: [],
  });
  t.deepEqual(await authentication.identify(await second.sign({})), {
    user: 'second:jane',
    groups: ['g:dev', 'g:ops'],
    extra: { 'acme.io/tenant': ['a'] },
  });
  t.is(await authentication.identify(await second.sign({ tenant: 'bad' })), undefined);
  t.is(await authentication.identify(await first.sign({ aud: 'x' })), undefined);
  t.is(await authentication.identify(await third.sign({})), undefined);
  t.is(
    await authentication.identify(await third.sign({ iss: first.url }, { key: ellipticKey, alg: 'ES256' })),
    undefined,
  );
  t.deepEqual(third.asked, []);
});

test('tokens may be signed with elliptic keys, and the issuer be described elsewhere', async t => {
  const issuer = await provider(t);
  issuer.keys.push({ ...(await ellipticPublicKey()), kid: 'two', alg: 'ES256', use: 'sig' });
  const discoveryURL = `${issuer.url}/elsewhere/about`;
  const authentication = configured({ jwt: [entryOf(issuer, { issuer: { discoveryURL } })] });
  const token = await issuer.sign({}, { key: ellipticKey, alg: 'ES256', kid: 'two' });
  t.is((await authentication.identify(token))?.user, 'first:jane');
  t.deepEqual(issuer.asked, ['/elsewhere/about', '/keys']);
});

test('exchanged while it runs: an issuer that has not changed keeps its keys, one that is left out ends', async t => {
  const [first, second] = [await provider(t), await provider(t)];
  const authentication = configured({ jwt: [entryOf(first), entryOf(second)] });
  const tokens = [await first.sign({}), await second.sign({})] as const;
  for (const token of tokens) t.truthy(await authentication.identify(token));
  authentication.use(configurationOf({ jwt: [entryOf(first)] }));
  t.truthy(await authentication.identify(tokens[0]));
  t.is(first.fetches(), 2, 'its keys were fetched once');
  t.is(await authentication.identify(tokens[1]), undefined);
});

test('over the API: users by their tokens, and nobody anonymous but where it is said', async t => {
  const issuer = await provider(t);
  const jwt = [entryOf(issuer)];
  const authentication = configured({ jwt, anonymous: { enabled: true, conditions: [{ path: '/livez' }] } });
  const world = await worldOf(t, { configuredAuthentication: authentication });
  const status = async (path: string, token?: string) =>
    (await ask(world, path, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })).status;
  const pods = '/api/v1/namespaces/default/pods';
  const known = await ask(world, pods, { headers: { authorization: `Bearer ${await issuer.sign({})}` } });
  t.is(known.status, 403);
  t.true(known.text.includes('User \\"first:jane\\"'), known.text);
  t.is(await status(pods, await issuer.sign({ aud: 'x' })), 401);
  t.is(await status('/livez'), 200);
  t.is(await status('/livez?verbose'), 200);
  t.is(await status('/readyz'), 401);
  t.is(await status('/livez/ping'), 401);
  t.is(await status(pods), 401);
  authentication.use(configurationOf({ jwt, anonymous: { enabled: false } }));
  t.is(await status('/livez'), 401);
  authentication.use(configurationOf({ jwt, anonymous: { enabled: true } }));
  t.is(await status('/readyz'), 200);
  authentication.use(configurationOf({ jwt }));
  t.is(await status(pods), 403, 'as without the file: anonymous, who may nothing');
});
