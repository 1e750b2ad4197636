/** What pods find in resolv.conf, /etc/hosts and as their host name, against kubelet's behaviour. */
import test from 'ava';
import type { Pod } from '../api.ts';
import { fullNameOf, HostnameError, hostsText, kernelHostnameOf } from '../volumes/pod-files.ts';
import { formatResolvConf, parseResolvConf, planResolvConf } from './resolv-conf.ts';

const nodeResolvConf =
  '# made by hand\nnameserver 192.0.2.53\nnameserver fd00::53 ; the other\nsearch corp.example. lan\noptions edns0 ndots:2\n';
const clusterDns = { addresses: ['10.43.0.10'], domain: 'cluster.local' };

type Spec = Partial<NonNullable<Pod['spec']>>;
const pod = (spec: Spec): Pod => ({
  metadata: { name: 'web', namespace: 'shop' },
  spec: { containers: [{ name: 'main' }], ...spec },
});
const NODE = 'search corp.example lan\nnameserver 192.0.2.53\nnameserver fd00::53\noptions edns0 ndots:2\n';
const CLUSTER =
  'search shop.svc.cluster.local svc.cluster.local cluster.local corp.example lan\nnameserver 10.43.0.10\noptions ndots:5\n';

const TABLE: readonly (readonly [string, Spec, string])[] = [
  ['no policy', {}, CLUSTER],
  ['ClusterFirst', { dnsPolicy: 'ClusterFirst' }, CLUSTER],
  ['ClusterFirst on the host’s network', { dnsPolicy: 'ClusterFirst', hostNetwork: true }, NODE],
  ['ClusterFirstWithHostNet', { dnsPolicy: 'ClusterFirstWithHostNet', hostNetwork: true }, CLUSTER],
  ['Default', { dnsPolicy: 'Default' }, NODE],
  [
    'None',
    { dnsPolicy: 'None', dnsConfig: { nameservers: ['1.1.1.1'], searches: ['resolv.conf.local'] } },
    'search resolv.conf.local\nnameserver 1.1.1.1\n',
  ],
  [
    'additions, without repetition; options by name',
    {
      dnsConfig: {
        nameservers: ['1.1.1.1', '10.43.0.10'],
        searches: ['lan', 'x.test'],
        options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
      },
    },
    'search shop.svc.cluster.local svc.cluster.local cluster.local corp.example lan x.test\nnameserver 10.43.0.10\nnameserver 1.1.1.1\noptions ndots:2 edns0\n',
  ],
];
for (const [title, spec, text] of TABLE) {
  test(`resolv.conf: ${title}`, t => {
    t.is(formatResolvConf(planResolvConf(pod(spec), { nodeResolvConf, clusterDns })), text);
  });
}

test('without a DNS of the cluster a pod gets the node’s', t => {
  t.is(formatResolvConf(planResolvConf(pod({}), { nodeResolvConf, clusterDns: undefined })), NODE);
});

test('what does not fit is left out and told', t => {
  const nameservers = ['1.1.1.1', '1.1.1.2', '1.1.1.3'];
  const searches = Array.from({ length: 40 }, (_, index) => `s${index}.test`);
  const few = planResolvConf(pod({ dnsConfig: { nameservers, searches } }), { nodeResolvConf, clusterDns });
  t.deepEqual(few.nameservers, ['10.43.0.10', '1.1.1.1', '1.1.1.2']);
  t.is(few.searches.length, 32);
  t.deepEqual(
    few.warnings.map(warning => warning.replace(/ is: .*/, ' is')),
    [
      'Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is',
      'Search Line limits were exceeded, some search paths have been omitted, the applied search line is',
    ],
  );
  const long = Array.from({ length: 20 }, (_, index) => `${'x'.repeat(60)}.${'y'.repeat(60)}${index}.test`);
  const short = planResolvConf(pod({ dnsConfig: { searches: long } }), { nodeResolvConf, clusterDns });
  t.true(short.searches.join(' ').length <= 2_048);
  t.true(short.searches.length > 10);
  t.is(short.warnings.length, 1);
});

test('the last search line counts, and a bare dot stays', t => {
  t.deepEqual(parseResolvConf('search a b\nsearch .\n').searches, ['.']);
  t.deepEqual(parseResolvConf(''), { nameservers: [], searches: [], options: [] });
});

test('names of a pod', t => {
  const plain = pod({});
  t.is(kernelHostnameOf(plain), 'web');
  t.is(fullNameOf(plain), undefined);
  const named = pod({ hostname: 'front', subdomain: 'sites' });
  t.is(kernelHostnameOf(named), 'front');
  t.is(fullNameOf(named, 'k.test'), 'front.sites.shop.svc.k.test');
  const full = pod({ hostname: 'front', subdomain: 'sites', setHostnameAsFQDN: true });
  t.is(kernelHostnameOf(full), 'front.sites.shop.svc.cluster.local');
  t.is(kernelHostnameOf(pod({ setHostnameAsFQDN: true })), 'web', 'without a subdomain there is no full name');
  const long = pod({ hostname: 'a'.repeat(40), subdomain: 'sites', setHostnameAsFQDN: true });
  const error = t.throws(() => kernelHostnameOf(long), { instanceOf: HostnameError });
  t.regex(error?.message ?? '', /FQDN a+\.sites\.shop\.svc\.cluster\.local is too long \(64 characters is the max, 69/);
});

test('/etc/hosts has the pod’s names and its aliases', t => {
  const named = pod({
    hostname: 'front',
    subdomain: 'sites',
    hostAliases: [{ ip: '192.0.2.7', hostnames: ['a', 'b'] }],
  });
  const text = hostsText(named, { podIP: '10.42.0.5', nodeHosts: undefined, clusterDomain: 'k.test' });
  t.true(text.startsWith('# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n'));
  t.true(
    text.endsWith(
      '10.42.0.5\tfront.sites.shop.svc.k.test\tfront\n\n# Entries added by HostAliases.\n192.0.2.7\ta\tb\n',
    ),
  );
  const host = hostsText(pod({ hostNetwork: true }), { podIP: undefined, nodeHosts: '127.0.0.1 localhost me\n' });
  t.is(host, '# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost me\n');
});
