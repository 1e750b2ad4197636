/**
 * Undoing a rollout the old way: a client of `extensions/v1beta1` sets `spec.rollbackTo`, which is kept as an annotation, and
 * the controller puts the template of that revision back (k/k pkg/controller/deployment/rollback.go). Pure.
 */
import type { Deployment, ReplicaSet } from '../api/generated/types.ts';
import type { EventToRecord } from '../client/events.ts';
import { hasTemplate, inheritedAnnotations, ownAnnotations, revisionOf, withoutHash } from './deployment-util.ts';

export const ROLLBACK_TO = 'deprecated.deployment.rollback.to';

export interface RollbackPlan {
  /** As the Deployment is to be written: without the wish, and if it could be granted with the old template. */
  readonly deployment: Deployment;
  readonly event: EventToRecord;
}

/** `sets`: those that the Deployment controls. Undefined if nobody wishes for a rollback; a paused Deployment's has to wait. */
export function planRollback(deployment: Deployment, sets: readonly ReplicaSet[]): RollbackPlan | undefined {
  const wish = rollbackRevision(deployment);
  if (wish === undefined || deployment.spec?.paused || deployment.metadata?.deletionTimestamp) return undefined;
  const revisions = effectiveRevisions(deployment, sets);
  const wanted = wish === 0n ? lastRevision(revisions) : wish;
  const warn = (reason: string, message: string): RollbackPlan => ({
    deployment: withoutWish(deployment),
    event: { type: 'Warning', reason, message },
  });
  if (wanted === 0n) return warn('DeploymentRollbackRevisionNotFound', 'Unable to find last revision.');
  const found = revisions.find(({ revision }) => revision === wanted);
  if (!found) {
    return warn('DeploymentRollbackRevisionNotFound', 'Unable to find the revision to rollback to.');
  }
  const name = JSON.stringify(deployment.metadata?.name ?? '');
  if (!found.set || hasTemplate(found.set, deployment.spec?.template)) {
    const message = `The rollback revision contains the same template as current deployment ${name}`;
    return warn('DeploymentRollbackTemplateUnchanged', message);
  }
  const message = `Rolled back deployment ${name} to revision ${wanted}`;
  return {
    deployment: withoutWish(withTemplateOf(deployment, found.set)),
    event: { type: 'Normal', reason: 'DeploymentRollback', message },
  };
}

/** True if a rollback is wished for, also one that has to wait. */
export const wantsRollback = (deployment: Deployment): boolean => rollbackRevision(deployment) !== undefined;

/** 0 stands for the last one; what is no number is no wish. */
function rollbackRevision({ metadata }: Deployment): bigint | undefined {
  const text = metadata?.annotations?.[ROLLBACK_TO] ?? '';
  return /^[+-]?\d+$/.test(text) ? BigInt(text.replace('+', '')) : undefined;
}

interface Numbered {
  readonly revision: bigint;
  /** Undefined: the present template has no ReplicaSet yet. */
  readonly set: ReplicaSet | undefined;
}

/** The revisions as they will be: the present template has the highest, whether that is written down yet or not. */
function effectiveRevisions(deployment: Deployment, sets: readonly ReplicaSet[]): readonly Numbered[] {
  const present = sets.find(set => hasTemplate(set, deployment.spec?.template));
  const old = sets.filter(set => set !== present).map(set => ({ revision: revisionOf(set), set }));
  const next = old.reduce((highest, { revision }) => (revision > highest ? revision : highest), 0n) + 1n;
  const known = present ? revisionOf(present) : 0n;
  return [...old, { revision: known > next ? known : next, set: present }];
}

/** The second highest; 0 if there is none. */
function lastRevision(revisions: readonly Numbered[]): bigint {
  return revisions.map(({ revision }) => revision).toSorted((a, b) => (a > b ? -1 : a < b ? 1 : 0))[1] ?? 0n;
}

function withTemplateOf(deployment: Deployment, set: ReplicaSet): Deployment {
  const template = withoutHash(set.spec?.template);
  return {
    ...deployment,
    // What was said of that rollout, its cause for one, comes back with it.
    metadata: { ...deployment.metadata, annotations: { ...ownAnnotations(deployment), ...inheritedAnnotations(set) } },
    ...(deployment.spec && template && { spec: { ...deployment.spec, template } }),
  };
}

function withoutWish(deployment: Deployment): Deployment {
  const { [ROLLBACK_TO]: _, ...annotations } = deployment.metadata?.annotations ?? {};
  return { ...deployment, metadata: { ...deployment.metadata, annotations } };
}
