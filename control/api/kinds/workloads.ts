/** ReplicationController, ReplicaSet, Deployment and DaemonSet, in the versions of today. */
import * as kinds from '../generated/kinds.ts';
import type { DaemonSet, Deployment, PodTemplateSpec, ReplicaSet, ReplicationController } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import {
  nameWarnings,
  validateDaemonSet,
  validateDaemonSetUpdate,
  validateDeployment,
  validateDeploymentUpdate,
  validateReplicaSet,
  validateReplicaSetUpdate,
  validateReplicationController,
  workloadWarnings,
} from '../validation/workloads.ts';
import { type Behaviour, declare, metadataOf, SCALE, STATUS } from './declare.ts';
import { defaultPodTemplate } from './pod-defaults.ts';

const HISTORY_LIMIT = 10;
const PROGRESS_DEADLINE_SECONDS = 600;
const QUARTER = '25%';
const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

/** Selectable fields that count replicas. */
const replicaFields = ({ status }: { status?: { replicas?: number } }) => ({
  'status.replicas': String(status?.replicas ?? 0),
});

export const replicationController = declare(kinds.replicationcontrollers, {
  tracksGeneration: true,
  subresources: [SCALE, STATUS],
  podSpecOf: ({ spec }) => spec?.template?.spec,
  defaults(object: ReplicationController) {
    const { spec } = object;
    if (!spec) return;
    const labels = spec.template?.metadata?.labels;
    if (labels) {
      if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels };
      if (Object.keys(object.metadata?.labels ?? {}).length === 0) metadataOf(object).labels = { ...labels };
    }
    spec.replicas ??= 1;
    defaultPodTemplate(spec.template);
  },
  prepareForCreate(object) {
    object.status = { replicas: 0 };
  },
  validate: validateReplicationController,
  judgesWholeFirst: true,
  warnings: (object, old) => [...nameWarnings(object, old), ...workloadWarnings(object, old)],
  selectableFieldNames: ['status.replicas'],
  selectableFields: replicaFields,
});

/** What ReplicaSets of every version share. */
export const replicaSetBehaviour: Behaviour<ReplicaSet> = {
  tracksGeneration: true,
  subresources: [SCALE, STATUS],
  podSpecOf: ({ spec }) => spec?.template?.spec,
  defaults({ spec }) {
    if (!spec) return;
    spec.replicas ??= 1;
    defaultPodTemplate(spec.template);
  },
  prepareForCreate(object) {
    object.status = { replicas: 0 };
  },
  validate: validateReplicaSet,
  judgesWholeFirst: true,
  validateUpdate: validateReplicaSetUpdate,
  warnings: (object, old) => [...nameWarnings(object, old), ...workloadWarnings(object, old)],
};

export const replicaSet = declare(kinds.replicasets, replicaSetBehaviour);

/** What Deployments of every version share. */
export const deploymentBehaviour: Behaviour<Deployment> = {
  tracksGeneration: true,
  subresources: [SCALE, STATUS],
  // Annotations drive rollouts, so they count as a change of the spec.
  isSpecChanged: (object, old) =>
    !isEqual(object.spec, old.spec) || !isEqual(object.metadata?.annotations ?? {}, old.metadata?.annotations ?? {}),
  podSpecOf: ({ spec }) => spec?.template?.spec,
  defaults({ spec }) {
    if (!spec) return;
    spec.replicas ??= 1;
    spec.strategy ??= {};
    spec.strategy.type ||= 'RollingUpdate';
    if (spec.strategy.type === 'RollingUpdate') {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= QUARTER;
      spec.strategy.rollingUpdate.maxSurge ??= QUARTER;
    }
    spec.revisionHistoryLimit ??= HISTORY_LIMIT;
    spec.progressDeadlineSeconds ??= PROGRESS_DEADLINE_SECONDS;
    defaultPodTemplate(spec.template);
  },
  prepareForStatusUpdate(object, old) {
    const metadata = metadataOf(object);
    if (old.metadata?.labels) metadata.labels = old.metadata.labels;
    else delete metadata.labels;
  },
  validate: validateDeployment,
  judgesWholeFirst: true,
  validateUpdate: validateDeploymentUpdate,
  warnings: (object, old) => [...nameWarnings(object, old), ...workloadWarnings(object, old)],
};

export const deployment = declare(kinds.deployments, deploymentBehaviour);

/** What DaemonSets of every version share. */
export const daemonSetBehaviour: Behaviour<DaemonSet> = {
  tracksGeneration: true,
  subresources: [STATUS],
  podSpecOf: ({ spec }) => spec?.template?.spec,
  defaults({ spec }) {
    if (!spec) return;
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= 'RollingUpdate';
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
      spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
    }
    spec.revisionHistoryLimit ??= HISTORY_LIMIT;
    defaultPodTemplate(spec.template);
  },
  prepareForCreate(object) {
    setTemplateGeneration(object, 1);
    object.status = { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 };
  },
  prepareForUpdate(object, old) {
    const before = Number(old.metadata?.annotations?.[TEMPLATE_GENERATION] ?? 0);
    setTemplateGeneration(object, before + (isTemplateChanged(object.spec?.template, old.spec?.template) ? 1 : 0));
  },
  validate: validateDaemonSet,
  judgesWholeFirst: true,
  validateUpdate: validateDaemonSetUpdate,
  warnings: (object, old) => workloadWarnings(object, old),
};

export const daemonSet = declare(kinds.daemonsets, daemonSetBehaviour);

function isTemplateChanged(template: PodTemplateSpec | undefined, old: PodTemplateSpec | undefined): boolean {
  return !isEqual(template, old);
}

/** The old field `spec.templateGeneration` lives on as an annotation. */
function setTemplateGeneration(object: DaemonSet, generation: number): void {
  const metadata = metadataOf(object);
  metadata.annotations = { ...metadata.annotations, [TEMPLATE_GENERATION]: String(generation) };
}
