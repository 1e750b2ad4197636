/** Values lie sealed in the store, and nobody but the store notices. */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { createMemoryStore } from '../../../store/index.ts';
import { createHarness, take } from '../testing/harness.ts';
import { EncryptionConfigurationError, readEncryptionConfiguration } from './configuration.ts';
import { encryptingClient } from './encrypting-client.ts';
import { DamagedValueError, Encryption, ownRules, UnknownKeyError } from './encryption.ts';
import { aesCbc, aesGcm, identity, secretBox } from './providers.ts';
import { countByKey, rewriteStale } from './rewrite.ts';

const KEY = '/registry/core/secrets/default/one';
const ownKey = (id: string) => ({ id, secret: randomBytes(32).toString('base64') });
const text = (value: Uint8Array) => Buffer.from(value).toString('latin1');
const bytes = (value: string) => new TextEncoder().encode(value);

for (const [name, make, size] of [
  ['aesgcm', aesGcm, 16],
  ['aesgcm', aesGcm, 24],
  ['aesgcm', aesGcm, 32],
  ['aescbc', aesCbc, 32],
  ['secretbox', secretBox, 32],
] as const) {
  test(`${name} with ${size * 8} bits seals, opens, and hides`, t => {
    const provider = make('k1', randomBytes(size));
    const sealed = provider.seal(bytes('{"kind":"Secret"}'), KEY);
    t.true(text(sealed).startsWith(`k8s:enc:${name}:v1:k1:`));
    t.false(text(sealed).includes('Secret'));
    t.is(text(provider.open(sealed.subarray(provider.prefix.length), KEY)), '{"kind":"Secret"}');
    t.notDeepEqual(provider.seal(bytes('{"kind":"Secret"}'), KEY), sealed);
    if (name === 'aescbc') return;
    const damaged = Buffer.from(sealed.subarray(provider.prefix.length));
    damaged[damaged.length - 1] = (damaged[damaged.length - 1] ?? 0) ^ 1;
    t.throws(() => provider.open(damaged, KEY));
    t.throws(() => provider.open(new Uint8Array(3), KEY));
  });
}

test('a sealed value opens only where it was put, and with its own key', t => {
  const [first, second] = [ownKey('a'), ownKey('b')];
  const encryption = new Encryption(ownRules([first], 'a'));
  const sealed = encryption.seal(KEY, bytes('x'));
  t.throws(() => encryption.open('/registry/core/secrets/default/two', sealed), { instanceOf: DamagedValueError });
  t.throws(() => new Encryption(ownRules([second], 'b')).open(KEY, sealed), { instanceOf: UnknownKeyError });
  t.throws(() => encryption.open('/registry/core/configmaps/default/one', sealed), { instanceOf: UnknownKeyError });
  t.is(text(new Encryption(ownRules([second, first], 'b')).open(KEY, sealed)), 'x');
});

test('the first matching rule decides', t => {
  const [a, b] = [aesGcm('a', randomBytes(32)), aesGcm('b', randomBytes(32))];
  const cases: readonly [string, string, string][] = [
    ['secrets', '/registry/core/secrets/d/n', 'aesgcm a'],
    ['secrets', '/registry/core/configmaps/d/n', 'clear text'],
    ['deployments.apps', '/registry/apps/deployments/d/n', 'aesgcm a'],
    ['deployments', '/registry/apps/deployments/d/n', 'clear text'],
    ['*.apps', '/registry/apps/daemonsets/d/n', 'aesgcm a'],
    ['*.', '/registry/core/pods/d/n', 'aesgcm a'],
    ['*.', '/registry/apps/deployments/d/n', 'clear text'],
    ['*.*', '/registry/apps/deployments/d/n', 'aesgcm a'],
    ['*.*', '/registry/core/namespaces/n', 'aesgcm a'],
    ['*.*', '/elsewhere/x', 'clear text'],
  ];
  for (const [resource, key, label] of cases) {
    const encryption = new Encryption([{ resources: [resource], providers: [a, identity] }]);
    t.is(encryption.writesUnder(key), label, `${resource} ${key}`);
  }
  const both = new Encryption([
    { resources: ['secrets'], providers: [a] },
    { resources: ['*.*'], providers: [b] },
  ]);
  t.is(both.writesUnder(KEY), 'aesgcm a');
  t.is(both.writesUnder('/registry/core/pods/d/n'), 'aesgcm b');
  t.throws(
    () => both.open(KEY, bytes('{}')),
    { instanceOf: UnknownKeyError },
    'clear text only where identity is named',
  );
});

