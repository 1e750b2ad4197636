/** What failed pods mean by a failure policy, and succeeded indexes by a success policy. */
import test from 'ava';
import fc from 'fast-check';
import type { ContainerStatus, Job, Pod, PodFailurePolicyRule, SuccessPolicyRule } from '../api/generated/types.ts';
import { parseIndexes } from './job-indexes.ts';
import { judgeFailure, matchSuccessPolicy } from './job-policy.ts';

const ended = (name: string, exitCode: number): ContainerStatus =>
  ({ name, state: { terminated: { exitCode } } }) as ContainerStatus;
const RUNS = { name: 'runs', state: { running: {} } } as ContainerStatus;
const failed = (containers: readonly ContainerStatus[], status: Pod['status'] = {}): Pod => ({
  metadata: { namespace: 'n', name: 'p' },
  status: { phase: 'Failed', containerStatuses: [...containers], ...status },
});
const disrupted = (status: string) => failed([], { conditions: [{ type: 'DisruptionTarget', status }] });
const onCodes = (action: string, values: number[], more: object = {}): PodFailurePolicyRule =>
  ({ action, onExitCodes: { operator: 'In', values, ...more } }) as PodFailurePolicyRule;
const onDisruption = (action: string, status?: string): PodFailurePolicyRule =>
  ({ action, onPodConditions: [{ type: 'DisruptionTarget', ...(status && { status }) }] }) as PodFailurePolicyRule;
const NOT_IN = { operator: 'NotIn' };

const FAILURES: readonly (readonly [string, readonly PodFailurePolicyRule[], Pod, string])[] = [
  ['no rules', [], failed([ended('c', 2)]), 'Count'],
  ['a code that is ignored', [onCodes('Ignore', [1, 2])], failed([ended('c', 2)]), 'Ignore'],
  ['a negative code', [onCodes('Ignore', [-1073741510])], failed([ended('c', -1073741510)]), 'Ignore'],
  ['a code that fails its index', [onCodes('FailIndex', [2])], failed([ended('c', 2)]), 'FailIndex'],
  [
    'a code that fails the Job',
    [onCodes('FailJob', [2])],
    failed([ended('c', 2)]),
    'FailJob: Container c for pod n/p failed with exit code 2 matching FailJob rule at index 0',
  ],
  [
    'the first rule that matches',
    [onCodes('Count', [1, 2, 3]), onCodes('FailJob', [2, 6])],
    failed([ended('c', 2)]),
    'Count',
  ],
  [
    'the number of a later rule',
    [onCodes('Count', [1, 2, 3]), onCodes('FailJob', [2, 6])],
    failed([ended('c', 6)]),
    'FailJob: Container c for pod n/p failed with exit code 6 matching FailJob rule at index 1',
  ],
  ['a container that did well', [onCodes('FailJob', [111], NOT_IN)], failed([ended('c', 111), ended('d', 0)]), 'Count'],
  [
    'any code but 0',
    [onCodes('FailJob', [0], NOT_IN)],
    failed([ended('d', 0), ended('c', 1)]),
    'FailJob: Container c for pod n/p failed with exit code 1 matching FailJob rule at index 0',
  ],
  ['another container', [onCodes('Ignore', [2], { containerName: 'd' })], failed([ended('c', 2)]), 'Count'],
  ['one that has not ended', [onCodes('Ignore', [2])], failed([RUNS, ended('c', 2)]), 'Ignore'],
  [
    'an init container',
    [onCodes('FailJob', [2])],
    failed([], { initContainerStatuses: [ended('i', 2)] }),
    'FailJob: Container i for pod n/p failed with exit code 2 matching FailJob rule at index 0',
  ],
  ['a condition', [onDisruption('Ignore')], disrupted('True'), 'Ignore'],
  ['a condition that is not so', [onDisruption('Ignore')], disrupted('False'), 'Count'],
  ['a condition that is not so, which is asked for', [onDisruption('Ignore', 'False')], disrupted('False'), 'Ignore'],
  ['a condition that is so, which is not asked for', [onDisruption('Ignore', 'False')], disrupted('True'), 'Count'],
  ['nobody knows of the condition', [onDisruption('Ignore', 'Unknown')], disrupted('Unknown'), 'Ignore'],
  [
    'a condition that fails the Job',
    [onDisruption('FailJob')],
    disrupted('True'),
    'FailJob: Pod n/p has condition DisruptionTarget matching FailJob rule at index 0',
  ],
  // What a later version allows, and this one does not know.
  ['an unknown action', [onCodes('Later', [2]), onCodes('Ignore', [2])], failed([ended('c', 2)]), 'Ignore'],
  ['an unknown action on a condition', [onDisruption('Later'), onDisruption('Ignore')], disrupted('True'), 'Ignore'],
  ['an unknown operator', [onCodes('Ignore', [7], { operator: 'Later' })], failed([ended('c', 2)]), 'Count'],
];
for (const [title, rules, pod, expected] of FAILURES) {
  test(`failure policy: ${title}`, t => {
    const job: Job = { spec: { podFailurePolicy: { rules: [...rules] }, template: {} } };
    const verdict = judgeFailure(job, pod);
    t.is(verdict.action === 'FailJob' ? `FailJob: ${verdict.message}` : verdict.action, expected);
    t.is(verdict.counts, verdict.action !== 'Ignore');
  });
}

