/** Who serves which group and version, as the APIServices say, read anew only when one of them has changed. */
import { apiservices } from '../../api/generated/kinds.ts';
import type { APIService } from '../../api/generated/types.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import type { CalloutTarget } from '../callout/target.ts';
import { resourcePrefix } from '../keys.ts';

/** A group and version that another server serves. */
export interface RemoteService {
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly target: CalloutTarget;
  /** Where it lies, for telling servers apart: `NAMESPACE/NAME:PORT` and whom it believes. */
  readonly place: string;
  readonly isAvailable: boolean;
  readonly groupPriority: number;
  readonly versionPriority: number;
}

const PREFIX = resourcePrefix(apiservices);
export const AVAILABLE = 'Available';

export class ApiServices {
  readonly #cache: WatchCache;
  #seen: { readonly change: number; readonly remote: ReadonlyMap<string, RemoteService> } | undefined;

  constructor(cache: WatchCache) {
    this.#cache = cache;
  }

  /** Changes with every APIService. */
  get change(): number {
    return this.#cache.resource(PREFIX).lastChange;
  }

  /** By `group/version`: those that another server serves. */
  get remote(): ReadonlyMap<string, RemoteService> {
    const { change } = this;
    if (this.#seen?.change !== change) {
      const found = this.all().flatMap(service => remoteOf(service) ?? []);
      this.#seen = { change, remote: new Map(found.map(one => [`${one.group}/${one.version}`, one])) };
    }
    return this.#seen.remote;
  }

  /** Private copies of all of them. */
  all(): APIService[] {
    return this.#cache
      .resource(PREFIX)
      .list(PREFIX)
      .map(object => object.parse<APIService>());
  }
}

function remoteOf({ metadata, spec, status }: APIService): RemoteService | undefined {
  if (!spec?.service) return undefined;
  const { group = '', version = '', caBundle, insecureSkipTLSVerify } = spec;
  const { namespace = '', name = '', port } = spec.service;
  const condition = status?.conditions?.find(({ type }) => type === AVAILABLE);
  return {
    name: metadata?.name ?? '',
    group,
    version,
    target: { service: { namespace, name, port }, caBundle, insecureSkipTLSVerify },
    place: `${namespace}/${name}:${port} ${insecureSkipTLSVerify ?? false} ${caBundle ?? ''}`,
    isAvailable: condition?.status === 'True',
    groupPriority: spec.groupPriorityMinimum,
    versionPriority: spec.versionPriority,
  };
}
