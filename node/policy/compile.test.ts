import test from 'ava';
import type { NetworkPolicy } from '../api.ts';
import { compilePolicies } from './compile.ts';
import { CHAINS_MAX, ELEMENTS_MAX } from './limits.ts';
import { renderChange, renderTable } from './render.ts';
import { emptyRuleset, PolicyLimitError } from './ruleset.ts';
import { isAllowedByPolicies, isAllowedByRules, type Packet } from './test-evaluator.ts';
import type { NamedPort, PolicyPod, PolicyWorld } from './world.ts';

type Spec = NonNullable<NetworkPolicy['spec']>;

const policy = (spec: Partial<Spec>, { namespace = 'x', name = 'p' } = {}): NetworkPolicy => ({
  metadata: { namespace, name },
  spec: { podSelector: {}, ...spec },
});

const serve: readonly NamedPort[] = [
  { name: 'serve-80-tcp', protocol: 'TCP', port: 80 },
  { name: 'serve-81-tcp', protocol: 'TCP', port: 81 },
  { name: 'serve-80-udp', protocol: 'UDP', port: 80 },
  { name: 'serve-81-sctp', protocol: 'SCTP', port: 81 },
];

/** Namespaces x, y, z with pods a, b, c in each: 10.0.1.1 is x/a, 10.0.3.2 is z/b. */
const namespaces = new Map(['x', 'y', 'z'].map(name => [name, { ns: name, 'kubernetes.io/metadata.name': name }]));
const outside = '192.0.2.7';
const podAddresses: Readonly<Record<string, string>> = Object.fromEntries(
  ['x', 'y', 'z'].flatMap((namespace, row) =>
    ['a', 'b', 'c'].map((pod, column) => [`${namespace}/${pod}`, `10.0.${row + 1}.${column + 1}`]),
  ),
);
const pods: readonly PolicyPod[] = Object.entries(podAddresses).map(([key, address]) => {
  const [namespace = '', pod = ''] = key.split('/');
  return { namespace, labels: { pod }, addresses: [address], ports: serve, isLocal: true };
});
const at: Readonly<Record<string, string>> = { ...podAddresses, outside };
const world = (...policies: readonly NetworkPolicy[]): PolicyWorld => ({ policies, pods, namespaces });
const one = (pod: string) => ({ podSelector: { matchLabels: { pod } } });
const ofNamespace = (ns: string) => ({ namespaceSelector: { matchLabels: { ns } } });

interface Case {
  readonly policies: readonly NetworkPolicy[];
  /** `x/a→y/b` is TCP to port 80; `x/a→y/b:UDP/81` says otherwise. */
  readonly passes: readonly string[];
  readonly drops: readonly string[];
}

function packetOf(text: string): Packet {
  const [ends = '', what = 'TCP/80'] = text.split(':');
  const [from = '', to = ''] = ends.split('→');
  const [protocol = '', port = '0'] = what.split('/');
  const address = (name: string) => at[name] ?? name;
  return { from: address(from), to: address(to), protocol: protocol as Packet['protocol'], port: Number(port) };
}

