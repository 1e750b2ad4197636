/** A StatefulSet, its pods in every state, and what the plan for them says: for tests. */
import type { ControllerRevision, PersistentVolumeClaim, Pod, StatefulSet } from '../../api/generated/types.ts';
import { timestamp } from '../../client/clock.ts';
import { POD_INDEX_LABEL, POD_NAME_LABEL, POD_REVISION_LABEL, revisionOfPod } from '../stateful-set-identity.ts';
import { planStatefulSet, type StatefulAction, type StatefulPlan } from '../stateful-set-plan.ts';

export const NOW = 1_000_000;
export const revision = (name: string, image: string): ControllerRevision => ({
  metadata: { name },
  revision: 1,
  data: {
    spec: {
      template: { metadata: { labels: { app: 's' } }, spec: { containers: [{ name: 'c', image }] }, $patch: 'replace' },
    },
  },
});
export const A = revision('s-a', 'x:1');
export const B = revision('s-b', 'x:2');

export const statefulSet = (
  spec: Partial<StatefulSet['spec']> = {},
  status: Partial<StatefulSet['status']> = {},
): StatefulSet => ({
  metadata: { name: 's', namespace: 'n', uid: 'set', generation: 1 },
  spec: {
    replicas: 3,
    serviceName: 'svc',
    selector: { matchLabels: { app: 's' } },
    template: { metadata: { labels: { app: 's' } }, spec: { containers: [{ name: 'c', image: 'x:2' }] } },
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
    ...spec,
  },
  status: { replicas: 0, ...status },
});

export type Shape = 'ready' | 'pending' | 'notReady' | 'failed' | 'succeeded' | 'leaving' | 'fresh';
/** A pod of the set: `fresh` has been ready for no time. */
export function pod(ordinal: number, kind: Shape = 'ready', of: ControllerRevision = A): Pod {
  const name = `s-${ordinal}`;
  const isReady = kind === 'ready' || kind === 'leaving' || kind === 'fresh';
  const phase = { pending: 'Pending', failed: 'Failed', succeeded: 'Succeeded' }[kind as string] ?? 'Running';
  const lastTransitionTime = timestamp(kind === 'fresh' ? NOW : NOW - 60_000);
  return {
    metadata: {
      name,
      namespace: 'n',
      uid: `${name}-${of.metadata?.name}`,
      labels: {
        app: 's',
        [POD_NAME_LABEL]: name,
        [POD_INDEX_LABEL]: String(ordinal),
        [POD_REVISION_LABEL]: of.metadata?.name ?? '',
      },
      ...(kind === 'leaving' && { deletionTimestamp: timestamp(NOW) }),
    },
    spec: { containers: [{ name: 'c' }] },
    status: { phase, conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False', lastTransitionTime }] },
  };
}

export interface World {
  readonly set?: StatefulSet;
  readonly pods?: readonly Pod[];
  readonly current?: ControllerRevision;
  readonly update?: ControllerRevision;
  readonly claims?: readonly PersistentVolumeClaim[];
}
export const plan = ({
  set = statefulSet(),
  pods = [],
  current = A,
  update = current,
  claims = [],
}: World): StatefulPlan =>
  planStatefulSet({
    set,
    pods,
    claim: name => claims.find(({ metadata }) => metadata?.name === name),
    currentRevision: current,
    updateRevision: update,
    collisionCount: 0,
    nowMs: NOW,
  });
export const told = (action: StatefulAction) =>
  action.do === 'create'
    ? `create ${action.pod.metadata?.name} ${revisionOfPod(action.pod)}`
    : `${action.do} ${action.pod.metadata?.name}`;
export const actions = (world: World) => plan(world).steps.flat().map(told);
export const parallel = { podManagementPolicy: 'Parallel' };
