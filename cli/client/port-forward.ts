/**
 * Ports of a pod over WebSocket (v4.channel.k8s.io): one WebSocket a connection. For the one port that it is opened for, channel
 * 0 carries data and channel 1 what went wrong; the first message of each is the port's number.
 */
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { failure } from './errors.ts';
import { openSocket, refusal } from './exec-stream.ts';
import type { Connection } from './kubeconfig.ts';

const DATA = 0;
const ERROR = 1;
/** The length of a port's number at the beginning of a channel. */
const PREFIX_BYTES = 2;
/** Unsent bytes above this hold back the reading of more. */
const BUFFERED_BYTES_MAX = 1024 * 1024;

/** Joins a connection of this machine with a port of a pod, until one of them ends. @throws CommandError for what fails. */
export function forwardConnection(connection: Connection, path: string, client: Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = openSocket(connection, path, ['v4.channel.k8s.io']);
  const prefixes = new Set([DATA, ERROR]);
  client.pause();
  socket.on('open', () => client.resume());
  socket.on('message', (message: Buffer) => {
    const [channel = -1] = message;
    const content = message.subarray(1);
    const isPrefix = prefixes.delete(channel) && content.length === PREFIX_BYTES;
    if (isPrefix || content.length === 0) return;
    if (channel === ERROR) reject(failure(content.toString()));
    else if (channel === DATA && !client.write(content)) {
      socket.pause();
      client.once('drain', () => socket.resume());
    }
  });
  client.on('data', (chunk: Buffer) => {
    socket.send(Buffer.concat([Buffer.of(DATA), chunk]), () => {
      if (socket.bufferedAmount <= BUFFERED_BYTES_MAX) client.resume();
    });
    if (socket.bufferedAmount > BUFFERED_BYTES_MAX) client.pause();
  });
  client.on('error', () => socket.close());
  client.on('close', () => {
    if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
    else socket.close();
  });
  socket.on('unexpected-response', (_request, response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () => reject(refusal(response.statusCode ?? 0, Buffer.concat(chunks).toString())));
    response.on('error', reject);
  });
  socket.on('error', error => {
    client.destroy();
    reject(failure(`unable to upgrade connection: ${error.message}`, error));
  });
  socket.on('close', () => {
    client.end();
    resolve();
  });
  return promise;
}
