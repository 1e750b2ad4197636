import test, { type ExecutionContext } from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { Pod } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { ApiError, hasReason } from '../api/status.ts';
import { timestamp } from '../client/clock.ts';
import { until } from '../client/testing/until.ts';
import type { Controller, ControllerContext } from './context.ts';
import { daemonSetController } from './daemon-set.ts';
import { deploymentController } from './deployment.ts';
import { replicaSetController } from './replica-set.ts';
import { replicationController } from './replication-controller.ts';
import { statefulSetController } from './stateful-set.ts';
import { type Bench, newBench, type RecordedEvent } from './testing/bench.ts';
import { isKnownEvent, knownEvents } from './testing/known-events.ts';

const labels = { app: 'w' };
const template = (image = 'x:1') => ({ metadata: { labels }, spec: { containers: [{ name: 'c', image }] } });
const spec = { selector: { matchLabels: labels }, template: template() };
const metadata = { name: 'w', namespace: 'n', generation: 1 };
const QUOTA = 'exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1';

interface Stage extends Bench {
  patch(kind: Kind, name: string, body: object, subresource?: string): Promise<unknown>;
  pods(): Promise<readonly Pod[]>;
  /** Lets nodes do their part until it is so. */
  soon(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void>;
}

async function stage(t: ExecutionContext, make: (context: ControllerContext) => readonly Controller[]): Promise<Stage> {
  const bench = newBench(t);
  const { client } = bench;
  await bench.start(make);
  const patch: Stage['patch'] = (kind, name, body, subresource) =>
    client.patch(
      kind,
      { namespace: 'n', name },
      { type: 'application/merge-patch+json', body },
      { ...(subresource && { subresource }) },
    );
  const pods = async () => (await client.list(kinds.pods)).items;
  const soon: Stage['soon'] = (what, isTrue) =>
    until(what, async () => {
      for (const { metadata: pod, status } of await pods()) {
        if (status?.phase) continue;
        const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: timestamp(bench.clock.now()) }];
        const body = { status: { phase: 'Running', conditions } };
        // It may be gone by now.
        await patch(kinds.pods, pod?.name ?? '', body, 'status').catch(error => t.true(hasReason(error, 'NotFound')));
      }
      await bench.clock.advance(10);
      return isTrue();
    });
  return { ...bench, patch, pods, soon };
}

/** Refuses new pods as a quota does. */
function refusePods({ api }: Bench): void {
  api.intercept = ({ method, path, body }) => {
    if (method !== 'POST' || !path.startsWith('/api/v1/namespaces/n/pods')) return undefined;
    const { name, generateName } = (JSON.parse(String(body)) as KubernetesObject).metadata ?? {};
    return new ApiError('Forbidden', `pods "${name ?? `${generateName}x`}" is forbidden: ${QUOTA}`);
  };
}

const plain = ({ component, kind, type, reason, message }: RecordedEvent) =>
  `${component} ${kind} ${type} ${reason}: ${message.replaceAll(/\bw-[a-z0-9]{4,}(-[a-z0-9]+)?/g, 'w-X')}`;

interface Row {
  readonly title: string;
  make(context: ControllerContext): readonly Controller[];
  play(stage: Stage): Promise<void>;
  readonly told: readonly string[];
  /** Kubernetes tells it too, but not in the scenarios that were recorded. */
  readonly isUnrecorded?: boolean;
}

const has = (stage: Stage, count: number) => () => stage.events.length >= count;

