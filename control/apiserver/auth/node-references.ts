/**
 * A node reads the Secrets, ConfigMaps and service accounts that the pods bound to it name, writes the status of claims that they
 * name, and touches no others: a node that was broken into gives away what its own pods know (Kubernetes' node authorizer). What a
 * pod names is worked out once for each state of it.
 *
 * Nodes that route Ingresses read the TLS Secrets of those as well: docs/security.md has the reasons.
 */
import {
  ingressclasses,
  ingresses,
  nodes,
  persistentvolumeclaims,
  persistentvolumes,
  pods,
  secrets,
  volumeattachments,
} from '../../api/generated/kinds.ts';
import type {
  Ingress,
  IngressClass,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodSpec,
  Secret,
  VolumeAttachment,
} from '../../api/generated/types.ts';
import { isRoutedIngress, mayRoute, ownClasses, TLS_SECRET_TYPE, tlsSecretsOf } from '../../api/ingress.ts';
import type { Kind, KubernetesObject } from '../../api/kind.ts';
import { containersOf, secretNamesOf } from '../../api/pod-secrets.ts';
import { declarationOf } from '../../api/registry.ts';
import { ephemeralClaimName } from '../../api/volume-binding.ts';
import { listAll, listInNamespace } from '../admission/lookup.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { listPrefix, objectKey } from '../keys.ts';
import { Pace } from '../pace.ts';
import type { Clock } from '../types.ts';
import type { Attributes } from './attributes.ts';

const POD = declarationOf(pods);
const GUARDED = new Set(['secrets', 'configmaps', 'serviceaccounts']);
const WRITES = new Set(['update', 'patch']);

/** What one pod gives its node to read: `secrets/NAME` and so on; `claims/NAME` leads to what their volumes name. */
interface PodReferences {
  readonly nodeName: string;
  readonly names: ReadonlySet<string>;
}

export class NodeReferences {
  readonly #cache: WatchCache;
  readonly #clock: Clock;
  readonly #known = new WeakMap<CachedObject, PodReferences>();

  constructor(cache: WatchCache, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
  }

