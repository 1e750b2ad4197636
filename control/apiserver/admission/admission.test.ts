/** What admission adds and refuses, through the whole chain. */
import test, { type ExecutionContext } from 'ava';
import type { ServiceCIDR } from '../../api/generated/types.ts';
import { publishMasters } from '../bootstrap.ts';
import { ADMIN, createHarness, type Harness } from '../testing/harness.ts';
import { parseAddressRange, parsePortRange } from './ranges.ts';
import { usableRanges } from './service-ranges.ts';

const NODE = { user: 'system:node:n1', groups: ['system:nodes'] };
const PODS = '/api/v1/namespaces/default/pods';
const SERVICES = '/api/v1/namespaces/default/services';
const pod = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'app:1' }], ...spec },
});
const service = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { ports: [{ port: 80 }], ...spec },
});

async function harnessOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  return harness;
}

test('a pod gets a service account, a priority and patience with failing nodes', async t => {
  const { call } = await harnessOf(t);
  const { body } = await call('POST', PODS, { body: pod('p') });
  t.like(body.spec, { serviceAccountName: 'default', serviceAccount: 'default', priority: 0 });
  t.deepEqual(
    body.spec.tolerations.map(({ key, tolerationSeconds }: { key: string; tolerationSeconds: number }) => [
      key,
      tolerationSeconds,
    ]),
    [
      ['node.kubernetes.io/not-ready', 300],
      ['node.kubernetes.io/unreachable', 300],
    ],
  );
  const own = { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 5 };
  const patient = await call('POST', PODS, { body: pod('q', { tolerations: [own] }) });
  t.is(patient.body.spec.tolerations.length, 2);
  const critical = await call('POST', PODS, { body: pod('r', { priorityClassName: 'system-node-critical' }) });
  t.is(critical.body.spec.priority, 2_000_001_000);
});

test('a node writes itself and its own pods only', async t => {
  const { call, create } = await harnessOf(t);
  const node = (name: string) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
  t.is((await call('POST', '/api/v1/nodes', { body: node('n1'), identity: NODE })).status, 201);
  t.is((await call('POST', '/api/v1/nodes', { body: node('n2'), identity: NODE })).status, 403);
  await create(PODS, pod('mine', { nodeName: 'n1' }));
  await create(PODS, pod('other', { nodeName: 'n2' }));
  const status = async (name: string) => {
    const { body } = await call('GET', `${PODS}/${name}`);
    const sent = { ...body, status: { ...body.status, phase: 'Running' } };
    return (await call('PUT', `${PODS}/${name}/status`, { body: sent, identity: NODE })).status;
  };
  t.is(await status('mine'), 200);
  t.is(await status('other'), 403);
  t.is((await call('DELETE', `${PODS}/other?gracePeriodSeconds=0`, { identity: NODE })).status, 403);
  t.is((await call('DELETE', `${PODS}/mine?gracePeriodSeconds=0`, { identity: NODE })).status, 200);
});

test('an address and its ports are free again with their service, and only then', async t => {
  const { call, create } = await harnessOf(t);
  const first = await create(SERVICES, service('a', { type: 'NodePort' }));
  const { clusterIP, ports } = (first as unknown as { spec: { clusterIP: string; ports: { nodePort: number }[] } })
    .spec;
  const nodePort = ports[0]?.nodePort;
  const wanted = service('b', { clusterIP, type: 'NodePort', ports: [{ port: 80, nodePort }] });
  const taken = await call('POST', SERVICES, { body: wanted });
  t.is(taken.status, 422);
  t.regex(taken.body.message, /provided IP is already allocated/);
  t.regex(taken.body.message, /provided port is already allocated/);
  t.is((await call('PUT', `${SERVICES}/a`, { body: service('a') })).body.spec.clusterIP, clusterIP);
  const onlyPort = await call('POST', SERVICES, {
    body: { ...wanted, spec: { ...wanted.spec, clusterIP: undefined } },
  });
  t.is(onlyPort.status, 201, 'the port was given back when the type changed');
  await call('DELETE', `${SERVICES}/b`);
  await call('DELETE', `${SERVICES}/a`);
  t.is((await call('POST', SERVICES, { body: wanted })).body.spec.clusterIP, clusterIP);
});

