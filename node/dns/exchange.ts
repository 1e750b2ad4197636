/** One question to one resolver: over UDP from a port of its own, and again over TCP if the answer did not fit. */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { Clock } from '../clock.ts';
import { answers, isTruncated } from './message.ts';

export interface Resolver {
  readonly address: string;
  readonly port: number;
}

/** A resolver could not be asked, or did not answer in time. */
export class ExchangeError extends Error {
  override readonly name = 'ExchangeError';
  readonly code = 'DNS_EXCHANGE';
}

export type Exchange = (
  resolver: Resolver,
  message: Buffer,
  options: { readonly clock: Clock; readonly timeoutMs: number },
) => Promise<Buffer>;

/** Resolves with an answer that has the message's id and question. Throws {@link ExchangeError}. */
export const exchange: Exchange = async (resolver, message, options) => {
  const answer = await overUdp(resolver, message, options);
  return isTruncated(answer) ? overTcp(resolver, message, options) : answer;
};

type Options = Parameters<Exchange>[2];

/** Each question has a socket, so that who wants to forge an answer has to guess the port too (RFC 5452). */
function overUdp({ address, port }: Resolver, message: Buffer, { clock, timeoutMs }: Options): Promise<Buffer> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const outcome = Promise.withResolvers<Buffer>();
  const cancel = clock.setTimeout(() => outcome.reject(noAnswer(address)), timeoutMs);
  socket.on('error', cause => outcome.reject(failed(address, cause)));
  socket.on('message', answer => {
    // What does not fit the question is another's attempt, or too late for an earlier one.
    if (answers(answer, message)) outcome.resolve(answer);
  });
  // Connected: the kernel drops what comes from elsewhere, and tells of a port that nobody listens on.
  socket.connect(port, address, (error?: Error | null) => {
    if (error) outcome.reject(failed(address, error));
    else socket.send(message);
  });
  return outcome.promise.finally(() => {
    cancel();
    socket.close();
  });
}

function overTcp({ address, port }: Resolver, message: Buffer, { clock, timeoutMs }: Options): Promise<Buffer> {
  const socket = connect({ host: address, port });
  const outcome = Promise.withResolvers<Buffer>();
  const cancel = clock.setTimeout(() => outcome.reject(noAnswer(address)), timeoutMs);
  let received = Buffer.alloc(0);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  socket.on('connect', () => socket.write(Buffer.concat([length, message])));
  socket.on('error', cause => outcome.reject(failed(address, cause)));
  socket.on('close', () => outcome.reject(noAnswer(address)));
  socket.on('data', chunk => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    const answer = received.subarray(2, 2 + received.readUInt16BE(0));
    if (answers(answer, message)) outcome.resolve(answer);
    else outcome.reject(noAnswer(address));
  });
  return outcome.promise.finally(() => {
    cancel();
    socket.destroy();
  });
}

function noAnswer(address: string): ExchangeError {
  return new ExchangeError(`the resolver ${address} does not answer`);
}
function failed(address: string, cause: Error): ExchangeError {
  return new ExchangeError(`the resolver ${address} cannot be asked: ${cause.message}`, { cause });
}
