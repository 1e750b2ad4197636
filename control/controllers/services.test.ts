/** Ranges, addresses and balancers of Services, and the tokens of accounts: plans case by case, then the controllers. */
import test from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { Node, Secret, Service, ServiceCIDR } from '../api/generated/types.ts';
import { settle } from '../client/testing/manual-clock.ts';
import { until } from '../client/testing/until.ts';
import { rangeCovers, rangeGives, rangeHolds } from './cidr.ts';
import type { ControllerContext } from './context.ts';
import { endpointSliceMirroringController } from './endpoint-slice-mirroring.ts';
import { endpointSliceController } from './endpoint-slices.ts';
import { loadBalancerController } from './load-balancer.ts';
import { type BalancerState, isBalanced, planBalancer } from './load-balancer-plan.ts';
import { nodeTtlController, planTtlStep, ttlSeconds } from './node-ttl.ts';
import { planSecret, serviceAccountSecretController } from './service-account-secrets.ts';
import { isRecordOf, recordOf, serviceAddressController } from './service-addresses.ts';
import { planRange, RANGE_FINALIZER, serviceRangeController } from './service-cidrs.ts';
import { newBench } from './testing/bench.ts';
import { isKnownEvent, knownEvents } from './testing/known-events.ts';

const MERGE = 'application/merge-patch+json';
const some = <T>(value: T | undefined): readonly T[] => (value === undefined ? [] : [value]);

test('which ranges hold what', t => {
  const holds: readonly [string, string, boolean][] = [
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.128/25', '10.1.2.127', false],
    ['10.1.2.128/25', '10.1.2.200', true],
    ['2001:db8::/64', '2001:db8::1', true],
    ['2001:db8::/64', '2001:db8:0:1::1', false],
    ['10.0.0.0/8', '2001:db8::1', false],
    ['nonsense', '10.0.0.1', false],
  ];
  for (const [range, address, expected] of holds) t.is(rangeHolds(range, address), expected, `${range} ${address}`);
  const gives: readonly [string, string, boolean][] = [
    ['192.168.0.0/24', '192.168.0.0', false],
    ['192.168.0.0/24', '192.168.0.255', false],
    ['192.168.0.0/26', '192.168.0.63', false],
    ['192.168.0.0/24', '192.168.0.63', true],
    ['192.168.0.0/24', '192.168.1.24', false],
    ['2001:db2::/64', '2001:db2::', false],
    ['2001:db2::/64', '2001:db2::ffff:ffff:ffff:ffff', true],
  ];
  for (const [range, address, expected] of gives) t.is(rangeGives(range, address), expected, `${range} ${address}`);
  t.true(rangeCovers('10.0.0.0/8', '10.1.0.0/16'));
  t.true(rangeCovers('10.0.0.0/8', '10.0.0.0/8'));
  t.false(rangeCovers('10.1.0.0/16', '10.0.0.0/8'));
  t.false(rangeCovers('10.1.0.0/16', '10.2.0.0/16'));
});

const range = (name: string, cidrs: string[], { leaving = '', held = true, ready = false } = {}): ServiceCIDR => ({
  metadata: { name, ...(leaving && { deletionTimestamp: leaving }), finalizers: held ? [RANGE_FINALIZER] : [] },
  spec: { cidrs },
  ...(ready && {
    status: { conditions: [{ type: 'Ready', status: 'True', reason: '', message: '', lastTransitionTime: '' }] },
  }),
});
const LEFT = '2026-01-01T00:00:00Z';
const leftMs = Date.parse(LEFT);

