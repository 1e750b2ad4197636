/**
 * The friendly way in, for a Node program that wants a replicated store inside itself: a directory, an address, and the
 * addresses of others to join. Everything that `openStore` wants handed in has its usual value here; whoever needs to set
 * more uses `openStore` itself.
 */
import type { NewStoreMember, StoreClient, StoreMembership } from '../client/client.ts';
import { systemClock } from '../clock.ts';
import { CLIENT_TIMEOUT_MS, JOIN_PAUSE_MS, JOIN_TIMEOUT_MS } from '../limits.ts';
import { RemoteClient } from '../remote/client.ts';
import { openStore } from './open.ts';
import type { OpenStore, OpenStoreOptions } from './options.ts';

export interface EmbedOptions
  extends Pick<
    OpenStoreOptions,
    'clusterId' | 'historyKeepMs' | 'limits' | 'logger' | 'metrics' | 'raft' | 'serveEtcd' | 'transportLimits'
  > {
  /** Where this member keeps its data; made if it is not there. One directory is one member. */
  readonly dataDir: string;
  /** `host:port` where clients, and members that join, reach this member: what others name in `join`. */
  readonly listen: string;
  /** `host:port` for the other members; the port after that of `listen` by default. */
  readonly peerListen?: string;
  /** The host that others dial, where it differs from the one that is listened on, such as behind `0.0.0.0`. */
  readonly advertiseHost?: string;
  /** What to call this member; its address by default. It stays with the directory. */
  readonly name?: string;
  /**
   * `listen` of any members of the cluster to join: one that answers is enough. Without it, an empty directory becomes a new
   * cluster of one, which the others join. A directory with data in it knows its cluster and needs nobody named.
   */
  readonly join?: readonly string[];
  /**
   * Key, certificate and authority, in PEM: all members and clients must show a certificate of that authority, and a member's
   * must be valid for the host that others dial.
   */
  readonly tls?: EmbedTls;
  /**
   * Says that there is no TLS on purpose, on an address that is not loopback. Then everything goes in plain text, and whoever
   * reaches the ports can read, write and become a member: only for a network where nobody else is.
   */
  readonly allowPlainText?: boolean;
  /** How long to look for the cluster to join, and to become a voter of it; two minutes by default. */
  readonly joinTimeoutMs?: number;
  /**
   * The member has stopped for good, because its disk failed or it was removed. By default the error is thrown where nobody
   * catches it, so that the process ends: a member that cannot write must not look alive.
   */
  readonly onFatal?: (error: Error) => void;
}

