/**
 * What the conformance tests of Kubernetes v1.33 ask of the APIs of networks, nodes, leases, budgets, certificates and flows: each is
 * found in discovery, and made, read, listed, watched, patched, replaced, its status too, and deleted one by one and together.
 */
import test from 'ava';
import { createRequest } from '../pki/authority.ts';
import { createHarness, type Harness } from './testing/harness.ts';

interface Case {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
  /** The first of three objects has index 0. */
  object(index: number): { readonly metadata?: object; readonly [field: string]: unknown };
  /** Sent to the status subresource, where there is one. */
  readonly status?: object;
  /** What becomes of it, where the server adds to it. */
  readonly statusAfter?: object;
  /** Where status lies under a path of its own besides. */
  readonly subresources?: readonly string[];
}

const { request: REQUEST } = await createRequest('e2e');

const cases: readonly Case[] = [
  {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'ingresses',
    kind: 'Ingress',
    isNamespaced: true,
    object: () => ({ spec: { defaultBackend: { service: { name: 'default-backend', port: { number: 80 } } } } }),
    status: { loadBalancer: { ingress: [{ ip: '169.1.1.1' }] } },
  },
  {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'ingressclasses',
    kind: 'IngressClass',
    isNamespaced: false,
    object: () => ({ spec: { controller: 'example.com/controller' } }),
  },
  {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'networkpolicies',
    kind: 'NetworkPolicy',
    isNamespaced: true,
    object: () => ({ spec: { podSelector: { matchLabels: { pod: 'a' } }, ingress: [], policyTypes: ['Ingress'] } }),
  },
  {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'servicecidrs',
    kind: 'ServiceCIDR',
    isNamespaced: false,
    object: index => ({ spec: { cidrs: [`2001:db8:${index + 1}::/64`] } }),
    status: {
      conditions: [
        {
          type: 'StatusUpdate',
          status: 'True',
          reason: 'E2E',
          message: 'x',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    },
  },
  {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'ipaddresses',
    kind: 'IPAddress',
    isNamespaced: false,
    object: index => ({
      metadata: { name: `192.168.2.${index + 1}` },
      spec: { parentRef: { group: 'apps', resource: 'testing', namespace: 'ns', name: 'fake' } },
    }),
  },
  {
    group: 'discovery.k8s.io',
    version: 'v1',
    resource: 'endpointslices',
    kind: 'EndpointSlice',
    isNamespaced: true,
    object: index => ({ addressType: 'IPv4', endpoints: [{ addresses: [`1.2.3.${index}`] }] }),
  },
  {
    group: '',
    version: 'v1',
    resource: 'endpoints',
    kind: 'Endpoints',
    isNamespaced: true,
    object: () => ({ subsets: [{ addresses: [{ ip: '10.0.0.24' }], ports: [{ name: 'http', port: 80 }] }] }),
  },
  {
    group: '',
    version: 'v1',
    resource: 'services',
    kind: 'Service',
    isNamespaced: true,
    object: () => ({
      spec: {
        type: 'LoadBalancer',
        loadBalancerClass: 'example.com/internal-vip',
        ports: [{ name: 'http', port: 80 }],
      },
    }),
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } },
    statusAfter: { loadBalancer: { ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }] } },
  },
  {
    group: '',
    version: 'v1',
    resource: 'nodes',
    kind: 'Node',
    isNamespaced: false,
    object: () => ({ spec: { unschedulable: true } }),
    status: { nodeInfo: { bootID: 'x', kernelVersion: '6' } },
  },
  {
    group: 'coordination.k8s.io',
    version: 'v1',
    resource: 'leases',
    kind: 'Lease',
    isNamespaced: true,
    object: () => ({
      spec: {
        holderIdentity: 'holder',
        leaseDurationSeconds: 30,
        acquireTime: '2026-01-01T00:00:00.000000Z',
        renewTime: '2026-01-01T00:00:05.000000Z',
        leaseTransitions: 0,
      },
    }),
  },
  {
    group: 'policy',
    version: 'v1',
    resource: 'poddisruptionbudgets',
    kind: 'PodDisruptionBudget',
    isNamespaced: true,
    object: () => ({ spec: { selector: { matchLabels: { foo: 'bar' } }, minAvailable: '1%' } }),
    status: {
      observedGeneration: 1,
      disruptedPods: { x: '2026-01-01T00:00:00Z' },
      disruptionsAllowed: 0,
      currentHealthy: 0,
      desiredHealthy: 0,
      expectedPods: 0,
    },
  },
  {
    group: 'certificates.k8s.io',
    version: 'v1',
    resource: 'certificatesigningrequests',
    kind: 'CertificateSigningRequest',
    isNamespaced: false,
    object: () => ({
      spec: {
        request: Buffer.from(REQUEST).toString('base64'),
        signerName: 'example.com/e2e',
        usages: ['digital signature', 'key encipherment', 'server auth'],
      },
    }),
    status: { conditions: [{ type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'x' }] },
    subresources: ['approval', 'status'],
  },
  {
    group: 'flowcontrol.apiserver.k8s.io',
    version: 'v1',
    resource: 'flowschemas',
    kind: 'FlowSchema',
    isNamespaced: false,
    object: () => ({
      spec: {
        matchingPrecedence: 10_000,
        priorityLevelConfiguration: { name: 'global-default' },
        distinguisherMethod: { type: 'ByUser' },
        rules: [
          {
            subjects: [{ kind: 'User', user: { name: 'example-e2e-non-existent-user' } }],
            nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
          },
        ],
      },
    }),
    status: {
      conditions: [
        { type: 'E2E', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z', reason: 'E2E', message: 'x' },
      ],
    },
  },
  {
    group: 'flowcontrol.apiserver.k8s.io',
    version: 'v1',
    resource: 'prioritylevelconfigurations',
    kind: 'PriorityLevelConfiguration',
    isNamespaced: false,
    object: () => ({
      spec: { type: 'Limited', limited: { nominalConcurrencyShares: 2, limitResponse: { type: 'Reject' } } },
    }),
    status: {
      conditions: [
        { type: 'E2E', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z', reason: 'E2E', message: 'x' },
      ],
    },
  },
];

const basePath = ({ group, version }: Case) => (group === '' ? `/api/${version}` : `/apis/${group}/${version}`);
const MERGE = { 'content-type': 'application/merge-patch+json' };

interface Found {
  readonly metadata: { readonly name: string; readonly resourceVersion: string; readonly annotations?: object };
  readonly status?: object;
}

async function isDiscovered({ call }: Harness, { group, version, ...each }: Case): Promise<boolean> {
  const groupVersion = group === '' ? version : `${group}/${version}`;
  if (group !== '') {
    const groups: { name: string; versions: { groupVersion: string }[] }[] = (await call('GET', '/apis')).body.groups;
    const own = groups.find(({ name }) => name === group);
    const { body } = await call('GET', `/apis/${group}`);
    const isListed = (list: { groupVersion: string }[] = []) => list.some(one => one.groupVersion === groupVersion);
    if (!isListed(own?.versions) || !isListed(body.versions)) return false;
  }
  const { body } = await call('GET', group === '' ? `/api/${version}` : `/apis/${groupVersion}`);
  const names: string[] = body.resources.map(({ name }: { name: string }) => name);
  const wanted = [each.resource, ...(each.status && !each.subresources ? [`${each.resource}/status`] : [])];
  return [...wanted, ...(each.subresources ?? []).map(name => `${each.resource}/${name}`)].every(name =>
    names.includes(name),
  );
}

for (const each of cases) {
  test(`${each.kind} API operations`, async t => {
    const harness = await createHarness();
    t.teardown(() => harness.close());
    const { call } = harness;
    t.true(await isDiscovered(harness, each), 'discovery');
    const all = `${basePath(each)}/${each.resource}`;
    const path = each.isNamespaced ? `${basePath(each)}/namespaces/default/${each.resource}` : all;
    const selector = 'labelSelector=special%3Dyes';
    const apiVersion = each.group === '' ? each.version : `${each.group}/${each.version}`;
    const make = async (index: number): Promise<Found> => {
      const object = each.object(index);
      const metadata = { name: `e2e-${index}`, ...object.metadata, labels: { special: 'yes' } };
      const { status, body, text } = await call('POST', path, {
        body: { apiVersion, kind: each.kind, ...object, metadata },
      });
      t.is(status, 201, text);
      return body;
    };
    const created = [await make(0), await make(1), await make(2)];
    const [first] = created as [Found];
    const { name } = first.metadata;
    t.is((await call('GET', `${path}/${name}`)).body.metadata.name, name);
    const list = async (from: string): Promise<{ items: Found[]; metadata: { resourceVersion: string } }> =>
      (await call('GET', `${from}?${selector}`)).body;
    t.is((await list(path)).items.length, 3);
    t.is((await list(all)).items.length, 3);
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    const { resourceVersion } = (await list(path)).metadata;
    const frames = harness.watch(`${path}?${selector}&watch=true&resourceVersion=${resourceVersion}`, stop.signal);
    const next = async () => {
      const { value } = await frames.next();
      return `${value?.type} ${value?.object.metadata.name}`;
    };

    const annotate = (key: string) => ({ metadata: { annotations: { [key]: 'true' } } });
    const patched = await call('PATCH', `${path}/${name}`, { body: annotate('patched'), headers: MERGE });
    t.like(patched.body.metadata.annotations, { patched: 'true' }, patched.text);
    t.is(await next(), `MODIFIED ${name}`);
    const annotations = { ...patched.body.metadata.annotations, updated: 'true' };
    const replacement = { ...patched.body, metadata: { ...patched.body.metadata, annotations } };
    const updated = await call('PUT', `${path}/${name}`, { body: replacement });
    t.like(updated.body.metadata.annotations, { patched: 'true', updated: 'true' }, updated.text);
    t.is(await next(), `MODIFIED ${name}`);
    const stale = await call('PUT', `${path}/${name}`, { body: replacement });
    t.is(stale.status, 409);

    if (each.status) {
      const body = { ...annotate('patchedstatus'), status: each.status };
      const told = await call('PATCH', `${path}/${name}/status`, { body, headers: MERGE });
      t.is(told.status, 200, told.text);
      t.like(told.body.status ?? {}, JSON.parse(JSON.stringify(each.statusAfter ?? each.status)));
      const read = await call('GET', `${path}/${name}/status`);
      t.deepEqual(read.body.status, told.body.status);
      t.is((await call('PUT', `${path}/${name}/status`, { body: read.body })).status, 200);
      t.is(await next(), `MODIFIED ${name}`);
    }

    if (each.subresources?.includes('approval')) {
      const approved = { type: 'ApprovalPatch', status: 'True', reason: 'E2E', message: 'x' };
      const body = { ...annotate('patchedapproval'), status: { conditions: [approved] } };
      const told = await call('PATCH', `${path}/${name}/approval`, { body, headers: MERGE });
      t.is(told.status, 200, told.text);
      const read = await call('GET', `${path}/${name}/approval`);
      t.like(read.body.metadata.annotations, { patchedapproval: 'true' });
      const conditions = [{ type: 'Approved', status: 'True', reason: 'E2E', message: 'x' }];
      const given = await call('PUT', `${path}/${name}/approval`, { body: { ...read.body, status: { conditions } } });
      t.is(given.status, 200, given.text);
      t.is(given.body.status.conditions.at(-1).type, 'Approved');
      t.is(await next(), `MODIFIED ${name}`);
      t.is(await next(), `MODIFIED ${name}`);
    }

    const removed = await call('DELETE', `${path}/${name}`);
    t.true(removed.status === 200 || removed.status === 202, removed.text);
    t.is(await next(), `DELETED ${name}`);
    t.is((await call('GET', `${path}/${name}`)).status, 404);
    t.is((await list(path)).items.length, 2);
    t.is((await call('DELETE', `${path}?${selector}`)).status, 200);
    t.is((await list(path)).items.length, 0);
    const gone = [await next(), await next()].sort();
    t.deepEqual(
      gone,
      created
        .slice(1)
        .map(({ metadata }) => `DELETED ${metadata.name}`)
        .sort(),
    );
  });
}
