/** Requests of the cluster CLI: any path and any kind, errors as `ApiError`s, warnings passed on. */

import type { Status } from '../../control/api/generated/types.ts';
import { ApiError } from '../../control/api/status.ts';
import type { ApiRequest, ApiResponse, ApiTransport } from '../../control/client/client.ts';
import type { Clock } from '../../control/client/clock.ts';
import { lineBatches } from '../../control/client/lines.ts';
import { CommandError } from './errors.ts';

/** Objects of any kind, as JSON has them. */
export type JsonObject = { [key: string]: unknown };

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
}

/** A request and its answer, for `-v`. */
export interface RequestTold {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
}

/** One line of a watch holds one object; nothing the store takes is larger. */
const WATCH_LINE_BYTES_MAX = 16 * 1024 * 1024;

export class Api {
  readonly #transport: ApiTransport;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #repeatedHeaders: Readonly<Record<string, readonly string[]>>;
  readonly #onWarning: (text: string) => void;
  readonly #onRequest: ((told: RequestTold) => void) | undefined;
  readonly #clock: Clock | undefined;

  constructor(options: {
    readonly transport: ApiTransport;
    readonly headers: Readonly<Record<string, string>>;
    readonly repeatedHeaders?: Readonly<Record<string, readonly string[]>>;
    readonly onWarning: (text: string) => void;
    readonly onRequest?: (told: RequestTold) => void;
    /** Measures requests for `onRequest`. */
    readonly clock?: Clock;
  }) {
    this.#transport = options.transport;
    this.#headers = options.headers;
    this.#repeatedHeaders = options.repeatedHeaders ?? {};
    this.#onWarning = options.onWarning;
    this.#onRequest = options.onRequest;
    this.#clock = options.clock;
  }

  /** The answer's JSON. @throws ApiError for every status from 300 on. */
  async json<T = JsonObject>(method: ApiRequest['method'], path: string, options: RequestOptions = {}): Promise<T> {
    const text = await this.text(method, path, options);
    // The server is trusted to send what the path names.
    return JSON.parse(text || '{}') as T;
  }

  async text(method: ApiRequest['method'], path: string, options: RequestOptions = {}): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await this.stream(method, path, options)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  /** The answer's bytes as they come. */
  async stream(
    method: ApiRequest['method'],
    path: string,
    options: RequestOptions = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    const request = this.#request(method, path, options);
    const startedAt = this.#clock?.now() ?? 0;
    const response = await this.#transport.request(request);
    this.#onRequest?.({
      method,
      path: request.path,
      status: response.status,
      durationMs: (this.#clock?.now() ?? 0) - startedAt,
    });
    for (const warning of warningsOf(response)) this.#onWarning(warning);
    if (response.status < 300) return wholeBody(response.body, options.signal);
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    throw errorOf(response.status, Buffer.concat(chunks).toString());
  }

  /** The events of a watch; ends when the server ends it. @throws ApiError for an ERROR event. */
  async *watch<T = JsonObject>(
    path: string,
    options: RequestOptions,
  ): AsyncGenerator<{ readonly type: string; readonly object: T }> {
    const body = await this.stream('GET', path, { ...options, query: { ...options.query, watch: true } });
    try {
      for await (const lines of lineBatches(body, WATCH_LINE_BYTES_MAX)) {
        for (const line of lines) {
          const event = JSON.parse(line) as { type: string; object: T };
          if (event.type === 'ERROR') throw ApiError.fromStatus(event.object as Status);
          yield event;
        }
      }
    } catch (error) {
      // Servers end watches as they like; kubectl takes it as the end as well.
      if (!(error instanceof CutOffError)) throw error;
    }
  }

  #request(method: ApiRequest['method'], path: string, options: RequestOptions): ApiRequest {
    const { body } = options;
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(options.query ?? {})) {
      const values = Array.isArray(value) ? value : value === undefined ? [] : [value];
      for (const item of values) search.append(key, String(item));
    }
    const text = search.toString();
    const content = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    return {
      method,
      path: text ? `${path}?${text}` : path,
      headers: {
        accept: options.accept ?? 'application/json',
        ...(content !== undefined && {
          'content-type': options.contentType ?? 'application/json',
          // Over HTTP/1.1 a DELETE's body would have no length otherwise.
          'content-length': String(Buffer.byteLength(content)),
        }),
        ...this.#headers,
      },
      repeatedHeaders: this.#repeatedHeaders,
      ...(content !== undefined && { body: content }),
      ...(options.signal && { signal: options.signal }),
    };
  }
}

/** The connection ended before the answer did. */
class CutOffError extends CommandError {
  constructor(cause?: unknown) {
    super('error: unexpected EOF: the connection to the server was lost', { cause });
  }
}

/** Passes the bytes on. @throws CutOffError if they end before the server has sent all. */
async function* wholeBody(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new CutOffError(error);
  }
}

/** The texts of `Warning: 299 - "…"` headers. */
function warningsOf(response: ApiResponse): string[] {
  const header = response.headers.warning ?? '';
  return [...header.matchAll(/\b299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(match =>
    (match[1] ?? '').replaceAll(/\\(.)/g, '$1'),
  );
}

function errorOf(code: number, text: string): ApiError {
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === 'Status') return ApiError.fromStatus({ ...status, code });
  } catch {
    // Not every server on the way speaks JSON; its text is told as it is.
  }
  if (code === 401) return new ApiError('Unauthorized', 'Unauthorized');
  if (code === 404) return new ApiError('NotFound', 'the server could not find the requested resource');
  return new ApiError('', text.trim() || `the server answered with code ${code}`, { code });
}
