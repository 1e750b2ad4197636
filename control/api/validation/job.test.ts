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

/** What is wrong besides the template, which has no defaults here. */
const errorsOf = (object: Job) =>
  validateJob(object)
    .filter(({ field }) => !field.startsWith('spec.template.'))
    .map(({ field, message }) => `${field}: ${message}`);
const messagesOf = (spec: Partial<JobSpec>) => errorsOf(job(spec));

test('a policy of success names indexes that there are', t => {
  const rulesOf = (...rules: object[]) =>
    messagesOf({ ...INDEXED, completions: 4, successPolicy: { rules } } as JobSpec);
  t.deepEqual(rulesOf({ succeededIndexes: '0-3' }, { succeededCount: 4 }), []);
  t.deepEqual(rulesOf(), [
    'spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified',
  ]);
  t.deepEqual(rulesOf({}), [
    'spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified',
  ]);
  t.deepEqual(rulesOf({ succeededIndexes: '0-99999999999' }), [
    'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-99999999999": error parsing succeededIndexes: too large index: "99999999999"',
  ]);
  t.deepEqual(rulesOf({ succeededIndexes: '0-1', succeededCount: 5 }), [
    'spec.successPolicy.rules[0].succeededCount: Invalid value: 5: must be less than or equal to 4 (the number of specified completions)',
    'spec.successPolicy.rules[0].succeededCount: Invalid value: 5: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)',
  ]);
  t.deepEqual(rulesOf(...new Array(21).fill({ succeededCount: 1 })), [
    'spec.successPolicy.rules: Too many: 21: must have at most 20 items',
  ]);
});

test('a policy of failure has bounds, and its exit codes an order', t => {
  const rulesOf = (...rules: object[]) => messagesOf({ podFailurePolicy: { rules } } as JobSpec);
  const codes = (...values: number[]) => ({ action: 'FailJob', onExitCodes: { operator: 'In', values } });
  t.deepEqual(rulesOf(codes(1, 2, 42)), []);
  t.deepEqual(rulesOf(codes(2, 1, 2)), [
    'spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 2',
    'spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1,2]: must be ordered',
  ]);
  t.deepEqual(rulesOf(codes(...Array.from({ length: 256 }, (_, index) => index + 1))), [
    'spec.podFailurePolicy.rules[0].onExitCodes.values: Too many: 256: must have at most 255 items',
  ]);
  t.deepEqual(rulesOf(...new Array(21).fill(codes(1))), [
    'spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items',
  ]);
});

test('of very many indexes fewer run and fail, and who manages a job has a domain', t => {
  const many = { ...INDEXED, completions: 100_001, backoffLimitPerIndex: 1 };
  const why =
    'must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index';
  t.deepEqual(messagesOf({ ...many, parallelism: 10_001 }), [
    'spec.maxFailedIndexes: Required value: must be specified when completions is above 100000',
    `spec.parallelism: Invalid value: 10001: ${why}`,
  ]);
  t.deepEqual(messagesOf({ ...many, maxFailedIndexes: 10_001 }), [
    `spec.maxFailedIndexes: Invalid value: 10001: ${why}`,
  ]);
  t.deepEqual(messagesOf({ managedBy: 'example.com/x' }), []);
  t.deepEqual(messagesOf({ managedBy: 'x' }), [
    'spec.managedBy: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")',
  ]);
  t.deepEqual(messagesOf({ managedBy: `example.com/${'x'.repeat(52)}` }), [
    'spec.managedBy: Too long: may not be more than 63 bytes',
  ]);
});

test('the host names of an indexed job fit', t => {
  const name = 'j'.repeat(62);
  const indexed = { ...job({ ...INDEXED, completions: 11 }), metadata: { name, namespace: 'n', uid: 'u' } };
  t.deepEqual(errorsOf(indexed), [
    `metadata.name: Invalid value: "${name}": will not able to create pod with invalid DNS label: ${name}-10`,
  ]);
});