test('addresses come from every range that is ready, and from none that goes', async t => {
  const { call, create } = await harnessOf(t);
  const RANGES = '/apis/networking.k8s.io/v1/servicecidrs';
  const inside = service('a', { clusterIP: '10.97.5.9' });
  t.regex((await call('POST', SERVICES, { body: inside })).body.message, /does not match the current range/);
  await create(RANGES, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'more', finalizers: ['example.com/hold'] },
    spec: { cidrs: ['10.97.5.0/24'] },
  });
  t.is((await call('POST', SERVICES, { body: inside })).status, 422, 'nobody has called it ready');
  const condition = {
    type: 'Ready',
    status: 'True',
    reason: '',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  const { body } = await call('GET', `${RANGES}/more`);
  const ready = { ...body, status: { conditions: [condition] } };
  t.is((await call('PUT', `${RANGES}/more/status`, { body: ready })).status, 200);
  t.is((await call('POST', SERVICES, { body: inside })).status, 201);
  t.is((await call('GET', '/apis/networking.k8s.io/v1/ipaddresses/10.97.5.9')).status, 200);
  const picked = await call('POST', SERVICES, { body: service('b') });
  t.regex(picked.body.spec.clusterIP, /^10\.96\./, 'the own range first, while it has room');
  await call('DELETE', `${RANGES}/more`);
  t.is((await call('POST', SERVICES, { body: service('c', { clusterIP: '10.97.5.10' }) })).status, 422);
  t.is((await call('GET', `${SERVICES}/a`)).body.spec.clusterIP, '10.97.5.9', 'what was given stays');
  t.is((await call('PUT', `${SERVICES}/a`, { body: service('a') })).body.spec.clusterIP, '10.97.5.9');
});

test('which ranges are usable', t => {
  const own = parseAddressRange('10.96.0.0/16');
  const range = (name: string, cidrs: string[], { ready = true, leaving = false } = {}): ServiceCIDR => ({
    metadata: { name, ...(leaving && { deletionTimestamp: '2026-01-01T00:00:00Z' }) },
    spec: { cidrs },
    status: {
      conditions: [
        { type: 'Ready', status: ready ? 'True' : 'False', reason: '', message: '', lastTransitionTime: '' },
      ],
    },
  });
  const other = parseAddressRange('10.97.5.0/24');
  t.deepEqual(usableRanges([], own), [own]);
  t.deepEqual(usableRanges([range('kubernetes', ['10.96.0.0/16'])], own), [own]);
  t.deepEqual(usableRanges([range('x', ['10.97.5.0/24', '2001:db8::/64'])], own), [own, other]);
  t.deepEqual(usableRanges([range('x', ['10.97.5.0/24'], { ready: false })], own), [own]);
  t.deepEqual(
    usableRanges([range('kubernetes', ['10.96.0.0/16'], { leaving: true }), range('x', ['10.97.5.0/24'])], own),
    [other],
  );
});

test('a service that changes its type takes and gives back what belongs to each', async t => {
  const { call } = await harnessOf(t);
  const put = async (spec: object) => (await call('PUT', `${SERVICES}/s`, { body: service('s', spec) })).body.spec;
  const external = { type: 'ExternalName', externalName: 'example.com' };
  const addresses = async () =>
    (await call('GET', '/apis/networking.k8s.io/v1/ipaddresses')).body.items.map(
      ({ spec }: { spec: { parentRef: { name: string } } }) => spec.parentRef.name,
    );
  await call('POST', SERVICES, { body: service('s', external) });
  t.is((await put({ type: 'ClusterIP' })).clusterIPs.length, 1);
  t.true((await addresses()).includes('s'));
  const nodePort = await put({ type: 'NodePort' });
  t.true(nodePort.ports[0].nodePort >= 30_000);
  const gone = await put(external);
  t.deepEqual(
    [gone.clusterIP, gone.clusterIPs, gone.ipFamilies, gone.ipFamilyPolicy],
    [undefined, undefined, undefined, undefined],
  );
  t.is(gone.ports[0].nodePort, undefined);
  t.false((await addresses()).includes('s'));
  const again = await put({ type: 'NodePort', ports: [{ port: 80, nodePort: nodePort.ports[0].nodePort }] });
  t.is(again.ports[0].nodePort, nodePort.ports[0].nodePort, 'it was free again');
  const balanced = await put({ type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] });
  t.is(balanced.allocateLoadBalancerNodePorts, false);
  const local = await put({ type: 'LoadBalancer', externalTrafficPolicy: 'Local' });
  t.true(local.healthCheckNodePort >= 30_000);
  t.is((await put({ type: 'ClusterIP' })).healthCheckNodePort, undefined);
});

