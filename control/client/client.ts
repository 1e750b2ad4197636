/**
 * How controllers, scheduler, agents and the CLI speak to the API server. One interface; whether requests travel over
 * HTTPS or stay in the process is the {@link ApiTransport}'s business and cannot be told from here.
 */
import type { Kind, KubernetesObject } from '../api/kind.ts';

/** One request, as HTTP has it. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query: `/api/v1/pods?watch=true`. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Headers that come several times, once for each value. */
  readonly repeatedHeaders?: Readonly<Record<string, readonly string[]>>;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal;
}
export interface ApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The body as it arrives; must be drained or returned. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The whole body, where it is there at once: then nobody need drain `body`, which gives the same. */
  readonly whole?: Uint8Array;
}
/**
 * Carries requests: `https.ts` over the network with a health-checked list of masters, or in the process, where
 * `control/main.ts` hands in the API server's own handler together with the user and the leadership term to act under.
 */
export interface ApiTransport {
  request(request: ApiRequest): Promise<ApiResponse>;
  close(): Promise<void>;
}

export interface ObjectKey {
  readonly namespace?: string;
  readonly name: string;
}
export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan';
  readonly limit?: number;
  readonly continue?: string;
  /** Asks for `metadata` alone (meta.k8s.io PartialObjectMetadata). A server that does not know it sends all. */
  readonly metadataOnly?: boolean;
  readonly signal?: AbortSignal;
}
export interface ListResult<T> {
  readonly resourceVersion: string;
  readonly continue: string | undefined;
  readonly items: readonly T[];
}
export interface WatchOptions extends ListOptions {
  readonly signal: AbortSignal;
  readonly allowBookmarks?: boolean;
  readonly timeoutSeconds?: number;
}
export type ApiWatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly object: { readonly metadata: { readonly resourceVersion: string } } };
export interface WriteOptions {
  readonly fieldManager?: string;
  readonly dryRun?: boolean;
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
  /** '' or undefined for the object itself. */
  readonly subresource?: string;
}
export type PatchType =
  | 'application/json-patch+json'
  | 'application/merge-patch+json'
  | 'application/strategic-merge-patch+json'
  | 'application/apply-patch+yaml';
export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly dryRun?: boolean;
}

/** Typed verbs. Every failure that the server tells is an `ApiError` (control/api/status.ts). */
export interface Client {
  get<T extends KubernetesObject>(
    kind: Kind<T>,
    key: ObjectKey,
    options?: { readonly subresource?: string },
  ): Promise<T>;
  list<T extends KubernetesObject>(kind: Kind<T>, options?: ListOptions): Promise<ListResult<T>>;
  /** Throws `ApiError` with reason Expired from the iterator when the version is too old. Ends when the server ends it. */
  watch<T extends KubernetesObject>(kind: Kind<T>, options: WatchOptions): AsyncIterable<ApiWatchEvent<T>>;
  create<T extends KubernetesObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<T>;
  /** POST to a subresource such as `pods/binding`, `pods/eviction`. */
  createSubresource<R>(kind: Kind, key: ObjectKey, subresource: string, body: unknown): Promise<R>;
  update<T extends KubernetesObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubernetesObject>(
    kind: Kind<T>,
    key: ObjectKey,
    patch: { readonly type: PatchType; readonly body: unknown; readonly force?: boolean },
    options?: WriteOptions,
  ): Promise<T>;
  /** Resolves with what the server answers: the object as it leaves, or a Status. */
  delete<T extends KubernetesObject>(kind: Kind<T>, key: ObjectKey, options?: DeleteOptions): Promise<T | undefined>;
  deleteCollection(kind: Kind, list: ListOptions, options?: DeleteOptions): Promise<void>;
  /** The transport beneath, for streams and raw paths. */
  readonly transport: ApiTransport;
}
