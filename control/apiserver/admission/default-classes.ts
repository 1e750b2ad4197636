/** Claims and ingresses that name no class get the default one, if there is one. */
import { ingressclasses, storageclasses } from '../../api/generated/kinds.ts';
import type { Ingress, PersistentVolumeClaim } from '../../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../../api/kind.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { listAll } from './lookup.ts';

/** How an object named its class before there was a field for it. */
const OLD_STORAGE_CLASS = 'volume.beta.kubernetes.io/storage-class';
const OLD_INGRESS_CLASS = 'kubernetes.io/ingress.class';

/** What marks a class as the default one. */
const DEFAULT_STORAGE = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];
const DEFAULT_INGRESS = ['ingressclass.kubernetes.io/is-default-class'];

const isNew = ({ kind, operation, info }: AdmissionRequest, plural: string): boolean =>
  operation === 'CREATE' && info.subresource === '' && kind.plural === plural;

export function defaultStorageClass(cache: WatchCache): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    mutate(request, { object }) {
      if (!isNew(request, 'persistentvolumeclaims')) return;
      const { spec, metadata } = object as PersistentVolumeClaim;
      if (!spec || spec.storageClassName !== undefined || metadata?.annotations?.[OLD_STORAGE_CLASS] !== undefined)
        return;
      const name = defaultOf(cache, storageclasses, DEFAULT_STORAGE);
      if (name !== undefined) spec.storageClassName = name;
    },
  };
}

export function defaultIngressClass(cache: WatchCache): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    mutate(request, { object }) {
      if (!isNew(request, 'ingresses')) return;
      const { spec, metadata } = object as Ingress;
      if (!spec || spec.ingressClassName !== undefined || metadata?.annotations?.[OLD_INGRESS_CLASS] !== undefined)
        return;
      const name = defaultOf(cache, ingressclasses, DEFAULT_INGRESS);
      if (name !== undefined) spec.ingressClassName = name;
    },
  };
}

/** The newest of the classes so marked, and of equally new ones the first by name. */
function defaultOf(cache: WatchCache, kind: Kind<KubernetesObject>, marks: readonly string[]): string | undefined {
  const created = ({ metadata }: KubernetesObject) => metadata?.creationTimestamp ?? '';
  // The cache lists by name, and sorting keeps that order among equals.
  return listAll(cache, kind)
    .filter(({ metadata }) => marks.some(mark => metadata?.annotations?.[mark] === 'true'))
    .sort((a, b) => (created(a) < created(b) ? 1 : created(a) > created(b) ? -1 : 0))[0]?.metadata?.name;
}
