import test from 'ava';
import type { Job, JobSpec, JobStatus } from '../generated/types.ts';
import { checkIndexes, overlapOf } from './job-indexes.ts';
import { validateJobStatus } from './job-status.ts';

const START = '2026-01-01T00:00:00Z';
const END = '2026-01-01T00:01:00Z';
const conditions = (...types: string[]) => ({ conditions: types.map(type => ({ type, status: 'True' })) });
const DONE: JobStatus = {
  startTime: START,
  completionTime: END,
  succeeded: 1,
  ...conditions('SuccessCriteriaMet', 'Complete'),
};
const INDEXED: Partial<JobSpec> = { completionMode: 'Indexed', completions: 5, backoffLimitPerIndex: 1 };
const jobOf = (status: JobStatus, spec: Partial<JobSpec>): Job => ({
  spec: { template: {}, completionMode: 'NonIndexed', completions: 1, parallelism: 1, ...spec },
  status,
});

const CASES: readonly (readonly [
  what: string,
  before: JobStatus,
  now: JobStatus,
  errors: readonly string[],
  spec?: Partial<JobSpec>,
])[] = [
  ['a job that starts', {}, { startTime: START, active: 1, ready: 0 }, []],
  ['a job that ends well', { startTime: START, active: 0, ...conditions('SuccessCriteriaMet') }, DONE, []],
  ['a job that fails', { startTime: START }, { startTime: START, ...conditions('FailureTarget', 'Failed') }, []],
  [
    'no number is below zero',
    {},
    { active: -1 },
    ['status.active: Invalid value: -1: must be greater than or equal to 0'],
  ],
  [
    'a pod waits to be counted once',
    {},
    { uncountedTerminatedPods: { succeeded: ['a', ''], failed: ['a'] } },
    [
      'status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty',
      'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
    ],
  ],
  [
    'an end that nobody announced, without times',
    {},
    conditions('Complete'),
    [
      'status.completionTime: Required value: completionTime is required for Complete jobs',
      'status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition',
      'status.startTime: Required value: startTime is required for finished job',
    ],
  ],
  [
    'a failure that nobody announced',
    { startTime: START },
    { startTime: START, ...conditions('Failed') },
    ['status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition'],
  ],
  [
    'a time of the end without an end',
    { startTime: START },
    { startTime: START, completionTime: END },
    [
      `status.completionTime: Invalid value: "${END}": cannot set completionTime when there is no Complete=True condition`,
    ],
  ],
  [
    'an end before the start',
    { startTime: END },
    { ...DONE, startTime: END, completionTime: START },
    [`status.completionTime: Invalid value: "${START}": completionTime cannot be set before startTime`],
  ],
  [
    'pods under way at the end',
    { startTime: START },
    { ...DONE, active: 1, ready: 2, terminating: 1, uncountedTerminatedPods: { failed: ['a'] } },
    [
      'status.active: Invalid value: 1: active>0 is invalid for finished job',
      'status.uncountedTerminatedPods: Invalid value: {"failed":["a"]}: uncountedTerminatedPods needs to be empty for finished job',
      'status.terminating: Invalid value: 1: terminating>0 is invalid for finished job',
      'status.ready: Invalid value: 2: cannot set more ready pods than active',
    ],
  ],
  [
    'an end taken back',
    DONE,
    { startTime: START, succeeded: 0 },
    [
      'status.conditions: Invalid value: cannot disable the terminal Complete=True condition',
      'status.succeeded: Invalid value: 0: cannot decrease the succeeded counter',
      'status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition',
    ],
  ],
  [
    'a start that moves',
    { startTime: START },
    { startTime: END },
    ['status.startTime: Required value: startTime cannot be removed for unsuspended job'],
  ],
  ['the start of a suspended job goes', { startTime: START }, {}, [], { suspend: true }],
  [
    'an end that moves',
    DONE,
    { ...DONE, completionTime: START },
    [`status.completionTime: Invalid value: "${START}": completionTime cannot be mutated`],
  ],
  ['an indexed job that was made smaller', { succeeded: 4 }, { succeeded: 3 }, [], { ...INDEXED, parallelism: 5 }],
  [
    'indexes of a job that has none',
    {},
    { completedIndexes: '0', failedIndexes: '0' },
    [
      'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode',
      'status.failedIndexes: Invalid value: "0": cannot set non-null failedIndexes when backoffLimitPerIndex is null',
      'status.failedIndexes: Invalid value: "0": failedIndexes and completedIndexes overlap at index: 0',
    ],
  ],
  [
    'indexes that are none, and that overlap',
    {},
    { completedIndexes: '1-x', failedIndexes: '2,1' },
    [
      'status.completedIndexes: Invalid value: "1-x": error parsing completedIndexes: cannot convert string to integer for index: "x"',
      'status.failedIndexes: Invalid value: "2,1": error parsing failedIndexes: non-increasing order, previous: 2, current: 1',
    ],
    INDEXED,
  ],
  [
    'success and failure at once',
    { startTime: START },
    { startTime: START, ...conditions('SuccessCriteriaMet', 'FailureTarget') },
    ['status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions'],
  ],
  ['what was wrong before holds nobody up', { active: 1, ready: 3 }, { active: 1, ready: 3, failed: 1 }, []],
];
for (const [what, before, now, errors, spec = {}] of CASES) {
  test(`the status of a job: ${what}`, t => {
    const found = validateJobStatus(jobOf(now, spec), jobOf(before, spec));
    t.deepEqual(
      found.map(({ field, message }) => `${field}: ${message}`),
      errors,
    );
  });
}

test('indexes in short form', t => {
  t.deepEqual(checkIndexes('', 3), { count: 0 });
  t.deepEqual(checkIndexes('0-2,4', 5), { count: 4 });
  for (const [text, why] of [
    [
      '1-2-3',
      `the fragment "1-2-3" violates the requirement that an index interval can have at most two parts separated by '-'`,
    ],
    ['a', 'cannot convert string to integer for index: "a"'],
    ['0-', 'cannot convert string to integer for index: ""'],
    ['5', 'too large index: "5"'],
    ['0-99999999999', 'too large index: "99999999999"'],
    ['2-2', 'non-increasing order, previous: 2, current: 2'],
    ['0-2,2', 'non-increasing order, previous: 2, current: 2'],
  ] as const) {
    t.deepEqual(checkIndexes(text, 5), { count: 0, why });
  }
  t.is(overlapOf('0-2,7', '3-4,6-8', 9), 7);
  t.is(overlapOf('0,2,4', '1,3,5', 9), undefined);
  t.is(overlapOf('x,2', '2', 9), 2);
});
