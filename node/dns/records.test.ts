/** What names mean: the table of the specification and what lies around it. */
import test from 'ava';
import fc from 'fast-check';
import { addressOfReverse, canonicalAddress, dashed, undashed } from './names.ts';
import { lookUp } from './records.ts';
import { sampleServices, sampleSlices, service, slice, testView, testZone } from './test-view.ts';

const view = testView(sampleServices, sampleSlices);

/** `nothing`, `elsewhere`, `alias X`, or the records' data, sorted. */
function ask(name: string, type: string): string {
  const finding = lookUp({ name, asked: name, type }, view, testZone);
  if (finding.found === 'alias') return `alias ${finding.target}`;
  if (finding.found !== 'records') return finding.found;
  const data = finding.answers.map(record => {
    if (record.type !== 'SRV') return 'data' in record ? String(record.data) : '';
    const { priority, weight, port, target } = record.data;
    return `${priority} ${weight} ${port} ${target}`;
  });
  return data.sort().join(', ');
}

const db = 'db.default.svc.cluster.local';
/** A name, a type, and what is found; empty for a name that has other records only. */
const TABLE: readonly (readonly [string, string, string])[] = [
  ['kubernetes.default.svc.cluster.local', 'A', '10.43.0.1'],
  ['kubernetes.default.svc.cluster.local', 'AAAA', ''],
  ['kubernetes.default.svc.cluster.local', 'MX', ''],
  ['dual.default.svc.cluster.local', 'AAAA', 'fd00::7'],
  ['dual.default.svc.cluster.local', 'ANY', '10.43.0.7, fd00::7'],
  ['_http._tcp.dual.default.svc.cluster.local', 'SRV', '0 100 80 dual.default.svc.cluster.local'],
  ['dual.default.svc.cluster.local', 'SRV', '0 100 80 dual.default.svc.cluster.local'],
  ['_https._tcp.kubernetes.default.svc.cluster.local', 'SRV', '0 100 443 kubernetes.default.svc.cluster.local'],
  ['_https._udp.kubernetes.default.svc.cluster.local', 'SRV', 'nothing'],
  ['_tcp.kubernetes.default.svc.cluster.local', 'A', ''],
  ['_udp.kubernetes.default.svc.cluster.local', 'A', 'nothing'],
  ['a._http._tcp.dual.default.svc.cluster.local', 'SRV', 'nothing'],
  [db, 'A', '10.42.0.5, 10.42.1.6, 10.42.1.7'],
  [db, 'AAAA', ''],
  [`db-0.${db}`, 'A', '10.42.0.5'],
  [`10-42-1-7.${db}`, 'A', '10.42.1.7'],
  [`db-3.${db}`, 'A', 'nothing'],
  [`x.db-0.${db}`, 'A', 'nothing'],
  [`_http._tcp.${db}`, 'SRV', `0 33 80 10-42-1-7.${db}, 0 33 80 db-0.${db}, 0 33 80 db-1.${db}`],
  ['early.default.svc.cluster.local', 'A', '10.42.0.9'],
  ['early-0.early.default.svc.cluster.local', 'A', '10.42.0.9'],
  ['empty.default.svc.cluster.local', 'A', 'nothing'],
  ['bare.default.svc.cluster.local', 'SRV', ''],
  ['bare.default.svc.cluster.local', 'AAAA', 'fd00::42'],
  ['six.bare.default.svc.cluster.local', 'AAAA', 'fd00::42'],
  ['outside.default.svc.cluster.local', 'A', 'alias foo.example.com'],
  ['outside.default.svc.cluster.local', 'CNAME', 'alias foo.example.com'],
  ['x.outside.default.svc.cluster.local', 'A', 'nothing'],
  ['missing.default.svc.cluster.local', 'A', 'nothing'],
  ['db.other.svc.cluster.local', 'A', 'nothing'],
  ['default.svc.cluster.local', 'A', ''],
  ['other.svc.cluster.local', 'A', 'nothing'],
  ['svc.cluster.local', 'A', ''],
  ['cluster.local', 'A', ''],
  ['cluster.local', 'NS', 'ns.dns.cluster.local'],
  ['ns.dns.cluster.local', 'A', '10.43.0.10'],
  ['dns-version.cluster.local', 'TXT', '1.1.0'],
  ['dns-version.cluster.local', 'A', ''],
  ['missing.cluster.local', 'A', 'nothing'],
  ['10-42-0-5.default.pod.cluster.local', 'A', '10.42.0.5'],
  ['fd00--42.default.pod.cluster.local', 'AAAA', 'fd00::42'],
  ['10-42-0-5.default.pod.cluster.local', 'AAAA', ''],
  ['10-42-0-555.default.pod.cluster.local', 'A', 'nothing'],
  ['10-42-0-5.d\\.f.pod.cluster.local', 'A', 'nothing'],
  ['default.pod.cluster.local', 'A', ''],
  ['pod.cluster.local', 'A', ''],
  ['1.0.43.10.in-addr.arpa', 'PTR', 'kubernetes.default.svc.cluster.local'],
  ['1.0.43.10.in-addr.arpa', 'A', ''],
  ['5.0.42.10.in-addr.arpa', 'PTR', `db-0.${db}`],
  ['7.1.42.10.in-addr.arpa', 'PTR', `10-42-1-7.${db}`],
  ['8.1.42.10.in-addr.arpa', 'PTR', 'nothing'],
  ['9.0.42.10.in-addr.arpa', 'PTR', 'early-0.early.default.svc.cluster.local'],
  ['1.2.0.192.in-addr.arpa', 'PTR', '192-0-2-1.kubernetes.default.svc.cluster.local'],
  ['2.2.0.192.in-addr.arpa', 'PTR', 'elsewhere'],
  ['10.in-addr.arpa', 'PTR', 'elsewhere'],
  [`7.${'0.'.repeat(27)}0.0.d.f.ip6.arpa`, 'PTR', 'dual.default.svc.cluster.local'],
  [`2.4.${'0.'.repeat(26)}0.0.d.f.ip6.arpa`, 'PTR', 'six.bare.default.svc.cluster.local'],
  ['example.com', 'A', 'elsewhere'],
  ['notcluster.local', 'A', 'elsewhere'],
  ['', 'NS', 'elsewhere'],
];
for (const [name, type, found] of TABLE) {
  test(`${name || '.'} ${type} → ${found || 'no such record'}`, t => {
    t.is(ask(name, type), found);
  });
}

