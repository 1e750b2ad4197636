/** The short form of `npm run fuzz`, and what its long forms have found. */
import test from 'ava';
import { createHarness, seededRandom } from '../../control/apiserver/testing/harness.ts';
import { serviceAccountKey } from '../../control/apiserver/testing/service-account-key.ts';
import { readCorpus } from './corpus.ts';
import { mutate } from './mutate.ts';
import { fuzz } from './runner.ts';

test('spoiled requests break nothing', async t => {
  t.timeout(120_000);
  const { findings, readBack, requests } = await fuzz({ requests: 4_000, seed: 20_261_121 });
  for (const { index, what, detail, request } of findings)
    t.log(`#${index} ${what}: ${detail}`, JSON.stringify(request));
  t.is(findings.length, 0);
  t.true(readBack > requests / 100, 'enough of it is accepted to be read back');
});

test('a seed tells it all', t => {
  const corpus = readCorpus();
  const once = () => corpus.slice(0, 50).map((request, index) => mutate(seededRandom(index), request));
  t.deepEqual(once(), once());
});

/** What was answered with 500 once, by request. */
const FOUND: readonly (readonly [
  name: string,
  method: string,
  path: string,
  body: unknown,
  status: number,
  type?: string,
])[] = [
  [
    'a rule of a failure policy whose values are null',
    'POST',
    '/apis/batch/v1/namespaces/default/jobs',
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'x' },
      spec: {
        podFailurePolicy: { rules: [{ action: 'Ignore', onExitCodes: { operator: 'In', values: null } }] },
        template: { spec: { containers: [{ name: 'c', image: 'i' }], restartPolicy: 'Never' } },
      },
    },
    422,
  ],
  ['a review in broken YAML', 'POST', '/apis/authentication.k8s.io/v1/tokenreviews', '{"a"b', 400, 'application/yaml'],
  [
    'a deletion with options in broken YAML',
    'DELETE',
    '/api/v1/namespaces/default/configmaps/x',
    '{"a"b',
    400,
    'application/yaml',
  ],
  [
    'a review whose user is an object',
    'POST',
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    { spec: { user: { a: 1 }, resourceAttributes: { verb: 'get', resource: 'pods' } } },
    400,
  ],
  [
    'a review whose attributes are a text',
    'POST',
    '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    { spec: { resourceAttributes: 'x' } },
    400,
  ],
  [
    'an eviction whose version is a list',
    'POST',
    '/api/v1/namespaces/default/pods/p/eviction',
    { apiVersion: ['a'] },
    400,
  ],
  [
    'a token request whose version is a list',
    'POST',
    '/api/v1/namespaces/default/serviceaccounts/default/token',
    { apiVersion: ['a'] },
    400,
  ],
  ['a continue token that says null', 'GET', '/api/v1/namespaces/default/pods?limit=2&continue=bnVsbA', undefined, 400],
];

for (const [name, method, path, body, status, type] of FOUND) {
  test(name, async t => {
    const harness = await createHarness({ overrides: { serviceAccountKey: serviceAccountKey() } });
    t.teardown(() => harness.close());
    const answer = await harness.call(method, path, {
      ...(body !== undefined && { body: body as object | string }),
      headers: type === undefined ? {} : { 'content-type': type },
    });
    t.is(answer.status, status, answer.text);
  });
}

for (const timeoutSeconds of ['-1', '9223372036854775807']) {
  test(`a watch for ${timeoutSeconds} seconds needs no timer beyond what timers reach`, async t => {
    const warnings: string[] = [];
    const note = ({ name }: Error) => warnings.push(name);
    process.on('warning', note);
    t.teardown(() => process.off('warning', note));
    const harness = await createHarness();
    t.teardown(() => harness.close());
    const stop = new AbortController();
    const frames = harness.watch(`/api/v1/namespaces?watch=1&timeoutSeconds=${timeoutSeconds}`, stop.signal);
    if (timeoutSeconds !== '-1') t.is((await frames.next()).value?.type, 'ADDED');
    stop.abort();
    for await (const _ of frames);
    await new Promise(resolve => setImmediate(resolve));
    t.deepEqual(warnings, []);
  });
}

test('a resize that takes the containers away', async t => {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  const pods = '/api/v1/namespaces/default/pods';
  await harness.create('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  await harness.create(pods, pod as never);
  const answer = await harness.call('PATCH', `${pods}/p/resize`, {
    headers: { 'content-type': 'application/strategic-merge-patch+json' },
    body: { spec: { $patch: 'replace', replicas: 1 } },
  });
  t.is(answer.status, 422, answer.text);
});
