/** What the conformance suite of Kubernetes v1.33 demands of lists in pages ([sig-api-machinery] API chunking). */
import test from 'ava';
import { createHarness, type Harness } from '../../control/apiserver/testing/harness.ts';

const TOTAL = 400;
const PATH = '/api/v1/namespaces/default/podtemplates';
const nameAt = (index: number) => `template-${String(index).padStart(4, '0')}`;

interface Page {
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

async function withTemplates(): Promise<Harness> {
  const harness = await createHarness();
  const template = { spec: { containers: [{ name: 'test', image: 'test2' }] } };
  await Promise.all(
    Array.from({ length: TOTAL }, (_, index) => harness.create(PATH, { metadata: { name: nameAt(index) }, template })),
  );
  return harness;
}

/** All pages from a token on; each as of the same revision, each telling how many follow, nothing twice and nothing left out. */
async function readOn({ call }: Harness, limit: () => number, token = '', from = 0) {
  const revisions = new Set<string>();
  let found = from;
  let next: string | undefined = token;
  let isRight = true;
  do {
    const query: string = `limit=${limit()}${next ? `&continue=${encodeURIComponent(next)}` : ''}`;
    const { metadata, items } = (await call('GET', `${PATH}?${query}`)).body as Page;
    revisions.add(metadata.resourceVersion);
    isRight &&= items.every((item, index) => item.metadata.name === nameAt(found + index));
    found += items.length;
    next = metadata.continue;
    isRight &&= metadata.remainingItemCount === (next ? TOTAL - found : undefined);
  } while (next);
  return { found, isRight, revisions };
}

test('pages of any size are one list of one moment', async t => {
  const harness = await withTemplates();
  t.teardown(() => harness.close());
  for (const limit of [1 + 6, 40, 33]) {
    const { found, isRight, revisions } = await readOn(harness, () => limit);
    t.is(found, TOTAL);
    t.true(isRight);
    t.is(revisions.size, 1);
  }
  const { body } = await harness.call('GET', `${PATH}?limit=${TOTAL + 1}`);
  t.is(body.items.length, TOTAL);
});

test('a token ends with its revision, though nothing of the kind has changed, and the answer has one that goes on', async t => {
  const harness = await withTemplates();
  t.teardown(() => harness.close());
  const { call, create, store } = harness;
  const first = (await call('GET', `${PATH}?limit=40`)).body as Page;
  const again = `${PATH}?limit=40&continue=${encodeURIComponent(first.metadata.continue ?? '')}`;
  t.is((await call('GET', again)).status, 200);
  // Others write, and after five minutes the store has forgotten the moment of the first page.
  await create('/api/v1/namespaces/default/configmaps', { metadata: { name: 'other' } });
  await store.compact((await store.status()).revision);
  const gone = await call('GET', again);
  t.is(gone.status, 410);
  t.is(gone.body.reason, 'Expired');
  const { found, isRight, revisions } = await readOn(harness, () => 40, gone.body.metadata.continue, 40);
  t.is(found, TOTAL);
  t.true(isRight);
  t.is(revisions.size, 1);
  t.false(revisions.has(first.metadata.resourceVersion));
});
