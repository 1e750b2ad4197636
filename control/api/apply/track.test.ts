/** Who owns what after updates and applies, without a server. */
import test from 'ava';
import fc from 'fast-check';
import { findMistakes } from './check.ts';
import { compare, isSame } from './compare.ts';
import { conflictError } from './conflicts.ts';
import { encodeFields, FieldSet } from './field-set.ts';
import { managerName } from './manager-name.ts';
import { capUpdates, decodeManagers, encodeManagers, managerKey, NOBODY, type Ownerships } from './managers.ts';
import { merge } from './merge.ts';
import { removeFields } from './remove.ts';
import { fromScale, stepsOf, toScale } from './scale.ts';
import { fieldsOf } from './to-set.ts';
import { type Applied, applyTo, type TrackedObject, trackUpdate, type Write } from './track.ts';
import { type FieldSchema, typeOfCustomResource, typeOfDefinition } from './types.ts';

const SCHEMA: FieldSchema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: {
        text: { type: 'string' },
        count: { type: 'integer' },
        isOn: { type: 'boolean' },
        map: { type: 'object', additionalProperties: { type: 'string' } },
        whole: { type: 'object', additionalProperties: { type: 'string' }, 'x-kubernetes-map-type': 'atomic' },
        set: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        list: { type: 'array', items: { type: 'string' } },
        items: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name', 'protocol'],
          items: {
            type: 'object',
            properties: {
              name: { type: 'string' },
              protocol: { type: 'string', default: 'TCP' },
              value: { type: 'integer' },
            },
          },
        },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
  },
};
const TYPE = typeOfCustomResource(SCHEMA);
const object = (spec: object): TrackedObject => ({
  apiVersion: 'e.com/v1',
  kind: 'Thing',
  metadata: { name: 't' },
  spec,
});
const write = (name: string, operation: 'Apply' | 'Update', more: Partial<Write> = {}): Write => ({
  manager: { name, operation, apiVersion: 'e.com/v1', subresource: '' },
  type: TYPE,
  ownable: {},
  now: '2026-01-01T00:00:00Z',
  version: () => undefined,
  ...more,
});
const show = (managers: Ownerships) =>
  Object.fromEntries(
    [...managers.values()].map(({ manager, fields }) => [
      `${manager.name} ${manager.operation}`,
      JSON.stringify((encodeFields(fields) as Record<string, unknown>)['f:spec']),
    ]),
  );

/** Applies without conflicts. */
function applied(outcome: Applied): { readonly object: TrackedObject | undefined; readonly managers: Ownerships } {
  if (outcome.type === 'conflicts') throw conflictError(outcome.conflicts);
  return outcome;
}

test('an update takes what it changes and leaves the rest where it is', t => {
  const first = object({ text: 'a', map: { x: '1', y: '2' }, items: [{ name: 'i', value: 1 }] });
  let managers = trackUpdate(write('one', 'Update'), { before: {}, after: first, managers: NOBODY });
  t.deepEqual(show(managers), {
    'one Update':
      '{".":{},"f:items":{".":{},"k:{\\"name\\":\\"i\\",\\"protocol\\":\\"TCP\\"}":{".":{},"f:name":{},"f:value":{}}},"f:map":{".":{},"f:x":{},"f:y":{}},"f:text":{}}',
  });
  const second = object({ text: 'a', map: { x: '9' }, items: [{ name: 'i', value: 1 }] });
  managers = trackUpdate(write('two', 'Update'), { before: first, after: second, managers });
  t.deepEqual(show(managers), {
    'one Update':
      '{".":{},"f:items":{".":{},"k:{\\"name\\":\\"i\\",\\"protocol\\":\\"TCP\\"}":{".":{},"f:name":{},"f:value":{}}},"f:map":{},"f:text":{}}',
    'two Update': '{"f:map":{"f:x":{}}}',
  });
  t.is(
    trackUpdate(write('three', 'Update'), { before: second, after: object({ ...(second.spec as object) }), managers }),
    managers,
  );
});

