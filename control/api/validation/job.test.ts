import test from 'ava';
import type { CronJob, Job, JobSpec } from '../generated/types.ts';
import { cronJob } from '../kinds/cron-jobs.ts';
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

const told = (errors: ReturnType<typeof validateJob>): string[] =>
  errors.map(({ field, message }) => `${field}: ${message}`);
const list = <T>(count: number, item: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => item(i));
const failsOn = (onExitCodes: object): Partial<JobSpec> =>
  job({ podFailurePolicy: { rules: [{ action: 'Count', onExitCodes }] } } as Partial<JobSpec>).spec as JobSpec;
const FAILURES = 'spec.podFailurePolicy.rules';
const CODES = `${FAILURES}[0].onExitCodes`;
const succeedsWith = (...rules: object[]): Partial<JobSpec> =>
  ({ ...INDEXED, completions: 10, successPolicy: { rules } }) as Partial<JobSpec>;
const SUCCESSES = 'spec.successPolicy.rules';
const unread = (text: string, why: string) =>
  `${SUCCESSES}[0].succeededIndexes: Invalid value: ${JSON.stringify(text)}: error parsing succeededIndexes: ${why}`;
const MANY = { ...INDEXED, completions: 100_001, backoffLimitPerIndex: 1 };

/** The sentences are those of Kubernetes v1.33 (pkg/apis/batch/validation). */
const refusals: readonly [string, Partial<JobSpec>, string[]][] = [
  [
    'rules of a failure policy',
    {
      podFailurePolicy: { rules: list(21, () => ({ action: 'Count', onExitCodes: { operator: 'In', values: [1] } })) },
    },
    [`${FAILURES}: Too many: 21: must have at most 20 items`],
  ],
  [
    'patterns of conditions',
    {
      podFailurePolicy: {
        rules: [{ action: 'Count', onPodConditions: list(21, index => ({ type: `T${index}`, status: 'True' })) }],
      },
    },
    [`${FAILURES}[0].onPodConditions: Too many: 21: must have at most 20 items`],
  ],
  [
    'words of a failure policy that are missing',
    { podFailurePolicy: { rules: [{ action: '', onExitCodes: { operator: '', values: [1] } }] } },
    [
      `${FAILURES}[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`,
      `${CODES}.operator: Required value: valid values: ["In" "NotIn"]`,
    ],
  ],
  [
    'exit codes twice and out of order',
    failsOn({ operator: 'In', values: [13, 12, 13] }),
    [`${CODES}.values[2]: Duplicate value: 13`, `${CODES}.values: Invalid value: []int32{13, 12, 13}: must be ordered`],
  ],
  [
    'no exit code',
    failsOn({ operator: 'NotIn', values: [] }),
    [`${CODES}.values: Invalid value: []int32{}: at least one value is required`],
  ],
  [
    'more exit codes than there are',
    failsOn({ operator: 'NotIn', values: list(256, index => index) }),
    [`${CODES}.values: Too many: 256: must have at most 255 items`],
  ],
  [
    'a success policy without rules',
    succeedsWith(),
    [`${SUCCESSES}: Required value: at least one rules must be specified when the successPolicy is specified`],
  ],
  [
    'a rule of a success policy that asks for nothing',
    succeedsWith({}),
    [`${SUCCESSES}[0]: Required value: at least one of succeededCount or succeededIndexes must be specified`],
  ],
  [
    'indexes that are no numbers',
    succeedsWith({ succeededIndexes: 'one' }),
    [unread('one', 'cannot convert string to integer for index: "one"')],
  ],
  ['indexes that there are not', succeedsWith({ succeededIndexes: '1,10' }), [unread('1,10', 'too large index: "10"')]],
  [
    'indexes that do not grow',
    succeedsWith({ succeededIndexes: '1-3,3' }),
    [unread('1-3,3', 'non-increasing order, previous: 3, current: 3')],
  ],
  [
    'a run that does not grow',
    succeedsWith({ succeededIndexes: '3-3' }),
    [unread('3-3', 'non-increasing order, previous: 3, current: 3')],
  ],
  [
    'a run with three ends',
    succeedsWith({ succeededIndexes: '1-2-3' }),
    [
      unread(
        '1-2-3',
        'the fragment "1-2-3" violates the requirement that an index interval can have at most two parts separated by \'-\'',
      ),
    ],
  ],
  [
    'more successes than indexes',
    succeedsWith({ succeededIndexes: '1,4-6', succeededCount: 5 }, { succeededCount: 11 }),
    [
      `${SUCCESSES}[0].succeededCount: Invalid value: 5: must be less than or equal to 4 (the number of indexes in the specified succeededIndexes field)`,
      `${SUCCESSES}[1].succeededCount: Invalid value: 11: must be less than or equal to 10 (the number of specified completions)`,
    ],
  ],
  ['what is right', succeedsWith({ succeededIndexes: '0,2-4,9', succeededCount: 5 }), []],
  [
    'many indexes that may all fail',
    MANY,
    ['spec.maxFailedIndexes: Required value: must be specified when completions is above 100000'],
  ],
  [
    'many indexes of which too many run and fail',
    { ...MANY, parallelism: 10_001, maxFailedIndexes: 10_001 },
    [
      'spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index',
      'spec.maxFailedIndexes: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index',
    ],
  ],
  [
    'a manager without a domain',
    { managedBy: 'me' },
    ['spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")'],
  ],
  [
    'a manager with a long name',
    { managedBy: `example.com/${'m'.repeat(52)}` },
    ['spec.managedBy: Too long: may not be more than 63 bytes'],
  ],
];
for (const [name, spec, expected] of refusals) {
  test(`told apart: ${name}`, t => {
    // The template has no defaults here; what is wrong with it is told elsewhere.
    const errors = validateJob(job(spec)).filter(({ field }) => !field.startsWith('spec.template'));
    t.deepEqual(told(errors), expected);
  });
}

test('the conditions that a cron job’s failure policy asks for have to hold, unless it says otherwise', t => {
  const rules = [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: '' }] }];
  const object: CronJob = {
    metadata: { name: 'c', namespace: 'n' },
    spec: {
      schedule: '* * * * *',
      jobTemplate: {
        spec: {
          podFailurePolicy: { rules },
          template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'x' }] } },
        },
      },
    },
  };
  cronJob.defaults(object);
  t.is(object.spec?.jobTemplate.spec?.podFailurePolicy?.rules[0]?.onPodConditions?.[0]?.status, 'True');
  t.deepEqual(cronJob.validate(object), []);
});

test('the host names of an indexed job’s pods fit', t => {
  const name = 'j'.repeat(62);
  const errorsOf = (completions: number) =>
    validateJob({
      ...job({ completionMode: 'Indexed', completions }),
      metadata: { name, namespace: 'n', uid: 'u' },
    }).filter(({ field }) => field === 'metadata.name');
  t.deepEqual(
    errorsOf(11).map(({ message }) => message),
    [`Invalid value: "${name}": will not able to create pod with invalid DNS label: ${name}-10`],
  );
  t.deepEqual(errorsOf(0), []);
});
