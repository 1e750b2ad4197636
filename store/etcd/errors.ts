/**
 * What etcd's clients hear when something fails: the status codes and the very texts of etcd, because its clients look the
 * text up to know what happened (etcd: api/v3rpc/rpctypes/error.go). What etcd has no words for says `raftsman:`.
 */
import {
  AuthRefusedError,
  CompactedError,
  FutureRevisionError,
  InvalidRequestError,
  KeyNotFoundError,
  LeaseExistsError,
  LeaseNotFoundError,
  MembershipRefusedError,
  NoSpaceError,
  QuotaExceededError,
  TransferFailedError,
  UnavailableError,
  UnknownOutcomeError,
} from '../client/client.ts';
import type { AuthReason } from '../mvcc/auth.ts';
import { callError, GrpcError, STATUS } from './grpc/status.ts';

const words = {
  emptyKey: [STATUS.invalidArgument, 'key is not provided'],
  keyNotFound: [STATUS.invalidArgument, 'key not found'],
  valueProvided: [STATUS.invalidArgument, 'value is provided'],
  leaseProvided: [STATUS.invalidArgument, 'lease is provided'],
  tooManyOperations: [STATUS.invalidArgument, 'too many operations in txn request'],
  duplicateKey: [STATUS.invalidArgument, 'duplicate key given in txn request'],
  sortOption: [STATUS.invalidArgument, 'invalid sort option'],
  requestTooLarge: [STATUS.invalidArgument, 'request is too large'],
  compacted: [STATUS.outOfRange, 'mvcc: required revision has been compacted'],
  futureRevision: [STATUS.outOfRange, 'mvcc: required revision is a future revision'],
  noSpace: [STATUS.resourceExhausted, 'mvcc: database space exceeded'],
  leaseNotFound: [STATUS.notFound, 'requested lease not found'],
  leaseExists: [STATUS.failedPrecondition, 'lease already exists'],
  leaseTtlTooLarge: [STATUS.outOfRange, 'too large lease TTL'],
  memberUrls: [STATUS.invalidArgument, 'given member URLs are invalid'],
  peerUrlExists: [STATUS.failedPrecondition, 'Peer URLs already exists'],
  memberNotFound: [STATUS.notFound, 'member not found'],
  memberNotLearner: [STATUS.failedPrecondition, 'can only promote a learner member'],
  learnerNotReady: [STATUS.failedPrecondition, 'can only promote a learner member which is in sync with leader'],
  notEnoughStarted: [STATUS.failedPrecondition, 're-configuration failed due to not enough started members'],
  tooManyRequests: [STATUS.resourceExhausted, 'too many requests'],
  noLeader: [STATUS.unavailable, 'no leader'],
  notLeader: [STATUS.failedPrecondition, 'not leader'],
  transferee: [STATUS.failedPrecondition, 'bad leader transferee'],
  transferTimeout: [STATUS.unavailable, 'request timed out, leader transfer took too long'],
  timeout: [STATUS.unavailable, 'request timed out'],
  userEmpty: [STATUS.invalidArgument, 'user name is empty'],
  userExists: [STATUS.failedPrecondition, 'user name already exists'],
  userNotFound: [STATUS.failedPrecondition, 'user name not found'],
  roleEmpty: [STATUS.invalidArgument, 'role name is empty'],
  roleExists: [STATUS.failedPrecondition, 'role name already exists'],
  roleNotFound: [STATUS.failedPrecondition, 'role name not found'],
  roleNotGranted: [STATUS.failedPrecondition, 'role is not granted to the user'],
  permissionNotGranted: [STATUS.failedPrecondition, 'permission is not granted to the role'],
  permissionNotGiven: [STATUS.invalidArgument, 'permission not given'],
  rootUserMissing: [STATUS.failedPrecondition, 'root user does not exist'],
  rootRoleMissing: [STATUS.failedPrecondition, 'root user does not have root role'],
  authFailed: [STATUS.invalidArgument, 'authentication failed, invalid user ID or password'],
  noPasswordUser: [STATUS.invalidArgument, 'authentication failed, password was given for no password user'],
  authOldRevision: [STATUS.invalidArgument, 'revision of auth store is old'],
  authNotEnabled: [STATUS.failedPrecondition, 'authentication is not enabled'],
  invalidToken: [STATUS.unauthenticated, 'invalid auth token'],
  permissionDenied: [STATUS.permissionDenied, 'permission denied'],
  authManagement: [STATUS.invalidArgument, 'invalid auth management'],
} as const satisfies Readonly<Record<string, readonly [status: number, text: string]>>;

