/**
 * The typed client: turns verbs on kinds into HTTP requests and answers into objects or {@link ApiError}s. It knows paths,
 * queries and JSON; how bytes travel is the transport's business.
 */
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { ApiError, hasReason, type Reason } from '../api/status.ts';
import type {
  ApiRequest,
  ApiResponse,
  ApiTransport,
  ApiWatchEvent,
  Client,
  DeleteOptions,
  ListOptions,
  ListResult,
  ObjectKey,
  PatchType,
  WatchOptions,
  WriteOptions,
} from './client.ts';
import { type Clock, sleep } from './clock.ts';
import {
  RESPONSE_BYTES_MAX,
  RETRY_AFTER_ATTEMPTS_MAX,
  RETRY_AFTER_SECONDS_MAX,
  WATCH_LINE_BYTES_MAX,
} from './limits.ts';
import { lineBatches } from './lines.ts';

export interface RestClientOptions {
  readonly transport: ApiTransport;
  readonly clock: Clock;
  /** Who asks; the part before `/` is the default field manager. */
  readonly userAgent: string;
}

export class RestClient implements Client {
  readonly transport: ApiTransport;
  readonly #clock: Clock;
  readonly #userAgent: string;

  constructor({ transport, clock, userAgent }: RestClientOptions) {
    this.transport = transport;
    this.#clock = clock;
    this.#userAgent = userAgent;
  }

  async get<T extends KubernetesObject>(
    kind: Kind<T>,
    key: ObjectKey,
    options: { readonly subresource?: string } = {},
  ): Promise<T> {
    return this.#json<T>({ method: 'GET', path: objectPath(kind, key, options.subresource) });
  }

  async list<T extends KubernetesObject>(kind: Kind<T>, options: ListOptions = {}): Promise<ListResult<T>> {
    const list = await this.#json<ListDocument<T>>({
      method: 'GET',
      path: collectionPath(kind, options.namespace) + query(listParameters(options)),
      headers: options.metadataOnly ? { accept: PARTIAL_LIST } : {},
      ...(options.signal && { signal: options.signal }),
    });
    const apiVersion = apiVersionOf(kind);
    // Lists leave kind and apiVersion out of their items; whoever holds an object later needs both.
    for (const item of list.items ?? []) {
      item.apiVersion = apiVersion;
      item.kind = kind.kind;
    }
    return {
      resourceVersion: list.metadata?.resourceVersion ?? '',
      continue: list.metadata?.continue || undefined,
      items: list.items ?? [],
    };
  }

  async *watch<T extends KubernetesObject>(kind: Kind<T>, options: WatchOptions): AsyncGenerator<ApiWatchEvent<T>> {
    const parameters = {
      ...listParameters(options),
      watch: 'true',
      allowWatchBookmarks: options.allowBookmarks ? 'true' : undefined,
      timeoutSeconds: options.timeoutSeconds?.toString(),
    };
    const request: ApiRequest = {
      method: 'GET',
      path: collectionPath(kind, options.namespace) + query(parameters),
      signal: options.signal,
    };
    const response = await this.#request(
      options.metadataOnly ? { ...request, headers: { accept: PARTIAL_WATCH } } : request,
    ).catch(error => {
      // Not every server can watch metadata alone; whole objects have it too.
      if (!options.metadataOnly || !hasReason(error, 'NotAcceptable')) throw error;
      return this.#request(request);
    });
    try {
      for await (const lines of lineBatches(response.body, WATCH_LINE_BYTES_MAX)) {
        for (const line of lines) yield decodeWatchEvent<T>(line, kind);
      }
    } catch (error) {
      if (!options.signal.aborted) throw error;
    }
  }

  create<T extends KubernetesObject>(kind: Kind<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#json<T>({
      method: 'POST',
      path: collectionPath(kind, object.metadata?.namespace) + query(writeParameters(options)),
      ...jsonBody(complete(kind, object)),
    });
  }

  createSubresource<R>(kind: Kind, key: ObjectKey, subresource: string, body: unknown): Promise<R> {
    return this.#json<R>({ method: 'POST', path: objectPath(kind, key, subresource), ...jsonBody(body) });
  }

  update<T extends KubernetesObject>(kind: Kind<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const key = { namespace: object.metadata?.namespace, name: object.metadata?.name ?? '' };
    return this.#json<T>({
      method: 'PUT',
      path: objectPath(kind, withoutUndefined(key), options.subresource) + query(writeParameters(options)),
      ...jsonBody(complete(kind, object)),
    });
  }

  patch<T extends KubernetesObject>(
    kind: Kind<T>,
    key: ObjectKey,
    patch: { readonly type: PatchType; readonly body: unknown; readonly force?: boolean },
    options: WriteOptions = {},
  ): Promise<T> {
    const parameters = { ...writeParameters(options), force: patch.force ? 'true' : undefined };
    return this.#json<T>({
      method: 'PATCH',
      path: objectPath(kind, key, options.subresource) + query(parameters),
      headers: { 'content-type': patch.type },
      body: typeof patch.body === 'string' ? patch.body : JSON.stringify(patch.body),
    });
  }

  async delete<T extends KubernetesObject>(
    kind: Kind<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<T | undefined> {
    const answer = await this.#json<T>({
      method: 'DELETE',
      path: objectPath(kind, key),
      ...jsonBody(deleteBody(options)),
    });
    return answer.kind === 'Status' ? undefined : answer;
  }

  async deleteCollection(kind: Kind, list: ListOptions, options: DeleteOptions = {}): Promise<void> {
    await this.#json({
      method: 'DELETE',
      path: collectionPath(kind, list.namespace) + query(listParameters(list)),
      ...jsonBody(deleteBody(options)),
    });
  }

  async #json<T>(request: ApiRequest): Promise<T> {
    const response = await this.#request(request);
    const text = response.whole ? decoder.decode(response.whole) : await readText(response.body);
    // The server is trusted to send what the path names; boundaries that are not ours parse with a schema.
    return (text === '' ? {} : JSON.parse(text)) as T;
  }

  /** A response with a status below 300; everything else becomes an error. Waits where the server asks for it. */
  async #request(request: ApiRequest): Promise<ApiResponse> {
    const headers = { accept: 'application/json', 'user-agent': this.#userAgent, ...request.headers };
    for (let attempt = 1; ; attempt++) {
      const response = await this.transport.request({ ...request, headers });
      if (response.status < 300) return response;
      const retryAfterSeconds = Number(response.headers['retry-after'] ?? Number.NaN);
      const error = errorFrom(response.status, await readText(response.body));
      if (!mayRetry(response.status, retryAfterSeconds) || attempt >= RETRY_AFTER_ATTEMPTS_MAX) throw error;
      await sleep(this.#clock, Math.min(retryAfterSeconds, RETRY_AFTER_SECONDS_MAX) * 1000, request.signal);
      if (request.signal?.aborted) throw error;
    }
  }
}

