/** What every new pod gets: a service account, and tolerations for nodes that fail. */
import { serviceaccounts } from '../../api/generated/kinds.ts';
import type { Pod, ServiceAccount, Toleration } from '../../api/generated/types.ts';
import type { KindDeclaration } from '../../api/kind.ts';
import { declarationOf } from '../../api/registry.ts';
import { forbidden } from '../../api/status.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { resourceName } from '../keys.ts';
import { cached } from '../verbs/get.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { mirrorPodRefusal, secretsRefusal } from './pod-references.ts';
import { mountToken } from './token-volume.ts';

const SERVICE_ACCOUNT = declarationOf(serviceaccounts);
const DEFAULT_ACCOUNT = 'default';
/** A pod that an agent found on its own disk; its spec is not ours to change. */
export const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
/** How long a pod that says nothing of it stays on a node that fails. */
export interface TolerationDefaults {
  /** --default-not-ready-toleration-seconds */
  readonly notReadySeconds: number;
  /** --default-unreachable-toleration-seconds */
  readonly unreachableSeconds: number;
}
export const TOLERATION_DEFAULTS: TolerationDefaults = { notReadySeconds: 300, unreachableSeconds: 300 };

/** True for the creation of a pod. */
export const isNewPod = (request: AdmissionRequest) => request.operation === 'CREATE' && isPodItself(request);

const isPodItself = ({ kind, info }: AdmissionRequest) =>
  kind.group === '' && kind.plural === 'pods' && info.subresource === '';

export interface ServiceAccountAdmission {
  readonly cache: WatchCache;
  /** In [0, 1). */
  readonly random: () => number;
  /** False where the server has no key to sign tokens with. */
  readonly mountsTokens: boolean;
}

/**
 * Gives a pod its service account, which must exist, and the volume with the account's token. The account `default` may be
 * missing for the moment between a namespace's creation and its controller; the pod's node then waits for its token.
 */
export function serviceAccount(options: ServiceAccountAdmission): AdmissionPlugin {
  const { cache } = options;
  return {
    name: 'ServiceAccount',
    mutate: (request, { object }) =>
      isNewPod(request) && !isMirrorPod(object as Pod) ? giveAccount(options, request.kind, object as Pod) : undefined,
    validate(request, { object }) {
      if (!isNewPod(request) || !object) return;
      const pod = object as Pod;
      const why = isMirrorPod(pod) ? mirrorPodRefusal(pod) : secretsRefusal(pod, knownAccount(cache, pod));
      if (why !== undefined) throw forbidden(resourceName(request.kind), pod.metadata?.name ?? '', why);
    },
  };
}

async function giveAccount(
  { cache, random, mountsTokens }: ServiceAccountAdmission,
  kind: KindDeclaration,
  pod: Pod,
): Promise<void> {
  pod.spec ??= { containers: [] };
  pod.spec.serviceAccountName ||= pod.spec.serviceAccount || DEFAULT_ACCOUNT;
  pod.spec.serviceAccount = pod.spec.serviceAccountName;
  const account = await readAccount(cache, kind, pod);
  if (account?.imagePullSecrets && !pod.spec.imagePullSecrets?.length) {
    pod.spec.imagePullSecrets = structuredClone(account.imagePullSecrets);
  }
  const wantsToken = pod.spec.automountServiceAccountToken ?? account?.automountServiceAccountToken ?? true;
  if (mountsTokens && wantsToken) mountToken(pod.spec, random);
}

/** True for what an agent shows of a pod that it found on its own disk. */
const isMirrorPod = ({ metadata }: Pod): boolean => metadata?.annotations?.[MIRROR_ANNOTATION] !== undefined;

function knownAccount(cache: WatchCache, { metadata, spec }: Pod): ServiceAccount | undefined {
  const name = spec?.serviceAccountName ?? '';
  return cached({ cache }, SERVICE_ACCOUNT, metadata?.namespace ?? '', name)?.parse<ServiceAccount>();
}

async function readAccount(cache: WatchCache, kind: KindDeclaration, pod: Pod): Promise<ServiceAccount | undefined> {
  const namespace = pod.metadata?.namespace ?? '';
  const name = pod.spec?.serviceAccountName ?? '';
  const read = () => cached({ cache }, SERVICE_ACCOUNT, namespace, name)?.parse<ServiceAccount>();
  const found = read();
  if (found || name === DEFAULT_ACCOUNT) return found;
  await cache.freshen();
  const fresh = read();
  if (fresh) return fresh;
  throw forbidden(
    resourceName(kind),
    pod.metadata?.name ?? '',
    `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`,
  );
}

/**
 * Pods stay for five minutes on a node that stops answering, unless they say otherwise (DefaultTolerationSeconds). Updates
 * too: tolerations that a client leaves out of a pod, which has to keep them, are put back.
 */
export function defaultTolerations({ notReadySeconds, unreachableSeconds }: TolerationDefaults): AdmissionPlugin {
  const tolerated = [
    ['node.kubernetes.io/not-ready', notReadySeconds],
    ['node.kubernetes.io/unreachable', unreachableSeconds],
  ] as const;
  return {
    name: 'DefaultTolerationSeconds',
    mutate(request, { object }) {
      if (!isNewPod(request) && !(isPodItself(request) && request.operation === 'UPDATE')) return;
      const { spec } = object as Pod;
      if (!spec) return;
      for (const [key, tolerationSeconds] of tolerated) {
        if ((spec.tolerations ?? []).some(toleration => isTolerating(toleration, key))) continue;
        const toleration: Toleration = { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds };
        spec.tolerations = [...(spec.tolerations ?? []), toleration];
      }
    },
  };
}

function isTolerating({ key, effect }: Toleration, taint: string): boolean {
  return (key === taint || !key) && (effect === 'NoExecute' || !effect);
}
