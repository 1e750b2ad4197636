/**
 * Roles and bindings, found by subject. Kept from the watch cache: each change moves only the entries that it is about,
 * so that a request costs what its user's own bindings cost, however many others there are.
 */
import { clusterrolebindings, clusterroles, rolebindings, roles } from '../../../api/generated/kinds.ts';
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  RbacV1Subject,
  Role,
  RoleBinding,
  RoleRef,
} from '../../../api/generated/types.ts';
import type { Kind } from '../../../api/kind.ts';
import type { CachedObject } from '../../cache/cached-object.ts';
import type { CacheEvent, CacheWatcher } from '../../cache/resource-cache.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import { resourcePrefix } from '../../keys.ts';
import { type CompiledRule, compileRules } from './rules.ts';

/** One subject of one binding. */
export interface Grant {
  /** The binding's name. */
  readonly binding: string;
  /** '' for a ClusterRoleBinding. */
  readonly namespace: string;
  readonly roleRef: RoleRef;
  readonly subject: RbacV1Subject;
}

/** A role's rules, plain and ready to be asked. */
export interface IndexedRole {
  readonly rules: readonly PolicyRule[];
  readonly compiled: readonly CompiledRule[];
}

type AnyBinding = RoleBinding | ClusterRoleBinding;
/** Grants by subject: `u` and the user's name, `g` and the group's. */
type GrantsBySubject = Map<string, Grant[]>;

export const userSubject = (name: string): string => `u${name}`;
export const groupSubject = (name: string): string => `g${name}`;
/** As which user a service account is known. */
export const serviceAccountUser = (namespace: string, name: string): string =>
  `system:serviceaccount:${namespace}:${name}`;

const NO_GRANTS: readonly Grant[] = [];

export class RoleIndex {
  readonly #cache: WatchCache;
  /** `NAMESPACE/NAME`; cluster roles `/NAME`. */
  readonly #roles = new Map<string, IndexedRole>();
  /** By namespace; '' for cluster role bindings. */
  readonly #grants = new Map<string, GrantsBySubject>();
  #isStale = true;

  constructor(cache: WatchCache) {
    this.#cache = cache;
    const takeRole = (object: CachedObject | undefined, previous: CachedObject | undefined) => {
      const named = object ?? previous;
      if (named) this.#setRole(named, object?.parse<Role>());
    };
    const takeBinding = (object: CachedObject | undefined, previous: CachedObject | undefined) => {
      if (previous) this.#removeBinding(previous.parse<AnyBinding>());
      if (object) this.#addBinding(object.parse<AnyBinding>());
    };
    for (const kind of [roles, clusterroles]) this.#follow(kind, takeRole);
    for (const kind of [rolebindings, clusterrolebindings]) this.#follow(kind, takeBinding);
  }

  /** The grants of one subject, in a namespace or ('') in all of the cluster; by the names of the bindings. */
  grants(namespace: string, subject: string): readonly Grant[] {
    this.#refresh();
    return this.#grants.get(namespace)?.get(subject) ?? NO_GRANTS;
  }

  /** The role that a binding in `namespace` names; undefined if there is none. */
  role({ kind, name }: Pick<RoleRef, 'kind' | 'name'>, namespace: string): IndexedRole | undefined {
    this.#refresh();
    return this.#roles.get(kind === 'ClusterRole' ? `/${name}` : `${namespace}/${name}`);
  }

  /** False until the cluster has got its first roles, and somebody is bound to one. */
  get isPopulated(): boolean {
    this.#refresh();
    return this.#roles.size > 0 && this.#grants.size > 0;
  }

  #follow(kind: Kind, take: (object: CachedObject | undefined, previous: CachedObject | undefined) => void): void {
    const watcher: CacheWatcher = {
      offer: ({ object, previous }: CacheEvent) => {
        if (!this.#isStale) take(object, previous);
      },
      // The cache begins anew: so does the index, when it is asked next.
      lost: () => {
        this.#isStale = true;
      },
    };
    this.#cache.resource(resourcePrefix(kind)).watchers.add(watcher);
  }

  #refresh(): void {
    if (!this.#isStale || !this.#cache.isFilled) return;
    this.#isStale = false;
    this.#roles.clear();
    this.#grants.clear();
    const all = (kind: Kind) => {
      const resource = this.#cache.resource(resourcePrefix(kind));
      return resource.list(resource.prefix);
    };
    for (const kind of [roles, clusterroles]) for (const object of all(kind)) this.#setRole(object, object.parse());
    for (const kind of [rolebindings, clusterrolebindings]) {
      for (const object of all(kind)) this.#addBinding(object.parse<AnyBinding>());
    }
  }

  #setRole({ key }: CachedObject, role: Role | ClusterRole | undefined): void {
    const parts = key.split('/');
    const [name = '', namespace] = [parts.at(-1), parts.length > 5 ? parts.at(-2) : ''];
    const id = `${namespace}/${name}`;
    if (!role) this.#roles.delete(id);
    else this.#roles.set(id, { rules: role.rules ?? [], compiled: compileRules(role.rules) });
  }

  #addBinding({ metadata, roleRef, subjects }: AnyBinding): void {
    const { name: binding = '', namespace = '' } = metadata ?? {};
    let bySubject = this.#grants.get(namespace);
    if (!bySubject) {
      bySubject = new Map();
      this.#grants.set(namespace, bySubject);
    }
    for (const subject of subjects ?? []) {
      const key = subjectKey(subject, namespace);
      if (key === undefined) continue;
      const grants = bySubject.get(key) ?? [];
      // A copy: whoever is walking through the old list goes on undisturbed.
      const next = [...grants, { binding, namespace, roleRef, subject }];
      bySubject.set(key, next.sort(byBinding));
    }
  }

  #removeBinding({ metadata, subjects }: AnyBinding): void {
    const { name: binding = '', namespace = '' } = metadata ?? {};
    const bySubject = this.#grants.get(namespace);
    if (!bySubject) return;
    for (const subject of subjects ?? []) {
      const key = subjectKey(subject, namespace);
      if (key === undefined) continue;
      const left = (bySubject.get(key) ?? []).filter(grant => grant.binding !== binding);
      if (left.length > 0) bySubject.set(key, left);
      else bySubject.delete(key);
    }
    if (bySubject.size === 0) this.#grants.delete(namespace);
  }
}

const byBinding = (a: Grant, b: Grant) => (a.binding < b.binding ? -1 : a.binding > b.binding ? 1 : 0);

/** Under what a subject is found; undefined for one that names nobody. */
function subjectKey({ kind, name, namespace }: RbacV1Subject, bindingNamespace: string): string | undefined {
  switch (kind) {
    case 'User':
      return userSubject(name);
    case 'Group':
      return groupSubject(name);
    case 'ServiceAccount': {
      const place = namespace || bindingNamespace;
      return place === '' ? undefined : userSubject(serviceAccountUser(place, name));
    }
    default:
      return undefined;
  }
}
