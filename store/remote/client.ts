/**
 * The client for other processes. It is given the members' addresses, asks them who leads, and talks to the leader where
 * it can, to any member otherwise (that one forwards). When a member fails it goes to another. It repeats what is safe:
 * reads, and writes that certainly were not carried out; where a write's answer is lost it says so and leaves the decision
 * to the caller.
 */

import { CommandClient } from '../client/base.ts';
import {
  type Alarm,
  InvalidRequestError,
  type LeaseTimeToLive,
  type MembershipClient,
  type RangeRequest,
  type RangeResult,
  type StoreHash,
  type StoreStatus,
  UnavailableError,
  UnknownOutcomeError,
  type WatchBatch,
  type WatchRequest,
} from '../client/client.ts';
import { retry } from '../client/retry.ts';
import type { TurnClock } from '../clock.ts';
import { encodeCommand } from '../codec/command.ts';
import { CLIENT_TIMEOUT_MS, CONNECT_TIMEOUT_MS } from '../limits.ts';
import type { Command, CommandValue } from '../mvcc/command.ts';
import { commandProblem } from '../mvcc/validate.ts';
import { parseAlarms, parseHash, parseLeases, parseLeaseTime } from './calls.ts';
import { Connection, ConnectionError } from './connection.ts';
import { packBounds, unpackRange, unpackValue } from './protocol.ts';
import { type MakeCall, RemoteMembers } from './remote-members.ts';
import { readRemoteSnapshot } from './remote-snapshot.ts';
import { RemoteWatch } from './remote-watch.ts';
import type { TlsMaterial } from './server.ts';

export interface RemoteClientOptions {
  /** `wss://host:port` of each member that is known; at least one. */
  readonly urls: readonly string[];
  readonly tls?: TlsMaterial;
  readonly clock: TurnClock;
  readonly random: () => number;
  readonly timeoutMs?: number;
}

export class RemoteClient extends CommandClient {
  readonly #options: RemoteClientOptions;
  readonly #retryOptions: Parameters<typeof retry>[1];
  #connection: Promise<Connection> | undefined;
  #current: Connection | undefined;
  #isClosed = false;
  protected override readonly membership: MembershipClient = new RemoteMembers((...call) => this.#call(...call));

  constructor(options: RemoteClientOptions) {
    super();
    if (options.urls.length === 0) throw new InvalidRequestError('a remote client needs the address of a member');
    this.#options = options;
    const { clock, random, timeoutMs = CLIENT_TIMEOUT_MS } = options;
    this.#retryOptions = {
      clock,
      random,
      timeoutMs,
      isSafe: error => !this.#isClosed && error instanceof UnavailableError,
    };
  }

