/** Endpoints kept by hand and the slices that mirror them, and the zones that slices speak of. */
import test from 'ava';
import type { Endpoint, EndpointSlice, Endpoints, Node, Service } from '../api/generated/types.ts';
import { isMirrored, planMirror } from './endpoint-slice-mirroring-plan.ts';
import { cpuShares, planHints, usesTopology } from './endpoint-slices-hints.ts';

const endpoints = (subsets: Endpoints['subsets'], metadata: object = {}): Endpoints => ({
  metadata: { name: 'e', namespace: 'n', uid: 'e', labels: { team: 'x' }, ...metadata },
  ...(subsets && { subsets }),
});

test('who is mirrored', t => {
  t.true(isMirrored(endpoints([])));
  t.false(isMirrored(endpoints([], { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } })));
  t.false(isMirrored(endpoints([], { annotations: { 'control-plane.alpha.kubernetes.io/leader': '{}' } })));
});

test('one slice for each set of ports and family, with what is known of each address', t => {
  const object = endpoints(
    [
      {
        addresses: [{ ip: '10.1.2.3', nodeName: 'a', hostname: 'h' }, { ip: 'fd00::1' }],
        notReadyAddresses: [{ ip: '10.1.2.4' }, { ip: 'none' }],
        ports: [{ name: 'http', port: 80 }],
      },
      { addresses: [{ ip: '10.1.2.5' }], ports: [{ name: 'http', port: 81, protocol: 'UDP', appProtocol: 'x' }] },
    ],
    { annotations: { a: '1', 'kubectl.kubernetes.io/last-applied-configuration': '{}' } },
  );
  const plan = planMirror(object, []);
  t.is(plan.invalid, 1);
  t.deepEqual([plan.update, plan.remove], [[], []]);
  t.deepEqual(
    plan.create.map(({ addressType, ports, endpoints: list }) => [addressType, ports?.[0]?.port, list.length]),
    [
      ['IPv4', 80, 2],
      ['IPv6', 80, 1],
      ['IPv4', 81, 1],
    ],
  );
  const [first] = plan.create;
  t.deepEqual(first?.endpoints, [
    { addresses: ['10.1.2.3'], conditions: { ready: true }, hostname: 'h', nodeName: 'a' },
    { addresses: ['10.1.2.4'], conditions: { ready: false } },
  ]);
  t.deepEqual(first?.metadata?.labels, {
    team: 'x',
    'kubernetes.io/service-name': 'e',
    'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
  });
  t.deepEqual(first?.metadata?.annotations, { a: '1' });
  t.like(first?.metadata?.ownerReferences?.[0], { kind: 'Endpoints', name: 'e', uid: 'e' });
});

test('what is as it should be stays, and a slice that would go is used for what would be made', t => {
  const object = endpoints([{ addresses: [{ ip: '10.1.2.3' }], ports: [{ port: 80 }] }]);
  const [made] = planMirror(object, []).create;
  const slice = { ...made, metadata: { ...made?.metadata, name: 'e-1' } } as EndpointSlice;
  t.deepEqual(planMirror(object, [slice]), { create: [], update: [], remove: [], invalid: 0, skipped: 0 });
  const moved = endpoints([{ addresses: [{ ip: '10.1.2.3' }], ports: [{ port: 81 }] }]);
  const plan = planMirror(moved, [slice]);
  t.is(plan.update[0]?.metadata?.name, 'e-1');
  t.is(plan.update[0]?.ports?.[0]?.port, 81);
  t.deepEqual([plan.create, plan.remove], [[], []]);
  t.deepEqual(planMirror(endpoints([]), [slice]).remove, [slice]);
});

test('addresses are written in one way, and a subset without addresses is no slice', t => {
  const written = planMirror(endpoints([{ addresses: [{ ip: '2001:DB8:0::1' }], ports: [{ port: 80 }] }]), []);
  t.deepEqual(written.create[0]?.endpoints[0]?.addresses, ['2001:db8::1']);
  t.deepEqual(planMirror(endpoints([{ ports: [{ port: 80 }] }]), []).create, []);
});

test('no more than a thousand addresses of a subset are mirrored', t => {
  const addresses = Array.from({ length: 1_005 }, (_, i) => ({ ip: `10.0.${Math.floor(i / 250)}.${(i % 250) + 1}` }));
  const plan = planMirror(endpoints([{ addresses, ports: [{ port: 80 }] }]), []);
  t.is(plan.create[0]?.endpoints.length, 1_000);
  t.is(plan.skipped, 5);
});