test('the API serves what the store does not show', async t => {
  const memory = createMemoryStore();
  const encryption = new Encryption(ownRules([ownKey('a')], 'a'));
  const harness = await createHarness({ memory, store: encryptingClient({ store: memory, encryption }) });
  t.teardown(() => harness.close());
  const stop = new AbortController();
  const frames = harness.watch('/api/v1/namespaces/default/secrets?watch=1', stop.signal);
  const secret = { kind: 'Secret', apiVersion: 'v1', metadata: { name: 'one' }, stringData: { p: 'hunter2-hunter2' } };
  await harness.create('/api/v1/namespaces/default/secrets', secret);
  const [added] = await take(frames, 1);
  stop.abort();
  t.is(added?.object.data.p, Buffer.from('hunter2-hunter2').toString('base64'));
  const read = await harness.call('GET', '/api/v1/namespaces/default/secrets/one');
  t.is(read.body.data.p, Buffer.from('hunter2-hunter2').toString('base64'));
  const patched = await harness.call('PATCH', '/api/v1/namespaces/default/secrets/one', {
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { data: { q: 'eA==' } },
  });
  t.is(patched.status, 200, patched.text);
  const again = await harness.call('POST', '/api/v1/namespaces/default/secrets', { body: secret });
  t.is(again.status, 409);
  const { items } = await memory.range({ key: KEY });
  t.true(text(items[0]?.value ?? new Uint8Array()).startsWith('k8s:enc:aesgcm:v1:a:'));
  const config = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'one' } };
  await harness.create('/api/v1/namespaces/default/configmaps', config);
  const plain = await memory.range({ key: '/registry/core/configmaps/default/one' });
  t.true(text(plain.items[0]?.value ?? new Uint8Array()).startsWith('{"kind":"ConfigMap"'));
  t.is((await harness.call('DELETE', '/api/v1/namespaces/default/secrets/one')).status, 200);
});

test('clear text and old keys are read, and rewritten with content and lease kept', async t => {
  const store = createMemoryStore();
  t.teardown(() => store.close());
  const [first, second] = [ownKey('a'), ownKey('b')];
  const encryption = new Encryption(ownRules([], null));
  const client = encryptingClient({ store, encryption });
  const { id: lease } = await store.grantLease(100);
  await client.put(KEY, bytes('{"n":1}'), { lease });
  await client.put('/registry/core/pods/d/p', bytes('{"n":2}'));
  t.is(await rewriteStale({ store, encryption }), 0);
  encryption.use(ownRules([first], null));
  t.is(await rewriteStale({ store, encryption }), 0, 'a key that is not active yet encrypts nothing');
  encryption.use(ownRules([first], 'a'));
  t.is(await rewriteStale({ store, encryption }), 1);
  t.is(await rewriteStale({ store, encryption }), 0);
  encryption.use(ownRules([first, second], 'b'));
  t.deepEqual((await countByKey({ store, encryption })).byKey, { 'aesgcm a': 1 });
  t.is(await rewriteStale({ store, encryption }), 1);
  t.deepEqual((await countByKey({ store, encryption })).byKey, { 'aesgcm b': 1 });
  const { items } = await client.range({ key: KEY });
  t.is(text(items[0]?.value ?? new Uint8Array()), '{"n":1}');
  t.is(items[0]?.lease, lease);
});

