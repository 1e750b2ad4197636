/** Versions that a webhook converts: reads, lists, watches, selectors and writes in each version, and what a bad webhook does. */
import { createServer } from 'node:https';
import test, { type ExecutionContext } from 'ava';
import type { ConversionReview } from '../../api/custom/conversion.ts';
import { createAuthority, issueCertificate } from '../../pki/authority.ts';
import { systemClock } from '../clock.ts';
import { DEFINITIONS, establish } from '../testing/establish.ts';
import { listening } from '../testing/fake-agent.ts';
import { createHarness, type Harness, take } from '../testing/harness.ts';

const GROUP = 'stable.example.com';
const path = (version: string) => `/apis/${GROUP}/${version}/namespaces/default/hosts`;

interface Host {
  apiVersion?: string;
  kind?: string;
  metadata?: { name?: string; labels?: Record<string, string> };
  spec?: { hostPort?: string; host?: string; port?: string };
}

/** v1 has `hostPort`, v2 has `host` and `port`. */
function convert(object: Host, apiVersion: string): Host {
  const { hostPort = '', host, port } = object.spec ?? {};
  const isV1 = apiVersion.endsWith('/v1');
  const [before = '', after = ''] = hostPort.split(':');
  const spec = isV1 ? { hostPort: `${host ?? before}:${port ?? after}` } : { host: before, port: after };
  return { ...object, apiVersion, spec };
}

interface World extends Harness {
  /** Sizes of the questions that the webhook was asked. */
  readonly asked: number[];
  answer: (review: ConversionReview) => object;
}

async function worldOf(t: ExecutionContext): Promise<World> {
  const authority = await createAuthority('hooks', { nowMs: systemClock.now() });
  const own = await issueCertificate(
    authority,
    { commonName: 'hook', hosts: ['127.0.0.1'], usages: ['server'] },
    { nowMs: systemClock.now(), validDays: 1 },
  );
  const harness = await createHarness();
  const asked: number[] = [];
  const world: World = {
    ...harness,
    asked,
    answer: ({ request }) => ({
      uid: request.uid,
      result: { status: 'Success' },
      convertedObjects: request.objects.map(object => convert(object as Host, request.desiredAPIVersion)),
    }),
  };
  const server = createServer({ key: own.key, cert: own.certificate }, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const review = JSON.parse(body) as ConversionReview;
    asked.push(review.request.objects.length);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ apiVersion: review.apiVersion, kind: review.kind, response: world.answer(review) }));
  });
  const port = await listening(t, server);
  t.teardown(() => harness.close());
  const version = (name: string, storage: boolean, properties: object, more: object = {}) => ({
    name,
    served: true,
    storage,
    schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties } } } },
    ...more,
  });
  const text = { type: 'string' };
  await harness.create(DEFINITIONS, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `hosts.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { plural: 'hosts', kind: 'Host' },
      versions: [
        version('v1', true, { hostPort: text }, { selectableFields: [{ jsonPath: '.spec.hostPort' }] }),
        version('v2', false, { host: text, port: text }, { selectableFields: [{ jsonPath: '.spec.host' }] }),
      ],
      conversion: {
        strategy: 'Webhook',
        webhook: {
          clientConfig: {
            url: `https://127.0.0.1:${port}/convert`,
            caBundle: Buffer.from(authority.certificate).toString('base64'),
          },
          conversionReviewVersions: ['v1', 'v1beta1'],
        },
      },
    },
  });
  await establish(harness);
  return world;
}

const v1 = (name: string, hostPort: string) => ({
  apiVersion: `${GROUP}/v1`,
  kind: 'Host',
  metadata: { name },
  spec: { hostPort },
});
const v2 = (name: string, host: string, port: string) => ({
  apiVersion: `${GROUP}/v2`,
  kind: 'Host',
  metadata: { name },
  spec: { host, port },
});

test('an object is read and written in each version, and stored in one', async t => {
  const { create, call, asked } = await worldOf(t);
  await create(path('v1'), v1('a', 'x:80'));
  t.is(asked.length, 0);
  const read = await call('GET', `${path('v2')}/a`);
  t.deepEqual(read.body.spec, { host: 'x', port: '80' });
  await call('GET', `${path('v2')}/a`);
  t.is(asked.length, 1, 'what was converted once is kept');
  const made = await create(path('v2'), v2('b', 'y', '90'));
  t.deepEqual(made.spec, { host: 'y', port: '90' });
  t.deepEqual((await call('GET', `${path('v1')}/b`)).body.spec, { hostPort: 'y:90' });
  const patched = await call('PATCH', `${path('v2')}/a`, {
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { spec: { port: '81' } },
  });
  t.deepEqual(patched.body.spec, { host: 'x', port: '81' });
  t.deepEqual((await call('GET', `${path('v1')}/a`)).body.spec, { hostPort: 'x:81' });
  const applied = await call('PATCH', `${path('v2')}/a?fieldManager=m&force=true`, {
    headers: { 'content-type': 'application/apply-patch+yaml' },
    body: v2('a', 'z', '82'),
  });
  t.is(applied.status, 200, applied.text);
  t.deepEqual((await call('GET', `${path('v1')}/a`)).body.spec, { hostPort: 'z:82' });
  t.is((await call('DELETE', `${path('v2')}/a`)).status, 200);
});

