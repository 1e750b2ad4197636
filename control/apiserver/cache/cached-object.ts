/** One object in the cache: ready bytes, and what selectors ask of it, worked out once and only when asked. */
import type { KubernetesObject } from '../../api/kind.ts';
import { makeReady, parseReady, type ReadyBytes, withRevision } from './encoding.ts';

const NO_LABELS: Readonly<Record<string, string>> = {};

export interface ObjectLife {
  readonly uid: string | undefined;
  readonly deletionTimestamp: string | undefined;
  /** `status.phase`, where its kind has one. */
  readonly phase: string | undefined;
}

export class CachedObject {
  readonly key: string;
  /** The store revision of its last write: its resourceVersion. */
  readonly revision: number;
  readonly ready: ReadyBytes;
  #life: ObjectLife | undefined;
  #labels: Readonly<Record<string, string>> | undefined;
  #fields: Readonly<Record<string, string>> | undefined;
  /** Of which kind they are, by its {@link markOf}. */
  #fieldsOf: object | undefined;
  #views: WeakMap<object, ReadyBytes> | undefined;
  /** Of which this is the same content at a later revision. */
  #origin: CachedObject | undefined;

  private constructor(key: string, revision: number, ready: ReadyBytes) {
    this.key = key;
    this.revision = revision;
    this.ready = ready;
  }

  /** From what the store holds. */
  static fromStored(key: string, stored: Uint8Array, revision: number): CachedObject {
    return new CachedObject(key, revision, makeReady(stored, revision));
  }

  /** A fresh copy that the caller may change. */
  parse<T extends KubernetesObject = KubernetesObject>(): T {
    return parseReady(this.ready) as T;
  }

  /** Who it is and whether it is about to go, worked out once: tokens and namespaces are asked for it at every request. */
  get life(): ObjectLife {
    if (!this.#life) {
      const { metadata, status } = this.parse<KubernetesObject & { readonly status?: { readonly phase?: string } }>();
      this.#life = {
        uid: metadata?.uid,
        deletionTimestamp: metadata?.deletionTimestamp ?? undefined,
        phase: status?.phase,
      };
    }
    return this.#life;
  }

  get labels(): Readonly<Record<string, string>> {
    this.#labels ??= this.parse().metadata?.labels ?? NO_LABELS;
    return this.#labels;
  }

  /** What `read` finds, kept for the served kind that asked last. */
  fields(kind: object, read: () => Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const mark = markOf(kind);
    if (!this.#fields || this.#fieldsOf !== mark) {
      this.#fields = read();
      this.#fieldsOf = mark;
    }
    return this.#fields;
  }

  /**
   * Another form of the object's bytes, made once: the object in another served version, or as its kind has it now. It goes
   * with the kind, so that forms of definitions that are no more take no memory.
   */
  view(kind: object, make: (object: KubernetesObject) => ReadyBytes): ReadyBytes {
    let view = this.#views?.get(kind);
    if (!view) {
      const origin = this.#origin;
      view = origin ? withRevision(origin.view(kind, make), origin.revision, this.revision) : make(this.parse());
      // Mostly it is what is stored.
      if (view.bytes.equals(this.ready.bytes)) view = this.ready;
      this.#views ??= new WeakMap();
      this.#views.set(kind, view);
    }
    return view;
  }

  /** The same content at a later revision: how a watcher is told that it is gone. */
  at(revision: number): CachedObject {
    const later = new CachedObject(this.key, revision, withRevision(this.ready, this.revision, revision));
    later.#origin = this;
    return later;
  }
}

const marks = new WeakMap<object, object>();

/**
 * What stands for a kind where it must not be kept alive: definitions come and go. A map of its own for each object, which
 * would do that as well, takes more memory than the rest of a small one.
 */
function markOf(kind: object): object {
  let mark = marks.get(kind);
  if (!mark) {
    mark = {};
    marks.set(kind, mark);
  }
  return mark;
}
