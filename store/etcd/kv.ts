/** etcd's KV service. */
import type { Branches, Compare, Operation, OperationResult } from '../client/client.ts';
import { overlapProblem } from '../mvcc/overlap.ts';
import { type EtcdContext, kvOf, leaseId } from './context.ts';
import { etcdError } from './errors.ts';
import type { CallContext } from './grpc/call.ts';
import { type Route, unary } from './grpc/routes.ts';
import { GrpcError, STATUS } from './grpc/status.ts';
import { keyOf, rangeOf } from './keys.ts';
import { deleteNeeds, putNeeds, transactionNeeds } from './needs.ts';
import * as proto from './proto/kv.ts';
import type { Init, Read } from './proto/message.ts';
import { KV } from './proto/services.ts';
import { planRange } from './ranges.ts';

export function kvRoutes(context: EtcdContext): Route[] {
  const { access, limits } = context;
  const admit = (call: CallContext) => {
    if (call.requestBytes > limits.requestBytesMax) throw etcdError('requestTooLarge');
    context.requireLeader(call);
  };
  return [
    unary(KV.range, async (request, call) => {
      const plan = planRange(request);
      if (!request.serializable) context.requireLeader(call);
      const result = await access.read(call, plan.request);
      return { header: context.header(), ...plan.answer(result) };
    }),
    unary(KV.put, async (request, call) => {
      admit(call);
      const branches: Branches = { then: [putOf(request)] };
      const { revision, results } = await access.perform(
        call,
        () => putNeeds(request),
        client => client.transaction(branches),
      );
      return { header: context.header(revision), ...putAnswer(request, results[0]) };
    }),
    unary(KV.deleteRange, async (request, call) => {
      admit(call);
      const branches: Branches = { then: [deleteOf(request)] };
      const { revision, results } = await access.perform(
        call,
        () => deleteNeeds(request),
        client => client.transaction(branches),
      );
      return { header: context.header(revision), ...deleteAnswer(request, results[0]) };
    }),
    unary(KV.txn, async (request, call) => {
      admit(call);
      const plan = planTransaction(request, limits.transactionOperationsMax);
      if (overlaps(plan.branches)) throw etcdError('duplicateKey');
      const result = await access.perform(
        call,
        () => transactionNeeds(request),
        client => client.transaction(plan.branches),
      );
      return { header: context.header(result.revision), ...plan.answer(result, result.revision) };
    }),
    unary(KV.compact, async (request, call) => {
      admit(call);
      // To compact to the same revision again is an error in etcd.
      const { compactedRevision } = context.state;
      if (request.revision <= compactedRevision && compactedRevision > 0) throw etcdError('compacted');
      // As in etcd, anybody may.
      await access.perform(
        call,
        () => 'nothing',
        client => client.compact(Math.max(0, request.revision)),
      );
      return { header: context.header() };
    }),
  ];
}

type PutRequest = Read<typeof proto.PutRequest>;
type DeleteRequest = Read<typeof proto.DeleteRangeRequest>;

function putOf(request: PutRequest): Operation {
  const key = keyOf(request.key);
  if (request.ignoreValue && request.value.length > 0) throw etcdError('valueProvided');
  if (request.ignoreLease && request.lease !== 0) throw etcdError('leaseProvided');
  const put = { type: 'put', key, value: request.value, lease: leaseId(request.lease) } as const;
  if (!request.ignoreValue && !request.ignoreLease) return put;
  return { ...put, keepValue: request.ignoreValue, keepLease: request.ignoreLease };
}

function putAnswer(request: PutRequest, result: OperationResult | undefined): Init<typeof proto.PutResponse> {
  const previous = request.prevKv && result?.type === 'put' ? result.previous : undefined;
  return previous === undefined ? {} : { prevKv: kvOf(previous) };
}

function deleteOf(request: DeleteRequest): Operation {
  return { type: 'delete', ...rangeOf(request.key, request.rangeEnd) };
}

function deleteAnswer(request: DeleteRequest, result: OperationResult | undefined) {
  const deleted = result?.type === 'delete' ? result.deleted : [];
  return { deleted: deleted.length, prevKvs: request.prevKv ? deleted.map(kvOf) : [] };
}

interface PlannedTransaction {
  readonly branches: Branches;
  readonly answer: (
    result: { readonly succeeded: boolean; readonly results: readonly OperationResult[] },
    revision: number,
  ) => proto.TxnResponseInit;
}

interface PlannedOperation {
  readonly operation: Operation;
  readonly answer: (result: OperationResult, revision: number) => proto.ResponseOpInit;
}

