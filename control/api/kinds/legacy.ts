/**
 * Deployments, ReplicaSets and DaemonSets in the versions that Kubernetes dropped in 1.16. Manifests of 2016 are still
 * around, so they are taken, with the defaults of their time, and stored as apps/v1.
 */

import * as kinds from '../generated/kinds.ts';
import type { DaemonSet, Deployment, LabelSelector, PodTemplateSpec, ReplicaSet } from '../generated/types.ts';
import type { Kind, KindDeclaration, KubernetesObject } from '../kind.ts';
import { type Behaviour, declare, metadataOf } from './declare.ts';
import { daemonSetBehaviour, deploymentBehaviour, replicaSetBehaviour } from './workloads.ts';

type OldSpec = {
  rollbackTo?: unknown;
  templateGeneration?: number;
  selector?: LabelSelector;
  template?: PodTemplateSpec;
};
type Workload = KubernetesObject & { spec?: OldSpec };

const ROLLBACK_TO = 'deprecated.deployment.rollback.to';

/** How a version fills in what a manifest leaves out. */
interface Era {
  readonly group: string;
  readonly version: string;
  readonly maxUnavailable: number | string;
  readonly maxSurge: number | string;
  /** Absent: old revisions are all kept. */
  readonly revisionHistoryLimit?: number;
  /** Absent: progress is never judged. */
  readonly progressDeadlineSeconds?: number;
  readonly daemonSetStrategy: 'OnDelete' | 'RollingUpdate';
  /** Selector and labels come from the template where they are missing. */
  readonly isSelectorDefaulted: boolean;
  /** Discovery tells of no version that v1.33 has not, but for the one that founding documents need. */
  readonly isUnlisted: boolean;
}

const INT32_MAX = 2_147_483_647;
const HISTORY_LIMIT_BETA1 = 2;

const EXTENSIONS_V1BETA1: Era = {
  group: 'extensions',
  version: 'v1beta1',
  maxUnavailable: 1,
  maxSurge: 1,
  revisionHistoryLimit: INT32_MAX,
  progressDeadlineSeconds: INT32_MAX,
  daemonSetStrategy: 'OnDelete',
  isSelectorDefaulted: true,
  isUnlisted: false,
};
const APPS_V1BETA1: Era = {
  group: 'apps',
  version: 'v1beta1',
  maxUnavailable: '25%',
  maxSurge: '25%',
  revisionHistoryLimit: HISTORY_LIMIT_BETA1,
  progressDeadlineSeconds: 600,
  daemonSetStrategy: 'RollingUpdate',
  isSelectorDefaulted: true,
  isUnlisted: true,
};
const APPS_V1BETA2: Era = {
  group: 'apps',
  version: 'v1beta2',
  maxUnavailable: '25%',
  maxSurge: '25%',
  revisionHistoryLimit: 10,
  progressDeadlineSeconds: 600,
  daemonSetStrategy: 'RollingUpdate',
  isSelectorDefaulted: false,
  isUnlisted: true,
};

function inEra<T extends KubernetesObject>(kind: Kind<T>, era: Era): Kind<T> {
  const { group, version } = era;
  // Short names and categories stay with the version of today, so that `get all` shows each object once.
  return {
    ...kind,
    group,
    version,
    shortNames: [],
    categories: [],
    definition: `io.k8s.api.${group}.${version}.${kind.kind}`,
  };
}

/** Selector and labels of the object from its template, as was done before apps/v1beta2. */
function defaultFromTemplate(object: Workload, { isSelectorDefaulted }: Era): void {
  const labels = object.spec?.template?.metadata?.labels;
  if (!isSelectorDefaulted || !labels || !object.spec) return;
  object.spec.selector ??= { matchLabels: { ...labels } };
  if (Object.keys(object.metadata?.labels ?? {}).length === 0) metadataOf(object).labels = { ...labels };
}

/** The same object under apps/v1, without the fields that apps/v1 has not. */
function toApps<T extends Workload>(object: T): KubernetesObject {
  const { rollbackTo, templateGeneration: _generation, ...spec } = object.spec ?? {};
  const revision = (rollbackTo as { revision?: number } | undefined)?.revision;
  const annotations = rollbackTo ? { [ROLLBACK_TO]: String(revision ?? 0) } : undefined;
  return {
    ...object,
    apiVersion: 'apps/v1',
    spec,
    ...(annotations && {
      metadata: { ...object.metadata, annotations: { ...object.metadata?.annotations, ...annotations } },
    }),
  };
}

const fromApps =
  <T extends Workload>({ group, version }: Era) =>
  (object: KubernetesObject): T =>
    ({ ...object, apiVersion: `${group}/${version}` }) as T;

function declareOld<T extends Workload>(
  kind: Kind<T>,
  era: Era,
  behaviour: Behaviour<T>,
  defaults: (object: T) => void,
): KindDeclaration<T> {
  return declare(inEra(kind, era), {
    ...behaviour,
    isUnlisted: era.isUnlisted,
    storedAs: { kind, toStored: toApps, fromStored: fromApps<T>(era) },
    defaults(object) {
      defaultFromTemplate(object, era);
      defaults(object);
      behaviour.defaults?.(object);
    },
  });
}

const oldDeployment = (era: Era): KindDeclaration<Deployment> =>
  declareOld(kinds.deployments, era, deploymentBehaviour, ({ spec }) => {
    if (!spec) return;
    spec.strategy ??= {};
    spec.strategy.type ||= 'RollingUpdate';
    if (spec.strategy.type === 'RollingUpdate') {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= era.maxUnavailable;
      spec.strategy.rollingUpdate.maxSurge ??= era.maxSurge;
    }
    if (era.revisionHistoryLimit !== undefined) spec.revisionHistoryLimit ??= era.revisionHistoryLimit;
    if (era.progressDeadlineSeconds !== undefined) spec.progressDeadlineSeconds ??= era.progressDeadlineSeconds;
  });

const oldDaemonSet = (era: Era): KindDeclaration<DaemonSet> =>
  declareOld(kinds.daemonsets, era, daemonSetBehaviour, ({ spec }) => {
    if (!spec) return;
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= era.daemonSetStrategy;
  });

const oldReplicaSet = (era: Era): KindDeclaration<ReplicaSet> =>
  declareOld(kinds.replicasets, era, replicaSetBehaviour, () => undefined);

/** Every old version of every kind that had one. */
export const LEGACY_KINDS: readonly KindDeclaration<Deployment & DaemonSet & ReplicaSet>[] = [
  oldDeployment(EXTENSIONS_V1BETA1),
  oldDaemonSet(EXTENSIONS_V1BETA1),
  oldReplicaSet(EXTENSIONS_V1BETA1),
  oldDeployment(APPS_V1BETA1),
  oldDeployment(APPS_V1BETA2),
  oldDaemonSet(APPS_V1BETA2),
  oldReplicaSet(APPS_V1BETA2),
] as unknown as readonly KindDeclaration<Deployment & DaemonSet & ReplicaSet>[];