  range(request: RangeRequest): Promise<RangeResult> {
    return this.#read(async (connection, timeoutMs) => {
      const [, kind, body] = await connection.request('range', packBounds(request), timeoutMs);
      if (kind !== 'ranged') throw new UnknownOutcomeError('the member answered something else');
      return unpackRange(body);
    });
  }

  status(): Promise<StoreStatus> {
    return this.#read((connection, timeoutMs) => statusOf(connection, timeoutMs));
  }

  async alarms(): Promise<readonly Alarm[]> {
    return parseAlarms(await this.#call('alarms', [], { isRepeatable: true }));
  }

  async hash(revision?: number): Promise<StoreHash> {
    return parseHash(await this.#call('hash', [revision ?? null], { isRepeatable: true }));
  }

  async leaseTimeToLive(id: number): Promise<LeaseTimeToLive | undefined> {
    return parseLeaseTime(await this.#call('leaseTimeToLive', [id], { isRepeatable: true }));
  }

  async leases(): Promise<readonly number[]> {
    return parseLeases(await this.#call('leases', [], { isRepeatable: true }));
  }

  watch(request: WatchRequest): AsyncIterable<WatchBatch> {
    this.#refuseIfClosed();
    return new RemoteWatch(request, () => this.#connect());
  }

  async *saveSnapshot(): AsyncGenerator<Uint8Array> {
    const connection = await retry(async () => withCalls(await this.#connect()), this.#retryOptions);
    yield* readRemoteSnapshot(connection);
  }

  /** A rare call. One that changes something and whose answer is lost is not made again. */
  async #call(...[name, args, options]: Parameters<MakeCall>): Promise<unknown> {
    const timeLimit = {
      ...this.#retryOptions,
      ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    };
    return retry(async timeoutMs => {
      const connection = withCalls(await this.#connect());
      try {
        const [, kind, body] = await connection.request('call', [name, args], timeoutMs);
        if (kind !== 'called') throw new UnknownOutcomeError('the member answered something else');
        return body;
      } catch (error) {
        this.#leave(connection, error);
        throw options.isRepeatable && error instanceof ConnectionError ? unavailable(error) : writeError(error);
      }
    }, timeLimit);
  }

  override async execute(command: Command): Promise<CommandValue> {
    const problem = commandProblem(command);
    if (problem !== undefined) throw new InvalidRequestError(problem);
    const encoded = encodeCommand(command);
    return retry(async timeoutMs => {
      const connection = await this.#connect();
      try {
        const [, kind, body] = await connection.request('execute', encoded, timeoutMs);
        if (kind !== 'value') throw new UnknownOutcomeError('the member answered something else');
        return unpackValue(body);
      } catch (error) {
        this.#leave(connection, error);
        throw writeError(error);
      }
    }, this.#retryOptions);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#current?.close();
    await this.#connection?.then(
      connection => connection.close(),
      () => {},
    );
  }

  #read<Value>(read: (connection: Connection, timeoutMs: number) => Promise<Value>): Promise<Value> {
    return retry(async timeoutMs => {
      const connection = await this.#connect();
      try {
        return await read(connection, timeoutMs);
      } catch (error) {
        this.#leave(connection, error);
        throw error instanceof ConnectionError ? unavailable(error) : error;
      }
    }, this.#retryOptions);
  }

  /** The present connection, or a new one to the best member that answers. Callers share the attempt. */
  #connect(): Promise<Connection> {
    this.#refuseIfClosed();
    if (this.#current?.isOpen === true) return Promise.resolve(this.#current);
    this.#connection ??= this.#choose().finally(() => {
      this.#connection = undefined;
    });
    return this.#connection;
  }

  /** Asks all members at once; the leader wins, else whoever knows one, else whoever answers. */
  async #choose(): Promise<Connection> {
    const { urls, tls, clock } = this.#options;
    const opening = urls.map(url => probe(url, { clock, ...(tls === undefined ? {} : { tls }) }));
    const leading = opening.map(async attempt => {
      const probed = await attempt;
      if (!probed.isLeader) throw new UnavailableError(`${probed.connection.url} does not lead`);
      return probed;
    });
    const chosen = await Promise.any(leading).catch(() => anyOf(opening));
    for (const attempt of opening) {
      attempt.then(
        ({ connection }) => connection === chosen.connection || connection.close(),
        () => {},
      );
    }
    if (this.#isClosed) chosen.connection.close();
    this.#current = chosen.connection;
    return chosen.connection;
  }

  /** After a failure that another member may not have, the next call looks for a better member. */
  #leave(connection: Connection, error: unknown): void {
    const isBad = error instanceof ConnectionError || error instanceof UnavailableError;
    if (!isBad || this.#current !== connection) return;
    this.#current = undefined;
    // Others still wait for answers on a connection that lives; it is not cut while it may bring them.
    if (error instanceof ConnectionError) connection.close();
    else connection.closeWhenIdle();
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw new UnavailableError('the store client is closed');
  }
}

function withCalls(connection: Connection): Connection {
  if (connection.hasCalls) return connection;
  throw new InvalidRequestError(`${connection.url} is of an older version and cannot do this: upgrade it first`);
}

interface Probed {
  readonly connection: Connection;
  readonly isLeader: boolean;
  readonly knowsLeader: boolean;
}

async function probe(url: string, options: Parameters<typeof Connection.open>[1]): Promise<Probed> {
  const connection = await Connection.open(url, options);
  try {
    const { memberId, leaderId } = await statusOf(connection, CONNECT_TIMEOUT_MS);
    return { connection, isLeader: memberId === leaderId, knowsLeader: leaderId !== undefined };
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function anyOf(opening: readonly Promise<Probed>[]): Promise<Probed> {
  const settled = await Promise.allSettled(opening);
  const answered = settled.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
  const best = answered.find(({ knowsLeader }) => knowsLeader) ?? answered[0];
  if (best !== undefined) return best;
  const reasons = settled.map(result => (result.status === 'rejected' ? String(result.reason.message) : ''));
  throw new UnavailableError(`no member can be reached: ${reasons.join('; ')}`);
}

async function statusOf(connection: Connection, timeoutMs: number): Promise<StoreStatus> {
  const [, kind, body] = await connection.request('status', null, timeoutMs);
  if (kind !== 'status') throw new UnknownOutcomeError('the member answered something else');
  return body;
}

function writeError(error: unknown): unknown {
  if (!(error instanceof ConnectionError)) return error;
  if (error.isUnsent) return unavailable(error);
  return new UnknownOutcomeError(`the write may or may not have happened: ${error.message}`, { cause: error });
}

function unavailable(cause: Error): UnavailableError {
  return new UnavailableError(cause.message, { cause });
}