test('appliers share what they agree on, and conflict on what they do not', t => {
  const one = applied(
    applyTo(write('one', 'Apply'), {
      live: {},
      applied: object({ text: 'a', count: 1 }),
      managers: NOBODY,
      isForced: false,
    }),
  );
  const live = one.object ?? {};
  const shared = applied(
    applyTo(write('two', 'Apply'), { live, applied: object({ text: 'a' }), managers: one.managers, isForced: false }),
  );
  t.is(shared.object, undefined);
  t.deepEqual(show(shared.managers), { 'one Apply': '{"f:count":{},"f:text":{}}', 'two Apply': '{"f:text":{}}' });
  const given = { live, applied: object({ text: 'b', count: 2 }), managers: shared.managers };
  const refused = applyTo(write('three', 'Apply'), { ...given, isForced: false });
  if (refused.type !== 'conflicts') return t.fail('there should be conflicts');
  const error = conflictError(refused.conflicts);
  t.is(
    error.message,
    'Apply failed with 3 conflicts: conflicts with "one":\n- .spec.count\n- .spec.text\nconflicts with "two":\n- .spec.text',
  );
  t.deepEqual(error.details?.causes?.[0], {
    reason: 'FieldManagerConflict',
    message: 'conflict with "one"',
    field: '.spec.count',
  });
  const forced = applied(applyTo(write('three', 'Apply'), { ...given, isForced: true }));
  t.deepEqual(show(forced.managers), { 'three Apply': '{"f:count":{},"f:text":{}}' });
  t.deepEqual(forced.object?.spec, { text: 'b', count: 2 });
});

test('what an applier gives up goes, unless somebody else owns it', t => {
  const start = object({ text: 'a', set: ['p', 'q'], map: { x: '1', y: '2' }, items: [{ name: 'i', value: 1 }] });
  const one = applied(applyTo(write('one', 'Apply'), { live: {}, applied: start, managers: NOBODY, isForced: false }));
  const two = applied(
    applyTo(write('two', 'Apply'), {
      live: start,
      applied: object({ set: ['q'], map: { y: '2' }, items: [{ name: 'j', value: 2 }] }),
      managers: one.managers,
      isForced: false,
    }),
  );
  t.deepEqual(two.object?.spec, {
    text: 'a',
    set: ['p', 'q'],
    map: { x: '1', y: '2' },
    items: [
      { name: 'i', value: 1 },
      { name: 'j', value: 2 },
    ],
  });
  const less = applied(
    applyTo(write('one', 'Apply'), {
      live: two.object ?? {},
      applied: object({ text: 'a' }),
      managers: two.managers,
      isForced: false,
    }),
  );
  t.deepEqual(less.object?.spec, { text: 'a', set: ['q'], map: { y: '2' }, items: [{ name: 'j', value: 2 }] });
  const gone = applied(
    applyTo(write('two', 'Apply'), {
      live: less.object ?? {},
      applied: { apiVersion: 'e.com/v1', kind: 'Thing', metadata: { name: 't' } },
      managers: less.managers,
      isForced: false,
    }),
  );
  t.deepEqual(gone.object?.spec, { text: 'a' });
  t.deepEqual(show(gone.managers), { 'one Apply': '{"f:text":{}}' });
});

test('an apply keeps its time where it changes nothing, and gets a new one where it does', t => {
  const given = { applied: object({ text: 'a' }), isForced: false };
  const first = applied(applyTo(write('one', 'Apply'), { ...given, live: {}, managers: NOBODY }));
  const later = write('one', 'Apply', { now: '2026-01-02T00:00:00Z' });
  const same = applied(applyTo(later, { ...given, live: first.object ?? {}, managers: first.managers }));
  t.deepEqual(encodeManagers(same.managers), encodeManagers(first.managers));
  const changed = applied(
    applyTo(later, {
      live: first.object ?? {},
      applied: object({ text: 'b' }),
      managers: first.managers,
      isForced: false,
    }),
  );
  t.is(encodeManagers(changed.managers)?.[0]?.time, '2026-01-02T00:00:00Z');
});

test('lists are merged in an order that both sides can live with', t => {
  const merged = (live: unknown[], given: unknown[]) =>
    (merge(TYPE, object({ set: live }), object({ set: given })) as { spec: { set: unknown[] } }).spec.set.join('');
  const cases: readonly [string, string, string][] = [
    ['p', 'sp', 'sp'],
    ['abc', 'x', 'abcx'],
    ['abc', 'ca', 'bca'],
    ['abc', 'cxa', 'bcxa'],
    ['abc', 'abc', 'abc'],
    ['', 'ab', 'ab'],
    ['ab', '', 'ab'],
    ['axb', 'ab', 'axb'],
    ['abcd', 'bed', 'abced'],
  ];
  for (const [live, given, wanted] of cases) t.is(merged([...live], [...given]), wanted, `${live} + ${given}`);
  t.deepEqual(merge(TYPE, object({ map: { a: '1' } }), object({ map: null })), object({ map: { a: '1' } }));
});

