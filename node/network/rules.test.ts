import test from 'ava';
import { networkNames } from './names.ts';
import { forwardRules, nftScript, ownRulesIn } from './rules.ts';

const names = networkNames('cluster', 'node');

test('our rules are found in what iptables lists, with and without quotes, and no others', t => {
  const ours = [
    'FORWARD',
    '-i',
    names.bridge,
    '-m',
    'comment',
    '--comment',
    `raftsman:${names.bridge}`,
    '-j',
    'ACCEPT',
  ];
  const listing = `-P FORWARD DROP
-A FORWARD -j DOCKER-USER
-A FORWARD -i ${names.bridge} -m comment --comment "raftsman:${names.bridge}" -j ACCEPT
-A FORWARD -i ${names.bridge} -m comment --comment raftsman:${names.bridge} -j ACCEPT
-A FORWARD -i ${names.bridge} -j ACCEPT
-A FORWARD -i rsm0 -m comment --comment "raftsman:rsm0" -j ACCEPT
`;
  t.deepEqual(ownRulesIn(listing, names), [ours, ours]);
  t.deepEqual(
    forwardRules(names).map(rule => rule.rule.includes(`raftsman:${names.bridge}`)),
    [true, true],
  );
});

test('the table replaces itself in one script', t => {
  const script = nftScript(names, { podCIDR: '10.42.1.0/24', clusterCIDR: '10.42.0.0/16' });
  t.true(script.startsWith(`table ip ${names.table}\ndelete table ip ${names.table}\ntable ip ${names.table} {`));
  t.regex(script, /ip saddr 10\.42\.1\.0\/24 ip daddr != 10\.42\.0\.0\/16 .* masquerade/);
});
