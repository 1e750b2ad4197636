/** What `describe` says of each kind: one line a kind. Kinds that are not here are described by their fields. */
import { clusterRole, clusterRoleBinding, ingress, role, roleBinding } from './access.ts';
import { certificateSigningRequest } from './certificates.ts';
import { configMap, namespace, secret, serviceAccount } from './configuration.ts';
import type { Describe } from './description.ts';
import { ipAddress, networkPolicy, serviceCidr } from './network.ts';
import { node } from './nodes.ts';
import { pod } from './pods.ts';
import { horizontalPodAutoscaler, limitRange, podDisruptionBudget, priorityClass, resourceQuota } from './policy.ts';
import { endpointSlice, endpoints, service } from './services.ts';
import { persistentVolume, persistentVolumeClaim, storageClass } from './storage.ts';
import { cronJob, daemonSet, deployment, job, replicaSet, replicationController, statefulSet } from './workloads.ts';

/** By group and kind. */
export const describers: Readonly<Record<string, Describe>> = {
  '/ConfigMap': configMap,
  '/LimitRange': limitRange,
  '/PersistentVolume': persistentVolume,
  '/PersistentVolumeClaim': persistentVolumeClaim,
  '/ResourceQuota': resourceQuota,
  '/Endpoints': endpoints,
  '/Namespace': namespace,
  '/Node': node,
  '/Pod': pod,
  '/ReplicationController': replicationController,
  '/Secret': secret,
  '/Service': service,
  '/ServiceAccount': serviceAccount,
  'apps/DaemonSet': daemonSet,
  'apps/Deployment': deployment,
  'apps/ReplicaSet': replicaSet,
  'apps/StatefulSet': statefulSet,
  'autoscaling/HorizontalPodAutoscaler': horizontalPodAutoscaler,
  'batch/CronJob': cronJob,
  'batch/Job': job,
  'certificates.k8s.io/CertificateSigningRequest': certificateSigningRequest,
  'discovery.k8s.io/EndpointSlice': endpointSlice,
  'networking.k8s.io/IPAddress': ipAddress,
  'networking.k8s.io/Ingress': ingress,
  'networking.k8s.io/NetworkPolicy': networkPolicy,
  'networking.k8s.io/ServiceCIDR': serviceCidr,
  'policy/PodDisruptionBudget': podDisruptionBudget,
  'rbac.authorization.k8s.io/ClusterRole': clusterRole,
  'rbac.authorization.k8s.io/ClusterRoleBinding': clusterRoleBinding,
  'rbac.authorization.k8s.io/Role': role,
  'rbac.authorization.k8s.io/RoleBinding': roleBinding,
  'scheduling.k8s.io/PriorityClass': priorityClass,
  'storage.k8s.io/StorageClass': storageClass,
};
