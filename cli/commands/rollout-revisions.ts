/** The revisions that a rollout can go back to: replica sets of deployments, ControllerRevisions of the others. */
import type { ControllerRevision, PodTemplateSpec, ReplicaSet } from '../../control/api/generated/types.ts';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { listObjects, metadataOf, type ObjectReference } from '../client/objects.ts';
import type { Session } from '../client/session.ts';
import { podSelectorOf } from '../client/templates.ts';

export const REVISION = 'deployment.kubernetes.io/revision';
const CHANGE_CAUSE = 'kubernetes.io/change-cause';

export interface Revision {
  readonly number: number;
  readonly cause: string | undefined;
  readonly template: PodTemplateSpec | undefined;
  /** What `history -o` shows of it: the replica set, or the object as it was. */
  readonly object: JsonObject;
  readonly annotations: Readonly<Record<string, string>>;
  /** What brings a daemon set or stateful set back to it. */
  readonly patch: JsonObject | undefined;
}

/** Oldest first. */
export async function revisionsOf(
  session: Session,
  reference: ObjectReference & { readonly object: JsonObject },
  purpose: 'history viewer' | 'rollbacker' | 'status viewer',
): Promise<Revision[]> {
  const kind = String(reference.object.kind);
  if (kind === 'Deployment') return sortedByNumber(await replicaSetRevisions(session, reference));
  if (kind === 'DaemonSet' || kind === 'StatefulSet')
    return sortedByNumber(await controllerRevisions(session, reference));
  const { group } = reference.resource;
  const sought = purpose === 'rollbacker' ? purpose : 'history';
  throw failure(
    `error retrieving ${sought} for ${JSON.stringify(kind)}, no visitor method exists for {${group} ${kind}}`,
  );
}

const sortedByNumber = (revisions: Revision[]): Revision[] => revisions.sort((a, b) => a.number - b.number);

async function owned<T extends { metadata?: { ownerReferences?: { uid: string; controller?: boolean }[] } }>(
  session: Session,
  reference: ObjectReference & { readonly object: JsonObject },
  resource: string,
): Promise<T[]> {
  const { uid } = metadataOf(reference.object);
  const found = await listObjects<T>(session, await session.discovery.find(resource), {
    selector: podSelectorOf(reference.object),
    namespace: reference.namespace,
  });
  return found.filter(({ metadata }) =>
    metadata?.ownerReferences?.some(owner => owner.uid === uid && owner.controller),
  );
}

async function replicaSetRevisions(
  session: Session,
  reference: ObjectReference & { readonly object: JsonObject },
): Promise<Revision[]> {
  const replicaSets = await owned<ReplicaSet>(session, reference, 'replicasets.apps');
  return replicaSets.map(replicaSet => {
    const { metadata, spec } = replicaSet;
    return {
      number: Number(metadata?.annotations?.[REVISION] ?? 0),
      cause: metadata?.annotations?.[CHANGE_CAUSE],
      template: spec?.template,
      annotations: metadata?.annotations ?? {},
      object: { apiVersion: 'apps/v1', kind: 'ReplicaSet', ...replicaSet },
      patch: undefined,
    };
  });
}

async function controllerRevisions(
  session: Session,
  reference: ObjectReference & { readonly object: JsonObject },
): Promise<Revision[]> {
  const revisions = await owned<ControllerRevision>(session, reference, 'controllerrevisions.apps');
  return revisions.map(({ metadata, revision, data }) => {
    const patch = (data ?? {}) as { spec?: { template?: PodTemplateSpec & { $patch?: string } } } & JsonObject;
    const { $patch: _mark, ...template } = patch.spec?.template ?? {};
    return {
      number: revision,
      cause: metadata?.annotations?.[CHANGE_CAUSE],
      template: template as PodTemplateSpec, // what such a revision holds
      annotations: metadata?.annotations ?? {},
      object: { ...reference.object, spec: { ...(reference.object.spec as JsonObject), template } },
      patch,
    };
  });
}
