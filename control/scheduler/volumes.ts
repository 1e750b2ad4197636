/**
 * Claims, volumes and what else storage is made of, as the scheduler sees it. What was decided but is not in the API yet
 * (assumed) stands in front of what the watch told, so that no volume is given away twice.
 */
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
  VolumeAttachment,
} from '../api/generated/types.ts';

export const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
export const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed';
export const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller';
const BETA_CLASS = 'volume.beta.kubernetes.io/storage-class';
/** Of classes whose volumes are made by hand. */
export const NO_PROVISIONER = 'kubernetes.io/no-provisioner';

interface Named {
  readonly metadata?: { readonly namespace?: string; readonly name?: string; readonly resourceVersion?: string };
}

/** Objects of one kind by name, with assumed versions in front. */
export class Assumable<T extends Named> {
  readonly #seen = new Map<string, T>();
  readonly #assumed = new Map<string, T>();

  get(key: string): T | undefined {
    return this.#assumed.get(key) ?? this.#seen.get(key);
  }

  /** What the API told last, whatever is assumed. */
  seen(key: string): T | undefined {
    return this.#seen.get(key);
  }

  *values(): Iterable<T> {
    for (const [key, object] of this.#seen) yield this.#assumed.get(key) ?? object;
  }

  set(object: T): void {
    const key = keyOfNamed(object);
    const seen = this.#seen.get(key);
    this.#seen.set(key, object);
    // Whatever changed in the API is truer than what was thought would.
    if (seen && seen.metadata?.resourceVersion !== object.metadata?.resourceVersion) this.#assumed.delete(key);
  }

  delete(object: T): void {
    const key = keyOfNamed(object);
    this.#seen.delete(key);
    this.#assumed.delete(key);
  }

  assume(object: T): void {
    this.#assumed.set(keyOfNamed(object), object);
  }

  /** Forgets what was assumed. */
  restore(key: string): void {
    this.#assumed.delete(key);
  }
}

/** What is attached to each node: thousands of nodes are asked for each pod with volumes. */
class Attachments extends Assumable<VolumeAttachment> {
  readonly #byNode = new Map<string, Map<string, VolumeAttachment>>();

  /** A node's attachments, by name. */
  of(node: string): Iterable<VolumeAttachment> {
    return this.#byNode.get(node)?.values() ?? [];
  }

  override set(attachment: VolumeAttachment): void {
    super.set(attachment);
    const { nodeName } = attachment.spec;
    const ofNode = this.#byNode.get(nodeName) ?? new Map<string, VolumeAttachment>();
    this.#byNode.set(nodeName, ofNode.set(keyOfNamed(attachment), attachment));
  }

  override delete(attachment: VolumeAttachment): void {
    super.delete(attachment);
    const { nodeName } = attachment.spec;
    const ofNode = this.#byNode.get(nodeName);
    ofNode?.delete(keyOfNamed(attachment));
    if (ofNode?.size === 0) this.#byNode.delete(nodeName);
  }
}

export class VolumeCatalog {
  readonly claims = new Assumable<PersistentVolumeClaim>();
  readonly volumes = new Assumable<PersistentVolume>();
  readonly classes = new Assumable<StorageClass>();
  readonly csiNodes = new Assumable<CSINode>();
  readonly csiDrivers = new Assumable<CSIDriver>();
  readonly capacities = new Assumable<CSIStorageCapacity>();
  readonly attachments = new Attachments();

  classOf(claim: PersistentVolumeClaim): StorageClass | undefined {
    const name = classNameOf(claim);
    return name ? this.classes.get(name) : undefined;
  }

  /** True if the claim's volume is to be chosen together with its pod's node. */
  isDelayed(claim: PersistentVolumeClaim): boolean {
    return this.classOf(claim)?.volumeBindingMode === 'WaitForFirstConsumer';
  }
}

export function keyOfNamed({ metadata }: Named): string {
  return metadata?.namespace ? `${metadata.namespace}/${metadata.name ?? ''}` : (metadata?.name ?? '');
}

export function classNameOf({ metadata, spec }: PersistentVolumeClaim): string {
  return metadata?.annotations?.[BETA_CLASS] ?? spec?.storageClassName ?? '';
}

/** True once the volume controller is done with the claim. */
export function isFullyBound({ metadata, spec }: PersistentVolumeClaim): boolean {
  return Boolean(spec?.volumeName) && metadata?.annotations?.[BIND_COMPLETED] !== undefined;
}
