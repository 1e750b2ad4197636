/** Discovery against the documents of a Kubernetes v1.33 server, where they are at hand. */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { createHarness } from './testing/harness.ts';

const FACTS = new URL('../../../shared/api/discovery.json', import.meta.url);

interface Document {
  readonly items: readonly {
    readonly metadata: { readonly name?: string };
    readonly versions: readonly { readonly version: string; readonly resources: readonly Resource[] }[];
  }[];
}
interface Resource {
  readonly resource: string;
}

const facts = existsSync(FACTS) ? (JSON.parse(readFileSync(FACTS, 'utf8')) as Record<string, Document>) : undefined;

/** Groups that are not served yet, or not yet whole: the list only shrinks. */
const LATER = new Set(['admissionregistration.k8s.io', 'apiextensions.k8s.io', 'apiregistration.k8s.io']);
/** Old groups that Kubernetes does not have any more. */
const OURS = new Set(['extensions']);

for (const path of ['/api', '/apis']) {
  (facts ? test : test.skip)(`${path} is the document of Kubernetes`, async t => {
    const { call, close } = await createHarness();
    t.teardown(close);
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { text } = await call('GET', path, { headers: { accept } });
    const served = (JSON.parse(text) as Document).items.filter(({ metadata }) => !OURS.has(metadata.name ?? ''));
    const recorded = (facts?.[path]?.items ?? []).filter(({ metadata }) => !LATER.has(metadata.name ?? ''));
    const known = served.filter(({ metadata }) => !LATER.has(metadata.name ?? ''));
    t.deepEqual(
      known.map(({ metadata }) => metadata.name),
      recorded.map(({ metadata }) => metadata.name),
    );
    for (const [index, { metadata, versions }] of recorded.entries()) {
      for (const { version, resources } of versions) {
        const ours = known[index]?.versions.find(each => each.version === version);
        t.deepEqual(ours?.resources, resources, `${metadata.name ?? 'core'}/${version}`);
      }
    }
  });
}
