/** The first objects of a cluster against those of a fresh Kubernetes v1.33 one, where the record is at hand. */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { KubernetesObject } from '../api/kind.ts';
import { keepMandatoryLevels } from './bootstrap-objects.ts';
import { ADMIN, createHarness } from './testing/harness.ts';

const FACTS = new URL('../../../shared/api/namespace-bootstrap.json', import.meta.url);

type Section = Readonly<Record<string, KubernetesObject & { status?: { conditions?: object[] } }>>;
const facts = existsSync(FACTS) ? (JSON.parse(readFileSync(FACTS, 'utf8')) as Record<string, Section>) : undefined;

const SECTIONS: readonly (readonly [string, string])[] = [
  ['flowSchemas', '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas'],
  ['priorityLevelConfigurations', '/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations'],
  ['priorityClasses', '/apis/scheduling.k8s.io/v1/priorityclasses'],
  ['serviceCIDRs', '/apis/networking.k8s.io/v1/servicecidrs'],
  ['ipAddresses', '/apis/networking.k8s.io/v1/ipaddresses'],
];

for (const [section, path] of SECTIONS) {
  (facts ? test : test.skip)(`a new cluster has the ${section} of Kubernetes`, async t => {
    const { call, close } = await createHarness();
    t.teardown(close);
    const { body } = await call('GET', path);
    const found = Object.fromEntries(
      (body.items as Section[string][]).map(object => {
        const { name, annotations, labels, finalizers } = object.metadata ?? {};
        // The record holds neither times, nor uids, nor texts for people.
        const {
          description: _description,
          kind: _kind,
          apiVersion: _version,
          ...rest
        } = object as typeof object & {
          description?: string;
        };
        for (const condition of rest.status?.conditions ?? []) {
          Reflect.deleteProperty(condition, 'message');
          Reflect.deleteProperty(condition, 'lastTransitionTime');
        }
        const metadata = JSON.parse(JSON.stringify({ name, annotations, labels, finalizers }));
        return [name ?? '', { ...rest, metadata }];
      }),
    );
    t.deepEqual(found as object, (facts?.[section] ?? {}) as object);
  });
}

test('mandatory flow schemas and priority levels come back, with their specs', async t => {
  const { call, close, server } = await createHarness();
  t.teardown(close);
  const root = '/apis/flowcontrol.apiserver.k8s.io/v1';
  const schema = `${root}/flowschemas/catch-all`;
  const level = `${root}/prioritylevelconfigurations/catch-all`;
  t.is((await call('DELETE', schema)).status, 200);
  const changed = await call('PATCH', level, {
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { spec: { limited: { nominalConcurrencyShares: 77 } } },
  });
  t.is(changed.status, 200);
  await keepMandatoryLevels({ server, identity: ADMIN });
  t.is((await call('GET', schema)).status, 200);
  const restored = await call('GET', level);
  t.is(restored.body.spec.limited.nominalConcurrencyShares, 5);
  await keepMandatoryLevels({ server, identity: ADMIN });
  const after = await call('GET', level);
  t.is(after.body.metadata.resourceVersion, restored.body.metadata.resourceVersion, 'nothing is written twice');
});
