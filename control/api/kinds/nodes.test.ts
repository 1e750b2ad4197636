import test from 'ava';
import { node } from './nodes.ts';

for (const [title, given, range, ranges] of [
  ['the old field alone', { podCIDR: '10.1.0.0/24' }, '10.1.0.0/24', ['10.1.0.0/24']],
  ['the new one alone', { podCIDRs: ['10.1.0.0/24', 'fd00::/64'] }, '10.1.0.0/24', ['10.1.0.0/24', 'fd00::/64']],
  [
    'both, in agreement',
    { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24', 'fd00::/64'] },
    '10.1.0.0/24',
    ['10.1.0.0/24', 'fd00::/64'],
  ],
  ['both, of different minds', { podCIDR: '10.2.0.0/24', podCIDRs: ['10.1.0.0/24'] }, '10.2.0.0/24', ['10.2.0.0/24']],
  ['none', {}, undefined, undefined],
] as const) {
  test(`ranges of a node's pods: ${title}`, t => {
    const object = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec: structuredClone(given) };
    node.defaults?.(object as never);
    const { podCIDR, podCIDRs } = object.spec as { podCIDR?: string; podCIDRs?: string[] };
    t.is(podCIDR, range);
    t.deepEqual(podCIDRs, ranges && [...ranges]);
  });
}