test('a list of objects that were stored in several versions is converted in few questions', async t => {
  const { create, call, asked } = await worldOf(t);
  for (let index = 0; index < 5; index++) await create(path('v1'), v1(`a${index}`, `x${index}:80`));
  await call('PATCH', `${DEFINITIONS}/hosts.${GROUP}`, {
    headers: { 'content-type': 'application/json-patch+json' },
    body: [
      { op: 'replace', path: '/spec/versions/0/storage', value: false },
      { op: 'replace', path: '/spec/versions/1/storage', value: true },
    ],
  });
  await create(path('v2'), v2('b', 'y', '90'));
  asked.length = 0;
  const { body } = await call('GET', path('v2'));
  t.deepEqual(
    body.items.map(({ apiVersion, spec }: Host) => [apiVersion, spec?.host]),
    [...[0, 1, 2, 3, 4].map(index => [`${GROUP}/v2`, `x${index}`]), [`${GROUP}/v2`, 'y']],
  );
  t.deepEqual(asked, [5]);
  t.deepEqual((await call('GET', `${DEFINITIONS}/hosts.${GROUP}`)).body.status.storedVersions, ['v1', 'v2']);
});

test('selectors look at the fields of the version that is asked for, in lists and watches', async t => {
  const { create, call, watch } = await worldOf(t);
  await create(path('v1'), v1('a', 'x:80'));
  await create(path('v1'), v1('b', 'y:80'));
  const list = await call('GET', `${path('v2')}?fieldSelector=spec.host%3Dy`);
  t.deepEqual(
    list.body.items.map(({ metadata }: Host) => metadata?.name),
    ['b'],
  );
  const end = new AbortController();
  t.teardown(() => end.abort());
  const frames = watch(`${path('v2')}?watch=true&fieldSelector=spec.host%3Dx`, end.signal);
  t.is((await take(frames, 1))[0]?.object.spec.host, 'x');
  await create(path('v1'), v1('c', 'x:90'));
  await call('DELETE', `${path('v1')}/a`);
  t.deepEqual(
    (await take(frames, 2)).map(({ type, object }) => [
      type,
      object.metadata.name,
      object.apiVersion,
      object.spec.host,
    ]),
    [
      ['ADDED', 'c', `${GROUP}/v2`, 'x'],
      ['DELETED', 'a', `${GROUP}/v2`, 'x'],
    ],
  );
});

for (const [title, answer, message] of [
  [
    'says no',
    ({ request }) => ({ uid: request.uid, result: { status: 'Failure', message: 'not today' } }),
    'failed: not today',
  ],
  [
    'answers another question',
    () => ({ uid: 'other', result: { status: 'Success' } }),
    'failed: expected response.uid=',
  ],
  [
    'forgets objects',
    ({ request }) => ({ uid: request.uid, result: { status: 'Success' }, convertedObjects: [] }),
    'returned 0 objects, expected 1',
  ],
  [
    'gives another object',
    ({ request }) => ({
      uid: request.uid,
      result: { status: 'Success' },
      convertedObjects: request.objects.map(object => ({
        ...v2('other', 'x', '1'),
        metadata: { ...object.metadata, name: 'other' },
      })),
    }),
    'returned invalid object at index 0: must have the same name: a != other',
  ],
] as const satisfies readonly (readonly [string, World['answer'], string])[]) {
  test(`a webhook that ${title} is told of`, async t => {
    const world = await worldOf(t);
    await world.create(path('v1'), v1('a', 'x:80'));
    world.answer = answer;
    const { status, body } = await world.call('GET', `${path('v2')}/a`);
    t.is(status, 500);
    t.true(body.message.startsWith(`conversion webhook for ${GROUP}/v1, Kind=Host `), body.message);
    t.true(body.message.includes(message), body.message);
    t.is((await world.call('GET', `${path('v1')}/a`)).status, 200);
  });
}