test('what is one value has one owner', t => {
  const fields = fieldsOf(TYPE, object({ whole: { a: '1' }, list: ['x'], free: { a: { b: [1] } }, map: {} }));
  t.is(
    JSON.stringify((encodeFields(fields) as Record<string, unknown>)['f:spec']),
    '{"f:free":{"f:a":{".":{},"f:b":{}}},"f:list":{},"f:map":{},"f:whole":{}}',
  );
  const old = FieldSet.of(['f:spec', 'f:whole', 'f:a'], ['f:spec', 'f:list', 'v:"x"']);
  const { manager } = write('one', 'Apply');
  const managers = new Map([[managerKey(manager), { manager, fields: old, time: undefined }]]);
  const before = object({ text: 'a' });
  const after = trackUpdate(write('two', 'Update', { isSchemaChanging: true }), {
    before,
    after: object({ text: 'b' }),
    managers,
  });
  t.is(show(after)['one Apply'], '{"f:list":{},"f:whole":{}}');
});

test('an object that does not fit is refused with where and why', t => {
  const cases: readonly [object, string][] = [
    [{ nope: 1 }, '.spec.nope: field not declared in schema'],
    [{ text: 5 }, '.spec.text: expected string, got &value.valueUnstructured{Value:5}'],
    [{ count: '5' }, '.spec.count: expected numeric (int or float), got string'],
    [{ isOn: 'x' }, '.spec.isOn: expected boolean, got &{x}'],
    [{ map: 'x' }, '.spec.map: expected map, got &{x}'],
    [{ list: 'x' }, '.spec.list: expected list, got &{x}'],
    [{ set: ['a', 'a'] }, '.spec.set: duplicate entries for key [="a"]'],
    [{ set: [null] }, ".spec.set: element 0: associative list without keys has an element that's an explicit null"],
    [{ items: [{ name: 'a' }, { name: 'a' }] }, '.spec.items: duplicate entries for key [name="a",protocol="TCP"]'],
    [
      { items: [{ value: 1 }] },
      '.spec.items: element 0: associative list with keys has an element that omits key field "name" (and doesn\'t have default value)',
    ],
    [{ items: [1] }, '.spec.items: element 0: associative list with keys may not have non-map elements'],
    [
      { text: 1, count: 'x' },
      'errors:\n  .spec.text: expected string, got &value.valueUnstructured{Value:1}\n  .spec.count: expected numeric (int or float), got string',
    ],
  ];
  for (const [spec, wanted] of cases) t.is(findMistakes(TYPE, object(spec)), wanted);
  t.is(findMistakes(TYPE, object({ text: null, free: { a: [1, { b: 2 }] } })), undefined);
});

test('the oldest updates are put together, one bucket a version', t => {
  const managers: [string, Ownerships extends ReadonlyMap<string, infer T> ? T : never][] = [];
  for (let index = 0; index < 12; index++) {
    const manager = {
      name: `m${index}`,
      operation: 'Update' as const,
      apiVersion: index === 3 ? 'e.com/v2' : 'e.com/v1',
      subresource: '',
    };
    const time = `2026-01-${String(index + 1).padStart(2, '0')}T00:00:00Z`;
    managers.push([managerKey(manager), { manager, fields: FieldSet.of([`f:${index}`]), time }]);
  }
  const capped = encodeManagers(capUpdates(new Map(managers), 10)) ?? [];
  t.is(capped.length, 10);
  const bucket = capped.find(({ manager }) => manager === 'ancient-changes');
  t.deepEqual(bucket, {
    manager: 'ancient-changes',
    operation: 'Update',
    apiVersion: 'e.com/v1',
    time: '2026-01-03T00:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:0': {}, 'f:1': {}, 'f:2': {} },
  });
  t.is(capUpdates(new Map(managers.slice(0, 10)), 10).size, 10);
});

