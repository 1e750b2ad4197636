import test from 'ava';
import type { EndpointSlice, Service } from './api.ts';
import type { ServicePort } from './proxy/proxy.ts';
import { planRoutes } from './routes.ts';
import { planServicePorts } from './service-ports.ts';

const service = (spec: Service['spec']): Service => ({
  metadata: { name: 'web', namespace: 'ns' },
  spec: { clusterIP: '10.43.0.9', ...spec },
});
const slice = (
  endpoints: EndpointSlice['endpoints'],
  ports: EndpointSlice['ports'] = [{ name: '', port: 8080, protocol: 'TCP' }],
): EndpointSlice => ({
  addressType: 'IPv4',
  metadata: { name: 'web-1', namespace: 'ns', labels: { 'kubernetes.io/service-name': 'web' } },
  ports,
  endpoints,
});
const ready = (address: string, nodeName = 'other') => ({
  addresses: [address],
  conditions: { ready: true },
  nodeName,
});
const leaving = (address: string) => ({
  addresses: [address],
  conditions: { ready: false, serving: true, terminating: true },
});

test('a port leads to the ready endpoints of its name', t => {
  const ports = [
    { name: 'http', port: 80, nodePort: 30_080 },
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'signal', port: 1, protocol: 'SCTP' },
  ];
  const slices = [
    slice(
      [ready('10.42.0.2', 'node-1'), ready('10.42.1.2'), leaving('10.42.1.3')],
      [{ name: 'http', port: 8080, protocol: 'TCP' }],
    ),
    slice([ready('10.42.0.2')], [{ name: 'dns', port: 5353, protocol: 'UDP' }]),
    slice([ready('10.42.0.2')], [{ name: 'signal', port: 2, protocol: 'SCTP' }]),
  ];
  const planned = planServicePorts([service({ ports })], slices, 'node-1');
  t.deepEqual(
    planned.map(({ id, protocol, nodePort, endpoints }) => ({ id, protocol, nodePort, endpoints })),
    [
      {
        id: 'ns/web:dns',
        protocol: 'UDP',
        nodePort: 0,
        endpoints: [{ address: '10.42.0.2', port: 5353, local: false, cluster: true }],
      },
      {
        id: 'ns/web:http',
        protocol: 'TCP',
        nodePort: 30_080,
        endpoints: [
          { address: '10.42.0.2', port: 8080, local: true, cluster: true },
          { address: '10.42.1.2', port: 8080, local: false, cluster: true },
        ],
      },
      {
        id: 'ns/web:signal',
        protocol: 'SCTP',
        nodePort: 0,
        endpoints: [{ address: '10.42.0.2', port: 2, local: false, cluster: true }],
      },
    ],
  );
});

test('a service that is left to another proxy, or to nobody, has no rules; nor has what a slice says that is', t => {
  const plain = service({ ports: [{ port: 80 }] });
  const labelled = <T extends Service | EndpointSlice>(one: T, label: string): T => ({
    ...one,
    metadata: { ...one.metadata, labels: { ...one.metadata?.labels, [label]: '' } },
  });
  const slices = [slice([ready('10.42.0.2')])];
  t.is(planServicePorts([plain], slices, 'n')[0]?.endpoints.length, 1);
  for (const label of ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless']) {
    t.deepEqual(planServicePorts([labelled(plain, label)], slices, 'n'), [], label);
    const left = slices.map(one => labelled(one, label));
    t.deepEqual(planServicePorts([plain], left, 'n')[0]?.endpoints, [], label);
  }
});

test("a load balancer's source ranges are for its own addresses", t => {
  const ingress = [
    { ip: '192.0.2.1', ipMode: 'VIP' },
    { ip: '192.0.2.2', ipMode: 'Proxy' },
    { hostname: 'a' },
    { ip: '2001:db8::1' },
  ];
  const planned = (loadBalancerSourceRanges: string[], balanced = ingress) =>
    planServicePorts(
      [
        {
          ...service({
            type: 'LoadBalancer',
            externalIPs: ['203.0.113.7'],
            ports: [{ port: 80 }],
            loadBalancerSourceRanges,
          }),
          status: { loadBalancer: { ingress: balanced } },
        },
      ],
      [],
      'node-1',
    )[0];
  t.deepEqual(planned(['10.0.0.0/8'])?.limit, { addresses: ['192.0.2.1', '2001:db8::1'], sources: ['10.0.0.0/8'] });
  t.deepEqual(planned(['10.0.0.0/8'])?.externalIPs, ['203.0.113.7', '192.0.2.1', '2001:db8::1']);
  t.is(planned([])?.limit, undefined);
  t.is(planned(['10.0.0.0/8'], [])?.limit, undefined);
});

test('terminating endpoints serve only while none is ready', t => {
  const one = (endpoints: EndpointSlice['endpoints']) =>
    planServicePorts([service({ ports: [{ port: 80 }] })], [slice(endpoints)], 'node-1')[0]?.endpoints.map(
      ({ address }) => address,
    );
  t.deepEqual(one([leaving('a'), { addresses: ['b'], conditions: { ready: false } }]), ['a']);
  t.deepEqual(one([leaving('a'), ready('c')]), ['c']);
});

test('UDP: what serves and gets nothing new is told apart from what is gone', t => {
  const draining = (protocol: string, endpoints: EndpointSlice['endpoints'], zone?: string) =>
    planServicePorts(
      [service({ ports: [{ port: 53, protocol }] })],
      [slice(endpoints, [{ name: '', port: 53, protocol }])],
      'node-1',
      zone,
    )[0]?.draining;
  const gone = { addresses: ['d'], conditions: { ready: false, serving: false, terminating: true } };
  t.deepEqual(draining('UDP', [leaving('b'), leaving('a'), ready('c'), gone]), ['a', 'b']);
  t.is(draining('TCP', [leaving('a'), ready('c')]), undefined);
  t.is(draining('UDP', [leaving('a')]), undefined, 'they are all there is');
  const meant = (address: string, name: string) => ({ ...ready(address), hints: { forZones: [{ name }] } });
  t.deepEqual(draining('UDP', [meant('a', 'x'), meant('b', 'y')], 'y'), ['a']);
});

