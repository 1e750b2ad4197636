/**
 * Members talking over WebSockets in mutual TLS: both sides show a certificate of the cluster's own authority, then a
 * hello with cluster id and member id. Each member dials each peer it knows and sends on the connection that it dialled;
 * while that is down it uses one that the peer dialled. Snapshots go over connections of their own.
 */
import { createServer as createPlainServer, type Server as PlainServer } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { Message } from '../core/messages.ts';
import type { MemberId } from '../core/types.ts';
import type { Clock } from '../driver/clock.ts';
import { type Logger, silentLogger } from '../driver/logger.ts';
import { decodeHello, encodeHello, type Hello, type Item } from './frames.ts';
import { resolveTransportLimits, type TransportLimits } from './limits.ts';
import { Link } from './link.ts';
import type { TransportObserver } from './observer.ts';
import { OpenSockets } from './open-sockets.ts';
import { PendingRequests } from './requests.ts';
import { receiveSnapshotFrom, sendSnapshotOver } from './snapshot-stream.ts';
import {
  type OutgoingSnapshot,
  type Peer,
  PeerError,
  PeerUnreachableError,
  type Transport,
  type TransportHandlers,
} from './transport.ts';

export interface WebSocketTransportOptions {
  readonly clusterId: string;
  readonly memberId: MemberId;
  /** Where to listen. Port 0 takes a free one; see {@link WebSocketTransport.address}. */
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM texts. `ca` is the cluster's authority: only certificates of it are accepted, on both sides. Without
   * them peers talk in plain text, and whoever reaches the port can be a peer: for loopback and networks of one's own. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca: string };
  /** The name that every peer's certificate must bear, instead of the host that was dialled. */
  readonly serverName?: string;
  readonly clock: Clock;
  /** Uniform in [0, 1); spreads reconnections. */
  readonly random: () => number;
  readonly logger?: Logger;
  readonly observer?: TransportObserver;
  /** What is left out is as in `TRANSPORT_LIMITS`. */
  readonly limits?: Partial<TransportLimits>;
}

const PATH = '/raft';

interface DialledPeer {
  readonly id: MemberId;
  readonly address: string;
  socket: WebSocket | undefined;
  link: Link | undefined;
  delayMs: number;
  cancelRetry: () => void;
  isForgotten: boolean;
}

export class WebSocketTransport implements Transport {
  readonly #options: WebSocketTransportOptions;
  readonly #logger: Logger;
  readonly #limits: TransportLimits;
  readonly #server: Server | PlainServer;
  /** Also those that never became a WebSocket. */
  readonly #openSockets: OpenSockets;
  readonly #webSockets: WebSocketServer;
  readonly #requests: PendingRequests;
  readonly #peers = new Map<MemberId, DialledPeer>();
  readonly #accepted = new Map<MemberId, Link>();
  /** All sockets, agreed on or not, to be closed at the end. */
  readonly #sockets = new Set<WebSocket>();
  #refused: ReadonlySet<MemberId> = new Set();
  #handlers: TransportHandlers | undefined;
  #isClosed = false;

