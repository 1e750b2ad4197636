import test from 'ava';
import { NAMESPACE_HELD_RETRY_MS, NAMESPACE_RETRY_MS_MAX, NAMESPACE_RETRY_MS_MIN } from './limits.ts';
import { planNamespaceConditions, planNextLookMs, type Remainder } from './namespace.ts';

const pods: Remainder = { kind: { group: '', plural: 'pods' }, count: 2, finalizers: [] };
const held: Remainder = {
  kind: { group: '', plural: 'configmaps' },
  count: 2,
  finalizers: ['example.com/a', 'example.com/b'],
};

test('what goes by itself is looked at soon, then less and less often', t => {
  const looks = Array.from({ length: 8 }, (_, tries) => planNextLookMs([pods, held], tries));
  t.is(looks[0], NAMESPACE_RETRY_MS_MIN);
  t.deepEqual(
    looks,
    looks.toSorted((a, b) => a - b),
  );
  t.is(looks.at(-1), NAMESPACE_RETRY_MS_MAX);
});

test('what only finalizers hold is left alone for as long as Kubernetes leaves it', t => {
  t.is(planNextLookMs([held], 0), NAMESPACE_HELD_RETRY_MS);
  t.is(planNextLookMs([held], 9), NAMESPACE_HELD_RETRY_MS);
  t.is(planNextLookMs([{ ...held, finalizers: ['example.com/a'] }], 0), NAMESPACE_RETRY_MS_MIN);
});

test('the conditions tell what is left and who holds it, in the words of Kubernetes', t => {
  const told = planNamespaceConditions({ old: [], remainders: [pods, held], failures: [], nowMs: 0 });
  const messageOf = (type: string) => told.find(condition => condition.type === type)?.message;
  t.is(
    messageOf('NamespaceContentRemaining'),
    'Some resources are remaining: configmaps. has 2 resource instances, pods. has 2 resource instances',
  );
  t.is(
    messageOf('NamespaceFinalizersRemaining'),
    'Some content in the namespace has finalizers remaining: example.com/a in 1 resource instances, example.com/b in 1 resource instances',
  );
});

test('a condition that stays as it is keeps the time of its last change', t => {
  const old = planNamespaceConditions({ old: [], remainders: [pods], failures: [], nowMs: 0 });
  const now = planNamespaceConditions({ old, remainders: [], failures: [], nowMs: 60_000 });
  const timeOf = (type: string) => now.find(condition => condition.type === type)?.lastTransitionTime;
  t.is(timeOf('NamespaceContentRemaining'), '1970-01-01T00:01:00Z');
  t.is(timeOf('NamespaceFinalizersRemaining'), '1970-01-01T00:00:00Z');
});
