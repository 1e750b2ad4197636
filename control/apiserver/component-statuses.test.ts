import test from 'ava';
import { createHarness } from './testing/harness.ts';

const PATH = '/api/v1/componentstatuses';

test('components are as the store and the leases say', async t => {
  const { call, create, close } = await createHarness();
  t.teardown(close);
  const lease = (name: string, renewTime: string) =>
    create('/apis/coordination.k8s.io/v1/namespaces/kube-system/leases', {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name },
      spec: { holderIdentity: 'master-1', leaseDurationSeconds: 15, renewTime },
    } as object);
  await lease('kube-scheduler', '2099-01-01T00:00:00.000000Z');
  await lease('kube-controller-manager', '2020-01-01T00:00:00.000000Z');
  const { body, headers } = await call('GET', PATH);
  t.is(body.kind, 'ComponentStatusList');
  t.deepEqual(
    body.items.map(({ metadata, conditions }: { metadata: { name: string }; conditions: object[] }) => [
      metadata.name,
      conditions[0],
    ]),
    [
      [
        'controller-manager',
        {
          type: 'Healthy',
          status: 'False',
          message: 'its lease has not been renewed since 2020-01-01T00:00:00.000000Z',
        },
      ],
      ['etcd-0', { type: 'Healthy', status: 'True', message: 'ok' }],
      ['scheduler', { type: 'Healthy', status: 'True', message: 'ok' }],
    ],
  );
  t.is(headers.warning, '299 - "v1 ComponentStatus is deprecated in v1.19+"');
});

test('one component is found by name, as a table too, and none can be made or watched', async t => {
  const { call, close } = await createHarness();
  t.teardown(close);
  const one = await call('GET', `${PATH}/etcd-0`);
  t.is(one.body.metadata.name, 'etcd-0');
  const table = await call('GET', PATH, {
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' },
  });
  t.deepEqual(
    table.body.rows.map(({ cells }: { cells: unknown[] }) => cells.slice(0, 2)),
    [
      ['controller-manager', 'Unhealthy'],
      ['etcd-0', 'Healthy'],
      ['scheduler', 'Unhealthy'],
    ],
  );
  t.is((await call('GET', `${PATH}/nothing`)).body.message, 'componentstatuses "nothing" not found');
  t.is((await call('POST', PATH, { body: {} })).status, 405);
  t.is((await call('GET', `${PATH}?watch=true`)).status, 405);
});
