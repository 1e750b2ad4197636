/** For tests: arbitrary service ports, for fast-check. They claim the same few things, so that most plans differ in part. */
import fc from 'fast-check';
import type { ServicePort } from './proxy.ts';

const some = <T>(...all: readonly T[]) => fc.subarray([...all], { maxLength: 2 });
const endpoint = fc.record({
  address: fc.constantFrom('10.42.1.2', '10.42.1.3', '10.42.2.2', 'fd42::2', 'fd42::3'),
  port: fc.constantFrom(8080, 8081),
  local: fc.boolean(),
  cluster: fc.boolean(),
});

const limit = fc.record({
  addresses: some('203.0.113.7', '203.0.113.8', '2001:db8::7'),
  sources: some('10.0.0.0/8', '10.42.0.0/16', '198.51.100.7/32', 'fd00::/8', 'fd42::/16', '::/0', 'nonsense'),
});

const unlimited: fc.Arbitrary<ServicePort> = fc.record({
  // Host ports are such ports too.
  id: fc.constantFrom('ns/a:http', 'ns/b:http', 'ns/b:dns', 'ns/c:', 'ns/d:', 'host-port ns/pod::30080'),
  protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
  clusterIPs: some('10.43.0.10', '10.43.0.11', '10.43.0.12', 'fd43::a', 'fd43::b'),
  port: fc.constantFrom(53, 80),
  nodePort: fc.constantFrom(0, 0, 30_080, 30_081),
  everyAddress: fc.boolean(),
  externalIPs: some('203.0.113.7', '203.0.113.8', '2001:db8::7'),
  affinitySeconds: fc.constantFrom(0, 0, 30, 60),
  localOnly: fc.boolean(),
  internalLocalOnly: fc.boolean(),
  endpoints: fc.array(endpoint, { maxLength: 4 }),
});

const anyPort = fc
  .tuple(unlimited, fc.option(limit))
  .map(([port, limit]): ServicePort => (limit ? { ...port, limit } : port));

/** All ports of a node at one time. */
export const anyPorts = fc.array(anyPort, { maxLength: 8 });

/** What a node is told one after the other; half of it changes little. */
export const anyPortsInTurn: fc.Arbitrary<readonly (readonly ServicePort[])[]> = fc
  .tuple(anyPorts, fc.array(fc.oneof(anyPorts, fc.tuple(fc.nat(7), anyPort)), { minLength: 1, maxLength: 8 }))
  .map(([first, changes]) => {
    const all: (readonly ServicePort[])[] = [first];
    for (const change of changes) all.push(isOneOther(change) ? withOther(all.at(-1) ?? [], change) : change);
    return all;
  });

type OneOther = readonly [index: number, port: ServicePort];

function isOneOther(change: readonly ServicePort[] | OneOther): change is OneOther {
  return typeof change[0] === 'number';
}

/** In the place of one, or beside them where there are fewer. */
function withOther(ports: readonly ServicePort[], [index, port]: OneOther): readonly ServicePort[] {
  return [...ports.slice(0, index), port, ...ports.slice(index + 1)];
}
