import test from 'ava';
import { clusterRangeTrouble } from './cluster-ranges.ts';

const trouble = (clusterCIDR: string, serviceCIDR: string) => clusterRangeTrouble({ clusterCIDR, serviceCIDR });

test('one family, or both in both', t => {
  t.is(trouble('10.42.0.0/16', '10.43.0.0/16'), undefined);
  t.is(trouble('10.42.0.0/16,fd42::/56', '10.43.0.0/16,fd43::/112'), undefined);
  t.regex(trouble('10.42.0.0/16,fd42::/56', '10.43.0.0/16') ?? '', /need the same families/);
  t.regex(trouble('10.42.0.0/16', '10.43.0.0/16,fd43::/112') ?? '', /need the same families/);
});

test('what each flag says', t => {
  t.regex(trouble('fd42::/56,10.42.0.0/16', '10.43.0.0/16') ?? '', /^--cluster-cidr .* has to come first/);
  t.regex(trouble('10.42.0.0/16,fd42::/56', '10.43.0.0/16,x') ?? '', /^--service-cidr /);
  t.regex(trouble('10.42.0.0/16,fd42::/72', '10.43.0.0/16,fd43::/112') ?? '', /a \/48 to \/64, not a \/72/);
  t.regex(trouble('10.42.0.0/16,fd42::/56', '10.43.0.0/16,fd43::/48') ?? '', /a \/64 to \/120, not a \/48/);
  t.regex(trouble('10.42.0.0/16,fd42::/48', '10.43.0.0/16,fd42::/112') ?? '', /overlap/);
});
