/** Connections that were taken over: how many there are, what a peer answers to the wish, and how two are joined. */
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Core } from '../core.ts';
import { tooManyRequests } from '../exchange.ts';
import { type AgentAddress, unreachable } from './agent.ts';

const HEAD_END = Buffer.from('\r\n\r\n');

const openStreams = new WeakMap<Core, { count: number }>();

/** Counts one stream more; the function given ends it, once. Throws 429 where there are too many. */
export function countStream(core: Core): () => void {
  const open = openStreams.get(core) ?? { count: 0 };
  openStreams.set(core, open);
  if (open.count >= core.limits.streamsMax) throw tooManyRequests();
  open.count++;
  let isOpen = true;
  return () => {
    if (isOpen) open.count--;
    isOpen = false;
  };
}

export interface Answer {
  readonly status: number;
  /** Status line and headers, with the empty line. */
  readonly head: Buffer;
  /** What came behind them. For a refusal: its body, as far as it says how long it is. */
  readonly rest: Buffer;
}

/** Reads the head of the agent's answer, and for a refusal its body. */
export function readAnswer(
  core: Pick<Core, 'clock' | 'limits'>,
  socket: TLSSocket,
  agent: AgentAddress,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const stop = () => {
      cancel();
      socket.off('data', take);
      socket.off('error', fail);
      socket.off('end', end);
      socket.pause();
    };
    const fail = (error: Error) => {
      stop();
      socket.destroy();
      reject(unreachable(agent, error));
    };
    const end = () => {
      const answer = parseAnswer(bytes);
      if (!answer) return fail(new Error('it closed the connection without an answer'));
      stop();
      resolve(answer);
    };
    const take = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const answer = parseAnswer(bytes);
      if (answer && (answer.status === 101 || isWhole(answer))) {
        stop();
        resolve(answer);
      } else if (bytes.length > core.limits.agentHeadBytesMax) fail(new Error('its answer is too long'));
    };
    const cancel = core.clock.setTimeout(
      () => fail(new Error('it did not answer in time')),
      core.limits.agentAnswerMsMax,
    );
    socket.on('data', take);
    socket.on('error', fail);
    socket.on('end', end);
  });
}

function parseAnswer(bytes: Buffer): Answer | undefined {
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const head = bytes.subarray(0, end + HEAD_END.length);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head.toString('latin1'))?.[1] ?? 502);
  return { status, head, rest: bytes.subarray(head.length) };
}

function isWhole({ head, rest }: Answer): boolean {
  const length = /\r\ncontent-length:\s*(\d+)/i.exec(head.toString('latin1'))?.[1];
  return length !== undefined && rest.length >= Number(length);
}

/** Passes bytes both ways; an end is passed on as an end, a broken side breaks the other. */
export function pipeBothWays(client: Duplex, agent: Duplex, closed: () => void): void {
  let left = 2;
  const sideClosed = (other: Duplex) => () => {
    if (!other.destroyed && other.writableFinished === false && !other.writableEnded) other.end();
    if (--left === 0) closed();
  };
  client.pipe(agent);
  agent.pipe(client);
  client.on('error', () => agent.destroy());
  agent.on('error', () => client.destroy());
  client.on('close', sideClosed(agent));
  agent.on('close', sideClosed(client));
}
