/** JSON for people looks as JSON.stringify lays it out, however it comes in pieces. */
import test from 'ava';
import fc from 'fast-check';
import { createHarness } from '../testing/harness.ts';
import { Indenter } from './pretty.ts';

test('any JSON in any pieces comes out as laid out at once', t => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.integer({ min: 1, max: 7 }), (value, step) => {
      const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
      const indenter = new Indenter();
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += step) pieces.push(indenter.take(bytes.subarray(at, at + step)));
      t.is(Buffer.concat(pieces).toString(), JSON.stringify(value, null, 2));
    }),
  );
});

test('curl gets objects, lists and errors to read; a client, a watch and who says no do not', async t => {
  const harness = await createHarness();
  const curl = { 'user-agent': 'curl/8.5.0' };
  for (const path of ['/api/v1/namespaces/default', '/api/v1/namespaces', '/api/v1/namespaces/none', '/apis']) {
    const { text, body } = await harness.call('GET', path, { headers: curl });
    t.is(text, JSON.stringify(body, null, 2), path);
    t.is((await harness.call('GET', path)).text.trimEnd(), JSON.stringify(body), path);
    const declined = await harness.call('GET', `${path}?pretty=false`, { headers: curl });
    t.false(declined.text.includes('\n  '), path);
  }
  const watch = await harness.call('GET', '/api/v1/namespaces?watch=1&timeoutSeconds=1', { headers: curl });
  t.is(watch.text.trimEnd().split('\n').length, 4);
  await harness.close();
});