test('a key that is missing is asked for; without it nothing is served as if it were not there', async t => {
  const store = createMemoryStore();
  t.teardown(() => store.close());
  const key = ownKey('a');
  await encryptingClient({ store, encryption: new Encryption(ownRules([key], 'a')) }).put(KEY, bytes('x'));
  const encryption = new Encryption(ownRules([], null));
  const poor = encryptingClient({ store, encryption, fetchKeys: async () => {} });
  await t.throwsAsync(poor.range({ key: '/registry/', end: '/registry0' }), { instanceOf: UnknownKeyError });
  const rich = encryptingClient({
    store,
    encryption,
    fetchKeys: async () => {
      encryption.use(ownRules([key], 'a'));
    },
  });
  const { items } = await rich.range({ key: '/registry/', end: '/registry0' });
  t.deepEqual(
    items.map(({ value }) => text(value)),
    ['x'],
  );
});

test('one damaged value is told and left out; all others are served', async t => {
  const store = createMemoryStore();
  t.teardown(() => store.close());
  const encryption = new Encryption(ownRules([ownKey('a')], 'a'));
  const damaged: string[] = [];
  const client = encryptingClient({ store, encryption, onDamaged: error => damaged.push(error.message) });
  await client.put(KEY, bytes('{"n":1}'));
  const other = '/registry/core/secrets/default/two';
  await client.put(other, bytes('{"n":2}'));
  const sealed = (await store.range({ key: other })).items[0]?.value ?? new Uint8Array();
  const stop = new AbortController();
  const events = client.watch({ key: '/', end: '0', signal: stop.signal })[Symbol.asyncIterator]();
  const next = events.next();
  await store.put(KEY, sealed);
  const { value: batch } = await next;
  t.is(batch?.events[0]?.type, 'delete');
  stop.abort();
  const { items } = await client.range({ key: '/registry/', end: '/registry0' });
  t.deepEqual(
    items.map(({ key }) => key),
    [other],
  );
  await t.throwsAsync(client.range({ key: KEY }), { instanceOf: DamagedValueError });
  t.true(damaged.length >= 2 && damaged.every(message => message.includes(KEY)));
});

test('a configuration of Kubernetes is read', t => {
  const secret = randomBytes(32).toString('base64');
  const rules = readEncryptionConfiguration(`
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets, configmaps, pandas.awesome.bears.example]
    providers:
      - aescbc: {keys: [{name: k2, secret: ${secret}}, {name: k1, secret: ${secret}}]}
      - secretbox: {keys: [{name: k3, secret: ${secret}}]}
      - identity: {}
  - resources: ['*.*']
    providers: [{aesgcm: {keys: [{name: k4, secret: ${secret}}]}}]
`);
  t.deepEqual(
    rules.map(({ providers }) => providers.map(({ prefix }) => prefix.toString())),
    [['k8s:enc:aescbc:v1:k2:', 'k8s:enc:aescbc:v1:k1:', 'k8s:enc:secretbox:v1:k3:', ''], ['k8s:enc:aesgcm:v1:k4:']],
  );
});

test('a configuration that cannot be used is refused with the place', t => {
  const wrong = (provider: object, resources: readonly string[] = ['secrets']) =>
    JSON.stringify({
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'EncryptionConfiguration',
      resources: [{ resources, providers: [provider] }],
    });
  const cases: readonly [string, RegExp][] = [
    ['', /file/],
    ['a: [', /not YAML/],
    [wrong({ kms: { name: 'x', endpoint: 'unix:///x' } }), /providers\.0: kms is not supported: use aesgcm/],
    [wrong({ aesgcm: { keys: [{ name: 'a', secret: 'YWJj' }] } }), /keys\.0\.secret: has 3 bytes/],
    [wrong({ aesgcm: { keys: [] } }), /at least one key/],
    [wrong({ identity: {}, aesgcm: { keys: [] } }), /at least one key|exactly one/],
    [wrong({}), /exactly one provider/],
    [wrong({ identity: {} }, []), /at least one resource/],
    [wrong({ rot13: {} }), /rot13/],
  ];
  for (const [input, message] of cases) {
    const error = t.throws(() => readEncryptionConfiguration(input), { instanceOf: EncryptionConfigurationError });
    t.regex(error.message, message);
  }
});
