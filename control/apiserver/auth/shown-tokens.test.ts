/** A token that a connection shows again is judged anew each time, however little of it is read again. */
import test from 'ava';
import { WatchCache } from '../cache/watch-cache.ts';
import { systemClock } from '../clock.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { createHarness, silentLogger } from '../testing/harness.ts';
import { serviceAccountKey } from '../testing/service-account-key.ts';
import type { Exchange } from '../types.ts';
import { type AuthenticationOptions, authenticate } from './authentication.ts';
import { DEFAULT_ISSUER, ServiceAccountTokens } from './service-account-tokens.ts';

const ROBOT = '/api/v1/namespaces/default/serviceaccounts/robot';
const USER = 'system:serviceaccount:default:robot';

async function worldWithTwoRobots() {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const harness = await createHarness();
  const cache = new WatchCache({ store: harness.store, clock, logger: silentLogger, limits: DEFAULT_LIMITS });
  cache.start();
  const tokens = new ServiceAccountTokens({
    key: serviceAccountKey(),
    issuer: DEFAULT_ISSUER,
    clock,
    newUid: () => 'jti',
  });
  const options: AuthenticationOptions = {
    clock,
    staticTokens: [],
    readBootstrapSecret: async () => undefined,
    serviceAccounts: { tokens, cache, clock },
  };
  const sign = async (name: string) => {
    await harness.create('/api/v1/namespaces/default/serviceaccounts', { metadata: { name } });
    const answer = await harness.call('GET', `/api/v1/namespaces/default/serviceaccounts/${name}`);
    const serviceAccount = { name, uid: answer.body.metadata.uid };
    return tokens.sign({ namespace: 'default', serviceAccount }, { audiences: [DEFAULT_ISSUER], lifeSeconds: 3600 });
  };
  const who = async (token: string, connection: object) => {
    const exchange = { connection, headers: { authorization: `Bearer ${token}` } };
    // Authentication looks at nothing else.
    return (await authenticate(exchange as unknown as Exchange, options)).user;
  };
  return {
    ...{ harness, cache, sign, who },
    skip: (ms: number) => {
      aheadMs += ms;
    },
    close: async () => {
      await cache.close();
      await harness.close();
    },
  };
}

test('it stands for its holder as long as it would on a new connection', async t => {
  const { who, sign, skip, close } = await worldWithTwoRobots();
  const token = await sign('robot');
  const connection = {};
  for (let time = 0; time < 3; time++) t.is(await who(token, connection), USER);
  skip(3600_000 + 61_000);
  await t.throwsAsync(who(token, connection), { message: 'Unauthorized' });
  await t.throwsAsync(who(token, {}), { message: 'Unauthorized' });
  await close();
});

test('it ends with its account, and does not come back with another of that name', async t => {
  const { who, sign, harness, cache, close } = await worldWithTwoRobots();
  const token = await sign('robot');
  const connection = {};
  t.is(await who(token, connection), USER);
  t.is((await harness.call('DELETE', ROBOT)).status, 200);
  await cache.freshen();
  await t.throwsAsync(who(token, connection), { message: 'Unauthorized' });
  const next = await sign('robot');
  await cache.freshen();
  await t.throwsAsync(who(token, connection), { message: 'Unauthorized' });
  t.is(await who(next, connection), USER);
  await close();
});

test('each token of a connection has its own holder, and a wrong one none', async t => {
  const { who, sign, close } = await worldWithTwoRobots();
  const [first, second] = [await sign('robot'), await sign('other')];
  const connection = {};
  t.is(await who(first, connection), USER);
  t.is(await who(second, connection), 'system:serviceaccount:default:other');
  t.is(await who(first, connection), USER);
  await t.throwsAsync(who(`${first.slice(0, -4)}AAAA`, connection), { message: 'Unauthorized' });
  t.is(await who(first, connection), USER);
  await close();
});
