/** Who may have certificates signed, and what nobody may. */
import test, { type ExecutionContext } from 'ava';
import { makeRequest, type RequestNames } from '../../pki/testing/requests.ts';
import { createHarness, type Harness } from '../testing/harness.ts';
import type { Identity } from '../types.ts';

const REQUESTS = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const JANE: Identity = { user: 'jane', groups: ['dev'], uid: '7', extra: { team: ['a'] } };
const APPROVER: Identity = { user: 'approver', groups: [] };
const SIGNER = 'kubernetes.io/kube-apiserver-client';

async function harnessOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness({ withRoles: true });
  t.teardown(() => harness.close());
  const requests = { apiGroups: ['certificates.k8s.io'], resources: ['certificatesigningrequests'], verbs: ['*'] };
  const parts = {
    ...requests,
    resources: ['certificatesigningrequests/approval', 'certificatesigningrequests/status'],
  };
  const signers = (verb: string, resourceNames: string[]) => ({
    apiGroups: ['certificates.k8s.io'],
    resources: ['signers'],
    resourceNames,
    verbs: [verb],
  });
  const bind = async (name: string, rules: object[]) => {
    await harness.create(`${RBAC}/clusterroles`, { metadata: { name }, rules } as object);
    await harness.create(`${RBAC}/clusterrolebindings`, {
      metadata: { name },
      roleRef: { kind: 'ClusterRole', name },
      subjects: [{ kind: 'User', name }],
    } as object);
  };
  await bind('jane', [requests, parts]);
  await bind('approver', [requests, parts, signers('approve', [SIGNER]), signers('sign', ['example.com/*'])]);
  return harness;
}

const bodyOf = async (name: string, names: RequestNames, spec: object = {}) => ({
  metadata: { name },
  spec: {
    request: Buffer.from(await makeRequest(names)).toString('base64'),
    signerName: SIGNER,
    usages: ['client auth'],
    username: 'root',
    groups: ['system:masters'],
    ...spec,
  },
});
const approved = (object: object, type = 'Approved') => ({
  ...object,
  status: { conditions: [{ type, status: 'True', reason: 'Test', message: '' }] },
});

test('who asks is what the server saw, and cannot be changed', async t => {
  const { call } = await harnessOf(t);
  const sent = await call('POST', REQUESTS, { body: await bodyOf('a', { CN: 'jane' }), identity: JANE });
  t.is(sent.status, 201, sent.text);
  const { username, groups, uid, extra } = sent.body.spec;
  t.deepEqual(
    { username, groups, uid, extra },
    { username: 'jane', groups: ['dev', 'system:authenticated'], uid: '7', extra: { team: ['a'] } },
  );
  const changed = { ...sent.body, spec: { ...sent.body.spec, username: 'root', signerName: 'example.com/x' } };
  const answer = await call('PUT', `${REQUESTS}/a`, { body: changed });
  t.deepEqual([answer.status, answer.body.spec], [200, sent.body.spec]);
});

