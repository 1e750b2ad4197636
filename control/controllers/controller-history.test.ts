/** The numbers of a set's revisions, and which are forgotten. */
import test from 'ava';
import fc from 'fast-check';
import { statefulsets as statefulSetsKind } from '../api/generated/kinds.ts';
import type { ControllerRevision } from '../api/generated/types.ts';
import { planRevision, type RevisionOwner, revisionData, surplusRevisions } from './controller-history.ts';

const template = (image: string) => ({
  metadata: { labels: { app: 's' } },
  spec: { containers: [{ name: 'c', image }] },
});
const owner = (image: string): RevisionOwner => ({
  object: { metadata: { name: 's', namespace: 'n', uid: 's' } },
  kind: statefulSetsKind,
  template: template(image),
  hashLabel: 'hash',
  collisionCount: 0,
  hash: count => `${image}-${count}`,
});
const revision = (image: string, number: number): ControllerRevision => ({
  metadata: { name: `s-${image}`, namespace: 'n' },
  data: revisionData(template(image)),
  revision: number,
});
const plannedOf = (image: string, revisions: readonly ControllerRevision[]) => {
  const { current, write } = planRevision(owner(image), revisions);
  return `${write} ${current.metadata?.name?.split('-')[1]} ${current.revision}`;
};

const rows: readonly (readonly [string, readonly ControllerRevision[], string])[] = [
  ['the first', [], 'create a 1'],
  ['a new template', [revision('b', 1), revision('c', 4)], 'create a 5'],
  ['the present one', [revision('b', 1), revision('a', 2)], 'none a 2'],
  ['the only one, whatever its number', [revision('a', 7)], 'none a 7'],
  ['an earlier one comes back', [revision('a', 1), revision('b', 2)], 'update a 3'],
  ['of two of one template the later one', [revision('a', 1), revision('a', 3), revision('b', 2)], 'none a 3'],
  ['equal numbers', [revision('a', 2), revision('b', 2)], 'update a 3'],
];
for (const [title, revisions, expected] of rows) {
  test(`revision: ${title}`, t => {
    t.is(plannedOf('a', revisions), expected);
    t.is(plannedOf('a', revisions.toReversed()), expected);
  });
}

test('through any changes of the template: the present one has the highest number, alone, and a second plan writes nothing', t => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 15 }), images => {
      let revisions: readonly ControllerRevision[] = [];
      for (const image of images) {
        const { current, write } = planRevision(owner(image), revisions);
        if (write !== 'none') {
          const name = current.metadata?.name?.replace('-0', '') ?? '';
          const others = revisions.filter(({ metadata }) => metadata?.name !== name);
          revisions = [...others, { ...current, metadata: { ...current.metadata, name } }];
        }
        const numbers = revisions.map(each => each.revision);
        t.is(new Set(numbers).size, numbers.length);
        t.is(Math.max(...numbers), current.revision);
        t.is(planRevision(owner(image), revisions).write, 'none');
      }
      t.is(revisions.length, new Set(images).size);
    }),
    { numRuns: 200 },
  );
});

test('forgotten are the oldest that nobody uses, as many as are too many, and then none', t => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 15 }),
      fc.array(fc.integer({ min: 1, max: 30 })),
      fc.integer({ min: -2, max: 12 }),
      (numbers, live, limit) => {
        const revisions = numbers.map(number => revision(`i${number}`, number));
        const isLive = (each: ControllerRevision) => live.includes(each.revision);
        const old = revisions.filter(each => !isLive(each));
        const removed = surplusRevisions(old, { limit, isLive });
        t.is(removed.length, limit < 0 ? 0 : Math.max(0, old.length - limit));
        t.false(removed.some(isLive));
        const kept = old.filter(each => !removed.includes(each));
        for (const each of removed) t.true(kept.every(other => other.revision > each.revision));
        t.deepEqual(surplusRevisions(kept, { limit, isLive }), []);
      },
    ),
  );
});
