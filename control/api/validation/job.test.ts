import test from 'ava';
import type { Job, JobSpec } from '../generated/types.ts';
import { validateJob, validateJobUpdate } from './job.ts';

const job = (spec: Partial<JobSpec>): Job => ({
  metadata: { name: 'j', namespace: 'n', uid: 'u' },
  spec: {
    parallelism: 1,
    completions: 1,
    completionMode: 'NonIndexed',
    selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u' } },
    template: {
      metadata: { labels: { 'batch.kubernetes.io/controller-uid': 'u' } },
      spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'x' }] },
    },
    ...spec,
  },
});

const INDEXED = { completionMode: 'Indexed' };
const changes: readonly [string, Partial<JobSpec>, Partial<JobSpec>, string[]][] = [
  ['a plain job keeps its size', {}, { completions: 2 }, ['Invalid value: 2: field is immutable']],
  ['an indexed job grows in both numbers', INDEXED, { ...INDEXED, completions: 3, parallelism: 3 }, []],
  [
    'an indexed job does not grow in one number alone',
    INDEXED,
    { ...INDEXED, completions: 3 },
    ['Invalid value: 3: can only be modified in tandem with spec.parallelism'],
  ],
];
for (const [name, before, after, expected] of changes) {
  test(name, t => {
    const errors = validateJobUpdate(job(after), job(before), '').filter(({ field }) => field === 'spec.completions');
    t.deepEqual(
      errors.map(({ message }) => message),
      expected,
    );
  });
}

test('the size of an indexed job that becomes unknown is told once', t => {
  const { completions: _gone, ...spec } = job(INDEXED).spec as JobSpec;
  const errors = validateJobUpdate({ ...job(INDEXED), spec }, job(INDEXED), '');
  t.deepEqual(
    errors.filter(({ field }) => field === 'spec.completions').map(({ message }) => message),
    ['Required value: when completion mode is Indexed'],
  );
});

test('a rule of the failure policy that asks for nothing is refused without being shown', t => {
  const errors = validateJob(job({ podFailurePolicy: { rules: [{ action: 'Ignore' }] } }));
  t.true(
    errors.some(
      ({ message }) => message === 'Invalid value: specifying one of OnExitCodes and OnPodConditions is required',
    ),
  );
});

test('a selector that is gone is shown as the text that Go shows', t => {
  const { selector: _gone, ...spec } = job({}).spec as JobSpec;
  const errors = validateJobUpdate({ ...job({}), spec }, job({}), '');
  t.true(errors.some(({ message }) => message === 'Invalid value: "null": field is immutable'));
});