test('an administrator’s certificate, and one whose key is not the sender’s, are not even asked for', async t => {
  const { call } = await harnessOf(t);
  const admin = await bodyOf('a', { CN: 'jane', O: ['system:masters'] });
  const refused = await call('POST', REQUESTS, { body: admin, identity: JANE });
  t.is(refused.status, 403);
  t.regex(refused.body.message, /use of kubernetes.io\/kube-apiserver-client signer with system:masters group is not/);
  const mine = Buffer.from((await bodyOf('b', { CN: 'jane' })).spec.request, 'base64').toString();
  const der = Buffer.from(mine.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  const last = der.length - 1;
  der[last] = (der[last] ?? 0) ^ 1;
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  const body = await bodyOf('b', { CN: 'jane' }, { request: Buffer.from(forged).toString('base64') });
  const answer = await call('POST', REQUESTS, { body, identity: JANE });
  t.deepEqual([answer.status, answer.body.details.causes[0].field], [422, 'spec.request']);
});

test('approval and signature need their verbs on the signer', async t => {
  const { call } = await harnessOf(t);
  const own = (await call('POST', REQUESTS, { body: await bodyOf('a', { CN: 'jane' }), identity: JANE })).body;
  const refused = await call('PUT', `${REQUESTS}/a/approval`, { body: approved(own), identity: JANE });
  t.is(refused.status, 403);
  t.is(
    refused.body.message,
    `certificatesigningrequests.certificates.k8s.io "a" is forbidden: user not permitted to approve requests with signerName "${SIGNER}"`,
  );
  const done = await call('PUT', `${REQUESTS}/a/approval`, { body: approved(own), identity: APPROVER });
  t.is(done.status, 200, done.text);
  t.truthy(done.body.status.conditions[0].lastTransitionTime);
  const certificate = Buffer.from('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n').toString('base64');
  const signed = { ...done.body, status: { ...done.body.status, certificate } };
  const unsigned = await call('PUT', `${REQUESTS}/a/status`, { body: signed, identity: APPROVER });
  t.is(unsigned.status, 403);
  t.regex(unsigned.body.message, /user not permitted to sign requests with signerName/);
  // The way of the approval writes conditions, and passes over all else (k/k:pkg/registry/certificates, csrApprovalStrategy).
  const approval = await call('PUT', `${REQUESTS}/a/approval`, { body: signed });
  t.is(approval.status, 200);
  t.is(approval.body.status.certificate, undefined);
  const issued = { ...signed, metadata: approval.body.metadata };
  t.is((await call('PUT', `${REQUESTS}/a/status`, { body: issued })).status, 200);
  const again = await call('PUT', `${REQUESTS}/a/status`, {
    body: { ...signed, metadata: { name: 'a' }, status: { certificate: `${certificate.slice(0, -4)}Cg==` } },
  });
  t.is(again.status, 422);

  const other = await bodyOf('b', { CN: 'jane' }, { signerName: 'example.com/robots' });
  const created = (await call('POST', REQUESTS, { body: other, identity: JANE })).body;
  t.is((await call('PUT', `${REQUESTS}/b/approval`, { body: approved(created), identity: APPROVER })).status, 403);
  const failed = { ...created, status: { conditions: [{ type: 'Failed', status: 'True' }] } };
  t.is((await call('PUT', `${REQUESTS}/b/status`, { body: failed, identity: APPROVER })).status, 200);
});

test('a decision stands: it is not taken back, not doubled, not made by the way of the status', async t => {
  const { call } = await harnessOf(t);
  const object = (await call('POST', REQUESTS, { body: await bodyOf('a', { CN: 'jane' }) })).body;
  const past = await call('PUT', `${REQUESTS}/a/status`, { body: approved(object) });
  t.deepEqual(past.body.status, {}, 'a decision through the status is dropped');
  const both = {
    ...object,
    status: { conditions: [...approved(object).status.conditions, ...approved(object, 'Denied').status.conditions] },
  };
  t.is((await call('PUT', `${REQUESTS}/a/approval`, { body: { ...both, metadata: { name: 'a' } } })).status, 422);
  const patch = { headers: { 'content-type': 'application/merge-patch+json' } };
  const more = { status: { conditions: [{ type: 'ApprovalPatch', status: 'True', reason: 'e2e' }] } };
  t.is((await call('PATCH', `${REQUESTS}/a/approval`, { body: more, ...patch })).status, 200);
  t.is((await call('PATCH', `${REQUESTS}/a/approval`, { body: approved({}), ...patch })).status, 200);
  const undone = await call('PATCH', `${REQUESTS}/a/approval`, { body: { status: { conditions: [] } }, ...patch });
  t.is(undone.status, 422);
  t.regex(undone.body.message, /updates may not remove a condition of type "Approved"/);
});
