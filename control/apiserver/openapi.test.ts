/** What the served OpenAPI documents say of definitions and fields; `openapi-facts.test.ts` has their shapes. */
import test from 'ava';
import { DEFINITIONS, establish } from './testing/establish.ts';
import { createHarness } from './testing/harness.ts';

const PROBE = 'io.k8s.api.core.v1.Probe';
const PERIOD = /Seconds from one check to the next/;

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

test('both versions and both forms of version 2 say what a field is', async t => {
  const { call, close } = await createHarness();
  t.teardown(close);
  const v2 = JSON.parse((await call('GET', '/openapi/v2')).text) as { definitions: Record<string, Schema> };
  t.regex(v2.definitions[PROBE]?.properties?.periodSeconds?.description ?? '', PERIOD);
  const v3 = JSON.parse((await call('GET', '/openapi/v3/api/v1')).text) as {
    components: { schemas: Record<string, Schema> };
  };
  t.deepEqual(
    v3.components.schemas[PROBE]?.properties?.periodSeconds,
    v2.definitions[PROBE]?.properties?.periodSeconds,
  );
  const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
  t.regex((await call('GET', '/openapi/v2', { headers: { accept } })).text, PERIOD);
});

test('a custom resource says what its definition says, and nothing else', async t => {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  const openAPIV3Schema = {
    type: 'object',
    properties: { spec: { type: 'object', description: 'How it is to be.' }, status: { type: 'object' } },
  };
  await harness.create(DEFINITIONS, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.stable.example.com' },
    spec: {
      group: 'stable.example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }],
    },
  });
  await establish(harness);
  const { text } = await harness.call('GET', '/openapi/v3/apis/stable.example.com/v1');
  const { schemas } = (JSON.parse(text) as { components: { schemas: Record<string, Schema> } }).components;
  const { description, properties } = schemas['com.example.stable.v1.Widget'] ?? {};
  t.is(description, undefined);
  t.is(properties?.spec?.description, 'How it is to be.');
  t.is(properties?.status?.description, undefined);
  // What it shares with all others is told of.
  const metadata = schemas['io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'];
  t.truthy(metadata?.properties?.labels?.description);
});
