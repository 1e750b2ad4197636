/** The declarations against the recorded discovery of a Kubernetes v1.33 server, where the facts are at hand. */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { ALL_KINDS, declarationOf, findKind, findResource, groupVersions } from './registry.ts';
import { structOf } from './schema/compile.ts';

const FACTS = new URL('../../../shared/api/discovery.json', import.meta.url);

interface Subresource {
  readonly subresource: string;
  readonly verbs: readonly string[];
  readonly responseKind: { readonly group: string; readonly version: string; readonly kind: string };
}
interface Resource {
  readonly resource: string;
  readonly scope: string;
  readonly singularResource: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly subresources?: readonly Subresource[];
}
interface Document {
  readonly items: readonly {
    readonly metadata?: { readonly name?: string };
    readonly versions: readonly { readonly version: string; readonly resources: readonly Resource[] }[];
  }[];
}

const facts = existsSync(FACTS) ? (JSON.parse(readFileSync(FACTS, 'utf8')) as Record<string, Document>) : {};

for (const group of Object.values(facts).flatMap(document => document.items ?? [])) {
  for (const { version, resources } of group.versions) {
    for (const resource of resources) {
      const kind = findResource(group.metadata?.name ?? '', version, resource.resource);
      if (!kind) continue;
      test(`declares ${resource.resource} of ${group.metadata?.name || 'core'}/${version} as Kubernetes does`, t => {
        t.is(kind.namespaced, resource.scope === 'Namespaced');
        t.is(kind.singular, resource.singularResource);
        t.deepEqual([...kind.verbs].sort(), [...resource.verbs].sort());
        t.deepEqual(kind.shortNames, resource.shortNames ?? []);
        t.deepEqual(kind.categories, resource.categories ?? []);
        // Where a subresource speaks its parent's version, discovery leaves group and version empty.
        const own = { group: kind.group, version: kind.version, kind: kind.kind };
        const line = (name: string, verbs: readonly string[], told: Subresource['responseKind']) => {
          const { group: toldGroup, version: toldVersion } = told.version === '' ? own : told;
          return `${name} ${[...verbs].sort().join(',')} ${toldGroup}/${toldVersion} ${told.kind}`;
        };
        t.deepEqual(
          kind.subresources.map(({ name, verbs, responseKind }) => line(name, verbs, responseKind ?? own)).sort(),
          (resource.subresources ?? []).map(each => line(each.subresource, each.verbs, each.responseKind)).sort(),
        );
      });
    }
  }
}

test('finds a kind by its names and by its constant', t => {
  const deployment = findResource('apps', 'v1', 'deployments');
  t.truthy(deployment);
  t.is(findKind('apps/v1', 'Deployment'), deployment);
  t.is(findKind('apps/v2', 'Deployment'), undefined);
  if (deployment) t.is(declarationOf(deployment), deployment);
});

test('every kind compiles, and none is declared twice', t => {
  for (const kind of ALL_KINDS) t.true(structOf(kind.definition).fields.has('metadata'), kind.definition);
  t.is(new Set(ALL_KINDS.map(({ group, version, plural }) => `${group}/${version}/${plural}`)).size, ALL_KINDS.length);
});

test('the version of today is preferred', t => {
  const apps = groupVersions().find(({ group }) => group === 'apps');
  t.deepEqual(apps?.versions, ['v1', 'v1beta2', 'v1beta1']);
});
