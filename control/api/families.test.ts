import test from 'ava';
import {
  canonicalIp,
  familiesOf,
  formatIpv6,
  formatIpv6Range,
  ipv6Contains,
  parseIpv6,
  parseIpv6Range,
  rangeTrouble,
  splitRanges,
} from './families.ts';

test('a range, or one of each family', t => {
  t.deepEqual(splitRanges('10.42.0.0/16'), { ipv4: '10.42.0.0/16', ipv6: undefined });
  t.deepEqual(splitRanges('10.42.0.0/16, fd42::/56'), { ipv4: '10.42.0.0/16', ipv6: 'fd42::/56' });
  t.deepEqual(familiesOf('10.42.0.0/16,fd42::/56'), ['IPv4', 'IPv6']);
  for (const fine of ['10.42.0.0/16', '10.42.0.0/16,fd42::/56']) t.is(rangeTrouble(fine), undefined, fine);
});

for (const [text, why] of [
  ['10.42.0.0/16,fd42::/56,fd43::/56', /no more/],
  ['fd42::/56', /has to be a range of IPv4/],
  ['10.42.0.0/16,10.43.0.0/16', /one has to be of IPv6/],
  ['fd42::/56,10.42.0.0/16', /IPv4 range has to come first/],
  ['10.42.0.0/16,fd42::', /no IPv6 range/],
  ['10.42.0.0/16,fd42::1/56', /host part/],
  ['10.42.0.0/16,', /one has to be of IPv6/],
] as const) {
  test(`ranges that are refused: ${text}`, t => t.regex(rangeTrouble(text) ?? '', why));
}

test('IPv6 addresses as numbers', t => {
  t.is(parseIpv6('fd42::a'), (0xfd42n << 112n) + 10n);
  t.is(parseIpv6('10.0.0.1'), undefined);
  t.is(formatIpv6(parseIpv6('FD42:0:0:1::00A') ?? 0n), 'fd42:0:0:1::a');
  const range = parseIpv6Range('fd42:0:0:100::5/56');
  if (!range) return t.fail();
  t.is(formatIpv6Range(range), 'fd42:0:0:100::/56');
  t.true(ipv6Contains(range, parseIpv6('fd42:0:0:1ff::1') ?? 0n));
  t.false(ipv6Contains(range, parseIpv6('fd42:0:0:200::') ?? 0n));
  t.deepEqual(['FD42::0001', '10.0.0.1', 'None'].map(canonicalIp), ['fd42::1', '10.0.0.1', 'None']);
});
