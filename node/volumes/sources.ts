/**
 * ConfigMaps, Secrets and service account tokens as pods need them: read when asked for and good for a while, so that
 * many pods that use the same object cost one request. Tokens are renewed when four fifths of their life are over.
 */
import {
  type Client,
  type ConfigMap,
  configmaps,
  hasReason,
  type Kind,
  type KubernetesObject,
  type Pod,
  type Secret,
  secrets,
  serviceaccounts,
  type TokenRequest,
} from '../api.ts';
import type { Clock } from '../clock.ts';
import { API_REQUEST_TIMEOUT_MS, SOURCE_CACHE_ENTRIES_MAX, SOURCE_CACHE_MS } from '../limits.ts';

export interface SourcesOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly cacheMs?: number;
}
interface Cached<T> {
  readonly value: Promise<T>;
  readonly until: number;
}

/** The API server did not answer, or not with what was asked for. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly code = 'NODE_SOURCE';
}

export class Sources {
  readonly #options: SourcesOptions;
  readonly #objects = new Map<string, Cached<unknown>>();
  readonly #tokens = new Map<string, { readonly token: string; readonly renewAt: number }>();

  constructor(options: SourcesOptions) {
    this.#options = options;
  }

  /** Undefined if there is none of that name. Throws {@link SourceError} if the API server cannot tell. */
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined> {
    return this.#object(configmaps, namespace, name);
  }

  secret(namespace: string, name: string): Promise<Secret | undefined> {
    return this.#object(secrets, namespace, name);
  }

  /** A token bound to the pod. Throws {@link SourceError}. */
  async token(pod: Pod, request: { audience: string; expirationSeconds: number }): Promise<string> {
    const { uid = '', name: podName = '', namespace = '' } = pod.metadata ?? {};
    const name = pod.spec?.serviceAccountName || 'default';
    const key = `${uid}/${request.audience}/${request.expirationSeconds}`;
    const now = this.#options.clock.now();
    const known = this.#tokens.get(key);
    if (known && now < known.renewAt) return known.token;
    const body: TokenRequest = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: request.audience ? [request.audience] : [],
        expirationSeconds: request.expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: podName, uid },
      },
    };
    const path = { namespace, name };
    const answer = await this.#ask(`a token for service account ${namespace}/${name}`, () =>
      this.#options.client.createSubresource<TokenRequest>(serviceaccounts, path, 'token', body),
    );
    if (!answer.status?.token)
      throw new SourceError(`the API server gave no token for service account ${namespace}/${name}`);
    const life = Date.parse(answer.status.expirationTimestamp) - now;
    makeRoom(this.#tokens);
    this.#tokens.set(key, { token: answer.status.token, renewAt: now + life * 0.8 });
    return answer.status.token;
  }

  /** Drops what was kept for a pod. */
  forget(podUid: string): void {
    for (const key of this.#tokens.keys()) if (key.startsWith(`${podUid}/`)) this.#tokens.delete(key);
  }

  #object<T extends KubernetesObject>(kind: Kind<T>, namespace: string, name: string): Promise<T | undefined> {
    const key = `${kind.plural}/${namespace}/${name}`;
    const now = this.#options.clock.now();
    const known = this.#objects.get(key);
    // The key names the kind, so what lies under it is of type T.
    if (known && now < known.until) return known.value as Promise<T | undefined>;
    const value = this.#ask(`${kind.singular} ${namespace}/${name}`, async () => {
      try {
        return await this.#options.client.get(kind, { namespace, name });
      } catch (error) {
        if (hasReason(error, 'NotFound')) return undefined;
        throw error;
      }
    });
    makeRoom(this.#objects);
    this.#objects.set(key, { value, until: now + (this.#options.cacheMs ?? SOURCE_CACHE_MS) });
    // What failed or was not there is asked for again at once.
    const drop = () => this.#objects.delete(key);
    value.then(object => object === undefined && drop(), drop);
    return value;
  }

  async #ask<T>(what: string, work: () => Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#options.clock.setTimeout(
      () => late.reject(new SourceError(`timed out reading ${what}`)),
      API_REQUEST_TIMEOUT_MS,
    );
    try {
      return await Promise.race([work(), late.promise]);
    } catch (error) {
      if (error instanceof SourceError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new SourceError(`failed to fetch ${what}: ${why}`, { cause: error });
    } finally {
      cancel();
    }
  }
}

/** Keeps a cache below its bound by dropping the oldest entry. */
function makeRoom(map: Map<string, unknown>): void {
  if (map.size < SOURCE_CACHE_ENTRIES_MAX) return;
  const oldest = map.keys().next();
  if (!oldest.done) map.delete(oldest.value);
}
