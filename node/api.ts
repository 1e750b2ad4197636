/**
 * The one door through which `node/` reaches the API machinery: kinds, their types, the client's interface and errors.
 * Everything else in this folder imports these from here.
 */
export {
  configmaps,
  endpointslices,
  events,
  leases,
  nodes,
  pods,
  secrets,
  serviceaccounts,
  services,
} from '../control/api/generated/kinds.ts';
export type {
  ConfigMap,
  Container,
  ContainerState,
  ContainerStateTerminated,
  ContainerStateWaiting,
  ContainerStatus,
  DiscoveryV1EndpointPort,
  DownwardAPIVolumeFile,
  EndpointSlice,
  EnvVar,
  EphemeralContainer,
  Event,
  KeyToPath,
  Lease,
  Lifecycle,
  LifecycleHandler,
  Node,
  NodeAddress,
  NodeCondition,
  NodeStatus,
  ObjectFieldSelector,
  ObjectReference,
  Pod,
  PodCondition,
  PodSpec,
  PodStatus,
  Probe,
  Quantity,
  ResourceFieldSelector,
  Secret,
  Service,
  Taint,
  TokenRequest,
  Volume,
  VolumeMount,
  VolumeProjection,
} from '../control/api/generated/types.ts';
export type { Kind, KubernetesObject } from '../control/api/kind.ts';
export { ApiError, hasReason } from '../control/api/status.ts';
export type { Client } from '../control/client/client.ts';
export type { EventRecorder } from '../control/client/events.ts';
export { ApiEventRecorder } from '../control/client/events.ts';
export { Informer } from '../control/client/informer.ts';