export type EtcdErrorName = keyof typeof words;

/** An error in etcd's words. @param reason what more there is to say; clients then no longer recognise the text */
export function etcdError(name: EtcdErrorName, reason?: string, options?: ErrorOptions): GrpcError {
  const [status, text] = words[name];
  return new GrpcError(status, `etcdserver: ${text}${reason === undefined ? '' : ` (raftsman: ${reason})`}`, options);
}

const AUTH_WORDS: Readonly<Record<Exclude<AuthReason, 'tooMany'>, EtcdErrorName>> = {
  changed: 'authOldRevision',
  denied: 'permissionDenied',
  userEmpty: 'userEmpty',
  userExists: 'userExists',
  userNotFound: 'userNotFound',
  roleEmpty: 'roleEmpty',
  roleExists: 'roleExists',
  roleNotFound: 'roleNotFound',
  roleNotGranted: 'roleNotGranted',
  permissionNotGranted: 'permissionNotGranted',
  rootUserMissing: 'rootUserMissing',
  rootRoleMissing: 'rootRoleMissing',
  management: 'authManagement',
};

/** What users, roles and permissions do not let happen, in etcd's words. */
export function authError(reason: AuthReason, options?: ErrorOptions): GrpcError {
  if (reason === 'tooMany') {
    return new GrpcError(STATUS.resourceExhausted, 'raftsman: there are as many of them as there may be', options);
  }
  return etcdError(AUTH_WORDS[reason], undefined, options);
}

/** What a client sees of whatever was thrown. `hasLeader` tells why a store may be unavailable. */
export function toStatus(error: unknown, hasLeader: () => boolean): GrpcError {
  const known = callError(error) ?? storeError(error, hasLeader);
  if (known !== undefined) return known;
  const message = error instanceof Error ? error.message : String(error);
  return new GrpcError(STATUS.unknown, `raftsman: ${message}`, { cause: error });
}

function storeError(error: unknown, hasLeader: () => boolean): GrpcError | undefined {
  const cause = { cause: error };
  if (error instanceof AuthRefusedError) return authError(error.reason, cause);
  if (error instanceof CompactedError) return etcdError('compacted', undefined, cause);
  if (error instanceof FutureRevisionError) return etcdError('futureRevision', undefined, cause);
  if (error instanceof LeaseNotFoundError) return etcdError('leaseNotFound', undefined, cause);
  if (error instanceof LeaseExistsError) return etcdError('leaseExists', undefined, cause);
  if (error instanceof KeyNotFoundError) return etcdError('keyNotFound', undefined, cause);
  if (error instanceof QuotaExceededError || error instanceof NoSpaceError) {
    return etcdError('noSpace', undefined, cause);
  }
  // Whether it was done is unknown: etcd says the same of a request that timed out.
  if (error instanceof UnknownOutcomeError) return etcdError('timeout', undefined, cause);
  if (error instanceof UnavailableError) {
    if (!hasLeader()) return etcdError('noLeader', undefined, cause);
    return new GrpcError(STATUS.unavailable, `raftsman: ${error.message}`, cause);
  }
  if (error instanceof InvalidRequestError) return ours(STATUS.invalidArgument, error);
  if (error instanceof MembershipRefusedError) return ours(STATUS.failedPrecondition, error);
  if (error instanceof TransferFailedError) return etcdError('transferTimeout', error.message, cause);
  return undefined;
}

function ours(status: number, error: Error): GrpcError {
  return new GrpcError(status, `raftsman: ${error.message}`, { cause: error });
}
