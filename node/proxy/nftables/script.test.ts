import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { NftTable } from '../../testing/nft-table.ts';
import { planFrontends } from '../frontends.ts';
import type { ServicePort } from '../proxy.ts';
import { anyPortsInTurn } from '../test-ports.ts';
import { planTable, type TableFamily, type TablePlan } from './ruleset.ts';
import { changeLinesMax, elementsPerLine, renderChange, renderTable, type TableContents } from './script.ts';

const empty: TableContents = { chains: new Set(), sets: new Set() };
const configs = {
  ip: {
    table: 't',
    clusterCIDR: '10.42.0.0/16',
    nodeAddresses: ['192.0.2.1'],
    ownsRouteLocalnet: true,
  },
  ip6: {
    family: 'ip6',
    table: 't',
    clusterCIDR: 'fd42::/56',
    nodeAddresses: ['2001:db8::1'],
    ownsRouteLocalnet: false,
  },
} as const;
const planOf = (ports: readonly ServicePort[], family: TableFamily = 'ip', before?: TablePlan) =>
  planTable(configs[family], planFrontends(ports, family === 'ip' ? 4 : 6), before);
const contentsOf = ({ chains, sets }: NftTable): TableContents => ({
  chains: new Set(chains.keys()),
  sets: new Set(sets.keys()),
});

/** Different ones for different numbers. */
function servicePort(number: number, change: Partial<ServicePort> = {}): ServicePort {
  return {
    id: `ns/s${number}:http`,
    protocol: 'TCP',
    clusterIPs: [`10.43.${number >> 8}.${number & 255}`],
    port: 80,
    nodePort: 0,
    externalIPs: [],
    affinitySeconds: 0,
    localOnly: false,
    internalLocalOnly: false,
    endpoints: [{ address: '10.42.1.2', port: 8080, local: true, cluster: true }],
    ...change,
  };
}
const manyPorts = (count: number) => Array.from({ length: count }, (_, number) => servicePort(number));

/** Packets that came since: each set that remembers clients has one more. */
function remember({ sets }: NftTable, plan: TablePlan, client: string): void {
  for (const [name, { elements }] of plan.sets) if (elements === undefined) sets.get(name)?.set(client, '');
}

/** All of a plan, as text can have it. */
function listed({ chains, sets, parts }: TablePlan): unknown {
  const texts = [...sets].map(([name, { elements, ...set }]) => [name, set, elements && [...elements]]);
  return [[...chains], texts, [...parts.keys()]];
}

/** Texts first: comparing objects takes a hundred times as long. */
function same(t: ExecutionContext, one: NftTable, other: NftTable): void {
  const [left, right] = [one.content(), other.content()];
  if (JSON.stringify(left) !== JSON.stringify(right)) t.deepEqual(left, right);
}

for (const family of ['ip', 'ip6'] as const) {
  test(`${family}: any changes one after the other make the same table as the whole one, told anew or in place`, t => {
    let told = 0;
    let kept = 0;
    fc.assert(
      fc.property(anyPortsInTurn, all => {
        const [first, ...others] = all.map(ports => planOf(ports, family));
        if (!first) return;
        let built: TablePlan | undefined;
        for (const ports of all) built = planOf(ports, family, built);
        t.is(JSON.stringify(built && listed(built)), JSON.stringify(listed(others.at(-1) ?? first)));
        const table = new NftTable().run(renderTable(first, empty), { isWhole: true });
        let before = first;
        for (const [index, after] of others.entries()) {
          remember(table, before, `client-${index}`);
          const inPlace = table.copy();
          inPlace.run(renderTable(after, contentsOf(inPlace)), { isWhole: true });
          const change = renderChange(before, after) ?? t.fail('too long');
          told += Number(change !== '');
          table.run(change);
          same(t, table, inPlace);
          const anew = new NftTable().run(renderTable(after, empty), { isWhole: true });
          const forgetful = table.copy();
          for (const [name, { elements }] of after.sets) {
            if (elements !== undefined) continue;
            kept += Number((forgetful.sets.get(name)?.size ?? 0) > 0);
            forgetful.sets.get(name)?.clear();
          }
          same(t, forgetful, anew);
          before = after;
        }
      }),
      { numRuns: 150 },
    );
    // It was not only about nothing.
    t.true(told > 150, String(told));
    t.true(kept > 25, String(kept));
  });
}

