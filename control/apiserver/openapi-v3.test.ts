/** When documents of version 3 are made, kept and let go. */
import test from 'ava';
import type { OpenApiSource } from '../api/openapi/source.ts';
import type { V3Part } from '../api/openapi/v3.ts';
import { systemClock } from './clock.ts';
import { OpenApiV3Bytes } from './openapi-v3.ts';

const source: OpenApiSource = {
  title: 'Kubernetes',
  version: 'v1.33.1',
  kinds: [],
  definition: () => ({}),
  hasDefinition: () => false,
};
const PARTS: readonly V3Part[] = [
  { path: '/a/', item: { get: {} } },
  { definition: 'A', schema: { type: 'object' } },
  { definition: 'B', schema: { description: 'Two "words".' } },
];

test('a document is the JSON of its parts, made once for all who ask while it has the same hash', async t => {
  const bytes = new OpenApiV3Bytes(systemClock);
  let made = 0;
  const ask = (hash: string) =>
    bytes.get({
      name: 'apis/a/v1',
      hash,
      source,
      parts: () => {
        made++;
        return PARTS;
      },
    });
  const [first, second] = await Promise.all([ask('1'), ask('1')]);
  t.is(first, second);
  t.is(made, 1);
  t.deepEqual(JSON.parse(Buffer.from(first).toString()), {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.33.1' },
    paths: { '/a/': { get: {} } },
    components: { schemas: { A: { type: 'object' }, B: { description: 'Two "words".' } } },
  });
  t.not(await ask('2'), first);
  t.is(made, 2);
  bytes.keepOnly(new Set(['apis/a/v1']));
  await ask('2');
  t.is(made, 2);
  bytes.keepOnly(new Set());
  await ask('2');
  t.is(made, 3);
});

test('a document that could not be made is tried again', async t => {
  const bytes = new OpenApiV3Bytes(systemClock);
  const wish = { name: 'apis/a/v1', hash: '1', source };
  const fail = () => {
    throw new Error('no such schema');
  };
  await t.throwsAsync(bytes.get({ ...wish, parts: fail }), { message: 'no such schema' });
  t.true((await bytes.get({ ...wish, parts: () => PARTS })).length > 0);
});