test('a manager who wrote in a version that is served no more is forgotten, one in another version is asked in his', t => {
  const v2 = { ...write('two', 'Apply').manager, apiVersion: 'e.com/v2' };
  const v0 = { ...write('old', 'Update').manager, apiVersion: 'e.com/v0' };
  const managers: Ownerships = new Map([
    [managerKey(v2), { manager: v2, fields: FieldSet.of(['f:spec', 'f:words']), time: undefined }],
    [managerKey(v0), { manager: v0, fields: FieldSet.of(['f:spec', 'f:text']), time: undefined }],
  ]);
  const renamed = (from: string, to: string) => (given: TrackedObject) => {
    const { [from]: value, ...spec } = (given.spec ?? {}) as Record<string, unknown>;
    return { ...given, spec: value === undefined ? spec : { ...spec, [to]: value } };
  };
  const version: Write['version'] = apiVersion =>
    apiVersion === 'e.com/v2'
      ? {
          type: typeOfCustomResource(undefined),
          ownable: {},
          convert: renamed('text', 'words'),
          restore: renamed('words', 'text'),
        }
      : undefined;
  const live = object({ text: 'a' });
  const wanted = { live, applied: object({ text: 'b' }), managers };
  const refused = applyTo(write('one', 'Apply', { version }), { ...wanted, isForced: false });
  t.is(refused.type, 'conflicts');
  if (refused.type === 'conflicts') {
    t.deepEqual(
      refused.conflicts.map(({ manager, path }) => [manager.name, path.join('')]),
      [['two', 'f:specf:words']],
    );
  }
  // The one in v2 applies in v1 and gives up what he had: it goes under its new name.
  const again = applied(
    applyTo(write('two', 'Apply', { version }), { ...wanted, applied: object({ count: 1 }), isForced: false }),
  );
  t.deepEqual(again.object?.spec, { count: 1 });
  t.deepEqual(show(again.managers), { 'two Apply': '{"f:count":{}}' });
});

test('the owners of a replica count are those of its Scale', t => {
  const path = stepsOf('.spec.replicas');
  const deployer = { name: 'd', operation: 'Apply' as const, apiVersion: 'apps/v1', subresource: '' };
  const parent: Ownerships = new Map([
    [managerKey(deployer), { manager: deployer, fields: FieldSet.of(path, ['f:spec', 'f:paused']), time: undefined }],
  ]);
  const inScale = toScale(parent, path);
  t.deepEqual(
    [...inScale.values()].map(({ manager }) => manager.apiVersion),
    ['autoscaling/v1'],
  );
  const scaler = { name: 's', operation: 'Update' as const, apiVersion: 'autoscaling/v1', subresource: 'scale' };
  const scale: Ownerships = new Map([
    [managerKey(scaler), { manager: scaler, fields: FieldSet.of(path), time: '2026-01-01T00:00:00Z' }],
  ]);
  const after = encodeManagers(fromScale({ parent, scale, path, apiVersion: 'apps/v1' }));
  t.deepEqual(
    after?.map(({ manager, subresource, apiVersion, fieldsV1 }) => [
      manager,
      subresource,
      apiVersion,
      JSON.stringify(fieldsV1),
    ]),
    [
      ['d', undefined, 'apps/v1', '{"f:spec":{"f:paused":{}}}'],
      ['s', 'scale', 'apps/v1', '{"f:spec":{"f:replicas":{}}}'],
    ],
  );
  t.deepEqual(fromScale({ parent, scale: inScale, path, apiVersion: 'apps/v1' }), parent);
});

test('entries that cannot be read are refused', t => {
  const entry = { manager: 'm', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: {} };
  t.is(decodeManagers([entry]).size, 1);
  const wrong = [
    { operation: 'No' },
    { apiVersion: '' },
    { fieldsType: '' },
    { fieldsType: 'V9' },
    { fieldsV1: [] as never },
  ];
  for (const change of wrong) t.throws(() => decodeManagers([{ ...entry, ...change }]));
});

test('a manager is named by the request or by its program', t => {
  const cases: readonly [string, string | undefined, string][] = [
    ['me', 'kubectl/v1.33', 'me'],
    ['', 'kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0', 'kubectl'],
    ['', undefined, 'unknown'],
    ['', '/x', 'unknown'],
    ['', 'a\u0001b\tc d/1', 'abc d'],
    ['', 'x'.repeat(200), 'x'.repeat(128)],
  ];
  for (const [manager, agent, wanted] of cases) t.is(managerName(manager, agent), wanted);
});

const letters = fc.constantFrom('a', 'b', 'c', 'd');
const specs = fc.record(
  {
    text: letters,
    count: fc.nat(3),
    map: fc.dictionary(letters, letters),
    whole: fc.dictionary(letters, letters),
    set: fc.uniqueArray(letters),
    list: fc.array(letters),
    items: fc.uniqueArray(fc.record({ name: letters, value: fc.nat(3) }, { requiredKeys: ['name'] }), {
      selector: ({ name }) => name,
    }),
    free: fc.dictionary(letters, fc.oneof(letters, fc.dictionary(letters, letters), fc.array(letters))),
  },
  { requiredKeys: [] },
);