test('an SRV answer comes with the addresses of its targets', t => {
  const name = `_http._tcp.${db}`;
  const finding = lookUp({ name, asked: name, type: 'SRV' }, view, testZone);
  if (finding.found !== 'records') return t.fail();
  const additionals = finding.additionals.map(record => `${record.name} ${'data' in record ? record.data : ''}`);
  t.deepEqual(additionals.sort(), [`10-42-1-7.${db} 10.42.1.7`, `db-0.${db} 10.42.0.5`, `db-1.${db} 10.42.1.6`]);
});

test('of the names of an address, that which its pod has of its own comes first', t => {
  const endpoints = (hostname?: string) => [
    { addresses: ['10.42.0.5'], ...(hostname && { hostname }), conditions: { ready: true } },
  ];
  const both = testView(
    [service('web', { clusterIP: '10.43.0.9' }), service('db', { clusterIP: 'None' })],
    [slice({ service: 'web', endpoints: endpoints() }), slice({ service: 'db', endpoints: endpoints('db-0') })],
  );
  const name = '5.0.42.10.in-addr.arpa';
  const finding = lookUp({ name, asked: name, type: 'PTR' }, both, testZone);
  if (finding.found !== 'records') return t.fail();
  t.deepEqual(
    finding.answers.map(record => 'data' in record && record.data),
    [`db-0.${db}`, '10-42-0-5.web.default.svc.cluster.local'],
  );
});

test('answers carry the name as it was asked', t => {
  const finding = lookUp({ name: db, asked: 'dB.Default.SVC.cluster.LOCAL', type: 'A' }, view, testZone);
  if (finding.found !== 'records') return t.fail();
  t.deepEqual([...new Set(finding.answers.map(({ name }) => name))], ['dB.Default.SVC.cluster.LOCAL']);
});

test('an address that ends in nothing is called by a label that ends in a digit', t => {
  t.deepEqual(['fd00::', '::', 'fd00::1'].map(dashed), ['fd00--0', '--0', 'fd00--1']);
  t.is(undashed('fd00--0'), 'fd00::0');
});

test('every address finds its way there and back', t => {
  fc.assert(
    fc.property(fc.ipV4(), address => {
      t.is(undashed(dashed(address)), address);
      t.is(addressOfReverse(`${address.split('.').reverse().join('.')}.in-addr.arpa`), address);
    }),
  );
  fc.assert(
    fc.property(fc.ipV6(), address => {
      const digits = canonicalAddress(address) ?? '';
      t.is(digits.length, 32, address);
      t.is(addressOfReverse(`${[...digits].reverse().join('.')}.ip6.arpa`), digits);
    }),
  );
});