interface ListDocument<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: T[];
}

const PARTIAL_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';
const PARTIAL_WATCH = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';

/** `v1` or `apps/v1`. */
export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group ? `${group}/${version}` : version;
}

/** Where objects of a kind live; without a namespace, of all namespaces. */
export function collectionPath(kind: Kind, namespace?: string): string {
  const root = kind.group ? `/apis/${kind.group}/${kind.version}` : `/api/${kind.version}`;
  return kind.namespaced && namespace
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${kind.plural}`
    : `${root}/${kind.plural}`;
}

export function objectPath(kind: Kind, key: ObjectKey, subresource?: string): string {
  const path = `${collectionPath(kind, key.namespace)}/${encodeURIComponent(key.name)}`;
  return subresource ? `${path}/${subresource}` : path;
}

function query(parameters: Readonly<Record<string, string | undefined>>): string {
  let search = '';
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) search += `${search === '' ? '?' : '&'}${name}=${encodeURIComponent(value)}`;
  }
  return search;
}

function withoutUndefined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

const listParameters = (options: ListOptions) => ({
  labelSelector: options.labelSelector,
  fieldSelector: options.fieldSelector,
  resourceVersion: options.resourceVersion,
  resourceVersionMatch: options.resourceVersionMatch,
  limit: options.limit?.toString(),
  continue: options.continue,
});

const writeParameters = (options: WriteOptions) => ({
  fieldManager: options.fieldManager,
  dryRun: options.dryRun ? 'All' : undefined,
  fieldValidation: options.fieldValidation,
});

function deleteBody(options: DeleteOptions): object {
  return withoutUndefined({
    kind: 'DeleteOptions',
    apiVersion: 'v1',
    gracePeriodSeconds: options.gracePeriodSeconds,
    propagationPolicy: options.propagationPolicy,
    dryRun: options.dryRun ? ['All'] : undefined,
    preconditions:
      options.uid || options.resourceVersion
        ? withoutUndefined({ uid: options.uid, resourceVersion: options.resourceVersion })
        : undefined,
  });
}

function jsonBody(body: unknown) {
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function complete<T extends KubernetesObject>(kind: Kind<T>, object: T): T {
  return { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind };
}

/** client-go's rule (rest/with_retry.go): 429 and 5xx, and only where the server names a time. */
function mayRetry(status: number, retryAfterSeconds: number): boolean {
  return (status === 429 || status >= 500) && retryAfterSeconds >= 0;
}

function decodeWatchEvent<T extends KubernetesObject>(line: string, kind: Kind<T>): ApiWatchEvent<T> {
  const event = JSON.parse(line) as
    | ApiWatchEvent<T>
    | { type: 'ERROR'; object: Parameters<typeof ApiError.fromStatus>[0] };
  if (event.type === 'ERROR') throw ApiError.fromStatus(event.object);
  if (event.type !== 'BOOKMARK') {
    event.object.apiVersion = apiVersionOf(kind);
    event.object.kind = kind.kind;
  }
  return event;
}

/** What a response with a status from 300 on says. */
export function errorFrom(status: number, text: string): ApiError {
  try {
    const document = JSON.parse(text) as { kind?: unknown };
    if (document?.kind === 'Status') {
      const error = ApiError.fromStatus(document as Parameters<typeof ApiError.fromStatus>[0]);
      return error.code === status ? error : new ApiError(error.reason, error.message, { ...error, code: status });
    }
  } catch {
    // Not JSON: a proxy or a bare handler answered. The text is all there is.
  }
  const reason = REASONS[status] ?? '';
  return new ApiError(reason, text.trim() || `the server answered with status ${status}`, { code: status });
}

const REASONS: Readonly<Record<number, Reason>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** The whole body as text. */
export async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > RESPONSE_BYTES_MAX) throw new RangeError(`the response is larger than ${RESPONSE_BYTES_MAX} bytes`);
  }
  return decoder.decode(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
}

const decoder = new TextDecoder();
