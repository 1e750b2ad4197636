import test from 'ava';
import fc from 'fast-check';
import { planRoutes } from '../routes.ts';
import {
  type Announcement,
  announcementAnnotations,
  chooseWay,
  modeAnnotation,
  type NodeNetworkMode,
  nodeNetworkModes,
  readAnnouncement,
  vxlanAnnotation,
} from './way.ts';

const vxlan = { mac: '02:11:22:33:44:55', endpoint: '192.0.2.1' };
const wireguard = { publicKey: `${'A'.repeat(43)}=`, endpoint: '192.0.2.1', port: 51_820 };
/** A node that can do what it is set to. */
const set = (mode: NodeNetworkMode): Announcement => ({
  mode,
  ...((mode === 'auto' || mode === 'vxlan') && { vxlan }),
  ...(mode === 'wireguard' && { wireguard }),
});

const cases: readonly (readonly [NodeNetworkMode, NodeNetworkMode, boolean, string])[] = [
  ['auto', 'auto', true, 'routes'],
  ['auto', 'auto', false, 'vxlan'],
  ['auto', 'routes', false, 'routes'],
  ['routes', 'routes', false, 'routes'],
  ['auto', 'vxlan', true, 'vxlan'],
  ['vxlan', 'vxlan', false, 'vxlan'],
  ['routes', 'vxlan', true, 'none'],
  ['wireguard', 'wireguard', true, 'wireguard'],
  ['wireguard', 'auto', true, 'none'],
  ['wireguard', 'vxlan', false, 'none'],
  ['wireguard', 'routes', true, 'none'],
];

for (const [one, other, isOnLink, expected] of cases) {
  test(`${one} and ${other}, ${isOnLink ? 'one network' : 'apart'}: ${expected}`, t => {
    for (const [own, theirs] of [
      [one, other],
      [other, one],
    ] as const) {
      const choice = chooseWay(set(own), set(theirs), isOnLink);
      t.is('way' in choice ? choice.way : 'none', expected);
    }
  });
}

test('auto without VXLAN in a kernel falls back to routes', t => {
  t.deepEqual(chooseWay({ mode: 'auto' }, set('auto'), false), { way: 'routes' });
  t.deepEqual(chooseWay(set('auto'), { mode: 'auto' }, false), { way: 'routes' });
});

const announcement: fc.Arbitrary<Announcement> = fc
  .record({
    mode: fc.constantFrom(...nodeNetworkModes),
    vxlan: fc.option(fc.constant(vxlan), { nil: undefined }),
    wireguard: fc.option(fc.constant(wireguard), { nil: undefined }),
  })
  .map(({ mode, vxlan: one, wireguard: two }) => ({
    mode,
    ...(one && { vxlan: one }),
    ...(two && { wireguard: two }),
  }));

test('both ends come to the same way, and one that encrypts is never sent to in the clear', t => {
  fc.assert(
    fc.property(announcement, announcement, fc.boolean(), (a, b, isOnLink) => {
      const [there, back] = [chooseWay(a, b, isOnLink), chooseWay(b, a, isOnLink)];
      const wayOf = (choice: typeof there) => ('way' in choice ? choice.way : 'none');
      if (wayOf(there) !== wayOf(back)) return false;
      const isEncrypted = a.mode === 'wireguard' || b.mode === 'wireguard';
      return !isEncrypted || ['none', 'wireguard'].includes(wayOf(there));
    }),
  );
  t.pass();
});

test('what is announced is read again; what makes no sense is not believed', t => {
  fc.assert(
    fc.property(announcement, one => {
      const written = Object.entries(announcementAnnotations(one)).filter(
        (entry): entry is [string, string] => entry[1] !== null,
      );
      t.deepEqual(readAnnouncement(Object.fromEntries(written)), one);
    }),
  );
  t.deepEqual(readAnnouncement(undefined), { mode: 'routes' });
  t.deepEqual(readAnnouncement({ [modeAnnotation]: 'carrier pigeon' }), { mode: 'routes' });
  for (const bad of [
    '{',
    '{}',
    '{"mac":"02:11:22:33:44:55 dst 1.2.3.4","endpoint":"192.0.2.1"}',
    '{"mac":"02:11:22:33:44:55","endpoint":"-x"}',
  ])
    t.deepEqual(readAnnouncement({ [modeAnnotation]: 'auto', [vxlanAnnotation]: bad }), { mode: 'auto' });
});

test('a route carries what its node announces', t => {
  const node = (name: string, annotations?: Record<string, string>) => ({
    metadata: { name, ...(annotations && { annotations }) },
    spec: { podCIDR: '10.42.1.0/24' },
    status: { addresses: [{ type: 'InternalIP', address: '192.0.2.2' }] },
  });
  const route = { podCIDR: '10.42.1.0/24', nodeAddress: '192.0.2.2' };
  t.deepEqual(planRoutes([node('a'), node('b'), node('c', { [modeAnnotation]: 'auto' })], 'a'), [
    { ...route, nodeName: 'b' },
    { ...route, nodeName: 'c', announcement: { mode: 'auto' } },
  ]);
});
