/** `GET /containerLogs/…`: a container's log as bytes, following it where asked. */
import type { ServerResponse } from 'node:http';
import type { Clock } from './clock.ts';
import { HttpError } from './http-error.ts';
import type { LogOptions, Runtime } from './runtime/runtime.ts';
import { writeTo } from './streams/channel.ts';

export interface LogQuery {
  readonly previous: boolean;
  readonly limitBytes: number | undefined;
  readonly options: Omit<LogOptions, 'signal'>;
}

/** Throws {@link HttpError} 400 for a number that is none. */
export function parseLogQuery(query: URLSearchParams, clock: Clock): LogQuery {
  const tailLines = numberIn(query, 'tailLines', 0);
  const limitBytes = numberIn(query, 'limitBytes', 1);
  const sinceSeconds = numberIn(query, 'sinceSeconds', 1);
  const sinceTime = query.get('sinceTime');
  const parsed = sinceTime ? Date.parse(sinceTime) : undefined;
  if (Number.isNaN(parsed)) throw new HttpError(400, `sinceTime is not a time: ${sinceTime}`);
  const sinceMs = sinceSeconds === undefined ? parsed : clock.now() - sinceSeconds * 1000;
  return {
    previous: flag(query, 'previous'),
    limitBytes,
    options: {
      follow: flag(query, 'follow'),
      timestamps: flag(query, 'timestamps'),
      ...(tailLines !== undefined && { tailLines }),
      ...(sinceMs !== undefined && { sinceMs }),
    },
  };
}

/** Streams the log into the response until it ends or the client leaves. */
export async function sendLogs(
  response: ServerResponse,
  { runtime, containerId, query }: { runtime: Pick<Runtime, 'logs'>; containerId: string; query: LogQuery },
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  response.writeHead(200, { 'content-type': 'text/plain' });
  // A follower waits for lines that may come much later; it has to see that the request was accepted.
  response.flushHeaders();
  let left = query.limitBytes ?? Number.POSITIVE_INFINITY;
  try {
    for await (const chunk of runtime.logs(containerId, { ...query.options, signal: gone.signal })) {
      const bytes = chunk.length > left ? chunk.subarray(0, left) : chunk;
      left -= bytes.length;
      await writeTo(response, bytes, gone.signal);
      if (left <= 0 || gone.signal.aborted) break;
    }
  } finally {
    gone.abort();
    response.end();
  }
}

function numberIn(query: URLSearchParams, name: string, min: number): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < min)
    throw new HttpError(400, `${name} must be a whole number of at least ${min}`);
  return value;
}

/** `true`, `True`, `1` and an empty value mean yes, as in Go's query decoding. */
export function flag(query: URLSearchParams, name: string): boolean {
  const text = query.get(name);
  return text !== null && !/^(false|f|0)$/i.test(text);
}
