/** Who a StatefulSet's pods are: ordinals, names, labels, and the claims that belong to each of them. Pure. */
import { statefulsets as statefulSetsKind } from '../api/generated/kinds.ts';
import type { PersistentVolumeClaim, Pod, PodTemplateSpec, StatefulSet, Volume } from '../api/generated/types.ts';
import { controllerReference } from './owners.ts';
import { podFromTemplate } from './pods.ts';

export const POD_NAME_LABEL = 'statefulset.kubernetes.io/pod-name';
export const POD_INDEX_LABEL = 'apps.kubernetes.io/pod-index';
/** Holds the name of the ControllerRevision that the pod was made from. */
export const POD_REVISION_LABEL = 'controller-revision-hash';

export const revisionOfPod = ({ metadata }: Pod): string => metadata?.labels?.[POD_REVISION_LABEL] ?? '';
export const startOrdinal = ({ spec }: StatefulSet): number => spec?.ordinals?.start ?? 0;
export const wantedReplicas = ({ spec }: StatefulSet): number => spec?.replicas ?? 1;

/** Within what the set wants now; pods beyond are to go. */
export function isOrdinalWanted(set: StatefulSet, ordinal: number): boolean {
  const start = startOrdinal(set);
  return ordinal >= start && ordinal < start + wantedReplicas(set);
}

/** The ordinal of a pod that has one of this set's names; undefined for any other. */
export function ordinalOf({ metadata }: StatefulSet, pod: Pod): number | undefined {
  const match = /^(.*)-(\d+)$/.exec(pod.metadata?.name ?? '');
  if (!match || match[1] !== metadata?.name) return undefined;
  const ordinal = Number(match[2]);
  return ordinal <= ORDINAL_MAX ? ordinal : undefined;
}

const ORDINAL_MAX = 0x7fff_ffff;

/** A new pod of the set, as `template` describes it. */
export function statefulPod(
  set: StatefulSet,
  { template, revision, ordinal }: { template: PodTemplateSpec | undefined; revision: string; ordinal: number },
): Pod {
  const { name: setName = '', namespace = '' } = set.metadata ?? {};
  const pod = podFromTemplate(template, {
    name: setName,
    namespace,
    reference: controllerReference(statefulSetsKind, set),
  });
  const name = `${setName}-${ordinal}`;
  const volumes = withClaimVolumes(set, ordinal, pod.spec?.volumes ?? []);
  return {
    metadata: {
      ...pod.metadata,
      name,
      labels: { ...pod.metadata?.labels, ...identityLabels(name, ordinal), [POD_REVISION_LABEL]: revision },
    },
    spec: {
      ...pod.spec,
      containers: pod.spec?.containers ?? [],
      hostname: name,
      ...(set.spec?.serviceName && { subdomain: set.spec.serviceName }),
      ...(volumes.length > 0 && { volumes }),
    },
  };
}

/** The pod with the identity and storage that it should have; the same object if it has them. */
export function withIdentity(set: StatefulSet, ordinal: number, pod: Pod): Pod {
  const name = pod.metadata?.name ?? '';
  const hasName = pod.metadata?.labels?.[POD_NAME_LABEL] === name;
  const hasStorage = claimVolumes(set, ordinal).every(wanted =>
    pod.spec?.volumes?.some(
      volume =>
        volume.name === wanted.name &&
        volume.persistentVolumeClaim?.claimName === wanted.persistentVolumeClaim?.claimName,
    ),
  );
  if (hasName && hasStorage) return pod;
  const labels = { ...pod.metadata?.labels, ...identityLabels(name, ordinal) };
  if (hasStorage || !pod.spec) return { ...pod, metadata: { ...pod.metadata, labels } };
  const volumes = withClaimVolumes(set, ordinal, pod.spec.volumes ?? []);
  return { ...pod, metadata: { ...pod.metadata, labels }, spec: { ...pod.spec, volumes } };
}

const identityLabels = (name: string, ordinal: number) => ({
  [POD_NAME_LABEL]: name,
  [POD_INDEX_LABEL]: String(ordinal),
});

/** The claims that the pod of this ordinal needs, as they are created. */
export function claimsOf(set: StatefulSet, ordinal: number): PersistentVolumeClaim[] {
  return (set.spec?.volumeClaimTemplates ?? []).map(({ status: _, ...template }) => ({
    ...template,
    metadata: {
      ...template.metadata,
      name: claimName(set, template.metadata?.name ?? '', ordinal),
      namespace: set.metadata?.namespace ?? '',
      labels: { ...template.metadata?.labels, ...set.spec?.selector.matchLabels },
    },
  }));
}

/** True if a claim of this name can be one of the set's. */
export function isClaimOf(set: StatefulSet, name: string): boolean {
  return (set.spec?.volumeClaimTemplates ?? []).some(template => {
    const prefix = `${template.metadata?.name}-${set.metadata?.name}-`;
    return name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length));
  });
}

const claimName = (set: StatefulSet, template: string, ordinal: number) =>
  `${template}-${set.metadata?.name}-${ordinal}`;

function claimVolumes(set: StatefulSet, ordinal: number): Volume[] {
  return (set.spec?.volumeClaimTemplates ?? []).map(({ metadata }) => {
    const name = metadata?.name ?? '';
    return { name, persistentVolumeClaim: { claimName: claimName(set, name, ordinal) } };
  });
}

/** Volumes of claims take the place of those that have their names. */
function withClaimVolumes(set: StatefulSet, ordinal: number, volumes: readonly Volume[]): Volume[] {
  const own = claimVolumes(set, ordinal);
  return [...own, ...volumes.filter(({ name }) => !own.some(volume => volume.name === name))];
}
