/** etcd's Lock and Election services, for clients that do not want to do it themselves with transactions and watches. */
import { CompactedError, WatchLostError } from '../client/client.ts';
import { keyBytes, prefixEnd } from '../mvcc/keys.ts';
import { readOf, writeOf } from './access.ts';
import { type EtcdContext, kvOf, leaseId } from './context.ts';
import { authError, etcdError } from './errors.ts';
import type { CallContext } from './grpc/call.ts';
import { type Route, type StreamingCall, streaming, unary } from './grpc/routes.ts';
import { GrpcError, STATUS } from './grpc/status.ts';
import { keyOf } from './keys.ts';
import type { LeaderKey, LeaderRequest, LeaderResponse } from './proto/concurrency.ts';
import type { Init, Read } from './proto/message.ts';
import { Election, Lock } from './proto/services.ts';
import { awaitTurn, firstInLine, leavePlace, linePrefix, type Place, setValue, takePlace } from './queue.ts';

const NO_BYTES = new Uint8Array(0);

export function concurrencyRoutes(context: EtcdContext): Route[] {
  const { access } = context;
  return [
    unary(Lock.lock, async (request, call) => {
      const { key } = await waitInLine(context, call, { ...request, value: NO_BYTES });
      return { header: context.header(), key: keyBytes(key) };
    }),
    unary(Lock.unlock, async (request, call) => {
      const key = keyOf(request.key);
      await access.perform(
        call,
        () => [writeOf({ key })],
        client => client.delete(key),
      );
      return { header: context.header() };
    }),
    unary(Election.campaign, async (request, call) => {
      const { key, revision } = await waitInLine(context, call, request);
      const leader = { name: request.name, key: keyBytes(key), rev: revision, lease: request.lease };
      return { header: context.header(), leader };
    }),
    unary(Election.proclaim, async (request, call) => {
      const place = placeOf(request.leader);
      const isLeader = await access.perform(
        call,
        () => bothOf(place),
        client => setValue(client, place, request.value),
      );
      if (!isLeader) throw notLeader();
      return { header: context.header() };
    }),
    unary(Election.leader, async (request, call) => {
      const { first } = await firstAsSeenBy(context, call, keyOf(request.name));
      if (first === undefined) throw new GrpcError(STATUS.unknown, 'election: no leader');
      return { header: context.header(), kv: kvOf(first) };
    }),
    unary(Election.resign, async (request, call) => {
      const place = placeOf(request.leader);
      await access.perform(
        call,
        () => bothOf(place),
        client => leavePlace(client, place),
      );
      return { header: context.header() };
    }),
    streaming(Election.observe, call => observe(context, call)),
  ];
}

/** Takes a place and waits for its turn. Who gives up waiting leaves the line. */
async function waitInLine(
  context: EtcdContext,
  call: CallContext,
  request: { readonly name: Uint8Array; readonly lease: number; readonly value: Uint8Array },
): Promise<Place> {
  const { access, client } = context;
  const { signal } = call;
  const name = keyOf(request.name);
  const line = { key: linePrefix(name), end: prefixEnd(linePrefix(name)) };
  const needs = [readOf(line), writeOf(line)];
  await access.require(call, needs);
  const identity = access.identify(call);
  const { lease, isOwn } = await leaseFor(context, request.lease);
  const place = await access.perform(
    call,
    () => needs,
    one => takePlace(one, { name, lease, value: request.value }),
  );
  for (;;) {
    try {
      const isFirst = await awaitTurn(client, { name, place, signal });
      // It may have waited for long.
      if (isFirst && access.refusal(identity, needs) === undefined) return place;
      break;
    } catch (error) {
      if (!(error instanceof WatchLostError || error instanceof CompactedError)) throw error;
    }
  }
  if (isOwn) await client.revokeLease(lease);
  else await leavePlace(client, place);
  if (signal.aborted) throw new GrpcError(STATUS.cancelled, 'context canceled');
  const refusal = access.refusal(identity, needs);
  throw refusal === undefined ? etcdError('leaseNotFound') : authError(refusal);
}

/** Without a lease of its own the caller gets one, which nobody renews: it is free again after a minute (as in etcd). */
const OWN_LEASE_SECONDS = 60;

async function leaseFor({ client }: EtcdContext, wanted: number) {
  if (wanted !== 0) return { lease: leaseId(wanted), isOwn: false };
  const { id } = await client.grantLease(OWN_LEASE_SECONDS);
  return { lease: id, isOwn: true };
}

/** Tells each new leader, and each new value that a leader proclaims. */
async function observe(
  context: EtcdContext,
  call: StreamingCall<Read<typeof LeaderRequest>, Init<typeof LeaderResponse>>,
): Promise<void> {
  const { client } = context;
  const { signal } = call;
  for await (const request of call.requests) {
    const name = keyOf(request.name);
    const prefix = linePrefix(name);
    let told = 0;
    while (!signal.aborted) {
      const { first, revision } = await firstAsSeenBy(context, call, name);
      if (first !== undefined && first.modRevision !== told) {
        told = first.modRevision;
        await call.send({ header: context.header(), kv: kvOf(first) });
      }
      await changed(client, { key: prefix, end: prefixEnd(prefix), startRevision: revision + 1, signal });
    }
  }
}

/** Whose turn it is, for who may read the line. */
async function firstAsSeenBy({ access, client }: EtcdContext, call: CallContext, name: string) {
  const key = linePrefix(name);
  await access.require(call, [readOf({ key, end: prefixEnd(key) })]);
  return firstInLine(client, name);
}

function bothOf({ key }: Place) {
  return [readOf({ key }), writeOf({ key })];
}

/** Resolves when something in a range has changed, or might have. */
async function changed(client: EtcdContext['client'], request: Parameters<EtcdContext['client']['watch']>[0]) {
  try {
    for await (const { events } of client.watch(request)) if (events.length > 0) return;
  } catch (error) {
    if (!(error instanceof WatchLostError || error instanceof CompactedError)) throw error;
  }
}

function placeOf(leader: Read<typeof LeaderKey> | undefined): Place {
  if (leader === undefined) throw new GrpcError(STATUS.unknown, '"leader" field must be provided');
  return { key: keyOf(leader.key), revision: leader.rev };
}

function notLeader(): GrpcError {
  return new GrpcError(STATUS.unknown, 'election: not leader');
}
