/**
 * What a node does about a claim whose volume somebody has enlarged, and what it tells of it in the claim's status (kubelet:
 * pkg/volume/util/operationexecutor/node_expander.go, pkg/volume/util/resize_util.go). Pure.
 */
import {
  compareStorage,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type PersistentVolumeClaimCondition,
  type Quantity,
} from '../../api.ts';
import { status as grpc } from '../../grpc/status.ts';

export interface Expansion {
  readonly size: Quantity;
  /**
   * How much of it the claim is told: all of it, where the controller that enlarged the volume follows it there; its end alone, for
   * an older controller; nothing, where another node has told the end already.
   */
  readonly tells: 'all' | 'end' | 'nothing';
}

/** `known`: the size that the volume has on this node as far as the agent knows; undefined if it cannot say. */
export function planExpansion(
  { status = {} }: PersistentVolumeClaim,
  { spec }: PersistentVolume,
  known: Quantity | undefined,
): Expansion | undefined {
  const size = spec?.capacity?.storage;
  if (size === undefined) return undefined;
  const state = status.allocatedResourceStatuses?.storage;
  if (state === 'NodeResizePending' || state === 'NodeResizeInProgress') return { size, tells: 'all' };
  // What the controller is about, or what cannot be had, is not begun here.
  if (state !== undefined) return undefined;
  if (compareStorage(size, status.capacity?.storage) > 0)
    return status.allocatedResources === undefined ? { size, tells: 'end' } : undefined;
  return known !== undefined && compareStorage(size, known) > 0 ? { size, tells: 'nothing' } : undefined;
}

/** What a driver's refusal means. */
export type Refusal =
  /** It cannot be done while the volume is used: not again before that ends. */
  | 'in use'
  /** It can never be done. */
  | 'infeasible'
  /** It may be done later. */
  | 'failed'
  /** Nobody knows whether it is still under way. */
  | 'uncertain';

const INFEASIBLE: readonly number[] = [grpc.INVALID_ARGUMENT, grpc.NOT_FOUND, grpc.OUT_OF_RANGE];
const UNCERTAIN: readonly number[] = [
  grpc.CANCELLED,
  grpc.DEADLINE_EXCEEDED,
  grpc.UNAVAILABLE,
  grpc.RESOURCE_EXHAUSTED,
  grpc.ABORTED,
];

/** By gRPC's code; undefined is a failure that the driver did not tell. */
export function refusalOf(grpcCode: number | undefined): Refusal {
  if (grpcCode === undefined || UNCERTAIN.includes(grpcCode)) return 'uncertain';
  if (grpcCode === grpc.FAILED_PRECONDITION) return 'in use';
  return INFEASIBLE.includes(grpcCode) ? 'infeasible' : 'failed';
}

/** A JSON merge patch of a claim's status; it holds for the claim as it was read. */
export type ClaimPatch = Readonly<Record<string, unknown>>;

export const progressPatch = (claim: PersistentVolumeClaim): ClaimPatch =>
  patchOf(claim, { allocatedResourceStatuses: { storage: 'NodeResizeInProgress' } });

export function finishedPatch(claim: PersistentVolumeClaim, size: Quantity): ClaimPatch {
  const { allocatedResourceStatuses = {}, conditions = [] } = claim.status ?? {};
  const others = Object.keys(allocatedResourceStatuses).filter(name => name !== 'storage');
  return patchOf(claim, {
    capacity: { storage: size },
    allocatedResourceStatuses: others.length > 0 ? { storage: null } : null,
    conditions: conditions.filter(({ type }) => !RESIZE_CONDITIONS.has(type)),
  });
}

/** `at`: the time as the API writes it. */
export function failedPatch(
  claim: PersistentVolumeClaim,
  { message, isInfeasible, at }: { readonly message: string; readonly isInfeasible: boolean; readonly at: string },
): ClaimPatch {
  const before = claim.status?.conditions ?? [];
  const hasTold = before.some(({ type, status }) => type === NODE_RESIZE_ERROR && status === 'True');
  const condition = { type: NODE_RESIZE_ERROR, status: 'True', lastTransitionTime: at, message };
  const conditions = hasTold ? before : [...before.filter(({ type }) => type !== NODE_RESIZE_ERROR), condition];
  return patchOf(claim, {
    ...(isInfeasible && { allocatedResourceStatuses: { storage: 'NodeResizeInfeasible' } }),
    conditions,
  });
}

const NODE_RESIZE_ERROR = 'NodeResizeError';
const RESIZE_CONDITIONS: ReadonlySet<PersistentVolumeClaimCondition['type']> = new Set([
  'FileSystemResizePending',
  'Resizing',
  'ControllerResizeError',
  NODE_RESIZE_ERROR,
]);

function patchOf({ metadata }: PersistentVolumeClaim, status: object): ClaimPatch {
  const { uid, resourceVersion } = metadata ?? {};
  return { metadata: { uid, resourceVersion }, status };
}
