import { status as grpc } from '@grpc/grpc-js';
import test from 'ava';
import type { PersistentVolume, PersistentVolumeClaim } from '../../api.ts';
import {
  type Expansion,
  failedPatch,
  finishedPatch,
  planExpansion,
  progressPatch,
  refusalOf,
} from './expansion-plan.ts';

type Status = NonNullable<PersistentVolumeClaim['status']>;
const claimOf = (status: Status): PersistentVolumeClaim => ({
  metadata: { name: 'c', uid: 'u', resourceVersion: '7' },
  status,
});
const volumeOf = (storage: string): PersistentVolume => ({ spec: { capacity: { storage } } });
const has = (storage: string) => ({ capacity: { storage } });
const state = (storage: string) => ({ allocatedResourceStatuses: { storage }, allocatedResources: { storage: '2Gi' } });

const cases: readonly (readonly [string, Status, string, string | undefined, Expansion['tells'] | undefined])[] = [
  ['as large as it is', has('1Gi'), '1Gi', '1Gi', undefined],
  ['in other words', has('1Gi'), '1024Mi', '1Gi', undefined],
  ['waits for the node', { ...has('1Gi'), ...state('NodeResizePending') }, '2Gi', '1Gi', 'all'],
  ['an agent died over it', { ...has('1Gi'), ...state('NodeResizeInProgress') }, '2Gi', undefined, 'all'],
  ['a controller that knows no states', has('1Gi'), '2Gi', undefined, 'end'],
  ['the controller is about it', { ...has('1Gi'), ...state('ControllerResizeInProgress') }, '2Gi', '1Gi', undefined],
  ['the controller cannot', { ...has('1Gi'), ...state('ControllerResizeInfeasible') }, '2Gi', '1Gi', undefined],
  ['the node cannot', { ...has('1Gi'), ...state('NodeResizeInfeasible') }, '2Gi', '1Gi', undefined],
  [
    'allocated, and not yet for the node',
    { ...has('1Gi'), allocatedResources: { storage: '2Gi' } },
    '2Gi',
    '1Gi',
    undefined,
  ],
  ['another node has told it', has('2Gi'), '2Gi', '1Gi', 'nothing'],
  ['another node has told it, and nobody knows what this one has', has('2Gi'), '2Gi', undefined, undefined],
];
for (const [title, status, size, known, tells] of cases)
  test(`a claim that grows: ${title}`, t => {
    t.deepEqual(planExpansion(claimOf(status), volumeOf(size), known), tells && { size, tells });
  });

test('what a refusal means', t => {
  t.is(refusalOf(grpc.FAILED_PRECONDITION), 'in use');
  for (const code of [grpc.INVALID_ARGUMENT, grpc.NOT_FOUND, grpc.OUT_OF_RANGE]) t.is(refusalOf(code), 'infeasible');
  for (const code of [grpc.UNAVAILABLE, grpc.DEADLINE_EXCEEDED, grpc.ABORTED, undefined])
    t.is(refusalOf(code), 'uncertain');
  t.is(refusalOf(grpc.INTERNAL), 'failed');
});

test('what the claim is told', t => {
  const kept = { type: 'Mine', status: 'True' };
  const pending = { type: 'FileSystemResizePending', status: 'True' };
  const claim = claimOf({ ...has('1Gi'), ...state('NodeResizePending'), conditions: [kept, pending] });
  const metadata = { uid: 'u', resourceVersion: '7' };
  t.deepEqual(progressPatch(claim), {
    metadata,
    status: { allocatedResourceStatuses: { storage: 'NodeResizeInProgress' } },
  });
  t.deepEqual(finishedPatch(claim, '2Gi'), {
    metadata,
    status: { capacity: { storage: '2Gi' }, allocatedResourceStatuses: null, conditions: [kept] },
  });
  const more = claimOf({ allocatedResourceStatuses: { storage: 'NodeResizePending', other: 'NodeResizePending' } });
  t.like(finishedPatch(more, '2Gi'), { status: { allocatedResourceStatuses: { storage: null } } });
  const failure = { message: 'no', isInfeasible: false, at: '2026-01-01T00:00:00Z' };
  const condition = { type: 'NodeResizeError', status: 'True', lastTransitionTime: failure.at, message: 'no' };
  t.deepEqual(failedPatch(claim, failure), { metadata, status: { conditions: [kept, pending, condition] } });
  const again = claimOf({ conditions: [condition] });
  t.deepEqual(failedPatch(again, { ...failure, message: 'still no', isInfeasible: true }), {
    metadata,
    status: { allocatedResourceStatuses: { storage: 'NodeResizeInfeasible' }, conditions: [condition] },
  });
});
