/**
 * What the API machinery knows of a kind. Each kind is declared once, in `kinds/`; registry, routes, discovery, OpenAPI,
 * decoding, defaulting, validation and tables all derive from that declaration and from the schema facts in `generated/`.
 */
import type { FieldType } from './apply/types.ts';
import type { IpFamily } from './families.ts';
import type { FeatureGates } from './features.ts';
import type { ObjectMeta } from './generated/types.ts';
import type { FieldError } from './status.ts';

/** Any object of the API. */
export interface KubernetesObject {
  apiVersion?: string;
  kind?: string;
  metadata?: ObjectMeta;
}

/** A name by which code asks for a kind of object; carries its TypeScript type along. */
export interface Kind<T extends KubernetesObject = KubernetesObject> {
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The resource's name in URLs: `pods`. */
  readonly plural: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** The schema's name in `generated/definitions`, such as `io.k8s.api.core.v1.Pod`. */
  readonly definition: string;
  /** How objects are read, for kinds that came at run time; those of built-in kinds are read by their definition. */
  readonly form?: ObjectForm;
  /** Never set; holds T for the type checker. */
  readonly typeOnly?: T;
}

/** What is special about the objects of a custom resource, whose schema is no part of the program. */
export interface ObjectForm {
  readonly listKind: string;
  /** The status is written only through its subresource. */
  readonly hasStatus: boolean;
  /** The definition is on its way out: nothing may be created. */
  readonly isTerminating: boolean;
  /** Reading and writing may have to wait for a webhook. */
  readonly convertsByWebhook: boolean;
  /** Where the replica count stands, if there is a `scale` subresource. */
  readonly scale?: {
    readonly specReplicasPath: string;
    readonly statusReplicasPath: string;
    readonly labelSelectorPath?: string;
  };
  /**
   * Reads a value as an object of the kind. It is a private copy and may be changed. `onUnknown` is told the path of each
   * field that is left out. Throws DecodeError.
   */
  read(value: Record<string, unknown>, onUnknown?: (path: string) => void): KubernetesObject;
}

/** What a strategy may ask of the world. Handed in, so that strategies stay pure. */
export interface StrategyContext {
  /** RFC 3339 with seconds: what `metav1.Time` holds. */
  readonly now: string;
  readonly newUid: () => string;
  readonly user: {
    readonly name: string;
    readonly groups: readonly string[];
    readonly uid?: string;
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
  /** Families of addresses that Services can have, the primary one first; IPv4 if it is not said. */
  readonly serviceFamilies?: readonly IpFamily[];
  /** Features that may be on; as by default if it is not said. */
  readonly features?: FeatureGates;
  /** Which subresource is written; '' for the object itself. */
  readonly subresource: string;
}

/** A column of the server-side table (`kubectl get`). Facts in shared/api/tables.json. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format: string;
  readonly description: string;
  /** Above 0: only with `-o wide`. */
  readonly priority: number;
}

/** A table's cell as the wire has it. */
export type Cell = string | number | boolean | null;

/** How a pod or another object with a grace period leaves. */
export interface DeletionDecision {
  /** Seconds to wait before the object is removed; 0 removes at once. */
  readonly gracePeriodSeconds: number;
}

/**
 * The behaviour of one kind, in the order in which the API server calls it: decode → defaults → prepare → validate →
 * store. Every function is pure; `object` is a private copy that may be changed in place.
 */
export interface KindDeclaration<T extends KubernetesObject = KubernetesObject> extends Kind<T> {
  /** Where objects of this kind are stored: the kind itself, or the one whose version it converts to and from. */
  readonly storedAs?: {
    readonly kind: Kind;
    toStored(object: T): KubernetesObject;
    fromStored(object: KubernetesObject): T;
  };
  /** All verbs of the resource: create delete deletecollection get list patch update watch. */
  readonly verbs: readonly string[];
  readonly subresources: readonly Subresource[];
  /** True if `metadata.generation` counts changes of the spec. */
  readonly tracksGeneration: boolean;
  readonly allowCreateOnUpdate: boolean;
  readonly allowUnconditionalUpdate: boolean;
  /** Fills in what the schema's `default`s alone cannot: conditional defaults. Facts in shared/api/defaults.json. */
  defaults(object: T): void;
  /** Clears what a client may not set (status and such), sets what the server sets. */
  prepareForCreate(object: T, context: StrategyContext): void;
  prepareForUpdate(object: T, old: T, context: StrategyContext): void;
  /** What is wrong with a new object. For one that went through prepareForUpdate, {@link validateUpdate} says it all. */
  validate(object: T): FieldError[];
  /** What is wrong with a changed object, in Kubernetes' order: with the change, and with the object as it is now. */
  validateUpdate(object: T, old: T): FieldError[];
  /**
   * What rules say that may work long: in steps, between which whoever asks lets others have a turn. Asked last; `errors` is what
   * {@link validate} or {@link validateUpdate} said. `old` is undefined for a new object.
   */
  judgeInSteps?(
    object: T,
    old: T | undefined,
    errors: readonly FieldError[],
  ): Generator<undefined, readonly FieldError[]>;
  /** True if neither discovery nor OpenAPI tells of it: it is served to who asks for its path. */
  readonly isUnlisted?: boolean;
  /** The sentence with which every request for a kind on its way out is answered, in a `Warning:` header. */
  readonly deprecation?: string;
  /** Sentences for `Warning:` headers. */
  warnings(object: T, old: T | undefined): string[];
  /** How deletion proceeds; undefined means at once. */
  decideDeletion?(object: T, requestedGraceSeconds: number | undefined): DeletionDecision;
  /** The propagation policy when the client names none. */
  readonly defaultPropagation: 'Background' | 'Orphan';
  /** How the fields of a custom resource are merged and owned; built-in kinds have that from their definition. */
  readonly fieldType?: FieldType;
  /** Fields usable in a field selector besides metadata.name and metadata.namespace, with their values. */
  selectableFields(object: T): Readonly<Record<string, string>>;
  /** Names of those fields. */
  readonly selectableFieldNames: readonly string[];
  readonly columns: readonly Column[];
  /** One row; `now` in milliseconds since the epoch renders ages. */
  row(object: T, now: number): { readonly cells: readonly Cell[]; readonly conditions?: readonly unknown[] };
}

/** A part of a resource under its own path. `status` and `scale` are generic; the others have handlers of their own. */
export interface Subresource {
  readonly name: string;
  readonly verbs: readonly string[];
  /** The kind that is sent and answered, where it is not the parent's: scale speaks autoscaling/v1 Scale. */
  readonly responseKind?: { readonly group: string; readonly version: string; readonly kind: string };
}
