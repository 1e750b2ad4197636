/** Services on a cluster with both families of addresses, and what a cluster with one says to them. */
import test, { type ExecutionContext } from 'ava';
import { createHarness } from '../testing/harness.ts';

const SERVICES = '/api/v1/namespaces/default/services';
const ADDRESSES = '/apis/networking.k8s.io/v1/ipaddresses';
const service = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: 'a' }, ports: [{ port: 80 }], ...spec },
});

async function clusterOf(t: ExecutionContext, serviceCIDR: string) {
  const { call, close } = await createHarness({ overrides: { serviceCIDR } });
  t.teardown(close);
  const post = (name: string, spec: object = {}) => call('POST', SERVICES, { body: service(name, spec) });
  const patch = (name: string, spec: object) =>
    call('PATCH', `${SERVICES}/${name}`, {
      body: { spec },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
  const held = async () =>
    (await call('GET', ADDRESSES)).body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
  return { call, post, patch, held };
}
const DUAL = '10.96.0.0/16,fd96::/112';

test('a Service has one address, or one of each family, as its policy says', async t => {
  const { call, post, held } = await clusterOf(t, DUAL);
  const single = (await post('single')).body.spec;
  t.deepEqual([single.ipFamilyPolicy, single.ipFamilies], ['SingleStack', ['IPv4']]);
  t.regex(single.clusterIP, /^10\.96\./);
  for (const ipFamilyPolicy of ['PreferDualStack', 'RequireDualStack']) {
    const { spec } = (await post(ipFamilyPolicy.toLowerCase(), { ipFamilyPolicy })).body;
    t.deepEqual(spec.ipFamilies, ['IPv4', 'IPv6']);
    t.is(spec.clusterIPs.length, 2);
    t.is(spec.clusterIPs[0], spec.clusterIP);
    t.regex(spec.clusterIPs[1], /^fd96::[0-9a-f]{1,4}$/);
    t.true((await held()).includes(spec.clusterIPs[1]));
    const record = await call('GET', `${ADDRESSES}/${spec.clusterIPs[1]}`);
    t.is(record.body.metadata.labels['ipaddress.kubernetes.io/ip-family'], 'IPv6');
  }
  const six = (await post('six', { ipFamilies: ['IPv6'] })).body.spec;
  t.deepEqual([six.ipFamilyPolicy, six.ipFamilies], ['SingleStack', ['IPv6']]);
  t.regex(six.clusterIP, /^fd96::/);
  const sixFirst = (await post('six-first', { ipFamilies: ['IPv6'], ipFamilyPolicy: 'PreferDualStack' })).body.spec;
  t.deepEqual(sixFirst.ipFamilies, ['IPv6', 'IPv4']);
  t.regex(sixFirst.clusterIPs.join(' '), /^fd96::\S+ 10\.96\.\S+$/);
  const headless = (await post('headless', { clusterIP: 'None', ipFamilyPolicy: 'PreferDualStack' })).body.spec;
  t.deepEqual([headless.clusterIPs, headless.ipFamilies], [['None'], ['IPv4', 'IPv6']]);
  const ranges = (await call('GET', '/apis/networking.k8s.io/v1/servicecidrs/kubernetes')).body.spec.cidrs;
  t.deepEqual(ranges, ['10.96.0.0/16', 'fd96::/112']);
});

test('addresses that are asked for say the families', async t => {
  const { post, held } = await clusterOf(t, DUAL);
  const both = { clusterIPs: ['10.96.3.3', 'FD96::3:3'], clusterIP: '10.96.3.3', ipFamilyPolicy: 'RequireDualStack' };
  t.regex(
    (await post('out', both)).body.message,
    /IP FD96::3:3: the provided network does not match the current range/,
  );
  const inside = { ...both, clusterIPs: ['10.96.3.3', 'FD96::0303'] };
  t.deepEqual((await post('a', inside)).body.spec.ipFamilies, ['IPv4', 'IPv6']);
  t.true((await held()).includes('fd96::303'), 'under the one spelling of the address');
  t.regex((await post('b', { clusterIP: 'fd96::303' })).body.message, /provided IP is already allocated/);
  t.deepEqual((await post('c', { clusterIP: 'fd96::304' })).body.spec.ipFamilies, ['IPv6']);
});

test('a second address comes and goes with the policy', async t => {
  const { call, post, patch, held } = await clusterOf(t, DUAL);
  const { clusterIP } = (await post('s')).body.spec;
  const [, second] = (await patch('s', { ipFamilyPolicy: 'PreferDualStack' })).body.spec.clusterIPs;
  t.true((await held()).includes(second));
  t.deepEqual((await patch('s', { sessionAffinity: 'ClientIP' })).body.spec.clusterIPs, [clusterIP, second]);
  const refused = async (spec: object) => (await patch('s', spec)).body.message;
  t.regex(await refused({ clusterIPs: [clusterIP] }), /must be 'SingleStack' to release the secondary cluster IP/);
  t.regex(await refused({ ipFamilies: ['IPv4'] }), /must be 'SingleStack' to release the secondary IP family/);
  const after = (await patch('s', { ipFamilyPolicy: 'SingleStack' })).body.spec;
  t.deepEqual([after.clusterIPs, after.ipFamilies], [[clusterIP], ['IPv4']]);
  t.false((await held()).includes(second));
  t.deepEqual((await call('PUT', `${SERVICES}/s`, { body: service('s') })).body.spec.clusterIPs, [clusterIP]);
});

for (const [what, spec, why] of [
  [
    'two of one family',
    { clusterIP: '10.96.3.3', clusterIPs: ['10.96.3.3', '10.96.3.4'] },
    /no more than one IP for each/,
  ],
  [
    'two with one stack',
    { clusterIP: '10.96.3.3', clusterIPs: ['10.96.3.3', 'fd96::3'], ipFamilyPolicy: 'SingleStack' },
    /must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified/,
  ],
  [
    'two families with one stack',
    { ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'SingleStack' },
    /must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified/,
  ],
  [
    'an address of the other family',
    { clusterIP: 'fd96::3', ipFamilies: ['IPv4'] },
    /expected an IPv4 value as indicated by `ipFamilies\[0\]`/,
  ],
  ['a family twice', { ipFamilies: ['IPv6', 'IPv6'], ipFamilyPolicy: 'RequireDualStack' }, /Duplicate value: "IPv6"/],
] as const) {
  test(`refused: ${what}`, async t => {
    const { post } = await clusterOf(t, DUAL);
    const answer = await post('s', spec);
    t.is(answer.status, 422);
    t.regex(answer.body.message, why);
  });
}

test('a cluster with one family', async t => {
  const { post } = await clusterOf(t, '10.96.0.0/16');
  const message = async (spec: object) => (await post('s', spec)).body.message;
  t.regex(
    await message({ ipFamilyPolicy: 'RequireDualStack' }),
    /"RequireDualStack": this cluster is not configured for dual-stack services/,
  );
  t.regex(await message({ ipFamilies: ['IPv6'] }), /"IPv6": not configured on this cluster/);
  t.regex(await message({ clusterIP: 'fd96::3' }), /IPv6 is not configured on this cluster/);
  const preferring = (await post('p', { ipFamilyPolicy: 'PreferDualStack' })).body.spec;
  t.deepEqual([preferring.ipFamilies, preferring.clusterIPs.length], [['IPv4'], 1]);
});
