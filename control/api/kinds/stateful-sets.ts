/** Stateful sets. */
import * as kinds from '../generated/kinds.ts';
import type { StatefulSet } from '../generated/types.ts';
import { labelName } from '../validation/names.ts';
import { statefulSetWarnings, validateStatefulSet, validateStatefulSetUpdate } from '../validation/stateful-set.ts';
import { declare, SCALE, STATUS } from './declare.ts';
import { defaultPodTemplate } from './pod-defaults.ts';
import { defaultClaim } from './storage.ts';

const HISTORY_LIMIT = 10;

export const statefulSet = declare(kinds.statefulsets, {
  tracksGeneration: true,
  subresources: [SCALE, STATUS],
  // The name becomes the host name of its pods.
  nameRule: labelName,
  podSpecOf: ({ spec }) => spec?.template?.spec,
  defaults({ spec }: StatefulSet) {
    if (!spec) return;
    spec.podManagementPolicy ||= 'OrderedReady';
    defaultStrategy(spec);
    const policy = spec.persistentVolumeClaimRetentionPolicy ?? {};
    spec.persistentVolumeClaimRetentionPolicy = policy;
    policy.whenDeleted ||= 'Retain';
    policy.whenScaled ||= 'Retain';
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= HISTORY_LIMIT;
    defaultPodTemplate(spec.template);
    for (const claim of spec.volumeClaimTemplates ?? []) {
      claim.apiVersion = 'v1';
      claim.kind = 'PersistentVolumeClaim';
      defaultClaim(claim);
    }
  },
  prepareForCreate(object) {
    object.status = { replicas: 0, availableReplicas: 0 };
    dropDisabled(object);
  },
  prepareForUpdate(object, old) {
    if (old.spec?.updateStrategy?.rollingUpdate?.maxUnavailable === undefined) dropDisabled(object);
  },
  validate: validateStatefulSet,
  judgesWholeFirst: true,
  validateUpdate: validateStatefulSetUpdate,
  warnings: statefulSetWarnings,
});

function defaultStrategy(spec: NonNullable<StatefulSet['spec']>): void {
  const strategy = spec.updateStrategy ?? {};
  spec.updateStrategy = strategy;
  if (!strategy.type) {
    strategy.type = 'RollingUpdate';
    strategy.rollingUpdate ??= {};
  }
  if (strategy.type === 'RollingUpdate' && strategy.rollingUpdate) strategy.rollingUpdate.partition ??= 0;
}

/** Behind a feature gate that is off in 1.33. */
function dropDisabled({ spec }: StatefulSet): void {
  delete spec?.updateStrategy?.rollingUpdate?.maxUnavailable;
}