test('a new service has one number of the nodes for one port, whatever the protocols, and none of the lower ones', async t => {
  const { call } = await harnessOf(t);
  const port = (name: string, number: number, protocol: string, nodePort?: number) => ({
    ...{ name, port: number, protocol },
    ...(nodePort && { nodePort }),
  });
  type Port = { nodePort: number };
  const make = async (name: string, ports: object[]): Promise<number[]> => {
    const { body } = await call('POST', SERVICES, { body: service(name, { type: 'NodePort', ports }) });
    return body.spec.ports.map(({ nodePort }: Port) => nodePort);
  };
  const [udp, tcp, web] = await make('dns', [port('u', 53, 'UDP'), port('t', 53, 'TCP'), port('w', 80, 'TCP')]);
  t.is(udp, tcp);
  t.not(udp, web);
  t.deepEqual(await make('asked', [port('u', 53, 'UDP'), port('t', 53, 'TCP', 30_053)]), [30_053, 30_053]);
  const ports = [port('u', 53, 'UDP', udp), port('t', 53, 'TCP', tcp), port('w', 80, 'TCP', web), port('x', 80, 'UDP')];
  const later = await call('PUT', `${SERVICES}/dns`, { body: service('dns', { type: 'NodePort', ports }) });
  t.is(new Set(later.body.spec.ports.map(({ nodePort }: Port) => nodePort)).size, 3, 'one that is added has its own');
  for (let count = 0; count < 40; count++)
    t.true(((await make(`s${count}`, [port('w', 80, 'TCP')]))[0] ?? 0) >= 30_086);
});

test('the masters are listed behind the Service kubernetes', async t => {
  const { call, server } = await harnessOf(t);
  const options = { server, identity: ADMIN, serviceCIDR: '10.96.0.0/16', securePort: 6443 };
  t.is((await call('GET', `${SERVICES}/kubernetes`)).body.spec.clusterIP, '10.96.0.1');
  const slices = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes';
  const addresses = async () =>
    (await call('GET', slices)).body.endpoints.map((endpoint: { addresses: string[] }) => endpoint.addresses[0]);
  await publishMasters(options, ['10.0.0.2', '10.0.0.1']);
  t.deepEqual(await addresses(), ['10.0.0.1', '10.0.0.2']);
  const before = (await call('GET', slices)).body.metadata.resourceVersion;
  await publishMasters(options, ['10.0.0.1', '10.0.0.2']);
  t.is((await call('GET', slices)).body.metadata.resourceVersion, before, 'nothing new, nothing written');
  await publishMasters(options, ['10.0.0.2']);
  t.deepEqual(await addresses(), ['10.0.0.2']);
});

test('ranges are read strictly', t => {
  t.deepEqual(parseAddressRange('10.96.0.9/16'), { base: 10 * 2 ** 24 + 96 * 2 ** 16, size: 65_535 });
  for (const wrong of ['10.96.0.0', '10.96.0.0/33', '10.300.0.0/16', 'fd00::/64', '']) {
    t.throws(() => parseAddressRange(wrong), { instanceOf: RangeError }, wrong);
  }
  t.deepEqual(parsePortRange('30000-32767'), { from: 30_000, to: 32_767 });
  for (const wrong of ['0-1', '5-4', '1-70000', 'x', '']) {
    t.throws(() => parsePortRange(wrong), { instanceOf: RangeError }, wrong);
  }
});