const cases: Readonly<Record<string, Case>> = {
  'no policy: all pass': { policies: [], passes: ['x/a→y/b', 'outside→x/a', 'x/a→outside', 'x/a→x/b:ICMP'], drops: [] },
  'deny all ingress': {
    policies: [policy({ policyTypes: ['Ingress'], ingress: [] })],
    passes: ['x/a→y/a', 'x/a→outside', 'x/a→x/a', 'y/a→z/a'],
    drops: ['y/a→x/a', 'x/b→x/a', 'outside→x/a', 'x/b→x/a:UDP/80', 'x/b→x/a:SCTP/81', 'x/b→x/a:ICMP'],
  },
  'deny all egress': {
    policies: [policy({ policyTypes: ['Egress'] })],
    passes: ['y/a→x/a', 'outside→x/a', 'x/a→x/a'],
    drops: ['x/a→y/a', 'x/a→x/b', 'x/a→outside:UDP/53'],
  },
  'deny both ways': {
    policies: [policy({ policyTypes: ['Ingress', 'Egress'] })],
    passes: ['y/a→z/a'],
    drops: ['x/a→y/a', 'y/a→x/a', 'x/a→x/b'],
  },
  'types are guessed: no egress rule leaves egress alone': {
    policies: [policy({ ingress: [{ from: [one('b')] }] })],
    passes: ['x/b→x/a', 'x/a→y/a'],
    drops: ['x/c→x/a', 'y/b→x/a'],
  },
  'types are guessed: an egress rule isolates both ways': {
    policies: [policy({ egress: [{ to: [one('b')] }] })],
    // b takes nothing in, because the policy is about ingress too.
    passes: [],
    drops: ['x/a→x/b', 'x/a→y/a', 'y/a→x/a'],
  },
  'egress type alone, with a rule': {
    policies: [policy({ policyTypes: ['Egress'], egress: [{ to: [one('b')] }] })],
    passes: ['x/a→x/b', 'y/a→x/a'],
    drops: ['x/a→y/a', 'x/a→y/b'],
  },
  'an empty ingress rule lets all in': {
    policies: [policy({ ingress: [{}] }), policy({ policyTypes: ['Ingress'] }, { name: 'deny' })],
    passes: ['y/a→x/a', 'outside→x/a', 'y/a→x/a:ICMP'],
    drops: [],
  },
  'empty lists of peers and ports are as absent ones': {
    policies: [policy({ ingress: [{ from: [], ports: [] }] })],
    passes: ['y/a→x/a', 'outside→x/a'],
    drops: [],
  },
  'the selected pods only': {
    policies: [policy({ ...one('a'), ingress: [] })],
    passes: ['y/a→x/b', 'y/a→y/b'],
    drops: ['y/a→x/a', 'x/b→x/a'],
  },
  'pods of the same namespace: an empty pod selector': {
    policies: [policy({ ingress: [{ from: [{ podSelector: {} }] }] })],
    passes: ['x/b→x/a'],
    drops: ['y/b→x/a', 'outside→x/a'],
  },
  'all namespaces: an empty namespace selector is pods, not the world': {
    policies: [policy({ ingress: [{ from: [{ namespaceSelector: {} }] }] })],
    passes: ['x/b→x/a', 'y/b→x/a', 'z/c→x/a'],
    drops: ['outside→x/a'],
  },
  'a namespace by its label': {
    policies: [policy({ ingress: [{ from: [ofNamespace('y')] }] })],
    passes: ['y/a→x/a', 'y/c→x/b'],
    drops: ['x/b→x/a', 'z/a→x/a'],
  },
  'a namespace by its own name': {
    policies: [
      policy({ ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'z' } } }] }] }),
    ],
    passes: ['z/a→x/a'],
    drops: ['y/a→x/a'],
  },
  'both selectors in one peer: both must fit': {
    policies: [policy({ ingress: [{ from: [{ ...ofNamespace('y'), ...one('b') }] }] })],
    passes: ['y/b→x/a'],
    drops: ['y/a→x/a', 'x/b→x/a', 'z/b→x/a'],
  },
  'two peers: either may fit': {
    policies: [policy({ ingress: [{ from: [ofNamespace('y'), one('b')] }] })],
    passes: ['y/b→x/a', 'y/a→x/a', 'x/b→x/a'],
    drops: ['x/c→x/a', 'z/b→x/a'],
  },
  'expressions: NotIn, Exists': {
    policies: [
      policy({
        podSelector: { matchExpressions: [{ key: 'pod', operator: 'In', values: ['a', 'b'] }] },
        ingress: [
          {
            from: [
              {
                namespaceSelector: { matchExpressions: [{ key: 'ns', operator: 'NotIn', values: ['x'] }] },
                podSelector: { matchExpressions: [{ key: 'pod', operator: 'Exists' }] },
              },
            ],
          },
        ],
      }),
    ],
    passes: ['y/b→x/a', 'z/b→x/b', 'x/a→x/c'],
    drops: ['x/b→x/a'],
  },
  'one port': {
    policies: [policy({ ingress: [{ ports: [{ port: 81 }] }] })],
    passes: ['y/a→x/a:TCP/81', 'outside→x/a:TCP/81'],
    drops: ['y/a→x/a:TCP/80', 'y/a→x/a:UDP/81', 'y/a→x/a:ICMP'],
  },
  'ports and peers belong together in a rule, and rules add up': {
    policies: [
      policy({
        ingress: [
          { ports: [{ port: 80 }], from: [ofNamespace('x')] },
          { ports: [{ port: 81 }], from: [ofNamespace('y')] },
        ],
      }),
    ],
    passes: ['x/b→x/a:TCP/80', 'y/b→x/a:TCP/81'],
    drops: ['x/b→x/a:TCP/81', 'y/b→x/a:TCP/80'],
  },
  'policies add up': {
    policies: [
      policy({ ...one('a'), ingress: [{ from: [ofNamespace('y')] }] }),
      policy({ ingress: [{ ports: [{ port: 80, protocol: 'UDP' }] }] }, { name: 'other' }),
    ],
    passes: ['y/a→x/a', 'z/a→x/a:UDP/80', 'z/a→x/b:UDP/80'],
    drops: ['z/a→x/a', 'y/a→x/b'],
  },
  'a range of ports': {
    policies: [policy({ ingress: [{ ports: [{ port: 80, endPort: 82 }, { port: 82, endPort: 90 }, { port: 443 }] }] })],
    passes: ['y/a→x/a:TCP/80', 'y/a→x/a:TCP/81', 'y/a→x/a:TCP/90', 'y/a→x/a:TCP/443'],
    drops: ['y/a→x/a:TCP/79', 'y/a→x/a:TCP/91', 'y/a→x/a:UDP/81'],
  },
  'a protocol without a port': {
    policies: [policy({ ingress: [{ ports: [{ protocol: 'UDP' }, { protocol: 'SCTP', port: 81 }] }] })],
    passes: ['y/a→x/a:UDP/80', 'y/a→x/a:UDP/65535', 'y/a→x/a:SCTP/81'],
    drops: ['y/a→x/a:TCP/80', 'y/a→x/a:SCTP/80', 'y/a→x/a:ICMP'],
  },
  'a named port of the selected pod': {
    policies: [policy({ ingress: [{ ports: [{ port: 'serve-80-tcp' }, { port: 'serve-80-udp', protocol: 'UDP' }] }] })],
    passes: ['y/a→x/a:TCP/80', 'y/a→x/a:UDP/80'],
    drops: ['y/a→x/a:TCP/81', 'y/a→x/a:UDP/81'],
  },
  'a named port of another protocol fits nothing': {
    policies: [policy({ ingress: [{ ports: [{ port: 'serve-80-tcp', protocol: 'UDP' }] }] })],
    passes: [],
    drops: ['y/a→x/a:TCP/80', 'y/a→x/a:UDP/80'],
  },
  'a named port that nobody has lets nothing in': {
    policies: [policy({ ingress: [{ ports: [{ port: 'nobody' }] }] })],
    passes: [],
    drops: ['y/a→x/a:TCP/80'],
  },
  'named and numbered in one egress rule': {
    policies: [
      policy({
        policyTypes: ['Egress'],
        egress: [{ to: [ofNamespace('y')], ports: [{ port: 'serve-80-tcp' }, { port: 53, protocol: 'UDP' }] }],
      }),
    ],
    passes: ['x/a→y/a:TCP/80', 'x/a→y/a:UDP/53'],
    drops: ['x/a→z/a:TCP/80', 'x/a→y/a:TCP/81', 'x/a→outside:UDP/53'],
  },
  'a named port to anybody is that of every pod': {
    policies: [policy({ policyTypes: ['Egress'], egress: [{ ports: [{ port: 'serve-81-tcp' }] }] })],
    passes: ['x/a→y/a:TCP/81', 'x/a→z/c:TCP/81'],
    drops: ['x/a→y/a:TCP/80', 'x/a→outside:TCP/81'],
  },
  'DNS for all, nothing else': {
    policies: [policy({ policyTypes: ['Egress'], egress: [{ ports: [{ port: 53, protocol: 'UDP' }, { port: 53 }] }] })],
    passes: ['x/a→outside:UDP/53', 'x/a→y/a:TCP/53'],
    drops: ['x/a→y/a:TCP/80'],
  },
  'a range of addresses': {
    policies: [policy({ policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr: '192.0.2.0/24' } }] }] })],
    passes: ['x/a→outside'],
    drops: ['x/a→y/a', 'x/a→192.0.3.1'],
  },
  'a range of addresses with exceptions': {
    policies: [
      policy({
        policyTypes: ['Egress'],
        egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.1.0/24', '10.0.3.2/32'] } }] }],
      }),
    ],
    passes: ['x/a→y/a', 'x/a→z/a', 'x/a→z/c'],
    drops: ['x/a→x/b', 'x/a→z/b', 'x/a→outside'],
  },
  'what one range leaves out another may let in': {
    policies: [
      policy({
        policyTypes: ['Egress'],
        egress: [
          { to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.2.0/24'] } }, { ipBlock: { cidr: '10.0.2.2/32' } }] },
        ],
      }),
    ],
    passes: ['x/a→y/b', 'x/a→z/a'],
    drops: ['x/a→y/a', 'x/a→y/c'],
  },
  'all addresses': {
    policies: [policy({ ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0' } }] }] })],
    passes: ['outside→x/a', 'y/a→x/a'],
    drops: [],
  },
  'addresses from outside, in': {
    policies: [policy({ ingress: [{ from: [{ ipBlock: { cidr: '192.0.2.7/32' } }] }] })],
    passes: ['outside→x/a'],
    drops: ['y/a→x/a', '192.0.2.8→x/a'],
  },
  'both ends must agree': {
    policies: [
      policy({ ...one('a'), policyTypes: ['Egress'], egress: [{ to: [ofNamespace('y')] }] }),
      policy({ ...one('b'), ingress: [{ from: [ofNamespace('z')] }] }, { namespace: 'y' }),
    ],
    passes: ['x/a→y/a', 'z/a→y/b'],
    drops: ['x/a→y/b', 'x/b→y/b', 'x/a→z/a'],
  },
  'a policy of another namespace selects nothing here': {
    policies: [policy({ ingress: [] }, { namespace: 'y' })],
    passes: ['z/a→x/a'],
    drops: ['z/a→y/a'],
  },
  'a selector of pods that fits nobody lets nobody in': {
    policies: [policy({ ingress: [{ from: [one('nobody')] }] })],
    passes: [],
    drops: ['x/b→x/a', 'outside→x/a'],
  },
};

for (const [name, { policies, passes, drops }] of Object.entries(cases)) {
  test(name, t => {
    const judged = world(...policies);
    const ruleset = compilePolicies(judged);
    for (const [texts, expected] of [
      [passes, true],
      [drops, false],
    ] as const) {
      for (const text of texts) {
        t.is(isAllowedByRules(ruleset, packetOf(text)), expected, `rules: ${text}`);
        t.is(isAllowedByPolicies(judged, packetOf(text)), expected, `the reference: ${text}`);
      }
    }
  });
}

test('both families: each has its own sets, and a range of one says nothing of the other', t => {
  const twofold = pods.map(pod => ({
    ...pod,
    addresses: [...pod.addresses, `2001:db8::${pod.addresses[0]?.slice(5).replace('.', ':')}`],
  }));
  const judged = {
    ...world(
      policy({
        ingress: [{ from: [{ ipBlock: { cidr: '2001:db8::2:0/112', except: ['2001:db8::2:3/128'] } }, one('b')] }],
      }),
    ),
    pods: twofold,
  };
  const ruleset = compilePolicies(judged);
  const passes = (from: string, to: string) => isAllowedByRules(ruleset, { from, to, protocol: 'TCP', port: 80 });
  t.true(passes('2001:db8::1:2', '2001:db8::1:1'), 'by label');
  t.true(passes('2001:db8::2:1', '2001:db8::1:1'), 'by range');
  t.false(passes('2001:db8::2:3', '2001:db8::1:1'), 'excepted');
  t.false(passes('10.0.2.1', '10.0.1.1'), 'the other family');
  t.true(passes('10.0.1.2', '10.0.1.1'));
  t.true(renderTable('t', ruleset).includes('ip6 saddr @'));
});

test('a pod of another node is a peer, and not isolated here', t => {
  const judged = {
    ...world(policy({ ingress: [{ from: [one('b')] }] })),
    pods: pods.map(pod => ({ ...pod, isLocal: pod.labels.pod === 'a' })),
  };
  const ruleset = compilePolicies(judged);
  t.deepEqual([...ruleset.isolated.ingress.keys()], ['10.0.1.1']);
  t.true(isAllowedByRules(ruleset, packetOf('x/b→x/a')));
  t.true(isAllowedByRules(ruleset, packetOf('y/a→x/b')));
});

test('policies of the same name in two namespaces are two', t => {
  const judged = world(
    policy({ ingress: [{ from: [one('b')] }] }),
    policy({ ingress: [{ from: [one('c')] }] }, { namespace: 'y' }),
  );
  const ruleset = compilePolicies(judged);
  t.true(isAllowedByRules(ruleset, packetOf('x/b→x/a')));
  t.false(isAllowedByRules(ruleset, packetOf('x/c→x/a')));
  t.true(isAllowedByRules(ruleset, packetOf('y/c→y/a')));
  t.false(isAllowedByRules(ruleset, packetOf('y/b→y/a')));
});

test('an exception that cannot be read lets nothing through', t => {
  const block = { cidr: '10.0.0.0/8', except: ['10.0.0.0/8 drop', '1.2.3.4'] };
  const judged = world(policy({ policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: block }] }] }));
  t.false(isAllowedByRules(compilePolicies(judged), packetOf('x/a→y/a')));
});

