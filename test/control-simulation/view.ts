/** The world as the API has it, object by object, with every change in its order: all that the judges look at. */
import type { KubernetesObject } from '../../control/api/kind.ts';
import type { WatchBatch } from '../../store/index.ts';

export interface Change {
  /** `pods`, `deployments`: the plural is enough, for no two kinds in here share one. */
  readonly plural: string;
  /** `namespace/name`, or `name`. */
  readonly key: string;
  readonly before: KubernetesObject | undefined;
  readonly after: KubernetesObject | undefined;
  readonly revision: number;
}

/** Of no interest to any judge, and frequent. */
const IGNORED: ReadonlySet<string> = new Set(['events', 'leases']);

export class View {
  readonly #kinds = new Map<string, Map<string, KubernetesObject>>();
  readonly #owned = new Map<string, Map<string, KubernetesObject>>();

  /** Takes a revision's changes in, and gives them. */
  take(batch: WatchBatch): Change[] {
    const changes: Change[] = [];
    for (const { type, item } of batch.events) {
      const [, registry, , plural = '', ...rest] = item.key.split('/');
      if (registry !== 'registry' || IGNORED.has(plural)) continue;
      const key = rest.join('/');
      const objects = this.#kinds.get(plural) ?? new Map<string, KubernetesObject>();
      this.#kinds.set(plural, objects);
      const before = objects.get(key);
      const after = type === 'put' ? (JSON.parse(Buffer.from(item.value).toString()) as KubernetesObject) : undefined;
      if (after) objects.set(key, after);
      else objects.delete(key);
      this.#index(plural, key, before, after);
      changes.push({ plural, key, before, after, revision: item.modRevision });
    }
    return changes;
  }

  get<T extends KubernetesObject>(plural: string, key: string): T | undefined {
    return this.#kinds.get(plural)?.get(key) as T | undefined;
  }

  list<T extends KubernetesObject>(plural: string): T[] {
    return [...(this.#kinds.get(plural)?.values() ?? [])] as T[];
  }

  /** Objects of a kind whose controller has this UID. */
  ownedBy<T extends KubernetesObject>(plural: string, uid: string): T[] {
    const owned = this.#owned.get(uid);
    if (!owned) return [];
    return [...owned].flatMap(([name, object]) => (name.startsWith(`${plural} `) ? [object as T] : []));
  }

  all(): { readonly plural: string; readonly object: KubernetesObject }[] {
    return [...this.#kinds].flatMap(([plural, objects]) => [...objects.values()].map(object => ({ plural, object })));
  }

  #index(plural: string, key: string, before: KubernetesObject | undefined, after: KubernetesObject | undefined): void {
    const name = `${plural} ${key}`;
    const old = controllerUid(before);
    const now = controllerUid(after);
    if (old !== undefined && old !== now) this.#owned.get(old)?.delete(name);
    if (now === undefined || !after) return;
    const owned = this.#owned.get(now) ?? new Map<string, KubernetesObject>();
    owned.set(name, after);
    this.#owned.set(now, owned);
  }
}

export function controllerUid(object: KubernetesObject | undefined): string | undefined {
  return object?.metadata?.ownerReferences?.find(({ controller }) => controller)?.uid;
}
