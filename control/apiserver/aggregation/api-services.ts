/** Who serves which group and version, as the APIServices say, read anew only when one of them has changed. */
import { apiservices } from '../../api/generated/kinds.ts';
import type { APIService } from '../../api/generated/types.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import type { CalloutTarget } from '../callout/target.ts';
import { resourcePrefix } from '../keys.ts';
import type { Exchange, Reply } from '../types.ts';
import type { DiscoveredVersion } from './discovery-merge.ts';

/** A group and version that this server itself serves, beside the kinds that it stores, while nobody else is named for it. */
export interface InProcessService {
  readonly group: string;
  readonly version: string;
  readonly isServed: boolean;
  readonly discovered: DiscoveredVersion;
  handle(exchange: Exchange): Promise<Reply>;
}

/** A group and version that another server serves. */
export interface RemoteService {
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly target: CalloutTarget;
  /** Given for a group that this server serves beside its kinds: then nobody is called. */
  readonly inProcess?: InProcessService;
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

/** Stands in the list of services in another server's place. */
export function asService(inProcess: InProcessService): RemoteService {
  const { group, version } = inProcess;
  return { ...inProcess, name: `${version}.${group}`, target: {}, place: '', isAvailable: true, ...RANK, inProcess };
}
/** What metrics-server claims. */
const RANK = { groupPriority: 100, versionPriority: 100 };

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
