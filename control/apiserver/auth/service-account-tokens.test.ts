import { generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import { ServiceAccountTokens, type TokenSubject } from './service-account-tokens.ts';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const subject: TokenSubject = { namespace: 'ns', serviceAccount: { name: 'robot', uid: 'u1' } };

function tokensAt(time: { ms: number }) {
  const clock = { now: () => time.ms, setTimeout: () => () => {} };
  return new ServiceAccountTokens({ key, issuer: 'https://issuer', clock, newUid: () => 'id' });
}

test('a token that was read before is still judged by its audience and its end', async t => {
  const time = { ms: 1_700_000_000_000 };
  const tokens = tokensAt(time);
  const token = await tokens.sign(subject, { audiences: ['api'], lifeSeconds: 600 });
  const first = await tokens.read(token, ['api', 'other']);
  t.is(first?.serviceAccount.uid, 'u1');
  t.deepEqual(await tokens.read(token, ['api']), first);
  t.is(await tokens.read(token, ['other']), undefined);
  t.is(await tokens.read(token, []), undefined);
  // Masters' clocks may differ by a minute.
  time.ms += 659_000;
  t.deepEqual(await tokens.read(token, ['api']), first);
  time.ms += 1_000;
  t.is(await tokens.read(token, ['api']), undefined);
});

test('a token with another signature is not one that was read before', async t => {
  const tokens = tokensAt({ ms: 1_700_000_000_000 });
  const token = await tokens.sign(subject, { audiences: ['api'], lifeSeconds: 600 });
  t.truthy(await tokens.read(token, ['api']));
  const [head, payload, signature] = token.split('.') as [string, string, string];
  const flipped = `${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`;
  t.is(await tokens.read(`${head}.${payload}.${flipped}`, ['api']), undefined);
});
