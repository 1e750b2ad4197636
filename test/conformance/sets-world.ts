/** The sets that the tests of this folder make, and how they look at what became of them. */
import * as kinds from '../../control/api/generated/kinds.ts';
import type { DaemonSet, Deployment, Pod, StatefulSet } from '../../control/api/generated/types.ts';
import type { Kind, KubernetesObject } from '../../control/api/kind.ts';
import { type ControlPlane, NAMESPACE } from '../helpers/control-plane.ts';

export const labels = { app: 'x' };
export const template = (image: string) => ({ metadata: { labels }, spec: { containers: [{ name: 'c', image }] } });
export const podSpec = (image = 'x:1') => ({ selector: { matchLabels: labels }, template: template(image) });
export const metadata = { name: 'x', namespace: NAMESPACE, labels };

export const statefulSet = (spec: object = {}): StatefulSet => ({
  metadata,
  spec: { ...podSpec(), serviceName: 'x', replicas: 3, ...spec },
});
export const deployment = (spec: object = {}): Deployment => ({
  metadata,
  spec: { ...podSpec(), replicas: 2, ...spec },
});
export const daemonSet = (spec: object = {}): DaemonSet => ({ metadata, spec: { ...podSpec(), ...spec } });
export const imageOf = ({ spec }: Pod) => spec?.containers[0]?.image;
export const REVISION = 'controller-revision-hash';
export const revisionOf = (pod: Pod) => pod.metadata?.labels?.[REVISION];
export const isReady = (pod: Pod) =>
  !pod.metadata?.deletionTimestamp &&
  (pod.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');

export const pods = async (plane: ControlPlane) =>
  [...(await plane.list(kinds.pods, 'app=x'))].sort((a, b) =>
    (a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1,
  );
export const images = async (plane: ControlPlane) => (await pods(plane)).map(imageOf).join(' ');
export const setImage = (plane: ControlPlane, kind: Kind<KubernetesObject>, image: string) =>
  plane.patch(kind, 'x', { spec: { template: template(image) } });
export const partition = (plane: ControlPlane, value: number) =>
  plane.patch(kinds.statefulsets, 'x', {
    spec: { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: value } } },
  });
export const isSettled = ({ status, metadata: { generation } = {}, spec }: StatefulSet) =>
  status?.readyReplicas === spec?.replicas && status?.observedGeneration === generation;
