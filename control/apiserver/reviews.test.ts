/** Questions about oneself and others. */
import test from 'ava';
import { createHarness, type Harness } from './testing/harness.ts';
import type { Identity } from './types.ts';

const JANE: Identity = { user: 'jane', groups: ['dev'], uid: '7', extra: { team: ['a'] } };
const NODE: Identity = { user: 'system:node:n1', groups: ['system:nodes'] };
const AUTHORIZATION = '/apis/authorization.k8s.io/v1';
const AUTHENTICATION = '/apis/authentication.k8s.io';

const post = (harness: Harness, path: string, body: object, identity?: Identity) =>
  harness.call('POST', path, { body, ...(identity && { identity }) });

test('who one is, in every version that a kubectl asks', async t => {
  const harness = await createHarness({ withRoles: true });
  for (const version of ['v1', 'v1beta1', 'v1alpha1']) {
    const answer = await post(harness, `${AUTHENTICATION}/${version}/selfsubjectreviews`, {}, JANE);
    t.is(answer.status, 201, version);
    t.is(answer.body.apiVersion, `authentication.k8s.io/${version}`);
    t.deepEqual(answer.body.status.userInfo, {
      username: 'jane',
      uid: '7',
      groups: ['dev', 'system:authenticated'],
      extra: { team: ['a'] },
    });
  }
  const listed = await harness.call('GET', AUTHENTICATION);
  t.deepEqual(
    listed.body.versions.map(({ version }: { version: string }) => version),
    ['v1'],
  );
  await harness.close();
});

test('what one may do, as rules', async t => {
  const harness = await createHarness({ withRoles: true });
  const rules = async (identity?: Identity) =>
    (await post(harness, `${AUTHORIZATION}/selfsubjectrulesreviews`, { spec: { namespace: 'default' } }, identity)).body
      .status;
  t.deepEqual((await rules()).resourceRules[0], { verbs: ['*'], apiGroups: ['*'], resources: ['*'] });
  t.deepEqual((await rules(JANE)).resourceRules, [
    {
      verbs: ['create'],
      apiGroups: ['authorization.k8s.io'],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
    },
    { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
  ]);
  t.false((await rules(JANE)).resourceRules.some(({ resources }: { resources: string[] }) => resources.includes('*')));
  t.true((await rules(NODE)).incomplete);
  const nowhere = await post(harness, `${AUTHORIZATION}/selfsubjectrulesreviews`, { spec: {} });
  t.is(nowhere.status, 400);
  await harness.close();
});

test('a local question must be about its own namespace', async t => {
  const harness = await createHarness({ withRoles: true });
  const path = `${AUTHORIZATION}/namespaces/default/localsubjectaccessreviews`;
  const spec = (namespace: string) => ({
    spec: { user: 'sam', resourceAttributes: { verb: 'get', resource: 'pods', namespace } },
  });
  const answer = await post(harness, path, spec('default'));
  t.deepEqual([answer.status, answer.body.status.allowed], [201, false]);
  const refused = await post(harness, path, spec('other'));
  t.is(refused.status, 422);
  t.regex(
    refused.body.message,
    /spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace/,
  );
  await harness.close();
});

test('a review of no token is refused', async t => {
  const harness = await createHarness({ withRoles: true });
  const answer = await post(harness, `${AUTHENTICATION}/v1/tokenreviews`, { spec: {} });
  t.deepEqual([answer.status, answer.body.message], [400, 'token is required for TokenReview in authentication']);
  const wrong = await post(harness, `${AUTHENTICATION}/v1/tokenreviews`, { spec: { token: 'x' } });
  t.deepEqual(wrong.body.status, { user: {}, error: 'invalid bearer token' });
  await harness.close();
});

test('reviews stand in the OpenAPI documents, as what is only created: kubectl looks there before it sends one', async t => {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  const { body } = await harness.call('GET', '/openapi/v3/apis/authorization.k8s.io/v1');
  const path = body.paths['/apis/authorization.k8s.io/v1/subjectaccessreviews'];
  t.deepEqual(Object.keys(path), ['post']);
  t.true(path.post.parameters.some(({ name }: { name: string }) => name === 'fieldValidation'));
  t.truthy(body.components.schemas['io.k8s.api.authorization.v1.SubjectAccessReview']);
});

test('a review is no table', async t => {
  const { call, close } = await createHarness();
  t.teardown(close);
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { nonResourceAttributes: { path: '/', verb: 'get' } },
  };
  const ask = (accept: string) =>
    call('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { body, headers: { accept } });
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const refused = await ask(table);
  t.is(refused.status, 406);
  t.is(refused.body.reason, 'NotAcceptable');
  t.is((await ask(`${table},application/json`)).status, 201);
});