  /** Why what is allowed in general is refused to this node; undefined if it is not. */
  async refuse(nodeName: string, asked: Attributes): Promise<string | undefined> {
    if (!asked.isResource) return undefined;
    const isAttachment = asked.group === 'storage.k8s.io' && asked.resource === 'volumeattachments';
    const isClaim = asked.group === '' && asked.resource === 'persistentvolumeclaims' && WRITES.has(asked.verb);
    if (!isAttachment && !isClaim && (asked.group !== '' || !GUARDED.has(asked.resource))) return undefined;
    const reference = `${isClaim ? 'claims' : asked.resource}/${asked.name}`;
    const wanted = { nodeName, namespace: asked.namespace, reference };
    const isRelated = async () => {
      if (isAttachment) return this.#isAttachedTo(nodeName, asked.name);
      if ((await this.#isReferred(wanted)) || this.#isCertificate(nodeName, asked)) return true;
      return asked.resource === 'secrets' && this.#isOfVolume(nodeName, asked);
    };
    if (await isRelated()) return undefined;
    // The pod may have been bound a moment ago through another master.
    await this.#cache.freshen();
    if (await isRelated()) return undefined;
    return `no relationship found between node '${nodeName}' and this object`;
  }

  #isAttachedTo(nodeName: string, name: string): boolean {
    return this.#find<VolumeAttachment>(volumeattachments, '', name)?.spec.nodeName === nodeName;
  }

  /** True for a Secret with which the volume behind a claim of one of the node's pods is mounted. */
  async #isOfVolume(nodeName: string, { namespace, name }: Attributes): Promise<boolean> {
    const pace = new Pace(this.#clock);
    const declaration = declarationOf<KubernetesObject>(persistentvolumes);
    for (const object of this.#cache.resource(listPrefix(declaration, '')).list(listPrefix(declaration, ''))) {
      if (pace.isDue()) await pace.turn();
      const volume = object.parse<PersistentVolume>();
      const claim = volume.spec?.claimRef;
      const isNamed = mountSecrets(volume).some(each => each?.namespace === namespace && each.name === name);
      if (!isNamed || !claim?.name || !claim.namespace || !this.#isBound(volume)) continue;
      const wanted = { nodeName, namespace: claim.namespace, reference: `claims/${claim.name}` };
      if (await this.#isReferred(wanted)) return true;
    }
    return false;
  }

  /** The claim says so too: a volume alone could name anybody's. */
  #isBound({ metadata, spec }: PersistentVolume): boolean {
    const { namespace = '', name = '', uid } = spec?.claimRef ?? {};
    const claim = this.#find<PersistentVolumeClaim>(persistentvolumeclaims, namespace, name);
    return claim?.spec?.volumeName === metadata?.name && claim?.metadata?.uid === uid;
  }

  async #isReferred({
    nodeName,
    namespace,
    reference,
  }: {
    readonly nodeName: string;
    readonly namespace: string;
    readonly reference: string;
  }): Promise<boolean> {
    if (namespace === '') return false;
    const pace = new Pace(this.#clock);
    for (const object of this.#cache.resource(listPrefix(POD, '')).list(listPrefix(POD, namespace))) {
      if (pace.isDue()) await pace.turn();
      const pod = this.#referencesOf(object);
      if (pod.nodeName === nodeName && pod.names.has(reference)) return true;
    }
    return false;
  }

  /**
   * True for the Secret of an Ingress that agents route, asked for in a way that gives nothing but a certificate: who may write
   * an Ingress must not open any other Secret to the nodes.
   */
  #isCertificate(nodeName: string, { resource, namespace, name, verb, fieldSelector = '' }: Attributes): boolean {
    if (resource !== 'secrets' || namespace === '' || name === '') return false;
    if (verb === 'get') {
      if (this.#find<Secret>(secrets, namespace, name)?.type !== TLS_SECRET_TYPE) return false;
    } else if (!fieldSelector.split(',').includes(`type=${TLS_SECRET_TYPE}`)) return false;
    const node = this.#find<Node>(nodes, '', nodeName);
    if (!node || !mayRoute(node)) return false;
    const naming = listInNamespace<Ingress>(this.#cache, ingresses, namespace).filter(ingress =>
      tlsSecretsOf(ingress).includes(name),
    );
    if (naming.length === 0) return false;
    const classes = ownClasses(listAll<IngressClass>(this.#cache, ingressclasses));
    return naming.some(ingress => isRoutedIngress(ingress, classes));
  }

  #find<T extends KubernetesObject>(kind: Kind<T>, namespace: string, name: string): T | undefined {
    const declaration = declarationOf<KubernetesObject>(kind);
    return this.#cache
      .resource(listPrefix(declaration, ''))
      .get(objectKey(declaration, namespace, name))
      ?.parse<T>();
  }

  #referencesOf(object: CachedObject): PodReferences {
    let references = this.#known.get(object);
    if (!references) {
      references = podReferences(object.parse<Pod>());
      this.#known.set(object, references);
    }
    return references;
  }
}

/** What the pod's node may read for it. Pure. */
export function podReferences({ metadata, spec }: Pod): PodReferences {
  const names = new Set<string>();
  const add = (resource: string, name: string | undefined) => {
    if (name) names.add(`${resource}/${name}`);
  };
  if (!spec?.nodeName) return { nodeName: '', names };
  add('serviceaccounts', spec.serviceAccountName);
  for (const name of secretNamesOf(spec)) add('secrets', name);
  for (const { env = [], envFrom = [] } of containersOf(spec)) {
    for (const { configMapRef } of envFrom) add('configmaps', configMapRef?.name);
    for (const { valueFrom } of env) add('configmaps', valueFrom?.configMapKeyRef?.name);
  }
  for (const { configMap, projected } of spec.volumes ?? []) {
    add('configmaps', configMap?.name);
    for (const source of projected?.sources ?? []) add('configmaps', source.configMap?.name);
  }
  for (const claim of claimsOf(metadata?.name ?? '', spec)) add('claims', claim);
  return { nodeName: spec.nodeName, names };
}

function claimsOf(podName: string, { volumes = [] }: PodSpec): string[] {
  return volumes.flatMap(({ name, persistentVolumeClaim, ephemeral }) =>
    ephemeral ? [ephemeralClaimName(podName, name)] : (persistentVolumeClaim?.claimName ?? []),
  );
}

/** The Secrets of a CSI volume that its node needs; those of controllers are none of its business. */
const mountSecrets = ({ spec }: PersistentVolume) => [
  spec?.csi?.nodeStageSecretRef,
  spec?.csi?.nodePublishSecretRef,
  spec?.csi?.nodeExpandSecretRef,
];