function planTransaction(request: proto.TxnRequest, operationsMax: number): PlannedTransaction {
  const counts = [request.compare.length, request.success.length, request.failure.length];
  if (Math.max(...counts) > operationsMax) throw etcdError('tooManyOperations');
  const success = request.success.map(one => planOperation(one, operationsMax));
  const failure = request.failure.map(one => planOperation(one, operationsMax));
  return {
    branches: {
      compare: request.compare.map(compareOf),
      then: success.map(({ operation }) => operation),
      otherwise: failure.map(({ operation }) => operation),
    },
    answer: ({ succeeded, results }, revision) => {
      const planned = succeeded ? success : failure;
      const responses = planned.map(({ answer }, at): proto.ResponseOpInit => {
        const result = results[at];
        return result === undefined ? {} : answer(result, revision);
      });
      return { succeeded, responses };
    },
  };
}

function planOperation(request: proto.RequestOp, operationsMax: number): PlannedOperation {
  const { requestRange, requestPut, requestDeleteRange, requestTxn } = request;
  if (requestRange !== undefined) return planRangeOperation(requestRange);
  if (requestPut !== undefined) {
    return {
      operation: putOf(requestPut),
      answer: (result, revision) => ({ responsePut: { header: { revision }, ...putAnswer(requestPut, result) } }),
    };
  }
  if (requestDeleteRange !== undefined) {
    return {
      operation: deleteOf(requestDeleteRange),
      answer: (result, revision) => ({
        responseDeleteRange: { header: { revision }, ...deleteAnswer(requestDeleteRange, result) },
      }),
    };
  }
  if (requestTxn !== undefined) {
    const { branches, answer } = planTransaction(requestTxn, operationsMax);
    return {
      operation: { type: 'transaction', ...branches },
      answer: (result, revision) =>
        result.type === 'transaction' ? { responseTxn: { header: { revision }, ...answer(result, revision) } } : {},
    };
  }
  // etcd has no words for an operation that is none, and says that its key is missing.
  throw etcdError('emptyKey');
}

function planRangeOperation(request: Read<typeof proto.RangeRequest>): PlannedOperation {
  const plan = planRange(request);
  return {
    operation: { type: 'range', range: plan.request },
    answer: result => {
      if (result.type !== 'range') return {};
      return { responseRange: { header: { revision: result.result.revision }, ...plan.answer(result.result) } };
    },
  };
}

function overlaps({ then, otherwise = [] }: Branches): boolean {
  return overlapProblem(then) !== undefined || overlapProblem(otherwise) !== undefined;
}

const COMPARISONS = {
  [proto.COMPARE_EQUAL]: '=',
  [proto.COMPARE_GREATER]: '>',
  [proto.COMPARE_LESS]: '<',
  [proto.COMPARE_NOT_EQUAL]: '!=',
} as const;

function compareOf(request: Read<typeof proto.Compare>): Compare {
  const range = rangeOf(request.key, request.rangeEnd);
  const op = (COMPARISONS as Readonly<Record<number, Compare['op']>>)[request.result];
  if (op === undefined)
    throw new GrpcError(STATUS.invalidArgument, `raftsman: there is no comparison ${request.result}`);
  switch (request.target) {
    case proto.COMPARE_VERSION:
      return counted(range, 'version', op, request.version);
    case proto.COMPARE_CREATE:
      return counted(range, 'createRevision', op, request.createRevision);
    case proto.COMPARE_MOD:
      return counted(range, 'modRevision', op, request.modRevision);
    case proto.COMPARE_LEASE:
      return counted(range, 'lease', op, request.lease);
    case proto.COMPARE_VALUE:
      return { ...range, target: 'value', op, value: request.value ?? NO_VALUE };
    default:
      throw new GrpcError(STATUS.invalidArgument, `raftsman: there is nothing to compare called ${request.target}`);
  }
}

const NO_VALUE = new Uint8Array(0);

function counted(
  range: ReturnType<typeof rangeOf>,
  target: Exclude<Compare['target'], 'value'>,
  op: Compare['op'],
  value = 0,
): Compare {
  if (value >= 0 && Number.isSafeInteger(value)) return { ...range, target, op, value };
  // Everything stored is a count, so what lies beyond them compares as what is just outside.
  const isBelow = value < 0;
  const always = isBelow ? op === '>' || op === '!=' : op === '<' || op === '!=';
  return { ...range, target, op: always ? '!=' : '=', value: Number.MAX_SAFE_INTEGER };
}
