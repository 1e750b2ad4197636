/** Makes the claims of pods' generic ephemeral volumes; they go with their pod, which owns them (KEP-1698). */
import { persistentvolumeclaims as claimsKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { PersistentVolumeClaim, Pod, Volume } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { ephemeralClaimName } from '../api/volume-binding.ts';
import { keyOf } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { controllerReference } from './owners.ts';
import { CLAIM_INDEX, podsByClaim } from './pod-claims.ts';

/** The claims that a pod's ephemeral volumes need. None for a pod that is going or over. Pure. */
export function planEphemeralClaims(pod: Pod): PersistentVolumeClaim[] {
  const { metadata, spec, status } = pod;
  if (metadata?.deletionTimestamp || status?.phase === 'Succeeded' || status?.phase === 'Failed') return [];
  return (spec?.volumes ?? [])
    .filter(({ ephemeral }) => ephemeral?.volumeClaimTemplate)
    .map(each => claimFor(pod, each));
}

function claimFor(pod: Pod, { name, ephemeral }: Volume): PersistentVolumeClaim {
  const { metadata: { labels, annotations } = {}, spec } = ephemeral?.volumeClaimTemplate ?? { spec: {} };
  return {
    metadata: {
      name: ephemeralClaimName(pod.metadata?.name ?? '', name),
      ...(pod.metadata?.namespace !== undefined && { namespace: pod.metadata.namespace }),
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ownerReferences: [controllerReference(podsKind, pod)],
    },
    spec,
  };
}

/** True if the claim was made for this very pod: one of the same name that a user made is not taken. */
export const isOwnedBy = ({ metadata }: PersistentVolumeClaim, pod: Pod): boolean =>
  (metadata?.ownerReferences ?? []).some(({ uid, controller }) => controller === true && uid === pod.metadata?.uid);

export function ephemeralVolumeController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const pods = informers.for<Pod>(podsKind);
  const claims = informers.for<PersistentVolumeClaim>(claimsKind);
  pods.addIndex(CLAIM_INDEX, podsByClaim);
  const enqueue = (pod: Pod) => {
    if (pod.spec?.volumes?.some(({ ephemeral }) => ephemeral)) queue.add(keyOf(pod));
  };
  pods.addHandler({ added: enqueue, updated: enqueue });
  claims.addHandler({
    deleted: claim => {
      for (const pod of pods.byIndex(CLAIM_INDEX, keyOf(claim))) enqueue(pod);
    },
  });
  return queueController(context, {
    name: 'ephemeral-volume-controller',
    queue,
    async reconcile(key) {
      const pod = pods.get(key);
      for (const claim of pod ? planEphemeralClaims(pod) : []) {
        const present = claims.get(keyOf(claim));
        if (pod && present && !isOwnedBy(present, pod)) throw new ForeignClaimError(claim, pod);
        if (present) continue;
        try {
          await client.create(claimsKind, claim);
        } catch (error) {
          // Made already, or by somebody else: the next look tells.
          if (!hasReason(error, 'AlreadyExists')) throw error;
          throw new Error(`claim ${keyOf(claim)} is there already`, { cause: error });
        }
      }
      return undefined;
    },
  });
}

/** A claim has the name of an ephemeral volume's and is not its pod's: using it could hand its data to the wrong one. */
export class ForeignClaimError extends Error {
  override readonly name = 'ForeignClaimError';
  readonly code = 'FOREIGN_CLAIM';

  constructor(claim: PersistentVolumeClaim, pod: Pod) {
    super(`PVC ${keyOf(claim)} was not created for pod ${keyOf(pod)} (pod is not owner)`);
  }
}
