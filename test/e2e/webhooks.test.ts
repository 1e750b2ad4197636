/**
 * A webhook that runs in a pod and is called as a service: by the masters, through the agent of the pod's node, over the
 * endpoints that the controllers made.
 */
import test from 'ava';
import { createAuthority, issueCertificate } from '../../control/pki/authority.ts';
import { connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { testWith } from '../helpers/requirements.ts';
import { until } from '../helpers/run.ts';

let cluster: TestCluster | undefined;
test.after.always('stop the cluster', async () => {
  await cluster?.remove();
});

const PORT = 18_443;
/** Denies ConfigMaps that say so, and signs the others. */
const PROGRAM = `
  const { createServer } = require('node:https');
  const answer = ({ request }) => {
    const { uid, object } = request;
    if (object.data?.bad) return { uid, allowed: false, status: { message: 'said the pod' } };
    const patch = Buffer.from(JSON.stringify([{ op: 'add', path: '/metadata/labels', value: { seen: 'yes' } }]));
    return { uid, allowed: true, patchType: 'JSONPatch', patch: patch.toString('base64') };
  };
  createServer({ key: process.env.KEY, cert: process.env.CERT }, async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const review = JSON.parse(text);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ apiVersion: review.apiVersion, kind: review.kind, response: answer(review) }));
  }).listen(${PORT}, () => console.log('listening'));
`;

testWith(['root', 'iproute2'])('a webhook in a pod is called as a service, by every master', async t => {
  const terms = { nowMs: Date.now(), validDays: 1 };
  const authority = await createAuthority('hooks', terms);
  const own = await issueCertificate(
    authority,
    { commonName: 'hook', hosts: ['hook.default.svc'], usages: ['server'] },
    terms,
  );
  cluster = await newCluster({ runtime: 'native', masters: 3, nodes: 1 });
  await cluster.start();
  const api = await connectApi(cluster.kubeconfig, cluster.port);
  t.teardown(() => api.close());
  const make = async (path: string, body: object) => {
    const made = await api.call('POST', path, body);
    t.is(made.status, 201, JSON.stringify(made.body));
  };
  const core = '/api/v1/namespaces/default';
  await until(
    'the default service account',
    async () => (await api.call('GET', `${core}/serviceaccounts/default`)).status === 200,
  );
  await make(`${core}/pods`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'hook', labels: { app: 'hook' } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'hook',
          image: 'host',
          imagePullPolicy: 'IfNotPresent',
          command: [process.execPath, '-e', PROGRAM],
          env: [
            { name: 'KEY', value: own.key },
            { name: 'CERT', value: own.certificate },
          ],
          readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
        },
      ],
    },
  });
  await make(`${core}/services`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'hook' },
    spec: { selector: { app: 'hook' }, ports: [{ port: 443, targetPort: PORT }] },
  });
  await until(
    'a ready endpoint',
    async () => {
      const slices =
        '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dhook';
      const { body } = await api.call('GET', slices);
      const { items } = body as { items: { endpoints?: { conditions?: { ready?: boolean } }[] }[] };
      return items.some(({ endpoints = [] }) => endpoints.some(({ conditions }) => conditions?.ready));
    },
    60_000,
  );
  await make('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations', {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'hook' },
    webhooks: [
      {
        name: 'hook.example.com',
        clientConfig: {
          service: { namespace: 'default', name: 'hook' },
          caBundle: Buffer.from(authority.certificate).toString('base64'),
        },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      },
    ],
  });
  const create = (name: string, data: object) =>
    api.call('POST', `${core}/configmaps`, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });
  // Each master has its own way there; the balancer deals out connections, not requests.
  for (let round = 0; round < 6; round++) {
    const each = await connectApi(cluster.kubeconfig, cluster.port);
    const made = await each.call('POST', `${core}/configmaps`, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: `c${round}` },
    });
    t.is(made.status, 201, JSON.stringify(made.body));
    t.deepEqual((made.body as { metadata: { labels?: object } }).metadata.labels, { seen: 'yes' });
    each.close();
  }
  const denied = await create('bad', { bad: 'yes' });
  t.is(denied.status, 400);
  t.is(
    (denied.body as { message: string }).message,
    'admission webhook "hook.example.com" denied the request: said the pod',
  );
  await api.call('DELETE', `${core}/pods/hook?gracePeriodSeconds=0`);
  await until('failing closed', async () => (await create('late', {})).status === 500, 30_000);
});