test('apply is idempotent, owns all that it names, and never conflicts by force', t => {
  fc.assert(
    fc.property(specs, specs, specs, (before, others, mine) => {
      const live = object(before);
      const updated = trackUpdate(write('updater', 'Update'), { before: {}, after: live, managers: NOBODY });
      const other = applied(
        applyTo(write('other', 'Apply'), { live, applied: object(others), managers: updated, isForced: true }),
      );
      const given = { live: other.object ?? live, applied: object(mine), managers: other.managers, isForced: true };
      const first = applied(applyTo(write('me', 'Apply'), given));
      const present = first.object ?? given.live;
      const named = fieldsOf(TYPE, { spec: mine });
      const own = first.managers.get(managerKey(write('me', 'Apply').manager))?.fields ?? FieldSet.EMPTY;
      t.true(named.equals(own));
      // What was applied is there as it was applied, and nothing more of it: applied again, it changes nothing.
      const again = applied(applyTo(write('me', 'Apply'), { ...given, live: present, managers: first.managers }));
      t.is(again.object, undefined);
      t.deepEqual(encodeManagers(again.managers), encodeManagers(first.managers));
      t.is(
        applyTo(write('me', 'Apply'), { ...given, live: present, managers: first.managers, isForced: false }).type,
        'applied',
      );
    }),
  );
});

test('merging nothing, comparing with itself and removing nothing change nothing', t => {
  fc.assert(
    fc.property(specs, specs, (a, b) => {
      t.deepEqual(merge(TYPE, object(a), {}), object(a));
      t.deepEqual(merge(TYPE, object(a), object(a)), object(a));
      t.true(isSame(compare(TYPE, object(a), structuredClone(object(a)))));
      t.deepEqual(removeFields(TYPE, object(a), FieldSet.EMPTY), object(a));
      const merged = merge(TYPE, object(a), object(b));
      // Maps that were applied empty are named as such only while they are empty.
      const emptied = JSON.stringify(b).includes('{}');
      t.true(emptied || fieldsOf(TYPE, object(b)).difference(fieldsOf(TYPE, merged)).isEmpty);
    }),
  );
});

test('built-in kinds have the lists and maps that their schemas tell', t => {
  const pod = typeOfDefinition('io.k8s.api.core.v1.Pod');
  const containers = pod.map?.typeOf('spec')?.map?.typeOf('containers');
  t.deepEqual(containers?.list?.keys, [{ name: 'name', default: '' }]);
  const ports = containers?.list?.item().map?.typeOf('ports');
  t.deepEqual(
    ports?.list?.keys.map(({ name }) => name),
    ['containerPort', 'protocol'],
  );
  t.true(pod.map?.typeOf('spec')?.map?.typeOf('nodeSelector')?.map?.isAtomic);
  t.false(pod.map?.typeOf('spec')?.map?.typeOf('tolerations')?.list?.isAssociative);
  t.true(pod.map?.typeOf('metadata')?.map?.typeOf('finalizers')?.list?.isAssociative);
  t.is(pod.map?.typeOf('nope'), undefined);
});

test('entries of the store that nobody changed are written as they are, others anew', t => {
  const owner = (name: string, ...paths: string[][]) => ({
    manager: { name, operation: 'Update' as const, apiVersion: 'e.com/v1', subresource: '' },
    fields: FieldSet.of(...paths),
    time: '2025-01-01T00:00:00Z',
  });
  const [kept, robbed] = [
    owner('kept', ['f:spec', 'f:text']),
    owner('robbed', ['f:spec', 'f:count'], ['f:spec', 'f:isOn']),
  ];
  const entries = encodeManagers(new Map([kept, robbed].map(each => [managerKey(each.manager), each]))) ?? [];
  const states = {
    before: object({ text: 'a', count: 1, isOn: true }),
    after: object({ text: 'a', count: 2, isOn: true }),
  };
  const after = (from: 'store' | 'client') =>
    encodeManagers(trackUpdate(write('thief', 'Update'), { ...states, managers: decodeManagers(entries, from) })) ?? [];
  t.deepEqual(after('store'), after('client'));
  const byName = (list: typeof entries, name: string) => list.find(({ manager }) => manager === name);
  t.is(byName(after('store'), 'kept'), byName(entries, 'kept'));
  t.not(byName(after('client'), 'kept'), byName(entries, 'kept'));
  t.deepEqual(byName(after('store'), 'robbed')?.fieldsV1, { 'f:spec': { 'f:isOn': {} } });
});
