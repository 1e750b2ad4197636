/** The joiner's side: finds the cluster's authority, checks it against the token, asks to be taken in. */
import { request as httpsRequest } from 'node:https';
import type { z } from 'zod';
import { fingerprint } from '../pki/authority.ts';
import { bearerOf, type JoinToken } from '../pki/token.ts';
import { PATHS } from './protocol.ts';

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Becoming a member includes catching up with the log, so this is generous. */
const REQUEST_TIMEOUT_MS = 60_000;

/** Joining failed. `retriable` tells whether the cluster may just not be there yet. */
export class JoinError extends Error {
  override readonly name = 'JoinError';
  readonly code = 'JOIN_FAILED';
  readonly retriable: boolean;
  constructor(message: string, options: { readonly retriable: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.retriable = options.retriable;
  }
}

/** A connection to a cluster whose authority is known. */
export interface JoinSession {
  /** The authority's certificate, PEM. */
  readonly authority: string;
  call<S extends z.ZodType>(path: string, body: unknown, answer: S): Promise<z.infer<S>>;
}

/**
 * Fetches the authority from `server` and checks it.
 * @throws {JoinError} if nobody answers there, or if it is another cluster than the token's.
 */
export async function openJoinSession(server: string, token: JoinToken): Promise<JoinSession> {
  const { certificate } = (await exchange(server, {
    method: 'GET',
    path: PATHS.authority,
    rejectUnauthorized: false,
  })) as { certificate?: string };
  if (typeof certificate !== 'string') throw new JoinError(`${server} is not a raftsman master`, { retriable: false });
  if (token.fingerprint !== undefined && fingerprint(certificate) !== token.fingerprint) {
    throw new JoinError(
      `${server} belongs to another cluster than the token: its authority has the fingerprint ${fingerprint(certificate)}; use a token of that cluster (\`raftsman token create\` there)`,
      { retriable: false },
    );
  }
  return {
    authority: certificate,
    call: async (path, body, answer) => {
      const value = await exchange(server, {
        method: 'POST',
        path,
        body,
        authority: certificate,
        bearer: bearerOf(token),
      });
      return parsed(server, answer, value);
    },
  };
}

/** Whom a master that belongs to the cluster already can ask, as an administrator: no token is needed any more. */
export interface MasterCredentials {
  /** The cluster's authority, PEM. */
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * Asks one master, as an administrator.
 * @param body undefined for a GET
 * @throws {JoinError}
 */
export async function askMaster<S extends z.ZodType>(
  server: string,
  credentials: MasterCredentials,
  question: { readonly path: string; readonly body?: unknown; readonly answer: S; readonly timeoutMs?: number },
): Promise<z.infer<S>> {
  const { path, body, answer, timeoutMs } = question;
  const { authority, certificate, key } = credentials;
  const value = await exchange(server, {
    method: body === undefined ? 'GET' : 'POST',
    path,
    ...(body !== undefined && { body }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    authority,
    client: { certificate, key },
  });
  return parsed(server, answer, value);
}

function parsed<S extends z.ZodType>(server: string, answer: S, value: unknown): z.infer<S> {
  const result = answer.safeParse(value);
  if (result.success) return result.data;
  throw new JoinError(`${server} gave an answer that this version does not understand`, {
    retriable: false,
    cause: result.error,
  });
}

interface Exchange {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly authority?: string;
  readonly bearer?: string;
  readonly client?: { readonly certificate: string; readonly key: string };
  readonly rejectUnauthorized?: boolean;
  readonly timeoutMs?: number;
}

function exchange(server: string, call: Exchange): Promise<unknown> {
  const url = new URL(call.path, server);
  if (url.protocol !== 'https:') throw new JoinError(`${server} must begin with https://`, { retriable: false });
  const timeoutMs = call.timeoutMs ?? REQUEST_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      url,
      {
        method: call.method,
        agent: false,
        timeout: timeoutMs,
        rejectUnauthorized: call.rejectUnauthorized ?? true,
        ...(call.authority !== undefined && { ca: call.authority }),
        ...(call.client !== undefined && { cert: call.client.certificate, key: call.client.key }),
        headers: {
          accept: 'application/json',
          'content-type': 'application/json',
          ...(call.bearer !== undefined && { authorization: `Bearer ${call.bearer}` }),
        },
      },
      response => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > ANSWER_BYTES_MAX) request.destroy(new Error('the answer is too large'));
          else chunks.push(chunk);
        });
        response.on('error', error => reject(unreachable(server, error)));
        response.on('end', () => {
          try {
            resolve(readAnswer(server, response.statusCode ?? 0, Buffer.concat(chunks).toString()));
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    request.on('error', error => reject(unreachable(server, error)));
    request.end(call.body === undefined ? undefined : JSON.stringify(call.body));
  });
}

const unreachable = (server: string, error: Error) =>
  new JoinError(`cannot reach ${server}: ${error.message || (error as NodeJS.ErrnoException).code || 'no answer'}`, {
    retriable: true,
    cause: error,
  });

function readAnswer(server: string, status: number, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new JoinError(`${server} is not a raftsman master (it answered ${status} with something else than JSON)`, {
      retriable: status >= 500,
    });
  }
  if (status < 300) return value;
  const message = typeof value === 'object' && value !== null && 'message' in value ? String(value.message) : text;
  if (status === 401) {
    throw new JoinError(
      `${server} does not accept the token: it is wrong or has expired; make a new one with \`raftsman token create\``,
      { retriable: false },
    );
  }
  throw new JoinError(`${server} refused: ${message}`, { retriable: status >= 500 || status === 429 });
}
