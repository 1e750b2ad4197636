/** What a client is told whose object could not get its name, or another than it should. */
import test, { type ExecutionContext } from 'ava';
import { createHarness, type Harness } from '../testing/harness.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

async function harnessOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  return harness;
}
const configMap = (metadata: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata });

for (const query of ['', '?dryRun=All']) {
  test(`a name that is taken is told, and what becomes of the object that has it${query}`, async t => {
    const { call, create } = await harnessOf(t);
    await create(CONFIG_MAPS, configMap({ name: 'kept', finalizers: ['example.com/hold'] }));
    const taken = await call('POST', CONFIG_MAPS + query, { body: configMap({ name: 'kept' }) });
    t.is(taken.status, 409);
    t.is(taken.body.message, 'configmaps "kept" already exists');

    await call('DELETE', `${CONFIG_MAPS}/kept`);
    const leaving = await call('POST', CONFIG_MAPS + query, { body: configMap({ name: 'kept' }) });
    t.is(leaving.body.reason, 'AlreadyExists');
    t.is(leaving.body.message, 'object is being deleted: configmaps "kept" already exists');
    t.deepEqual(leaving.body.details, { name: 'kept', kind: 'configmaps' });
  });

  test(`a name beside a generateName counts as generated${query}`, async t => {
    const { call, create } = await harnessOf(t);
    await create(CONFIG_MAPS, configMap({ name: 'both' }));
    const answer = await call('POST', CONFIG_MAPS + query, { body: configMap({ name: 'both', generateName: 'x-' }) });
    t.is(answer.status, 409);
    t.is(
      answer.body.message,
      'configmaps "both" already exists, the server was not able to generate a unique name for the object',
    );
    t.deepEqual(answer.body.details, { name: 'both', kind: 'configmaps', retryAfterSeconds: 1 });
  });
}

test('what is refused is not warned of besides', async t => {
  const { call } = await harnessOf(t);
  const create = (name: string) =>
    call('POST', '/api/v1/namespaces/default/pods?dryRun=All', {
      body: { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers: [{ name: 'c', image: 'x' }] } },
    });
  t.regex((await create('a.b')).headers.warning ?? '', /a DNS label is recommended: \[must not contain dots\]/);
  const refused = await create('A');
  t.is(refused.status, 422);
  t.false('warning' in refused.headers);
});

test('fields of features that are off in v1.33 are dropped from pods', async t => {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  const created = await harness.create('/api/v1/namespaces/default/pods', {
    metadata: { name: 'p' },
    spec: {
      resources: { limits: { cpu: '1' } },
      resourceClaims: [{ name: 'gpu', resourceClaimName: 'mine' }],
      volumes: [{ name: 'oci', image: { reference: 'web:1' } }],
      containers: [
        {
          name: 'c',
          image: 'web:1',
          lifecycle: { stopSignal: 'SIGUSR1' },
          volumeMounts: [{ name: 'oci', mountPath: '/oci' }],
          resources: { claims: [{ name: 'gpu' }], limits: { memory: '1Mi' } },
        },
      ],
    },
  });
  t.like(created.spec, { resources: undefined, resourceClaims: undefined, volumes: undefined });
  const [container] = created.spec.containers;
  t.deepEqual(container?.resources as unknown, { limits: { memory: '1Mi' }, requests: { memory: '1Mi' } });
  t.is(container?.volumeMounts?.length ?? 0, 0);
  t.is(container?.lifecycle.stopSignal as unknown, undefined);
});
