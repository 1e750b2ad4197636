import test, { type ExecutionContext } from 'ava';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { TestCluster } from '../../store/testing/cluster.ts';
import { createHarness } from './testing/harness.ts';

const authority = await TestAuthority.create();

async function threeMasters(t: ExecutionContext) {
  const cluster = await TestCluster.create(await authority.issue('member'), Math.random);
  for (const name of ['one', 'two', 'three']) await cluster.start(name);
  const [one, two, three] = cluster.members;
  if (!one || !two || !three) throw new Error('three were started');
  const harness = await createHarness({
    store: three.client,
    withRoles: true,
    overrides: { liveness: three.health.live, readiness: three.health.ready },
  });
  t.teardown(async () => {
    await harness.close();
    await cluster[Symbol.asyncDispose]();
  });
  return { one, two, three, call: harness.call };
}

const READY = [
  'ping',
  'informer-sync',
  'store-disk',
  'store-leader',
  'store-voter',
  'store-data',
  'store-read',
  'store',
  'poststarthook/rbac/bootstrap-roles',
  'shutdown',
];

test('a master that has lost its two peers is alive and not ready, and says why line by line', async t => {
  const { one, two, call } = await threeMasters(t);
  t.is(
    (await call('GET', '/readyz?verbose')).text,
    `${READY.map(name => `[+]${name} ok\n`).join('')}readyz check passed\n`,
  );
  t.is((await call('GET', '/livez?verbose')).text, '[+]ping ok\n[+]store-disk ok\nlivez check passed\n');
  await one.close();
  await two.close();
  const live = await call('GET', '/livez?verbose');
  t.deepEqual([live.status, live.text], [200, '[+]ping ok\n[+]store-disk ok\nlivez check passed\n']);
  for (const path of ['/livez/ping', '/livez/store-disk', '/readyz/ping', '/readyz/store-voter']) {
    t.deepEqual([path, (await call('GET', path)).text], [path, 'ok']);
  }
  const beganMs = performance.now();
  const ready = await call('GET', '/readyz');
  t.true(performance.now() - beganMs < 4_000, 'a probe must not hang');
  t.is(ready.status, 500);
  t.regex(ready.text, /^\[-\]store-read failed: ./m);
  t.regex(ready.text, /^\[\+\]store-voter ok$/m);
  t.regex(ready.text, /^readyz check failed$/m);
  t.is((await call('GET', '/readyz/store-read')).status, 500);
  t.is((await call('GET', '/readyz/poststarthook/rbac/bootstrap-roles')).text, 'ok');
  const excluding = await call(
    'GET',
    '/readyz?verbose&exclude=store-read&exclude=store&exclude=store-leader&exclude=informer-sync',
  );
  t.is(excluding.status, 200);
  t.regex(excluding.text, /^\[\+\]store-read excluded: ok$/m);
  t.is((await call('GET', '/readyz/nonsense')).status, 404);
});