const node = (name: string, zone: string | undefined, cpu: string, labels: object = {}): Node => ({
  metadata: { name, labels: { ...(zone && { 'topology.kubernetes.io/zone': zone }), ...labels } },
  status: { allocatable: { cpu }, conditions: [{ type: 'Ready', status: 'True' }] },
});
const endpoint = (uid: string, zone: string | undefined, ready = true): Endpoint => ({
  addresses: ['10.0.0.1'],
  conditions: { ready },
  targetRef: { uid },
  ...(zone && { zone }),
});
const auto: Service = { metadata: { annotations: { 'service.kubernetes.io/topology-mode': 'Auto' } } };
const spread = (nodes: readonly Node[], all: readonly Endpoint[]) => {
  const hints = planHints(auto, { list: () => nodes });
  const assigned = hints.assign(all, 'IPv4');
  return { zones: [...assigned].map(([uid, zone]) => `${uid} ${zone}`).sort(), why: hints.words()[0]?.refusal };
};

test('PreferClose keeps traffic in its zone', t => {
  const hints = planHints({ spec: { trafficDistribution: 'PreferClose' } }, { list: () => [] });
  const assigned = hints.assign(
    [endpoint('1', 'a'), endpoint('2', 'b'), endpoint('3', 'b', false), endpoint('4', undefined)],
    'IPv4',
  );
  t.deepEqual(
    [...assigned],
    [
      ['1', 'a'],
      ['2', 'b'],
    ],
  );
  t.deepEqual(hints.words(), []);
  t.is(planHints({ spec: {} }, { list: () => [] }).assign([endpoint('1', 'a')], 'IPv4').size, 0);
});

test('Auto spreads endpoints by the CPUs of zones, or says why it does not', t => {
  const nodes = [
    node('1', 'a', '4'),
    node('2', 'b', '4'),
    node('3', undefined, '64', { 'node-role.kubernetes.io/control-plane': '' }),
  ];
  t.deepEqual(
    [...(cpuShares(nodes) as Map<string, number>)],
    [
      ['a', 0.5],
      ['b', 0.5],
    ],
  );
  const even = spread(nodes, [endpoint('1', 'a'), endpoint('2', 'a'), endpoint('3', 'a'), endpoint('4', 'b')]);
  t.deepEqual(even.zones, ['1 b', '2 a', '3 a', '4 b']);
  t.is(even.why, undefined);
  const refusals: readonly [readonly Node[], readonly Endpoint[], string][] = [
    [
      [node('1', undefined, '4')],
      [],
      'Insufficient Node information: allocatable CPU or zone not specified on one or more nodes',
    ],
    [
      [node('1', 'a', '0'), node('2', 'b', '1')],
      [],
      'Insufficient Node information: allocatable CPU or zone not specified on one or more nodes',
    ],
    [
      [node('1', 'a', '4')],
      [],
      'Insufficient Node information: allocatable CPU or zone not specified on one or more nodes',
    ],
    [nodes, [endpoint('1', 'a')], 'Insufficient number of endpoints (1 endpoints, 2 zones)'],
    [nodes, [endpoint('1', 'a'), endpoint('2', undefined)], 'One or more endpoints do not have a zone specified'],
    [
      [node('1', 'a', '1'), node('2', 'b', '9')],
      [endpoint('1', 'a'), endpoint('2', 'b')],
      'Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (2 endpoints, 2 zones)',
    ],
  ];
  for (const [list, all, why] of refusals) {
    t.deepEqual(spread(list, all), { zones: [], why });
  }
});

test('zones give away what they have too many of, and half an endpoint is no reason to', t => {
  const cpus = (shares: Record<string, number>) =>
    Object.entries(shares).map(([zone, cpu]) => node(zone, zone, `${cpu}`));
  const of = (counts: Record<string, number>) =>
    Object.entries(counts).flatMap(([zone, count]) =>
      Array.from({ length: count }, (_, at) => endpoint(`${zone}${at}`, zone)),
    );
  const counts = (nodes: readonly Node[], all: readonly Endpoint[]) => {
    const found: Record<string, number> = {};
    for (const each of spread(nodes, all).zones) {
      const zone = each.split(' ')[1] ?? '';
      found[zone] = (found[zone] ?? 0) + 1;
    }
    return found;
  };
  const three = cpus({ a: 35, b: 35, c: 30 });
  t.deepEqual(counts(three, of({ a: 5, b: 2, c: 3 })), { a: 4, b: 3, c: 3 });
  t.deepEqual(counts(three, of({ a: 3, b: 4, c: 3 })), { a: 3, b: 4, c: 3 }, 'left as it is');
  t.deepEqual(counts(cpus({ a: 50, b: 56, c: 54 }), of({ a: 16 })), { a: 5, b: 6, c: 5 });
  t.deepEqual(counts(cpus({ a: 50, b: 56, c: 54 }), of({ b: 8, c: 8 })), { a: 5, b: 6, c: 5 });
});

test('the older annotation for topology has the last word', t => {
  const mode = (annotations: Record<string, string>) => usesTopology({ metadata: { annotations } });
  const [now, before] = ['service.kubernetes.io/topology-mode', 'service.kubernetes.io/topology-aware-hints'];
  t.true(mode({ [now]: 'auto' }));
  t.true(mode({ [now]: 'Disabled', [before]: 'Auto' }));
  t.false(mode({ [now]: 'Auto', [before]: 'disabled' }));
});