const rows: readonly Row[] = [
  {
    title: 'a StatefulSet comes up, rolls and goes down',
    make: context => [statefulSetController(context)],
    async play(s) {
      await s.client.create(kinds.statefulsets, { metadata, spec: { ...spec, replicas: 2, serviceName: 'w' } });
      await s.soon('two pods', has(s, 2));
      await s.patch(kinds.statefulsets, 'w', { spec: { template: template('x:2') } });
      await s.soon('two new pods', has(s, 6));
      await s.patch(kinds.statefulsets, 'w', { spec: { replicas: 1 } });
      await s.soon('one pod', has(s, 7));
    },
    told: [
      'Normal SuccessfulCreate: create Pod w-0 in StatefulSet w successful',
      'Normal SuccessfulCreate: create Pod w-1 in StatefulSet w successful',
      'Normal SuccessfulDelete: delete Pod w-1 in StatefulSet w successful',
      'Normal SuccessfulCreate: create Pod w-1 in StatefulSet w successful',
      'Normal SuccessfulDelete: delete Pod w-0 in StatefulSet w successful',
      'Normal SuccessfulCreate: create Pod w-0 in StatefulSet w successful',
      'Normal SuccessfulDelete: delete Pod w-1 in StatefulSet w successful',
    ].map(each => `statefulset-controller StatefulSet ${each}`),
  },
  {
    title: 'a StatefulSet makes claims, and is refused a pod',
    make: context => [statefulSetController(context)],
    async play(s) {
      refusePods(s);
      const volumeClaimTemplates = [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }];
      await s.client.create(kinds.statefulsets, {
        metadata,
        spec: { ...spec, replicas: 1, serviceName: 'w', volumeClaimTemplates },
      });
      await s.soon('both', has(s, 2));
    },
    told: [
      'statefulset-controller StatefulSet Normal SuccessfulCreate: create Claim data-w-0 Pod w-0 in StatefulSet w success',
      `statefulset-controller StatefulSet Warning FailedCreate: create Pod w-0 in StatefulSet w failed error: pods "w-0" is forbidden: ${QUOTA}`,
    ],
  },
  {
    title: 'a StatefulSet mends a pod, and leaves a claim to another controller',
    make: context => [statefulSetController(context)],
    async play(s) {
      const other = { apiVersion: 'v1', kind: 'ConfigMap', name: 'o', uid: 'o', controller: true };
      await s.client.create(kinds.persistentvolumeclaims, {
        metadata: { name: 'data-w-0', namespace: 'n', ownerReferences: [other] },
      });
      const volumeClaimTemplates = [{ metadata: { name: 'data' } }];
      const persistentVolumeClaimRetentionPolicy = { whenDeleted: 'Delete', whenScaled: 'Retain' };
      await s.client.create(kinds.statefulsets, {
        metadata,
        spec: { ...spec, replicas: 1, serviceName: 'w', volumeClaimTemplates, persistentVolumeClaimRetentionPolicy },
      });
      await s.soon('a pod', has(s, 2));
      await s.patch(kinds.pods, 'w-0', { metadata: { labels: { 'statefulset.kubernetes.io/pod-name': null } } });
      await s.soon('the mending', has(s, 3));
    },
    told: [
      'Warning ConflictingController: PersistentVolumeClaim data-w-0 has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim',
      'Normal SuccessfulCreate: create Pod w-0 in StatefulSet w successful',
      'Normal SuccessfulUpdate: update Pod w-0 in StatefulSet w successful',
    ].map(each => `statefulset-controller StatefulSet ${each}`),
    isUnrecorded: true,
  },
  ...[
    {
      kind: kinds.replicasets,
      make: replicaSetController,
      component: 'replicaset-controller',
      selector: spec.selector as object,
    },
    {
      kind: kinds.replicationcontrollers,
      make: replicationController,
      component: 'replication-controller',
      selector: labels,
    },
  ].flatMap(({ kind, make, component, selector }): Row[] => [
    {
      title: `a ${kind.kind} scales up and down`,
      make: context => [make(context)],
      async play(s) {
        const object: KubernetesObject = { metadata, spec: { ...spec, selector, replicas: 1 } } as KubernetesObject;
        await s.client.create(kind as Kind<KubernetesObject>, object);
        await s.soon('a pod', has(s, 1));
        await s.patch(kind, 'w', { spec: { replicas: 0 } });
        await s.soon('no pod', has(s, 2));
      },
      told: [
        `${component} ${kind.kind} Normal SuccessfulCreate: Created pod: w-X`,
        `${component} ${kind.kind} Normal SuccessfulDelete: Deleted pod: w-X`,
      ],
    },
  ]),
  {
    title: 'a ReplicaSet is refused a pod',
    make: context => [replicaSetController(context)],
    async play(s) {
      refusePods(s);
      await s.client.create(kinds.replicasets, { metadata, spec: { ...spec, replicas: 1 } });
      await s.soon('the failure', has(s, 1));
    },
    told: [`replicaset-controller ReplicaSet Warning FailedCreate: Error creating: pods "w-x" is forbidden: ${QUOTA}`],
  },
  {
    title: 'a Deployment rolls',
    make: context => [deploymentController(context), replicaSetController(context)],
    async play(s) {
      const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
      await s.client.create(kinds.deployments, { metadata, spec: { ...spec, replicas: 1, strategy } });
      await s.soon('a pod', has(s, 2));
      await s.patch(kinds.deployments, 'w', { spec: { template: template('x:2') } });
      await s.soon('a new pod alone', has(s, 6));
    },
    told: [
      'deployment-controller Deployment Normal ScalingReplicaSet: Scaled up replica set w-X from 0 to 1',
      'replicaset-controller ReplicaSet Normal SuccessfulCreate: Created pod: w-X',
      'deployment-controller Deployment Normal ScalingReplicaSet: Scaled up replica set w-X from 0 to 1',
      'replicaset-controller ReplicaSet Normal SuccessfulCreate: Created pod: w-X',
      'deployment-controller Deployment Normal ScalingReplicaSet: Scaled down replica set w-X from 1 to 0',
      'replicaset-controller ReplicaSet Normal SuccessfulDelete: Deleted pod: w-X',
    ],
  },
  {
    title: 'a Deployment is refused a ReplicaSet',
    make: context => [deploymentController(context)],
    async play(s) {
      s.api.intercept = ({ method, path }) =>
        method === 'POST' && path.includes('/replicasets') ? new ApiError('Forbidden', 'no more sets') : undefined;
      await s.client.create(kinds.deployments, {
        metadata,
        spec: { ...spec, replicas: 1, progressDeadlineSeconds: 600 },
      });
      await s.soon('the failure', has(s, 1));
      await s.soon('the condition', async () => {
        const { status } = await s.client.get(kinds.deployments, { namespace: 'n', name: 'w' });
        return (
          status?.conditions?.some(({ reason, status: is }) => reason === 'ReplicaSetCreateError' && is === 'False') ??
          false
        );
      });
      s.events.length = 1;
    },
    told: [
      'deployment-controller Deployment Warning ReplicaSetCreateError: Failed to create new replica set "w-X": no more sets',
    ],
    isUnrecorded: true,
  },
  {
    title: 'a DaemonSet comes, loses a pod, and is refused the next',
    make: context => [daemonSetController(context)],
    async play(s) {
      await s.client.create(kinds.nodes, { metadata: { name: 'a' } });
      await s.client.create(kinds.daemonsets, { metadata, spec });
      await s.soon('a pod', has(s, 1));
      const [pod] = await s.pods();
      refusePods(s);
      await s.patch(kinds.pods, pod?.metadata?.name ?? '', { status: { phase: 'Failed' } }, 'status');
      await s.soon('all is told', has(s, 4));
      s.events.length = 4;
    },
    told: [
      'Normal SuccessfulCreate: Created pod: w-X',
      'Warning FailedDaemonPod: Found failed daemon pod n/w-X on node a, will try to kill it',
      'Normal SuccessfulDelete: Deleted pod: w-X',
      `Warning FailedCreate: Error creating: pods "w-x" is forbidden: ${QUOTA}`,
    ].map(each => `daemonset-controller DaemonSet ${each}`),
  },
  {
    title: 'a daemon that ended well is told of too',
    make: context => [daemonSetController(context)],
    async play(s) {
      await s.client.create(kinds.nodes, { metadata: { name: 'a' } });
      await s.client.create(kinds.daemonsets, { metadata, spec });
      await s.soon('a pod', has(s, 1));
      const [pod] = await s.pods();
      await s.patch(kinds.pods, pod?.metadata?.name ?? '', { status: { phase: 'Succeeded' } }, 'status');
      await s.soon('all is told', has(s, 4));
    },
    told: [
      'Normal SuccessfulCreate: Created pod: w-X',
      'Normal SucceededDaemonPod: Found succeeded daemon pod n/w-X on node a, will try to delete it',
      'Normal SuccessfulDelete: Deleted pod: w-X',
      'Normal SuccessfulCreate: Created pod: w-X',
    ].map(each => `daemonset-controller DaemonSet ${each}`),
    isUnrecorded: true,
  },
];

for (const { title, make, play, told, isUnrecorded } of rows) {
  test(`events: ${title}`, async t => {
    const played = await stage(t, make);
    await play(played);
    // What fails is tried again and told again.
    const all = played.events.map(plain);
    t.deepEqual(
      all.filter((each, index) => !each.includes(' Failed') || each !== all[index - 1]),
      [...told],
    );
    if (knownEvents && !isUnrecorded) for (const event of played.events) t.true(isKnownEvent(event), plain(event));
  });
}
