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
import { type Clock, timeText } from '../clock.ts';
import { API_REQUEST_TIMEOUT_MS, SOURCE_CACHE_ENTRIES_MAX, SOURCE_CACHE_MS, TOKEN_AGE_MS_MAX } from '../limits.ts';

export interface SourcesOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly cacheMs?: number;
}
interface Cached<T> {
  readonly value: Promise<T>;
  readonly until: number;
}

interface TokenWish {
  /** '' for the API server's own. */
  readonly audience: string;
  readonly expirationSeconds: number;
}
interface KnownToken {
  readonly token: string;
  readonly renewAt: number;
  readonly endsAt: number;
}

/** The API server did not answer, or not with what was asked for. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly code = 'NODE_SOURCE';
}

export class Sources {
  readonly #options: SourcesOptions;
  readonly #objects = new Map<string, Cached<unknown>>();
  readonly #tokens = new Map<string, KnownToken>();

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

  /**
   * A token bound to the pod. One that is due for renewal but cannot be renewed is given as long as it holds: a pod starts
   * and goes on while the API is away. Throws {@link SourceError}.
   */
  async token(pod: Pod, request: TokenWish): Promise<string> {
    return (await this.#token(pod, request)).token;
  }

  /** The same with the time at which it ends, as the API answers to a TokenRequest. Throws {@link SourceError}. */
  async tokenStatus(pod: Pod, request: TokenWish): Promise<NonNullable<TokenRequest['status']>> {
    const { token, endsAt } = await this.#token(pod, request);
    return { token, expirationTimestamp: timeText(endsAt) };
  }

  async #token(pod: Pod, request: TokenWish): Promise<KnownToken> {
    const key = `${pod.metadata?.uid}/${request.audience}/${request.expirationSeconds}`;
    const known = this.#tokens.get(key);
    if (known && this.#options.clock.now() < known.renewAt) return known;
    try {
      const fresh = await this.#requestToken(pod, request);
      makeRoom(this.#tokens);
      this.#tokens.set(key, fresh);
      return fresh;
    } catch (error) {
      if (known && error instanceof SourceError && this.#options.clock.now() < known.endsAt) return known;
      throw error;
    }
  }

  async #requestToken(pod: Pod, { audience, expirationSeconds }: TokenWish): Promise<KnownToken> {
    const { uid = '', name: podName = '', namespace = '' } = pod.metadata ?? {};
    const name = pod.spec?.serviceAccountName || 'default';
    const now = this.#options.clock.now();
    const body: TokenRequest = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: audience ? [audience] : [],
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: podName, uid },
      },
    };
    const { status } = await this.#ask(`a token for service account ${namespace}/${name}`, () =>
      this.#options.client.createSubresource<TokenRequest>(serviceaccounts, { namespace, name }, 'token', body),
    );
    if (!status?.token) throw new SourceError(`the API server gave no token for service account ${namespace}/${name}`);
    const endsAt = Date.parse(status.expirationTimestamp);
    // Four fifths of its life, but no later than a day from now (kubelet: token_manager.go).
    const renewAt = now + Math.min((endsAt - now) * 0.8, TOKEN_AGE_MS_MAX);
    return { token: status.token, renewAt, endsAt };
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