test('what a range needs next', t => {
  const own = range('kubernetes', ['10.96.0.0/16'], { ready: true });
  const step = (object: ServiceCIDR, others: ServiceCIDR[] = [], addresses: string[] = [], afterMs = 0) =>
    planRange(object, [object, ...others], addresses, leftMs + afterMs).type;
  t.is(step(range('a', ['10.1.0.0/24'], { held: false })), 'hold');
  t.is(step(range('a', ['10.1.0.0/24'])), 'tell');
  t.is(step(range('a', ['10.1.0.0/24'], { ready: true })), 'none');
  const leaving = range('a', ['10.1.0.0/24'], { leaving: LEFT, ready: true });
  t.is(step(leaving, [own], ['10.1.0.7']), 'tell');
  t.is(step(leaving, [own], ['10.96.0.1'], 1_000), 'wait');
  t.is(step(leaving, [own], ['10.96.0.1'], 10_000), 'release');
  t.is(step(leaving, [range('wide', ['10.1.0.0/16'])], ['10.1.0.7'], 10_000), 'release', 'another one covers it');
  t.is(step(leaving, [range('wide', ['10.1.0.0/16'], { leaving: LEFT })], ['10.1.0.7']), 'tell', 'which goes too');
  t.is(
    step(leaving, [range('part', ['10.1.0.0/29'])], ['10.1.0.6'], 10_000),
    'release',
    'what is used has another home',
  );
  t.is(step(range('a', ['10.1.0.0/24'], { leaving: LEFT, held: false })), 'none');
});