test('any ports: what is there already needs no change', t => {
  fc.assert(
    fc.property(anyPortsInTurn, all => {
      for (const ports of all) t.is(renderChange(planOf(ports), planOf([...ports])), '');
    }),
    { numRuns: 100 },
  );
});

test('a change is as long as what changed, however many services there are', t => {
  const change = (count: number) => renderChange(planOf(manyPorts(count)), planOf(manyPorts(count + 1))) ?? '';
  t.is(change(500).split('\n').length, change(5).split('\n').length);
  t.deepEqual(
    change(5)
      .trimEnd()
      .split('\n')
      .map(line => line.replace(/-[0-9a-f]{12}\b/g, '')),
    [
      'add chain ip t svc',
      'add chain ip t ep',
      'add rule ip t svc numgen random mod 1 vmap { 0 : goto ep } comment "ns/s5:http"',
      'add rule ip t ep ip saddr 10.42.1.2 meta mark set meta mark or 0x20000',
      'add rule ip t ep meta l4proto tcp dnat to 10.42.1.2:8080',
      'add element ip t service-ips { 10.43.0.5 . tcp . 80 : goto svc }',
      'add element ip t cluster-ips { 10.43.0.5 }',
    ],
  );
});

test('another endpoint of a service with affinity: its chain is told anew, what remembers the clients of others is not', t => {
  const endpoints = ['10.42.1.2', '10.42.1.3', '10.42.1.4'].map(address => ({
    address,
    port: 8080,
    local: true,
    cluster: true,
  }));
  const [before, after] = [endpoints.slice(0, 2), endpoints.slice(1)].map(some =>
    planOf([servicePort(0, { affinitySeconds: 30, endpoints: some })]),
  );
  if (!before || !after) return t.fail();
  const change = renderChange(before, after) ?? '';
  const lines = change.trimEnd().split('\n');
  t.deepEqual(
    lines.map(line => line.replace(/-[0-9a-f]{12}\b.*/g, '')),
    [
      'add set ip t aff',
      'add chain ip t ep',
      'flush chain ip t svc',
      'add rule ip t ep',
      'add rule ip t ep',
      'add rule ip t ep',
      'add rule ip t svc',
      'add rule ip t svc',
      'add rule ip t svc',
      'flush chain ip t ep',
      'delete chain ip t ep',
      'delete set ip t aff',
    ],
  );
});

test('a script has its bounds: elements of a line, lines of a change', t => {
  const count = elementsPerLine + 1;
  const many = planOf(manyPorts(count));
  const longest = (script: string) => Math.max(...script.split('\n').map(line => line.split(', ').length));
  t.is(longest(renderTable(many, empty)), elementsPerLine);
  const none = planOf([]);
  t.is(renderChange(none, many), undefined, 'the whole table is written');
  t.true(count * 5 > changeLinesMax);
  const fitting = renderChange(none, planOf(manyPorts(1_000))) ?? '';
  t.true(fitting.split('\n').length <= changeLinesMax);
});

test('of two ports that are called the same the first has the chain', t => {
  const [first, second] = [1, 2].map(end =>
    servicePort(0, {
      nodePort: 30_080,
      endpoints: [{ address: `10.42.1.${end}`, port: 80, local: true, cluster: true }],
    }),
  );
  if (!first || !second) return t.fail();
  const rules = [...planOf([first, second]).chains].filter(([name]) => name.startsWith('svc-'));
  t.deepEqual(
    rules,
    [...planOf([first]).chains].filter(([name]) => name.startsWith('svc-')),
  );
});
