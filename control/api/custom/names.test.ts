/** Names of definitions: who has one keeps it. */
import test from 'ava';
import type { CustomResourceDefinition } from '../generated/types.ts';
import { compareVersions } from './definition.ts';
import { planNames } from './names.ts';

const NOW = '2026-01-01T00:00:00Z';
const crd = (plural: string, kind: string, more: object = {}): CustomResourceDefinition => ({
  metadata: { name: `${plural}.g.example.com` },
  spec: {
    group: 'g.example.com',
    scope: 'Cluster',
    names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List`, ...more },
    versions: [],
  },
});
const accepted = (one: CustomResourceDefinition, others: readonly CustomResourceDefinition[] = []) => ({
  ...one,
  status: planNames(one, others, NOW) ?? one.status ?? {},
});
const conditions = ({ status }: CustomResourceDefinition) =>
  (status?.conditions ?? []).map(({ type, status: is, reason, message }) => `${type} ${is} ${reason}: ${message}`);

test('free names are accepted, and asked again nothing is to be done', t => {
  const first = accepted(crd('as', 'A', { shortNames: ['a'], categories: ['all'] }));
  t.deepEqual(conditions(first), [
    'NamesAccepted True NoConflicts: no conflicts found',
    'Established True InitialNamesAccepted: the initial names have been accepted',
  ]);
  t.deepEqual(first.status?.acceptedNames, first.spec.names);
  t.is(planNames(first, [], NOW), undefined);
});

for (const [title, second, reason] of [
  ['plural', crd('as', 'B'), 'PluralConflict: "as" is already in use'],
  ['singular', crd('bs', 'B', { singular: 'a' }), 'SingularConflict: "a" is already in use'],
  ['short name', crd('bs', 'B', { shortNames: ['as', 'x'] }), 'ShortNamesConflict: "as" is already in use'],
  ['kind', crd('bs', 'A', { singular: 'b', listKind: 'BList' }), 'KindConflict: "A" is already in use'],
  ['list kind', crd('bs', 'B', { listKind: 'AList' }), 'ListKindConflict: "AList" is already in use'],
] as const) {
  test(`a ${title} that another has is refused`, t => {
    const first = accepted({ ...crd('as', 'A'), metadata: { name: 'first' } });
    t.deepEqual(conditions(accepted(second, [first])), [
      `NamesAccepted False ${reason}`,
      'Established False NotAccepted: not all names are accepted',
    ]);
  });
}

test('who is established stays so, whatever becomes of its new names', t => {
  const first = accepted(crd('as', 'A', { shortNames: ['x'] }));
  const second = accepted(crd('bs', 'B'));
  const greedy = { ...second, spec: { ...second.spec, names: { ...second.spec.names, shortNames: ['x'] } } };
  const after = accepted(greedy, [first]);
  t.deepEqual(conditions(after), [
    'NamesAccepted False ShortNamesConflict: "x" is already in use',
    'Established True InitialNamesAccepted: the initial names have been accepted',
  ]);
  t.is(after.status.acceptedNames?.shortNames, undefined);
});

test('another group has names of its own', t => {
  const first = accepted(crd('as', 'A'));
  const other = crd('as', 'A');
  t.is(
    conditions(accepted({ ...other, spec: { ...other.spec, group: 'h.example.com' } }, [first]))[0],
    'NamesAccepted True NoConflicts: no conflicts found',
  );
});

test('versions are ordered as Kubernetes orders them', t => {
  const ordered = ['v10', 'v2', 'v1', 'v11beta2', 'v10beta3', 'v3beta1', 'v12alpha1', 'v11alpha2', 'foo1', 'foo10'];
  t.deepEqual(ordered.toReversed().sort(compareVersions), ordered);
});