export interface EmbedTls {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** The addresses make no sense, or are open to everybody. `message` says what to do. */
export class EmbedError extends Error {
  override readonly name = 'EmbedError';
  readonly code = 'STORE_EMBED';
}

/**
 * Opens a member of a replicated store in this process. Resolves once its client can be used, which for a member that joins
 * is when it has become a voter; calls wait for a leader where there is none yet.
 * @throws {EmbedError} {UnavailableError} nobody to join answered in time; and what {@link openStore} throws
 */
export async function embedStore(options: EmbedOptions): Promise<OpenStore> {
  const client = parseAddress(options.listen, 'listen');
  const peer = options.peerListen
    ? parseAddress(options.peerListen, 'peerListen')
    : { host: client.host, port: client.port + 1 };
  const host = options.advertiseHost ?? client.host;
  refuseOpenDoor(options, [client.host, peer.host, host]);
  const others = (options.join ?? []).filter(address => address !== `${host}:${client.port}`);
  for (const address of others) parseAddress(address, 'join');
  const { tls, logger, raft, limits, metrics, clusterId, historyKeepMs, serveEtcd, transportLimits } = options;
  const scheme = tls ? 'https' : 'http';
  const fatal = options.onFatal ?? throwUncaught;
  return openStore({
    dataDir: options.dataDir,
    name: options.name ?? `${host}:${client.port}`,
    ...(others.length > 0 ? joining(others, options) : { beginning: { type: 'bootstrap' } }),
    peer: {
      address: joinAddress({ host, port: peer.port }),
      listen: peer,
      ...(tls && { tls }),
    },
    clientUrl: `${scheme}://${joinAddress({ host, port: client.port })}`,
    serve: { listen: client, ...(tls && { tls }) },
    clock: systemClock,
    random: Math.random,
    onFatal: fatal,
    ...(logger && { logger }),
    ...(raft && { raft }),
    ...(limits && { limits }),
    ...(metrics && { metrics }),
    ...(clusterId !== undefined && { clusterId }),
    ...(historyKeepMs !== undefined && { historyKeepMs }),
    ...(serveEtcd && { serveEtcd }),
    ...(transportLimits && { transportLimits }),
  });
}

/** A client for a program that holds no member itself: it finds the leader among `addresses`, which are members' `listen`. */
export function connectStore(options: {
  readonly addresses: readonly string[];
  readonly tls?: EmbedTls;
  readonly timeoutMs?: number;
}): StoreClient {
  const { addresses, tls, timeoutMs = CLIENT_TIMEOUT_MS } = options;
  return new RemoteClient({
    urls: addresses.map(address => `${tls ? 'wss' : 'ws'}://${joinAddress(parseAddress(address, 'addresses'))}`),
    ...(tls && { tls }),
    clock: systemClock,
    random: Math.random,
    timeoutMs,
  });
}

/** Asks those that are named, until one of them answers, who belongs to the cluster, and to be taken in. */
function joining(
  addresses: readonly string[],
  { tls, joinTimeoutMs = JOIN_TIMEOUT_MS }: EmbedOptions,
): Pick<OpenStoreOptions, 'beginning' | 'announce'> {
  const deadlineMs = systemClock.now() + joinTimeoutMs;
  const ask = async <Answer>(
    question: (client: StoreClient, timeoutMs: number) => Promise<Answer>,
  ): Promise<Answer> => {
    const timeoutMs = Math.min(CLIENT_TIMEOUT_MS, joinTimeoutMs);
    const client = connectStore({ addresses, timeoutMs, ...(tls && { tls }) });
    try {
      for (;;) {
        const remainingMs = deadlineMs - systemClock.now();
        try {
          return await question(client, Math.max(remainingMs, 1));
        } catch (error) {
          // Both questions may be asked again, whatever became of the first try.
          if (remainingMs <= 0 || !isPassing(error)) throw error;
        }
        await new Promise<void>(resolve => systemClock.setTimeout(resolve, JOIN_PAUSE_MS));
      }
    } finally {
      await client.close();
    }
  };
  return {
    beginning: { type: 'join', discover: () => ask(client => client.members()).then(membershipOf) },
    announce: (member: NewStoreMember) => ask((client, timeoutMs) => client.addMember(member, { timeoutMs })),
  };
}

function membershipOf({ clusterId, members }: StoreMembership) {
  return { clusterId, members };
}

/** Nobody answered, or nobody could: not a refusal. */
function isPassing(error: unknown): boolean {
  const passing = ['STORE_UNAVAILABLE', 'STORE_UNKNOWN_OUTCOME'];
  return error instanceof Error && 'code' in error && passing.includes(String(error.code));
}

interface Address {
  readonly host: string;
  readonly port: number;
}

function parseAddress(text: string, what: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new EmbedError(
      `${what} must be host:port, such as 127.0.0.1:7001 or [::1]:7001; it is ${JSON.stringify(text)}`,
    );
  }
  return { host: match[1] ?? match[2] ?? '', port };
}

function joinAddress({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function refuseOpenDoor({ tls, allowPlainText }: EmbedOptions, hosts: readonly string[]): void {
  const isAny = hosts.at(-1) === '0.0.0.0' || hosts.at(-1) === '::';
  if (isAny) throw new EmbedError('advertiseHost must say where others reach this member: nobody can dial 0.0.0.0');
  if (tls !== undefined || allowPlainText === true) return;
  const open = hosts.find(host => !/^(127\.[\d.]+|::1|localhost)$/.test(host));
  if (open === undefined) return;
  throw new EmbedError(
    `${open} can be reached from other machines, and without tls whoever reaches it can read, write and become a member: give tls, or allowPlainText: true for a network where nobody else is`,
  );
}

/** Ends the process as an error does that nobody catches. */
function throwUncaught(error: Error): void {
  systemClock.nextTurn(() => {
    throw error;
  });
}