/** Whose traffic each endpoint takes. */
function judged(port: ServicePort | undefined): Record<string, string> {
  return Object.fromEntries(
    (port?.endpoints ?? []).map(({ address, local, cluster }) => [
      address,
      [local ? 'local' : '', cluster ? 'cluster' : ''].join(' ').trim(),
    ]),
  );
}

test('traffic that stays on the node and all other traffic each have those that are ready, or else those that leave', t => {
  const policies = [{ externalTrafficPolicy: 'Local' }, { internalTrafficPolicy: 'Local' }];
  const here = { nodeName: 'node-1' };
  const silent = { ...leaving('f'), ...here, conditions: { ready: false, terminating: true } };
  for (const policy of policies) {
    const one = (endpoints: EndpointSlice['endpoints']) =>
      judged(planServicePorts([service({ ports: [{ port: 80 }], ...policy })], [slice(endpoints)], 'node-1')[0]);
    t.deepEqual(one([{ ...leaving('a'), ...here }, ready('b')]), { a: 'local', b: 'cluster' });
    t.deepEqual(one([{ ...leaving('a'), ...here }, ready('b', 'node-1')]), { b: 'local cluster' });
    t.deepEqual(one([{ ...leaving('a'), ...here }, leaving('b')]), { a: 'local cluster', b: 'cluster' });
    t.deepEqual(one([silent]), { f: 'local cluster' }, 'who does not say that it no longer serves does');
    t.deepEqual(one([{ addresses: ['g'], ...here, conditions: { ready: false, serving: false } }]), {});
  }
  const plain = planServicePorts(
    [service({ ports: [{ port: 80 }] })],
    [slice([{ ...leaving('a'), ...here }, ready('b')])],
    'node-1',
  );
  t.deepEqual(judged(plain[0]), { b: 'cluster' }, 'no traffic stays here');
});

test('headless and external services have no rules; policies and affinity are passed on', t => {
  const ports = [{ port: 80 }];
  t.deepEqual(
    planServicePorts([service({ clusterIP: 'None', ports }), service({ type: 'ExternalName', ports })], [], 'n'),
    [],
  );
  const [local] = planServicePorts(
    [service({ ports, internalTrafficPolicy: 'Local' })],
    [slice([ready('a'), ready('b', 'n')])],
    'n',
  );
  t.like(local, { localOnly: false, internalLocalOnly: true });
  t.deepEqual(judged(local), { a: 'cluster', b: 'local cluster' });
  const [sticky] = planServicePorts(
    [service({ ports, sessionAffinity: 'ClientIP', externalTrafficPolicy: 'Local' })],
    [],
    'n',
  );
  t.like(sticky, { affinitySeconds: 10_800, localOnly: true, internalLocalOnly: false });
});

test('routes lead to the other nodes that have a range and an address', t => {
  const node = (name: string, podCIDR?: string) => ({
    metadata: { name },
    spec: { ...(podCIDR && { podCIDR }) },
    status: { addresses: [{ type: 'InternalIP', address: `ip-${name}` }] },
  });
  t.deepEqual(planRoutes([node('a', '10.42.0.0/24'), node('b', '10.42.1.0/24'), node('c')], 'a'), [
    { nodeName: 'b', podCIDR: '10.42.1.0/24', nodeAddress: 'ip-b' },
  ]);
});

test('endpoints that are meant for other zones are left to their nodes, as long as each is told its zone', t => {
  const meant = (address: string, zone: string, nodeName = 'other') => ({
    ...ready(address, nodeName),
    hints: { forZones: [{ name: zone }] },
  });
  const zoned = [meant('10.42.0.2', 'a'), meant('10.42.0.3', 'b'), meant('10.42.0.4', 'a', 'node-1')];
  const reached = (endpoints: EndpointSlice['endpoints'], zone?: string, spec: Service['spec'] = {}) =>
    planServicePorts(
      [service({ ports: [{ port: 80 }], ...spec })],
      [slice(endpoints)],
      'node-1',
      zone,
    )[0]?.endpoints.map(({ address }) => address);
  t.deepEqual(reached(zoned, 'a'), ['10.42.0.2', '10.42.0.4']);
  t.deepEqual(reached(zoned, 'b'), ['10.42.0.3']);
  const all = ['10.42.0.2', '10.42.0.3', '10.42.0.4'];
  t.deepEqual(reached(zoned), all, 'a node without a zone');
  t.deepEqual(reached(zoned, 'c'), all, 'a zone that none is meant for');
  t.deepEqual(reached([...zoned, ready('10.42.0.5')], 'b'), [...all, '10.42.0.5'], 'one without a word');
  t.deepEqual(reached([...zoned, leaving('10.42.0.5')], 'b'), ['10.42.0.3'], 'one that leaves has no say');
  for (const policy of [{ internalTrafficPolicy: 'Local' }, { externalTrafficPolicy: 'Local' }]) {
    t.deepEqual(
      judged(planServicePorts([service({ ports: [{ port: 80 }], ...policy })], [slice(zoned)], 'node-1', 'b')[0]),
      { '10.42.0.3': 'cluster', '10.42.0.4': 'local' },
      'who asks for the node gets its pods, whichever zone they are meant for',
    );
  }
});
