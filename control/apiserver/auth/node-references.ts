/**
 * A node reads the Secrets, ConfigMaps and service accounts that the pods bound to it name, and no others: a node that was
 * broken into gives away what its own pods know (Kubernetes' node authorizer). What a pod names is worked out once for
 * each state of it.
 *
 * Nodes that route Ingresses read the TLS Secrets of those as well: docs/security.md has the reasons.
 */
import { ingressclasses, ingresses, nodes, pods, secrets } from '../../api/generated/kinds.ts';
import type {
  Container,
  EphemeralContainer,
  Ingress,
  IngressClass,
  Node,
  Pod,
  PodSpec,
  Secret,
  Volume,
} from '../../api/generated/types.ts';
import { isRoutedIngress, mayRoute, ownClasses, TLS_SECRET_TYPE, tlsSecretsOf } from '../../api/ingress.ts';
import type { Kind, KubernetesObject } from '../../api/kind.ts';
import { declarationOf } from '../../api/registry.ts';
import { listAll, listInNamespace } from '../admission/lookup.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { listPrefix, objectKey } from '../keys.ts';
import { Pace } from '../pace.ts';
import type { Clock } from '../types.ts';
import type { Attributes } from './attributes.ts';

const POD = declarationOf(pods);
const GUARDED = new Set(['secrets', 'configmaps', 'serviceaccounts']);

/** What one pod gives its node to read: `secrets/NAME` and so on. */
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
    if (!asked.isResource || asked.group !== '' || !GUARDED.has(asked.resource)) return undefined;
    const wanted = { nodeName, namespace: asked.namespace, reference: `${asked.resource}/${asked.name}` };
    const isRelated = async () => (await this.#isReferred(wanted)) || this.#isCertificate(nodeName, asked);
    if (await isRelated()) return undefined;
    // The pod may have been bound a moment ago through another master.
    await this.#cache.freshen();
    if (await isRelated()) return undefined;
    return `no relationship found between node '${nodeName}' and this object`;
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
export function podReferences({ spec }: Pod): PodReferences {
  const names = new Set<string>();
  const add = (resource: string, name: string | undefined) => {
    if (name) names.add(`${resource}/${name}`);
  };
  if (!spec?.nodeName) return { nodeName: '', names };
  add('serviceaccounts', spec.serviceAccountName);
  for (const { name } of spec.imagePullSecrets ?? []) add('secrets', name);
  for (const container of containersOf(spec)) {
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      add('configmaps', configMapRef?.name);
      add('secrets', secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add('configmaps', valueFrom?.configMapKeyRef?.name);
      add('secrets', valueFrom?.secretKeyRef?.name);
    }
  }
  for (const volume of spec.volumes ?? []) addVolume(add, volume);
  return { nodeName: spec.nodeName, names };
}

function containersOf(spec: PodSpec): readonly (Container | EphemeralContainer)[] {
  return [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
}

function addVolume(add: (resource: string, name: string | undefined) => void, volume: Volume): void {
  add('configmaps', volume.configMap?.name);
  add('secrets', volume.secret?.secretName);
  for (const { configMap, secret } of volume.projected?.sources ?? []) {
    add('configmaps', configMap?.name);
    add('secrets', secret?.name);
  }
  const { azureFile, cephfs, cinder, flexVolume, iscsi, rbd, scaleIO, storageos, csi } = volume;
  for (const source of [cephfs, cinder, flexVolume, iscsi, rbd, scaleIO, storageos])
    add('secrets', source?.secretRef?.name);
  add('secrets', azureFile?.secretName);
  add('secrets', csi?.nodePublishSecretRef?.name);
}