  /** @throws {RangeError} a limit is no positive number, or does not fit another */
  constructor(options: WebSocketTransportOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#limits = resolveTransportLimits(options.limits);
    this.#requests = new PendingRequests(options.clock, this.#limits);
    const { tls } = options;
    this.#server = tls
      ? createServer({
          ...{ ...tls, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
          handshakeTimeout: this.#limits.handshakeTimeoutMs,
        })
      : createPlainServer();
    this.#openSockets = new OpenSockets(this.#server);
    this.#webSockets = new WebSocketServer({
      server: this.#server,
      path: PATH,
      perMessageDeflate: false,
      maxPayload: this.#limits.frameBytesMax,
    });
    this.#webSockets.on('connection', socket => this.#accept(socket));
    this.#webSockets.on('error', error => this.#logger.warn({ error }, 'the peer listener reported an error'));
    this.#server.on('tlsClientError', error => {
      this.#logger.warn({ reason: error.message }, 'a connection to the peer port was refused: no valid certificate');
    });
  }

  async start(handlers: TransportHandlers): Promise<void> {
    this.#handlers = handlers;
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  /** Where it listens, once started. */
  get address(): { readonly host: string; readonly port: number } {
    const address: AddressInfo | string | null = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the transport does not listen');
    return { host: address.address, port: address.port };
  }

  setPeers(peers: readonly Peer[], refused: readonly MemberId[] = []): void {
    if (this.#isClosed) return;
    this.#refused = new Set(refused);
    for (const id of refused) this.#accepted.get(id)?.close();
    const wanted = new Map(peers.map(peer => [peer.id, peer.peerAddress]));
    for (const peer of [...this.#peers.values()]) {
      if (wanted.get(peer.id) !== peer.address) this.#forget(peer);
    }
    for (const [id, address] of wanted) {
      if (id === this.#options.memberId || this.#peers.has(id)) continue;
      const peer: DialledPeer = {
        id,
        address,
        socket: undefined,
        link: undefined,
        delayMs: this.#limits.reconnectDelayMsMin,
        cancelRetry: () => {},
        isForgotten: false,
      };
      this.#peers.set(id, peer);
      this.#dial(peer);
    }
  }

  send(message: Message): void {
    const isTaken = this.#linkTo(message.to)?.push({ type: 'message', message });
    if (!isTaken) this.#options.observer?.peerSendFailed?.(message.to);
  }

  async sendSnapshot(to: MemberId, snapshot: OutgoingSnapshot): Promise<void> {
    const peer = this.#peers.get(to);
    if (peer === undefined || this.#isClosed) {
      throw new PeerUnreachableError('the address of the member is not known', { isUnsent: true });
    }
    const socket = await this.#open(peer, 'snapshot');
    await sendSnapshotOver(socket, snapshot, { clock: this.#options.clock, limits: this.#limits });
  }

  async request(
    to: MemberId,
    method: string,
    body: Uint8Array,
    options: { readonly timeoutMs: number },
  ): Promise<Uint8Array> {
    const link = this.#linkTo(to);
    if (link === undefined) throw new PeerUnreachableError('the member is not connected', { isUnsent: true });
    return this.#requests.send(link, { method, body, timeoutMs: options.timeoutMs });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const peer of [...this.#peers.values()]) this.#forget(peer);
    for (const link of [...this.#accepted.values()]) link.close();
    for (const socket of this.#sockets) socket.terminate();
    this.#webSockets.close();
    this.#openSockets.destroy();
    if (!this.#server.listening) return;
    await new Promise<void>(resolve => this.#server.close(() => resolve()));
  }

  #linkTo(id: MemberId): Link | undefined {
    const dialled = this.#peers.get(id)?.link;
    if (dialled?.isOpen) return dialled;
    const accepted = this.#accepted.get(id);
    return accepted?.isOpen ? accepted : undefined;
  }

  #track(socket: WebSocket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // Each error is followed by `close`, where it is dealt with; unheard it would end the process.
    socket.on('error', error => this.#logger.debug({ reason: error.message }, 'a peer connection failed'));
  }

  // ---- dialling ---------------------------------------------------------------------------------------------------

  #dial(peer: DialledPeer): void {
    this.#open(peer, 'messages').then(
      socket => {
        if (peer.isForgotten || this.#isClosed) {
          socket.terminate();
          return;
        }
        peer.delayMs = this.#limits.reconnectDelayMsMin;
        peer.link = this.#link(peer.id, socket, () => {
          peer.link = undefined;
          this.#retry(peer);
        });
      },
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        this.#logger.debug({ peer: peer.id, address: peer.address, reason }, 'a peer could not be reached');
        this.#retry(peer);
      },
    );
  }

  #retry(peer: DialledPeer): void {
    if (peer.isForgotten || this.#isClosed) return;
    const delayMs = peer.delayMs * (0.5 + this.#options.random() / 2);
    peer.delayMs = Math.min(2 * peer.delayMs, this.#limits.reconnectDelayMsMax);
    peer.cancelRetry = this.#options.clock.setTimeout(() => this.#dial(peer), delayMs);
  }

  #forget(peer: DialledPeer): void {
    peer.isForgotten = true;
    peer.cancelRetry();
    peer.link?.close();
    peer.socket?.terminate();
    this.#peers.delete(peer.id);
  }

  /** Connects and exchanges hellos. Rejects unless it is this very member that answers. */
  #open(peer: DialledPeer, purpose: Hello['purpose']): Promise<WebSocket> {
    const { tls, clusterId, memberId, clock, serverName } = this.#options;
    const socket = new WebSocket(`${tls ? 'wss' : 'ws'}://${peer.address}${PATH}`, {
      ...tls,
      ...(serverName !== undefined && { servername: serverName }),
      rejectUnauthorized: true,
      perMessageDeflate: false,
      maxPayload: this.#limits.frameBytesMax,
      // Masks protect plain HTTP proxies; inside TLS they only cost time. With this mask both sides skip the work.
      generateMask: mask => mask.fill(0),
      handshakeTimeout: this.#limits.handshakeTimeoutMs,
    });
    this.#track(socket);
    if (purpose === 'messages') peer.socket = socket;
    return new Promise((resolve, reject) => {
      const fail = (reason: string) => {
        cancelTimeout();
        socket.terminate();
        reject(new PeerUnreachableError(reason, { isUnsent: true }));
      };
      const cancelTimeout = clock.setTimeout(() => fail('no hello in time'), this.#limits.handshakeTimeoutMs);
      const onClose = (_code: number, reason: Buffer) => fail(reason.toString() || 'the connection was closed');
      const onError = (error: Error) => fail(error.message);
      socket.on('open', () => socket.send(encodeHello({ clusterId, memberId, purpose })));
      socket.on('close', onClose);
      socket.on('error', onError);
      socket.once('message', (data: Buffer) => {
        const answer = this.#checkHello(data, hello =>
          hello.memberId === peer.id ? undefined : 'another member answers there',
        );
        if (typeof answer === 'string') {
          this.#logger.warn({ peer: peer.id, address: peer.address, reason: answer }, 'a peer was refused');
          fail(answer);
          return;
        }
        if (answer.refusal !== undefined) {
          fail('this member was removed from the cluster');
          if (!peer.isForgotten) this.#handlers?.onRemoved?.(peer.id);
          return;
        }
        cancelTimeout();
        socket.off('close', onClose);
        socket.off('error', onError);
        resolve(socket);
      });
    });
  }

  // ---- accepting --------------------------------------------------------------------------------------------------

  #accept(socket: WebSocket): void {
    this.#track(socket);
    const { clock, clusterId, memberId } = this.#options;
    const cancelTimeout = clock.setTimeout(() => socket.terminate(), this.#limits.handshakeTimeoutMs);
    socket.once('close', cancelTimeout);
    socket.once('message', (data: Buffer) => {
      cancelTimeout();
      const hello = this.#checkHello(data, candidate => this.#refusalOf(candidate.memberId));
      if (typeof hello === 'string') {
        this.#logger.warn({ reason: hello }, 'a connection to the peer port was refused');
        socket.close(4001, closeReason(hello));
        return;
      }
      if (this.#refused.has(hello.memberId)) {
        // It was away when it was removed, or is still running: told in so many words, it stops asking.
        this.#logger.warn({ peer: hello.memberId }, 'a member that was removed tried to connect');
        socket.send(encodeHello({ clusterId, memberId, purpose: hello.purpose, refusal: 'removed' }));
        socket.close(4001, 'removed');
        return;
      }
      const handlers = this.#handlers;
      if (handlers === undefined) {
        socket.terminate();
        return;
      }
      socket.send(encodeHello({ clusterId, memberId, purpose: hello.purpose }));
      if (hello.purpose === 'snapshot') {
        const { onSnapshot } = handlers;
        receiveSnapshotFrom(socket, hello.memberId, { clock, limits: this.#limits, onSnapshot });
        return;
      }
      this.#accepted.get(hello.memberId)?.close();
      const link = this.#link(hello.memberId, socket, () => {
        if (this.#accepted.get(hello.memberId) === link) this.#accepted.delete(hello.memberId);
      });
      this.#accepted.set(hello.memberId, link);
    });
  }

  /** Those not heard of yet are let in, but only so many. */
  #refusalOf(id: MemberId): string | undefined {
    if (id === this.#options.memberId) return 'the peer claims to be this very member';
    if (this.#peers.has(id) || this.#refused.has(id)) return undefined;
    const unknown = [...this.#accepted.keys()].filter(other => !this.#peers.has(other) && other !== id);
    return unknown.length < this.#limits.unknownConnectionsMax ? undefined : 'too many unknown members are connected';
  }

  /** The hello, or why the peer is refused. */
  #checkHello(data: Buffer, refuse: (hello: Hello) => string | undefined): Hello | string {
    try {
      const hello = decodeHello(data);
      if (hello.clusterId !== this.#options.clusterId) {
        return `the peer belongs to cluster ${hello.clusterId}, this member to ${this.#options.clusterId}: if the cluster was reset or restored, set the data directory of the one that was left behind aside and join it again`;
      }
      return refuse(hello) ?? hello;
    } catch (error) {
      return error instanceof Error ? error.message : 'the hello could not be read';
    }
  }

  // ---- agreed connections -----------------------------------------------------------------------------------------

  #link(peer: MemberId, socket: WebSocket, onClosed: () => void): Link {
    const { clock, observer } = this.#options;
    observer?.peerConnected?.(peer);
    return new Link(peer, socket, {
      clock,
      limits: this.#limits,
      ...(observer && { observer }),
      onItem: (link, item) => this.#receive(link, item),
      onClosed: (link, reason) => {
        this.#logger.debug({ peer, reason }, 'a peer connection ended');
        this.#requests.linkClosed(link);
        observer?.peerDisconnected?.(peer);
        onClosed();
      },
    });
  }

  #receive(link: Link, item: Item): void {
    const handlers = this.#handlers;
    if (handlers === undefined || this.#isClosed) return;
    switch (item.type) {
      case 'message':
        // Nobody speaks for another.
        if (item.message.from === link.peer) handlers.onMessage(item.message);
        return;
      case 'request':
        handlers.onRequest(link.peer, item.method, item.body).then(
          body => link.push({ type: 'answer', id: item.id, body }),
          (error: unknown) => link.push(failureItem(item.id, error)),
        );
        return;
      case 'answer':
        this.#requests.answered(item.id, item.body);
        return;
      case 'failure':
        this.#requests.failed(item.id, item.code, item.message);
        return;
    }
  }
}

/** A close frame holds 123 bytes; what a peer said of itself may be in the reason, and be of any length. */
function closeReason(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 120);
}

/** Errors travel as their code; those without one must not look like a certain refusal. */
function failureItem(id: number, error: unknown): Item {
  const message = error instanceof Error ? error.message : String(error);
  const isCoded = error instanceof Error && 'code' in error && typeof error.code === 'string';
  const code = error instanceof PeerError || isCoded ? String((error as { code: unknown }).code) : 'RAFT_INTERNAL';
  return { type: 'failure', id, code, message };
}
