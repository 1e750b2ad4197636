/** What controllers make of Services and pods with addresses of both families. */
import test from 'ava';
import type { Node, Pod, Service, ServiceSpec } from '../api/generated/types.ts';
import { planSlices } from './endpoint-slices-plan.ts';
import { planEndpoints } from './endpoints.ts';
import { planBalancer } from './load-balancer-plan.ts';

const service = (spec: ServiceSpec): Service => ({
  metadata: { name: 's', namespace: 'n', uid: 's' },
  spec: { selector: { app: 'a' }, ports: [{ name: 'web', port: 80 }], ...spec },
});
const pod = (name: string, ...addresses: readonly string[]): Pod => ({
  metadata: { name, namespace: 'n', uid: name, labels: { app: 'a' } },
  spec: { containers: [], nodeName: 'x' },
  status: {
    podIP: addresses[0] ?? '',
    podIPs: addresses.map(ip => ({ ip })),
    conditions: [{ type: 'Ready', status: 'True' }],
  },
});
/** The last one was started before its node had a second range. */
const pods = [pod('p', '10.42.0.2', 'fd42::2'), pod('q', '10.42.0.3', 'fd42::3'), pod('old', '10.42.0.4')];

test('a slice for each family of the Service, with the pods that have it', t => {
  const plan = (ipFamilies: string[], slices = [] as ReturnType<typeof planSlices>['create']) =>
    planSlices({ service: service({ ipFamilies }), pods, slices, nodeOf: name => ({ metadata: { name } }) });
  const both = plan(['IPv4', 'IPv6']).create;
  t.deepEqual(
    both.map(({ addressType, endpoints }) => [addressType, endpoints?.flatMap(({ addresses }) => addresses)]),
    [
      ['IPv4', ['10.42.0.2', '10.42.0.3', '10.42.0.4']],
      ['IPv6', ['fd42::2', 'fd42::3']],
    ],
  );
  t.deepEqual(plan(['IPv4', 'IPv6'], [...both]), { create: [], update: [], remove: [] });
  t.deepEqual(
    plan(['IPv4'], [...both]).remove.map(({ addressType }) => addressType),
    ['IPv6'],
    'a family that is given up',
  );
});

test('Endpoints have the Service’s first family', t => {
  const addresses = (ipFamilies: string[]) =>
    planEndpoints(service({ ipFamilies }), pods, undefined).subsets?.flatMap(subset =>
      subset.addresses?.map(({ ip }) => ip),
    );
  t.deepEqual(addresses(['IPv4', 'IPv6']), ['10.42.0.2', '10.42.0.3', '10.42.0.4']);
  t.deepEqual(addresses(['IPv6', 'IPv4']), ['fd42::2', 'fd42::3']);
});

test('a balanced Service has the nodes’ addresses of its families', t => {
  const node = (name: string, ...addresses: readonly string[]): Node => ({
    metadata: { name },
    spec: {},
    status: {
      addresses: addresses.map(address => ({ type: 'InternalIP', address })),
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  });
  const nodes = [node('a', '192.0.2.1', '2001:db8::1'), node('b', '192.0.2.2', 'fe80::2')];
  const of = (ipFamilies: string[]) => {
    const plan = planBalancer(service({ type: 'LoadBalancer', ipFamilies }), {
      ...{ services: [], nodes, slices: [], reservedPorts: new Set<number>() },
    });
    return plan.type === 'addresses' ? plan.ingress.map(({ ip }) => ip) : plan.why;
  };
  t.deepEqual(of(['IPv4']), ['192.0.2.1', '192.0.2.2']);
  t.deepEqual(of(['IPv6']), ['2001:db8::1']);
  t.deepEqual(of(['IPv4', 'IPv6']), ['192.0.2.1', '192.0.2.2', '2001:db8::1']);
});
