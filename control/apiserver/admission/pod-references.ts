/** What a pod refers to besides its image, and who may not: mirror pods, and pods whose account limits its secrets. Pure. */
import type { Container, Pod, PodSpec, ServiceAccount, Volume } from '../../api/generated/types.ts';

export type Reference =
  | 'service accounts'
  | 'secrets'
  | 'configmaps'
  | 'clustertrustbundles'
  | 'service account tokens'
  | 'persistentvolumeclaims';

/** What the spec refers to, in the order in which Kubernetes asks. */
export function referencesIn(spec: PodSpec): Reference[] {
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
  const sources = containers.flatMap(({ env = [] }) => env.flatMap(({ valueFrom }) => valueFrom ?? []));
  const environments = containers.flatMap(({ envFrom = [] }) => envFrom);
  const volumes = spec.volumes ?? [];
  const projected = volumes.flatMap(volume => volume.projected?.sources ?? []);
  const hasSecrets =
    (spec.imagePullSecrets ?? []).length > 0 ||
    sources.some(({ secretKeyRef }) => secretKeyRef) ||
    environments.some(({ secretRef }) => secretRef) ||
    projected.some(({ secret }) => secret) ||
    volumes.some(volume => volume.secret || readsSecret(volume));
  const hasConfigMaps =
    sources.some(({ configMapKeyRef }) => configMapKeyRef) ||
    environments.some(({ configMapRef }) => configMapRef) ||
    projected.some(({ configMap }) => configMap) ||
    volumes.some(({ configMap }) => configMap);
  const found: readonly [Reference, boolean][] = [
    ['service accounts', !!spec.serviceAccountName],
    ['secrets', hasSecrets],
    ['configmaps', hasConfigMaps],
    ['clustertrustbundles', projected.some(({ clusterTrustBundle }) => clusterTrustBundle)],
    ['service account tokens', projected.some(({ serviceAccountToken }) => serviceAccountToken)],
    ['persistentvolumeclaims', volumes.some(({ persistentVolumeClaim }) => persistentVolumeClaim)],
  ];
  return found.filter(([, isThere]) => isThere).map(([reference]) => reference);
}

/** True for volumes of drivers that read a secret of the pod's namespace. */
function readsSecret(volume: Volume): boolean {
  return Object.values(volume).some(
    source =>
      typeof source === 'object' &&
      source !== null &&
      ['secretRef', 'nodePublishSecretRef', 'secretName'].some(name => name in source),
  );
}

const MIRROR_REFUSALS: Readonly<Partial<Record<Reference, string>>> = {
  'service accounts': 'a mirror pod may not reference service accounts',
  secrets: 'a mirror pod may not reference secrets',
  configmaps: 'a mirror pod may not reference configmaps',
  'service account tokens': 'a mirror pod may not use ServiceAccountToken volume projections',
  persistentvolumeclaims: 'a mirror pod may not reference persistentvolumeclaims',
};

/** Why a mirror pod is refused: it runs already, and what it refers to would be given to a node for nothing. */
export function mirrorPodRefusal({ spec }: Pod): string | undefined {
  return spec && referencesIn(spec).flatMap(reference => MIRROR_REFUSALS[reference] ?? [])[0];
}

const ENFORCE_SECRETS = 'kubernetes.io/enforce-mountable-secrets';
const isTrue = (text: string | undefined): boolean => ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text ?? '');

/** Why a pod is refused whose service account says that only its own secrets may be mounted. */
export function secretsRefusal({ spec }: Pod, account: ServiceAccount | undefined): string | undefined {
  if (!spec || !account || !isTrue(account.metadata?.annotations?.[ENFORCE_SECRETS])) return undefined;
  const secrets = new Set((account.secrets ?? []).map(({ name }) => name));
  const pullSecrets = new Set((account.imagePullSecrets ?? []).map(({ name }) => name));
  const because = `is not allowed because service account ${account.metadata?.name} does not reference that`;
  const volume = (spec.volumes ?? []).find(each => each.secret && !secrets.has(each.secret.secretName));
  if (volume) return `volume with secret.secretName="${volume.secret?.secretName}" ${because} secret`;
  const inEnvironment = (containers: readonly Container[], what: string): string | undefined => {
    for (const { name, env = [] } of containers) {
      const wrong = env.find(({ valueFrom }) => valueFrom?.secretKeyRef && !secrets.has(valueFrom.secretKeyRef.name));
      if (!wrong) continue;
      const secret = wrong.valueFrom?.secretKeyRef?.name;
      return `${what} ${name} with envVar ${wrong.name} referencing secret.secretName="${secret}" ${because} secret`;
    }
    return undefined;
  };
  const container =
    inEnvironment(spec.initContainers ?? [], 'init container') ?? inEnvironment(spec.containers ?? [], 'container');
  if (container) return container;
  const index = (spec.imagePullSecrets ?? []).findIndex(({ name }) => !pullSecrets.has(name));
  if (index < 0) return undefined;
  return `imagePullSecrets[${index}].name="${spec.imagePullSecrets?.[index]?.name}" ${because} imagePullSecret`;
}