test('pods with the same rules share a chain, whatever their number', t => {
  const many = Array.from({ length: 1_000 }, (_, index) => ({
    ...(pods[0] as PolicyPod),
    addresses: [`10.9.${index >> 8}.${index & 255}`],
  }));
  const ruleset = compilePolicies({
    ...world(policy({ ingress: [{ from: [one('b')], ports: [{ port: 80 }] }] })),
    pods: many,
  });
  t.is(ruleset.chains.size, 1);
  t.is(ruleset.isolated.ingress.size, 1_000);
  t.deepEqual(
    [...ruleset.chains.values()].map(({ rules }) => rules.length),
    [1],
  );
});

test('more than a node holds is refused, and the rules that stand are not replaced by fewer', t => {
  const many = Array.from({ length: ELEMENTS_MAX + 1 }, (_, index) => ({
    ...(pods[1] as PolicyPod),
    addresses: [`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`],
    isLocal: false,
  }));
  const error = t.throws(
    () => compilePolicies({ ...world(policy({ ingress: [{ from: [one('b')] }] })), pods: [...pods, ...many] }),
    { instanceOf: PolicyLimitError },
  );
  t.true(error.message.includes(String(ELEMENTS_MAX)));
  t.true(CHAINS_MAX > 0);
});

test('a change tells only what differs', t => {
  const deny = policy({ ingress: [{ from: [one('b')] }] });
  const before = compilePolicies(world(deny));
  const more = [...pods, { namespace: 'x', labels: { pod: 'b' }, addresses: ['10.0.1.99'], ports: [], isLocal: false }];
  const after = compilePolicies({ ...world(deny), pods: more });
  t.regex(renderChange('t', before, after), /^add element inet t p4-[0-9a-f]+ \{ 10\.0\.1\.99 \}\n$/);
  t.regex(renderChange('t', after, before), /^delete element inet t p4-[0-9a-f]+ \{ 10\.0\.1\.99 \}\n$/);
  t.is(renderChange('t', before, compilePolicies(world(structuredClone(deny)))), '');
  t.regex(renderChange('t', before, emptyRuleset), /delete chain inet t in-/);
});
