import test from 'ava';
import fc from 'fast-check';
import type { Deployment, ReplicaSet } from '../api/generated/types.ts';
import { planRollback, ROLLBACK_TO, type RollbackPlan } from './deployment-rollback.ts';
import { HASH_LABEL, REVISION, withPastRevision } from './deployment-util.ts';
import { REVISION_HISTORY_LENGTH_MAX } from './limits.ts';

const CAUSE = 'kubernetes.io/change-cause';
const template = (image: string, labels: object = {}) => ({
  metadata: { labels: { app: 'd', ...labels } },
  spec: { containers: [{ name: 'c', image }] },
});
const deployment = (to: string | undefined, image = 'c', spec: Partial<Deployment['spec']> = {}): Deployment => ({
  metadata: {
    name: 'd',
    namespace: 'n',
    annotations: { [REVISION]: '3', [CAUSE]: 'third', ...(to !== undefined && { [ROLLBACK_TO]: to }) },
  },
  spec: { selector: { matchLabels: { app: 'd' } }, template: template(image), ...spec },
});
const set = (image: string, revision: string | undefined, cause = image): ReplicaSet => ({
  metadata: {
    name: `d-${image}`,
    uid: image,
    annotations: { [CAUSE]: cause, ...(revision !== undefined && { [REVISION]: revision }) },
  },
  spec: { selector: {}, template: template(image, { [HASH_LABEL]: 'h' }) },
});
const SETS = [set('a', '1'), set('b', '2'), set('c', '3')];
const outcome = (plan: RollbackPlan | undefined) =>
  plan && {
    image: plan.deployment.spec?.template.spec?.containers[0]?.image,
    told: `${plan.event.type} ${plan.event.reason}: ${plan.event.message}`,
  };

const rows: readonly (readonly [string, Deployment, readonly ReplicaSet[], string | undefined, string?])[] = [
  ['no wish', deployment(undefined), SETS, undefined],
  ['no number', deployment('last'), SETS, undefined],
  ['paused', deployment('1', 'c', { paused: true }), SETS, undefined],
  ['a revision', deployment('1'), SETS, 'a', 'Normal DeploymentRollback: Rolled back deployment "d" to revision 1'],
  ['the last one', deployment('0'), SETS, 'b', 'Normal DeploymentRollback: Rolled back deployment "d" to revision 2'],
  [
    'the last one, the present not yet numbered',
    deployment('0', 'a'),
    SETS,
    'c',
    'Normal DeploymentRollback: Rolled back deployment "d" to revision 3',
  ],
  [
    'the last one, the present not yet there',
    deployment('0', 'x'),
    SETS,
    'c',
    'Normal DeploymentRollback: Rolled back deployment "d" to revision 3',
  ],
  [
    'a revision that nobody has',
    deployment('7'),
    SETS,
    'c',
    'Warning DeploymentRollbackRevisionNotFound: Unable to find the revision to rollback to.',
  ],
  [
    'the last one of one',
    deployment('0'),
    [set('c', '1')],
    'c',
    'Warning DeploymentRollbackRevisionNotFound: Unable to find last revision.',
  ],
  [
    'the present one',
    deployment('3'),
    SETS,
    'c',
    'Warning DeploymentRollbackTemplateUnchanged: The rollback revision contains the same template as current deployment "d"',
  ],
  [
    'a set without a revision is none',
    deployment('0'),
    [set('a', undefined), set('c', '1')],
    'c',
    'Warning DeploymentRollbackRevisionNotFound: Unable to find last revision.',
  ],
];
for (const [title, wanting, sets, image, told] of rows) {
  test(`rollback: ${title}`, t => {
    const plan = planRollback(wanting, sets);
    t.deepEqual(outcome(plan), image === undefined ? undefined : { image, told: told ?? '' });
  });
}

test('what comes back is the template and what was said of it; the hash and the wish do not', t => {
  const { deployment: next } = planRollback(deployment('1'), SETS) as RollbackPlan;
  t.deepEqual(next.spec?.template, template('a'));
  t.deepEqual(next.metadata?.annotations, { [REVISION]: '3', [CAUSE]: 'a' });
});

test('whatever is wished for, it is granted or refused once, and then no more', t => {
  const images = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 });
  fc.assert(
    fc.property(images, fc.array(fc.nat({ max: 5 })), fc.integer({ min: -1, max: 6 }), (names, revisions, to) => {
      const sets = names.map((name, index) => set(name, String(revisions[index] ?? index)));
      const plan = planRollback(deployment(String(to)), sets);
      if (!plan) return t.fail();
      t.is(planRollback(plan.deployment, sets), undefined);
      t.is(plan.event.type === 'Normal', outcome(plan)?.image !== 'c');
    }),
    { numRuns: 200 },
  );
});

test('past revisions are kept in order, within their bound', t => {
  t.is(withPastRevision(undefined, 1n), '1');
  t.is(withPastRevision('1,4', 7n), '1,4,7');
  const full = Array.from({ length: 400 }, (_, index) => index + 1000).join(',');
  t.true(full.length <= REVISION_HISTORY_LENGTH_MAX);
  const next = withPastRevision(full, 1400n);
  t.true(next.length <= REVISION_HISTORY_LENGTH_MAX);
  t.true(next.startsWith('1001,') && next.endsWith(',1399,1400'));
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), { maxLength: 300 }), revisions => {
      const history = revisions.reduce((text, revision) => withPastRevision(text, revision), '');
      t.true(history.length <= REVISION_HISTORY_LENGTH_MAX);
      t.true(revisions.join(',').endsWith(history));
    }),
  );
});