const SUCCESSES: readonly (readonly [string, readonly SuccessPolicyRule[], string, number | undefined])[] = [
  ['no rules', [], '0', undefined],
  ['all that are named', [{ succeededIndexes: '0-2' }], '0-2,4-7', 0],
  ['others than those named', [{ succeededIndexes: '3' }], '0-2', undefined],
  ['as many as are asked for', [{ succeededCount: 2 }], '0-2', 0],
  ['fewer than are asked for', [{ succeededCount: 4 }], '0-2', undefined],
  ['the second of two rules', [{ succeededIndexes: '9' }, { succeededIndexes: '4,6' }], '0-2,4-7', 1],
  ['both of two rules', [{ succeededIndexes: '0,1' }, { succeededIndexes: '5' }], '0-2,4-7', 0],
  ['as many of those named', [{ succeededIndexes: '3-6', succeededCount: 2 }], '0-2,4-7', 0],
  ['fewer of those named', [{ succeededIndexes: '3-6', succeededCount: 2 }], '0-2,6,7', undefined],
  ['one short at the begin of each run', [{ succeededIndexes: '1-3,5-7' }], '2-4,6-8', undefined],
  ['one short at the end of each run', [{ succeededIndexes: '2-4,6-9' }], '1-3,5-7', undefined],
  ['indexes beyond the end are not waited for', [{ succeededIndexes: '2-4,8-12' }], '2-5,7-9', 0],
  ['none is named', [{ succeededIndexes: '' }], '1-3', undefined],
  ['only such beyond the end are named', [{ succeededIndexes: '10-12' }], '1-3', undefined],
  ['not to be read', [{ succeededIndexes: 'all' }], '0', undefined],
  ['nothing succeeded', [{ succeededIndexes: '0-3', succeededCount: 0 }], '', undefined],
];
for (const [title, rules, succeeded, expected] of SUCCESSES) {
  test(`success policy: ${title}`, t => {
    const job: Job = { spec: { completions: 10, successPolicy: { rules: [...rules] }, template: {} } };
    const message = expected === undefined ? undefined : `Matched rules at index ${expected}`;
    t.is(matchSuccessPolicy(job, parseIndexes(succeeded)), message);
  });
}

test('a success policy, once met, stays met by more', t => {
  const index = fc.integer({ min: 0, max: 9 });
  const rule = fc.record(
    { succeededIndexes: fc.array(index).map(each => each.join()), succeededCount: fc.integer({ min: 1, max: 10 }) },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.array(rule, { minLength: 1, maxLength: 3 }), fc.array(index), index, (rules, some, more) => {
      const job: Job = { spec: { completions: 10, successPolicy: { rules }, template: {} } };
      if (matchSuccessPolicy(job, new Set(some)) === undefined) return;
      t.not(matchSuccessPolicy(job, new Set([...some, more])), undefined);
    }),
  );
});
