/**
 * The creates of shared/api/defaults.json that look at other objects (a default class, limits, priorities), against a whole
 * server: those that are pure are replayed in `api/defaults.test.ts`. Its requests to subresources are not replayed. Skipped
 * where the facts are not at hand.
 */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { KubernetesObject } from '../api/kind.ts';
import { findKind } from '../api/registry.ts';
import { createHarness } from './testing/harness.ts';
import { serviceAccountKey } from './testing/service-account-key.ts';

const FACTS = new URL('../../../shared/api/defaults.json', import.meta.url);

interface Variant {
  readonly variant: string;
  readonly sent: KubernetesObject;
  readonly stored: KubernetesObject;
  readonly status: number;
  readonly warnings?: readonly string[];
  readonly context?: readonly KubernetesObject[];
}
const { kinds } = existsSync(FACTS)
  ? (JSON.parse(readFileSync(FACTS, 'utf8')) as { readonly kinds: Readonly<Record<string, readonly Variant[]>> })
  : { kinds: {} };

function collectionOf({ apiVersion = '', kind = '' }: KubernetesObject): string {
  const declared = findKind(apiVersion, kind);
  if (!declared) throw new Error(`no kind ${kind}`);
  const root = declared.group === '' ? `/api/${declared.version}` : `/apis/${declared.group}/${declared.version}`;
  return `${root}${declared.namespaced ? '/namespaces/default' : ''}/${declared.plural}`;
}

/** Without what differs from server to server, and from write to write. */
function settle(object: KubernetesObject): unknown {
  const text = JSON.stringify(object)
    .replaceAll(/kube-api-access-[a-z0-9]{5}/g, 'kube-api-access-<rand>')
    .replaceAll('kube-api-access-<hash>', 'kube-api-access-<rand>')
    .replaceAll('"NS"', '"default"');
  const { metadata = {}, ...rest } = JSON.parse(text) as KubernetesObject;
  const { uid: _, creationTimestamp: _time, managedFields: _fields, resourceVersion: _version, ...meta } = metadata;
  return { ...rest, metadata: meta };
}

for (const [name, variants] of Object.entries(kinds)) {
  for (const { variant, sent, stored, status, warnings, context } of variants) {
    if (context === undefined) continue;
    test(`stores ${name} ${variant} as Kubernetes does`, async t => {
      const { call, create, close } = await createHarness({ overrides: { serviceAccountKey: serviceAccountKey() } });
      t.teardown(close);
      await create('/api/v1/namespaces/default/serviceaccounts', {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'default' },
      } as KubernetesObject);
      for (const object of context) await create(collectionOf(object), object);
      const answer = await call('POST', `${collectionOf(sent)}?dryRun=All`, { body: sent });
      t.is(answer.status, status, answer.text);
      t.deepEqual(settle(answer.body), settle(stored));
      if (warnings) for (const warning of warnings) t.true(answer.headers.warning?.includes(warning));
    });
  }
}

(existsSync(FACTS) ? test : test.skip)('there are creates with a context', t => {
  t.true(
    Object.values(kinds)
      .flat()
      .filter(({ context }) => context !== undefined).length >= 8,
  );
});