test('a range becomes ready, stays while it is needed, and goes after a moment', async t => {
  const { clock, client, start } = newBench(t);
  await start(context => [serviceRangeController(context)]);
  await client.create(kinds.servicecidrs, { metadata: { name: 'a' }, spec: { cidrs: ['10.1.0.0/24'] } });
  const get = async () => (await client.list(kinds.servicecidrs)).items.find(({ metadata }) => metadata?.name === 'a');
  const ready = async () => (await get())?.status?.conditions?.[0];
  await until('it is ready', async () => (await ready())?.status === 'True');
  t.like(await ready(), { type: 'Ready', reason: '', message: 'Kubernetes Service CIDR is ready' });
  t.deepEqual((await get())?.metadata?.finalizers, [RANGE_FINALIZER]);
  const labels = { 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' };
  await client.create(kinds.ipaddresses, { metadata: { name: '10.1.0.5', labels } });
  await client.create(kinds.ipaddresses, { metadata: { name: '10.1.0.6' } });
  await settle();
  await client.delete(kinds.servicecidrs, { name: 'a' });
  await until('it is held', async () => (await ready())?.status === 'False');
  t.like(await ready(), {
    reason: 'Terminating',
    message: 'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
  });
  await client.delete(kinds.ipaddresses, { name: '10.1.0.5' });
  await clock.advance(9_000);
  t.truthy(await get());
  await clock.advance(2_000);
  await until('it goes', async () => (await get()) === undefined);
});

const serviceOf = (name: string, spec: object = {}): Service => ({
  metadata: { name, namespace: 'n' },
  spec: { ports: [{ port: 80 }], ...spec },
});

test('records of addresses are repaired, and only those of the allocator', async t => {
  const { clock, client, events, start } = newBench(t);
  const service = await client.create(
    kinds.services,
    serviceOf('s', { clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9'] }),
  );
  await client.create(kinds.services, serviceOf('headless', { clusterIP: 'None', clusterIPs: ['None'] }));
  const lost = recordOf('10.96.0.77', { metadata: { name: 'gone', namespace: 'n' } });
  await client.create(kinds.ipaddresses, lost);
  await client.create(kinds.ipaddresses, { ...lost, metadata: { name: '192.168.2.2' } });
  await start(context => [serviceAddressController(context)]);
  const names = async () => (await client.list(kinds.ipaddresses)).items.map(({ metadata }) => metadata?.name).sort();
  await until('it is recorded', async () => (await names()).includes('10.96.0.9'));
  t.true(isRecordOf(await client.get(kinds.ipaddresses, { name: '10.96.0.9' }), service));
  t.deepEqual(
    events.map(({ component, reason, message }) => [component, reason, message]),
    [
      [
        'ipallocator-repair-controller',
        'ClusterIPNotAllocated',
        'Cluster IP [IPv4]: 10.96.0.9 is not allocated; repairing',
      ],
    ],
  );
  t.true((await names()).includes('10.96.0.77'), 'what was made a moment ago has time');
  await clock.advance(61_000);
  await until('the lost one goes', async () => !(await names()).includes('10.96.0.77'));
  t.deepEqual(await names(), ['10.96.0.9', '192.168.2.2']);
  t.like(events.at(-1), {
    kind: 'IPAddress',
    reason: 'IPAddressNotAllocated',
    message: 'IPAddress: 10.96.0.77 for Service n/gone appears to have leaked: cleaning up',
  });
  await client.delete(kinds.ipaddresses, { name: '10.96.0.9' });
  await until('it is recorded again', async () => (await names()).includes('10.96.0.9'));
});

test('what is wrong with an address that cannot be put right is told, and other references are', async t => {
  const { client, events, start } = newBench(t);
  const at = (name: string, ip: string) => serviceOf(name, { clusterIP: ip, clusterIPs: [ip] });
  await client.create(kinds.servicecidrs, { metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.0.0.0/16'] } });
  await client.create(kinds.services, at('outside', '192.168.1.1'));
  const owner = await client.create(kinds.services, at('owner', '10.0.1.1'));
  await client.create(kinds.services, at('second', '10.0.1.1'));
  await client.create(kinds.services, at('robbed', '10.0.1.2'));
  await client.create(kinds.ipaddresses, recordOf('10.0.1.1', owner));
  await client.create(kinds.ipaddresses, recordOf('10.0.1.2', owner));
  await start(context => [serviceAddressController(context)]);
  const record = async (name: string) => (await client.get(kinds.ipaddresses, { name })).spec?.parentRef?.name;
  await client.patch(
    kinds.services,
    { namespace: 'n', name: 'second' },
    { type: MERGE, body: { metadata: { labels: { a: 'b' } } } },
  );
  await until('it is put right', async () => (await record('10.0.1.2')) === 'robbed');
  t.is(await record('10.0.1.1'), 'owner');
  t.deepEqual([...new Set(events.map(({ name, reason, message }) => `${name} ${reason}: ${message}`))].sort(), [
    'outside ClusterIPOutOfRange: Cluster IP [IPv4]: 192.168.1.1 is not within any configured Service CIDR; please recreate service',
    'robbed ClusterIPNotAllocated: the ClusterIP [IPv4]: 10.0.1.2 for Service n/robbed has a wrong reference; repairing',
    'second ClusterIPAlreadyAllocated: Cluster IP [IPv4]:10.0.1.1 was assigned to multiple services; please recreate service',
  ]);
});

const node = (name: string, addresses: readonly [string, string][], { ready = 'True', labels = {} } = {}): Node => ({
  metadata: { name, labels },
  status: {
    addresses: addresses.map(([type, address]) => ({ type, address })),
    conditions: [{ type: 'Ready', status: ready }],
  },
});
const balancer = (name: string, spec: object = {}, creationTimestamp = '2026-01-01T00:00:00Z'): Service => ({
  metadata: { name, namespace: 'n', creationTimestamp },
  spec: { type: 'LoadBalancer', ports: [{ port: 80 }], ...spec },
});

test('balancers: whose, under which addresses, and on which ports', t => {
  const nodes = [
    node('a', [['InternalIP', '10.0.0.1']]),
    node('b', [
      ['InternalIP', '10.0.0.2'],
      ['Hostname', 'b'],
    ]),
    node('c', [['InternalIP', '10.0.0.3']], { ready: 'Unknown' }),
    node('d', [['InternalIP', '10.0.0.4']], {
      labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' },
    }),
    node('e', [['InternalIP', '127.0.0.1']]),
  ];
  const plan = (service: Service, state: Partial<BalancerState> = {}) => {
    const result = planBalancer(service, {
      services: [service],
      nodes,
      slices: [],
      reservedPorts: new Set([6443]),
      ...state,
    });
    return result.type === 'refused' ? result.why : result.ingress.map(({ ip, ipMode }) => `${ip} ${ipMode}`);
  };
  t.deepEqual(plan(balancer('s')), ['10.0.0.1 VIP', '10.0.0.2 VIP']);
  t.deepEqual(plan(balancer('s'), { nodes: [...nodes, node('x', [['ExternalIP', '1.2.3.4']])] }), ['1.2.3.4 VIP']);
  const slices = [
    { addressType: 'IPv4', endpoints: [{ addresses: ['10.1.0.1'], nodeName: 'b', conditions: { ready: true } }] },
  ];
  t.deepEqual(plan(balancer('s', { externalTrafficPolicy: 'Local' }), { slices }), ['10.0.0.2 VIP']);
  t.is(plan(balancer('s', { ports: [{ port: 6443 }] })), "port 6443 is the cluster's own on its nodes");
  const [first, second] = [balancer('first'), balancer('second', {}, '2026-01-02T00:00:00Z')];
  const services = [second, first];
  t.deepEqual(plan(first, { services }), ['10.0.0.1 VIP', '10.0.0.2 VIP']);
  t.is(plan(second, { services }), 'port 80/TCP of the nodes belongs to the Service n/first');
  t.true(isBalanced(first));
  t.false(isBalanced(balancer('s', { loadBalancerClass: 'example.com/x' })));
  t.false(isBalanced(serviceOf('s', { type: 'NodePort' })));
});

test('a balancer has the addresses of the nodes that are there', async t => {
  const { client, events, start } = newBench(t);
  await client.create(kinds.nodes, node('a', [['InternalIP', '10.0.0.1']]));
  await start(context => some(loadBalancerController(context)));
  await client.create(kinds.services, balancer('s'));
  await client.create(
    kinds.services,
    balancer('theirs', { loadBalancerClass: 'example.com/x', ports: [{ port: 81 }] }),
  );
  const ips = async (name: string) =>
    (await client.get(kinds.services, { namespace: 'n', name })).status?.loadBalancer?.ingress?.map(({ ip }) => ip);
  await until('an address', async () => (await ips('s'))?.length === 1);
  await client.create(kinds.nodes, node('b', [['InternalIP', '10.0.0.2']]));
  await until('two addresses', async () => (await ips('s'))?.length === 2);
  t.deepEqual(await ips('s'), ['10.0.0.1', '10.0.0.2']);
  t.is(await ips('theirs'), undefined);
  t.deepEqual(
    events.slice(0, 2).map(({ component, reason, message }) => [component, reason, message]),
    [
      ['service-controller', 'EnsuringLoadBalancer', 'Ensuring load balancer'],
      ['service-controller', 'EnsuredLoadBalancer', 'Ensured load balancer'],
    ],
  );
});

test('Endpoints kept by hand are mirrored for as long as they are', async t => {
  const { client, start } = newBench(t);
  await start(context => [endpointSliceMirroringController(context)]);
  const key = { namespace: 'n', name: 'e' };
  await client.create(kinds.services, serviceOf('e', {}));
  const subset = (ip: string) => [{ addresses: [{ ip }], ports: [{ name: 'x', port: 80, protocol: 'TCP' }] }];
  await client.create(kinds.endpoints, { metadata: key, subsets: subset('10.1.2.3') });
  const slices = async () => (await client.list(kinds.endpointslices)).items;
  await until('a slice', async () => (await slices()).length === 1);
  t.like((await slices())[0], {
    addressType: 'IPv4',
    metadata: { labels: { 'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io' } },
  });
  const { name } = (await slices())[0]?.metadata ?? {};
  await client.patch(kinds.endpoints, key, { type: MERGE, body: { subsets: subset('10.1.2.4') } });
  await until('the new address', async () => (await slices())[0]?.endpoints[0]?.addresses[0] === '10.1.2.4');
  t.is((await slices())[0]?.metadata?.name, name, 'the same slice');
  await client.patch(kinds.services, key, { type: MERGE, body: { spec: { selector: { app: 'a' } } } });
  await until('a selector ends it', async () => (await slices()).length === 0);
  await client.patch(kinds.services, key, { type: MERGE, body: { spec: { selector: null } } });
  await until('and its end begins it', async () => (await slices()).length === 1);
  await client.delete(kinds.endpoints, key);
  await until('nothing is left', async () => (await slices()).length === 0);
});

test('why endpoints are not spread over zones is told in the words of Kubernetes', async t => {
  const { client, events, start } = newBench(t);
  await client.create(kinds.nodes, node('a', []));
  await start(context => [endpointSliceController(context)]);
  await client.create(kinds.services, {
    metadata: { name: 'web', namespace: 'n', annotations: { 'service.kubernetes.io/topology-mode': 'Auto' } },
    spec: { selector: { app: 'a' }, ports: [{ port: 80 }], ipFamilies: ['IPv4'] },
  });
  await client.create(kinds.pods, {
    metadata: { name: 'p', namespace: 'n', labels: { app: 'a' } },
    spec: { containers: [], nodeName: 'a' },
    status: { podIP: '10.1.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
  });
  await until('it is told', () => events.length > 0);
  t.is(events[0]?.reason, 'TopologyAwareHintsDisabled');
  for (const event of events)
    t.true(knownEvents === undefined || isKnownEvent({ ...event, kind: 'Service' }), event.message);
});

test('whether endpoints are spread over zones is told for each family, and when it ends', async t => {
  const { client, events, start } = newBench(t);
  const zoned = (name: string, zone: string): Node => ({
    metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } },
    status: { allocatable: { cpu: '4' }, conditions: [{ type: 'Ready', status: 'True' }] },
  });
  await client.create(kinds.nodes, zoned('a', 'x'));
  await client.create(kinds.nodes, zoned('b', 'y'));
  for (const [at, nodeName] of ['a', 'b'].entries()) {
    await client.create(kinds.pods, {
      metadata: { name: nodeName, namespace: 'n', labels: { app: 'a' } },
      spec: { containers: [], nodeName },
      status: { podIP: `fd42::${at + 1}`, conditions: [{ type: 'Ready', status: 'True' }] },
    });
  }
  await start(context => [endpointSliceController(context)]);
  const key = { namespace: 'n', name: 'web' };
  const mode = 'service.kubernetes.io/topology-mode';
  await client.create(kinds.services, {
    metadata: { ...key, annotations: { [mode]: 'Auto' } },
    spec: { selector: { app: 'a' }, ports: [{ port: 80 }], ipFamilies: ['IPv6'] },
  });
  await until('it is told', () => events.length > 0);
  await client.patch(kinds.services, key, { type: MERGE, body: { metadata: { annotations: { [mode]: null } } } });
  await until('its end is told', () => events.length > 1);
  t.deepEqual(
    events.map(({ type, reason, message }) => [type, reason, message]),
    [
      ['Normal', 'TopologyAwareHintsEnabled', 'Topology Aware Hints has been enabled, addressType: IPv6'],
      ['Warning', 'TopologyAwareHintsDisabled', 'Topology Aware Hints has been disabled, addressType: IPv6'],
    ],
  );
});

const account = { metadata: { name: 'robot', namespace: 'n', uid: 'u1' } };
const tokenSecret = (annotations: Record<string, string>, data?: Record<string, string>): Secret => ({
  metadata: { name: 's', namespace: 'n', annotations },
  type: 'kubernetes.io/service-account-token',
  ...(data && { data }),
});
const base64 = (text: string) => Buffer.from(text).toString('base64');

test('what a Secret for a token needs', t => {
  const named = { 'kubernetes.io/service-account.name': 'robot' };
  const owned = { ...named, 'kubernetes.io/service-account.uid': 'u1' };
  const data = { token: 'x', namespace: base64('n'), 'ca.crt': base64('CA') };
  t.is(planSecret(tokenSecret(named), account, 'CA'), 'fill');
  t.is(planSecret(tokenSecret(owned, data), account, 'CA'), 'none');
  t.is(planSecret(tokenSecret(owned, data), account, 'another CA'), 'fill');
  t.is(planSecret(tokenSecret(owned, { ...data, token: '' }), account, 'CA'), 'fill');
  t.is(planSecret(tokenSecret(owned, { ...data, namespace: base64('own') }), account, 'CA'), 'none', 'as they like');
  t.is(planSecret(tokenSecret(owned, data), { metadata: { ...account.metadata, uid: 'u2' } }, 'CA'), 'remove');
  t.is(planSecret(tokenSecret(named), undefined, 'CA'), 'remove');
});

test('a Secret gets the token of its account, and goes with it', async t => {
  const signSecretToken = async (subject: object) => JSON.stringify(subject);
  const { client, start } = newBench(t, { options: { rootCa: 'CA', signSecretToken } });
  const made = await client.create(kinds.serviceaccounts, { metadata: { name: 'robot', namespace: 'n' } });
  await start((context: ControllerContext) => some(serviceAccountSecretController(context)));
  await client.create(kinds.secrets, tokenSecret({ 'kubernetes.io/service-account.name': 'robot' }));
  const secret = async () => (await client.list(kinds.secrets)).items[0];
  await until('the token', async () => (await secret())?.data?.token !== undefined);
  const uid = made.metadata?.uid;
  t.deepEqual((await secret())?.data, {
    token: base64(JSON.stringify({ namespace: 'n', secret: 's', serviceAccount: { name: 'robot', uid } })),
    namespace: base64('n'),
    'ca.crt': base64('CA'),
  });
  t.is((await secret())?.metadata?.annotations?.['kubernetes.io/service-account.uid'], uid);
  await client.delete(kinds.serviceaccounts, { namespace: 'n', name: 'robot' });
  await until('it goes', async () => (await secret()) === undefined);
});

test('an account names no Secret that has gone', async t => {
  const { client, start } = newBench(t, { options: { rootCa: 'CA', signSecretToken: async () => 'x' } });
  const robot = { namespace: 'n', name: 'robot' };
  const secrets = [{ name: 's' }, { name: 'other' }];
  const made = await client.create(kinds.serviceaccounts, { metadata: robot, secrets });
  const data = { token: 'x', namespace: base64('n'), 'ca.crt': base64('CA') };
  const owned = {
    'kubernetes.io/service-account.name': 'robot',
    'kubernetes.io/service-account.uid': made.metadata?.uid ?? '',
  };
  await client.create(kinds.secrets, tokenSecret(owned, data));
  await start((context: ControllerContext) => some(serviceAccountSecretController(context)));
  await client.delete(kinds.secrets, { namespace: 'n', name: 's' });
  const named = async () => (await client.get(kinds.serviceaccounts, robot)).secrets?.map(({ name }) => name);
  await until('one is left', async () => (await named())?.length === 1);
  t.deepEqual(await named(), ['other']);
});

test('agents keep Secrets longer in larger clusters, and the steps overlap', async t => {
  const step = (count: number, before: number) => ttlSeconds(planTtlStep(count, before));
  t.deepEqual(
    [step(100, 0), step(101, 0), step(95, 1), step(89, 1), step(5_000, 0), step(3, 4)],
    [0, 15, 15, 0, 300, 0],
  );
  const { client, start } = newBench(t);
  await start(context => [nodeTtlController(context)]);
  await client.create(kinds.nodes, node('a', []));
  await until(
    'the annotation',
    async () =>
      (await client.get(kinds.nodes, { name: 'a' })).metadata?.annotations?.['node.alpha.kubernetes.io/ttl'] === '0',
  );
});
