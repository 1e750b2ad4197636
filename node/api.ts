/**
 * The one door through which `node/` reaches the API machinery: kinds, their types, the client's interface and errors.
 * Everything else in this folder imports these from here.
 */
export {
  canonicalIp,
  familiesOf,
  formatIpv6,
  formatIpv6Range,
  type Ipv6Range,
  ipv6Contains,
  parseIpv6,
  parseIpv6Range,
  sizeOfIpv6,
  splitRanges,
} from '../control/api/families.ts';
export {
  configmaps,
  csidrivers,
  csinodes,
  endpointslices,
  events,
  ingressclasses,
  ingresses,
  leases,
  namespaces,
  networkpolicies,
  nodes,
  persistentvolumeclaims,
  persistentvolumes,
  pods,
  runtimeclasses,
  secrets,
  serviceaccounts,
  services,
  volumeattachments,
} from '../control/api/generated/kinds.ts';
export type {
  AppArmorProfile,
  ConfigMap,
  Container,
  ContainerState,
  ContainerStateTerminated,
  ContainerStateWaiting,
  ContainerStatus,
  CSIDriver,
  CSINode,
  CSINodeDriver,
  CSIPersistentVolumeSource,
  CSIVolumeSource,
  DiscoveryV1EndpointPort,
  DownwardAPIVolumeFile,
  EndpointSlice,
  EnvVar,
  EphemeralContainer,
  Event,
  Ingress,
  IngressBackend,
  IngressClass,
  KeyToPath,
  LabelSelector,
  Lease,
  Lifecycle,
  LifecycleHandler,
  Namespace,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  Node,
  NodeAddress,
  NodeCondition,
  NodeStatus,
  ObjectFieldSelector,
  ObjectReference,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimCondition,
  Pod,
  PodCondition,
  PodSpec,
  PodStatus,
  Probe,
  Quantity,
  ResourceFieldSelector,
  ResourceRequirements,
  RuntimeClass,
  SeccompProfile,
  Secret,
  Service,
  Taint,
  TokenRequest,
  Toleration,
  Volume,
  VolumeAttachment,
  VolumeMount,
  VolumeProjection,
} from '../control/api/generated/types.ts';
export {
  compareAge,
  INGRESS_PORTS,
  isRoutedIngress,
  mayRoute,
  type OwnClasses,
  ownClasses,
  TLS_SECRET_TYPE,
} from '../control/api/ingress.ts';
export type { Kind, KubernetesObject } from '../control/api/kind.ts';
export {
  isLetGo,
  isLocalVolume,
  LOCAL_FINALIZER,
  LOCAL_FOLDER,
  LOCAL_LABEL,
  LOCAL_NODE,
} from '../control/api/local-volumes.ts';
export {
  addQuantities,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity as ParsedQuantity,
} from '../control/api/schema/quantity.ts';
export { matchesLabelSelector } from '../control/api/selectors.ts';
export { ApiError, hasReason } from '../control/api/status.ts';
export { compareStorage, ephemeralClaimName, isBoundTo } from '../control/api/volume-binding.ts';
export type { Client } from '../control/client/client.ts';
export type { EventRecorder } from '../control/client/events.ts';
export { ApiEventRecorder } from '../control/client/events.ts';
export { http } from '../control/client/http-module.ts';
export { type Cache, Informer } from '../control/client/informer.ts';
export { matchesRequiredNode } from '../control/client/node-selectors.ts';
export { untoleratedTaint } from '../control/client/taints.ts';
export { attachmentName, inUseName, MANAGED_ATTACH } from '../control/client/volume-attachments.ts';
