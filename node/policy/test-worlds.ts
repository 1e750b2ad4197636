/** For tests: arbitrary worlds of policies, for fast-check. */
import fc from 'fast-check';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '../api.ts';
import type { Protocol } from './ruleset.ts';
import type { PolicyPod, PolicyWorld } from './world.ts';

type Spec = NonNullable<NetworkPolicy['spec']>;
const namespaces = new Map(['x', 'y', 'z'].map(name => [name, { ns: name }]));
const names = fc.constantFrom('a', 'b', 'c');
const labelSelector = (key: string, values: readonly string[]) =>
  fc.oneof(
    fc.constant({}),
    fc.constantFrom(...values).map(value => ({ matchLabels: { [key]: value } })),
    fc
      .subarray([...values], { minLength: 1 })
      .chain(some =>
        fc.constantFrom('In', 'NotIn').map(operator => ({ matchExpressions: [{ key, operator, values: some }] })),
      ),
    fc.constantFrom('Exists', 'DoesNotExist').map(operator => ({ matchExpressions: [{ key, operator }] })),
  );
const podSelector = labelSelector('pod', ['a', 'b', 'c']);
const namespaceSelector = labelSelector('ns', ['x', 'y', 'z']);
const cidr = fc
  .record({
    row: fc.integer({ min: 0, max: 3 }),
    column: fc.integer({ min: 0, max: 3 }),
    length: fc.constantFrom(0, 8, 22, 23, 24, 30, 31, 32),
  })
  .map(({ row, column, length }) => `10.0.${row}.${column}/${length}`);
const peer: fc.Arbitrary<NetworkPolicyPeer> = fc.oneof(
  podSelector.map(selector => ({ podSelector: selector })),
  namespaceSelector.map(selector => ({ namespaceSelector: selector })),
  fc.record({ podSelector, namespaceSelector }),
  fc.record({ cidr, except: fc.array(cidr, { maxLength: 3 }) }).map(ipBlock => ({ ipBlock })),
);
export const anyProtocol = fc.constantFrom<Protocol>('TCP', 'UDP', 'SCTP');
export const anyPort = fc.integer({ min: 79, max: 84 });
const port: fc.Arbitrary<NetworkPolicyPort> = fc.oneof(
  anyProtocol.map(only => ({ protocol: only })),
  fc.record({ protocol: anyProtocol, port: anyPort }),
  fc
    .record({ port: anyPort, more: fc.integer({ min: 0, max: 3 }) })
    .map(({ port: first, more }) => ({ port: first, endPort: first + more })),
  fc.record({ protocol: anyProtocol, port: fc.constantFrom('web', 'dns') }),
);
const peers = fc.option(fc.array(peer, { maxLength: 3 }), { nil: undefined });
const ports = fc.option(fc.array(port, { maxLength: 3 }), { nil: undefined });
const some = <T extends object>(object: T) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
const anyPolicy: fc.Arbitrary<NetworkPolicy> = fc
  .record({
    namespace: fc.constantFrom('x', 'y', 'z'),
    // Names come again in other namespaces; twice in one, the API does not have them.
    name: fc.constantFrom('first', 'second'),
    podSelector,
    policyTypes: fc.option(fc.subarray(['Ingress', 'Egress']), { nil: undefined }),
    ingress: fc.option(fc.array(fc.record({ from: peers, ports }).map(some), { maxLength: 3 }), { nil: undefined }),
    egress: fc.option(fc.array(fc.record({ to: peers, ports }).map(some), { maxLength: 3 }), { nil: undefined }),
  })
  .map(({ namespace, name, ...spec }) => ({ metadata: { namespace, name }, spec: some(spec) as unknown as Spec }));
const namedPorts = fc.uniqueArray(
  fc.record({ name: fc.constantFrom('web', 'dns'), protocol: anyProtocol, port: anyPort }),
  {
    maxLength: 2,
    selector: one => one.name,
  },
);
const anyPods: fc.Arbitrary<readonly PolicyPod[]> = fc
  .array(fc.record({ label: fc.option(names, { nil: undefined }), ports: namedPorts, isLocal: fc.boolean() }), {
    minLength: 9,
    maxLength: 9,
  })
  .map(list =>
    list.map(
      ({ label, ports: own, isLocal }, index): PolicyPod => ({
        namespace: ['x', 'y', 'z'][index % 3] ?? '',
        labels: label === undefined ? ({} as PolicyPod['labels']) : { pod: label },
        addresses: [`10.0.${index % 3}.${Math.floor(index / 3)}`, ...(index % 2 === 0 ? [`2001:db8::${index}`] : [])],
        ports: own,
        isLocal,
      }),
    ),
  );
/** Policies, pods and labels as they may come, small enough that they often speak of each other. */
export const anyWorld = fc
  .record({
    policies: fc.uniqueArray(anyPolicy, {
      maxLength: 4,
      selector: ({ metadata }) => `${metadata?.namespace}/${metadata?.name}`,
    }),
    pods: anyPods,
  })
  .map((parts): PolicyWorld => ({ ...parts, namespaces }));
/** One that a packet may carry. */
export const anyAddress = fc.oneof(
  fc
    .record({ row: fc.integer({ min: 0, max: 3 }), column: fc.integer({ min: 0, max: 3 }) })
    .map(({ row, column }) => `10.0.${row}.${column}`),
  fc.constantFrom('192.0.2.7', '2001:db8::2', '2001:db8::4', '2001:db8::99'),
);
