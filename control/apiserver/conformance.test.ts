/**
 * What the conformance tests of Kubernetes v1.33 ask of the APIs of many kinds: each is found in discovery, and made, read, listed,
 * watched, patched, replaced, its status too, and deleted one by one and together; as JSON, and as protobuf, which Go's clients send.
 */
import test from 'ava';
import type { KubernetesObject } from '../api/kind.ts';
import { encodeProtobuf } from '../api/protobuf/testing/encode.ts';
import { type Case, cases } from './testing/api-operations.ts';
import { createHarness, type Harness } from './testing/harness.ts';
import { moreCases } from './testing/more-api-operations.ts';

const basePath = ({ group, version }: Case) => (group === '' ? `/api/${version}` : `/apis/${group}/${version}`);
/** Jobs and ReplicationControllers leave their pods alone by default, and wait until that is done. */
const BACKGROUND = 'propagationPolicy=Background';
const MERGE = { 'content-type': 'application/merge-patch+json' };

interface Found {
  readonly metadata: { readonly name: string; readonly resourceVersion: string; readonly annotations?: object };
  readonly status?: object;
}

async function isDiscovered({ call }: Harness, { group, version, ...each }: Case): Promise<boolean> {
  const groupVersion = group === '' ? version : `${group}/${version}`;
  if (group !== '') {
    const groups: { name: string; versions: { groupVersion: string }[] }[] = (await call('GET', '/apis')).body.groups;
    const own = groups.find(({ name }) => name === group);
    const { body } = await call('GET', `/apis/${group}`);
    const isListed = (list: { groupVersion: string }[] = []) => list.some(one => one.groupVersion === groupVersion);
    if (!isListed(own?.versions) || !isListed(body.versions)) return false;
  }
  const { body } = await call('GET', group === '' ? `/api/${version}` : `/apis/${groupVersion}`);
  const names: string[] = body.resources.map(({ name }: { name: string }) => name);
  const wanted = [each.resource, ...(each.status && !each.subresources ? [`${each.resource}/status`] : [])];
  return [...wanted, ...(each.subresources ?? []).map(name => `${each.resource}/${name}`)].every(name =>
    names.includes(name),
  );
}

const GO = { 'content-type': 'application/vnd.kubernetes.protobuf' };
/** An object as it is sent: by dynamic clients as JSON, by typed ones as protobuf. */
const FORMATS = {
  JSON: (object: KubernetesObject) => ({ body: object }),
  protobuf: (object: KubernetesObject) => ({
    body: encodeProtobuf(object as { apiVersion: string; kind: string }),
    headers: GO,
  }),
} as const;

const runs = [...cases, ...moreCases].flatMap(each =>
  Object.entries(FORMATS).map(([format, sent]) => ({ each, format, sent })),
);
for (const { each, format, sent } of runs) {
  test(`${each.kind} API operations in ${format}`, async t => {
    const harness = await createHarness();
    t.teardown(() => harness.close());
    const { call } = harness;
    t.true(await isDiscovered(harness, each), 'discovery');
    const all = `${basePath(each)}/${each.resource}`;
    const path = each.isNamespaced ? `${basePath(each)}/namespaces/default/${each.resource}` : all;
    const selector = 'labelSelector=special%3Dyes';
    const apiVersion = each.group === '' ? each.version : `${each.group}/${each.version}`;
    const make = async (index: number): Promise<Found> => {
      const object = each.object(index);
      const metadata = { name: `e2e-${index}`, ...object.metadata, labels: { special: 'yes' } };
      const { status, body, text } = await call(
        'POST',
        path,
        sent({ apiVersion, kind: each.kind, ...object, metadata }),
      );
      t.is(status, 201, text);
      return body;
    };
    const created = [await make(0), await make(1), await make(2)];
    const [first] = created as [Found];
    const { name } = first.metadata;
    t.is((await call('GET', `${path}/${name}`)).body.metadata.name, name);
    const list = async (from: string): Promise<{ items: Found[]; metadata: { resourceVersion: string } }> =>
      (await call('GET', `${from}?${selector}`)).body;
    t.is((await list(path)).items.length, 3);
    t.is((await list(all)).items.length, 3);
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    const { resourceVersion } = (await list(path)).metadata;
    const frames = harness.watch(`${path}?${selector}&watch=true&resourceVersion=${resourceVersion}`, stop.signal);
    const next = async () => {
      const { value } = await frames.next();
      return `${value?.type} ${value?.object.metadata.name}`;
    };

    const annotate = (key: string) => ({ metadata: { annotations: { [key]: 'true' } } });
    const patched = await call('PATCH', `${path}/${name}`, { body: annotate('patched'), headers: MERGE });
    t.like(patched.body.metadata.annotations, { patched: 'true' }, patched.text);
    t.is(await next(), `MODIFIED ${name}`);
    const annotations = { ...patched.body.metadata.annotations, updated: 'true' };
    const replacement = { ...patched.body, metadata: { ...patched.body.metadata, annotations } };
    const updated = await call('PUT', `${path}/${name}`, sent(replacement));
    t.like(updated.body.metadata.annotations, { patched: 'true', updated: 'true' }, updated.text);
    t.is(await next(), `MODIFIED ${name}`);
    const stale = await call('PUT', `${path}/${name}`, sent(replacement));
    t.is(stale.status, 409);

    if (each.status) {
      const body = { ...annotate('patchedstatus'), status: each.status };
      const told = await call('PATCH', `${path}/${name}/status`, { body, headers: MERGE });
      t.is(told.status, 200, told.text);
      t.like(told.body.status ?? {}, JSON.parse(JSON.stringify(each.statusAfter ?? each.status)));
      const read = await call('GET', `${path}/${name}/status`);
      t.deepEqual(read.body.status, told.body.status);
      const same = await call('PUT', `${path}/${name}/status`, sent(read.body));
      t.is(same.status, 200, same.text);
      t.deepEqual(same.body, read.body);
      t.is(await next(), `MODIFIED ${name}`);
    }

    if (each.subresources?.includes('approval')) {
      const approved = { type: 'ApprovalPatch', status: 'True', reason: 'E2E', message: 'x' };
      const body = { ...annotate('patchedapproval'), status: { conditions: [approved] } };
      const told = await call('PATCH', `${path}/${name}/approval`, { body, headers: MERGE });
      t.is(told.status, 200, told.text);
      const read = await call('GET', `${path}/${name}/approval`);
      t.like(read.body.metadata.annotations, { patchedapproval: 'true' });
      const conditions = [{ type: 'Approved', status: 'True', reason: 'E2E', message: 'x' }];
      const given = await call('PUT', `${path}/${name}/approval`, sent({ ...read.body, status: { conditions } }));
      t.is(given.status, 200, given.text);
      t.is(given.body.status.conditions.at(-1).type, 'Approved');
      t.is(await next(), `MODIFIED ${name}`);
      t.is(await next(), `MODIFIED ${name}`);
    }

    const removed = await call('DELETE', `${path}/${name}?${BACKGROUND}`);
    t.true(removed.status === 200 || removed.status === 202, removed.text);
    t.is(await next(), `DELETED ${name}`);
    t.is((await call('GET', `${path}/${name}`)).status, 404);
    t.is((await list(path)).items.length, 2);
    t.is((await call('DELETE', `${path}?${selector}&${BACKGROUND}`)).status, 200);
    t.is((await list(path)).items.length, 0);
    const gone = [await next(), await next()].sort();
    t.deepEqual(
      gone,
      created
        .slice(1)
        .map(({ metadata }) => `DELETED ${metadata.name}`)
        .sort(),
    );
  });
}
