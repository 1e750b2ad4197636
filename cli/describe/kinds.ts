/** What `describe` says of each kind: one line a kind. Kinds that are not here are described by their fields. */
import { configMap, namespace, secret, serviceAccount } from './configuration.ts';
import type { Describe } from './description.ts';
import { node } from './nodes.ts';
import { pod } from './pods.ts';
import { endpointSlice, endpoints, service } from './services.ts';
import { daemonSet, deployment, job, replicaSet, replicationController } from './workloads.ts';

/** By group and kind. */
export const describers: Readonly<Record<string, Describe>> = {
  '/ConfigMap': configMap,
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
  'batch/Job': job,
  'discovery.k8s.io/EndpointSlice': endpointSlice,
};
