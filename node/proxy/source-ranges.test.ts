import test from 'ava';
import { planFrontends } from './frontends.ts';
import { admission, rangesOfFamily, sourcesLetIn } from './source-ranges.ts';

test('ranges of one family, each once, in one spelling', t => {
  const texts = [
    '10.1.2.3/16',
    '10.1.9.0/24',
    ' 192.0.2.7/32 ',
    '192.0.2.7/32',
    '010.1.0.0/16',
    'FD42::1/64',
    'fd42::9/128',
  ];
  t.deepEqual(rangesOfFamily(texts, 4), ['10.1.0.0/16', '192.0.2.7/32']);
  t.deepEqual(rangesOfFamily(texts, 6), ['fd42::/64']);
});

test('everybody is let in where no range is of the family, or one holds all', t => {
  t.is(rangesOfFamily([], 4), undefined);
  t.is(rangesOfFamily(['fd42::/64'], 4), undefined);
  t.is(rangesOfFamily(['10.0.0.0/8'], 6), undefined);
  t.is(rangesOfFamily(['10.0.0.0/8', '0.0.0.0/0'], 4), undefined);
  t.is(rangesOfFamily(['::/0'], 6), undefined);
});

test('what cannot be understood opens nothing', t => {
  for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0/8', '', '10.0.0.0/8"; flush ruleset']) {
    t.deepEqual(rangesOfFamily([text], 4), [], text);
  }
  t.deepEqual(rangesOfFamily(['fd42::/129'], 6), []);
  t.deepEqual(sourcesLetIn({ addresses: ['192.0.2.1'], sources: [] }, '192.0.2.1'), []);
});

test("a node in the ranges lets in what comes from the load balancer's addresses", t => {
  const addresses = ['203.0.113.1', '192.0.2.1'];
  const limit = { addresses, sources: ['192.0.2.0/24', '198.51.100.0/24'] };
  t.deepEqual(sourcesLetIn(limit, '192.0.2.9'), ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.1/32']);
  t.deepEqual(sourcesLetIn(limit, '10.0.0.1'), limit.sources);
  t.deepEqual(sourcesLetIn(limit, undefined), limit.sources);
  const ipv6 = { addresses: ['2001:db8::1'], sources: ['fd42::/64'] };
  t.deepEqual(sourcesLetIn(ipv6, 'fd42::5'), ['2001:db8::1/128', 'fd42::/64']);
});

test('a client is in one of the ranges or in none', t => {
  const admits = admission(['10.1.0.0/16', '192.0.2.7/32', 'fd42::/64']);
  const clients = [
    '10.1.255.255',
    '10.2.0.0',
    '10.0.255.255',
    '192.0.2.7',
    '192.0.2.8',
    'fd42::ffff',
    'fd42:0:0:1::',
    '',
  ];
  t.deepEqual(clients.map(admits), [true, false, false, true, false, true, false, false]);
  t.false(admission([])('10.1.0.1'));
});

const port = {
  ...{ id: 'a/web:', protocol: 'TCP' as const, clusterIPs: ['10.43.0.10'], port: 80, nodePort: 30_080 },
  externalIPs: ['203.0.113.7', '192.0.2.1', '2001:DB8::1'],
  ...{ affinitySeconds: 0, localOnly: false, internalLocalOnly: false, endpoints: [] },
};

test("only the load balancer's own addresses are limited, each family by its ranges", t => {
  const limit = { addresses: ['192.0.2.1', '2001:db8::1'], sources: ['10.0.0.0/8'] };
  const [first] = planFrontends([{ ...port, limit }], 4);
  t.deepEqual(first?.limit, { addresses: ['192.0.2.1'], sources: ['10.0.0.0/8'] });
  t.deepEqual(first?.externalIPs, ['203.0.113.7', '192.0.2.1']);
  t.is(planFrontends([{ ...port, limit }], 6)[0]?.limit, undefined);
  const second = { ...port, id: 'b/web:', limit };
  t.is(planFrontends([port, second], 4)[1]?.limit, undefined, 'the address is of the service before');
});
