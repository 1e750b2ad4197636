/**
 * The columns and rows with which `kubectl get` shows each kind, by the kind's definition. Kinds that are not here have
 * {@link defaultPrinter}. Facts: the tables of a Kubernetes v1.33 server.
 */
import type { KubernetesObject } from '../kind.ts';
import * as autoscaling from './autoscaling.ts';
import * as configuration from './configuration.ts';
import * as events from './events.ts';
import * as networking from './networking.ts';
import * as nodes from './nodes.ts';
import * as pods from './pods.ts';
import * as policy from './policy.ts';
import { column, columns, NAME, nameOf, type Printer, printer } from './printer.ts';
import * as storage from './storage.ts';
import * as workloads from './workloads.ts';

export const printers: Readonly<Record<string, Printer>> = {
  'io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration': policy.webhookConfiguration,
  'io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy': policy.validatingAdmissionPolicy,
  'io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding': policy.validatingAdmissionPolicyBinding,
  'io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration': policy.webhookConfiguration,
  'io.k8s.api.apps.v1.ControllerRevision': workloads.controllerRevision,
  'io.k8s.api.apps.v1.DaemonSet': workloads.daemonSet,
  'io.k8s.api.apps.v1.Deployment': workloads.deployment,
  'io.k8s.api.apps.v1.ReplicaSet': workloads.replicaSet,
  'io.k8s.api.apps.v1.StatefulSet': workloads.statefulSet,
  'io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler': autoscaling.horizontalPodAutoscalerV1,
  'io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler': autoscaling.horizontalPodAutoscaler,
  'io.k8s.api.batch.v1.CronJob': workloads.cronJob,
  'io.k8s.api.batch.v1.Job': workloads.job,
  'io.k8s.api.certificates.v1.CertificateSigningRequest': configuration.certificateSigningRequest,
  'io.k8s.api.coordination.v1.Lease': configuration.lease,
  'io.k8s.api.core.v1.ComponentStatus': configuration.componentStatus,
  'io.k8s.api.core.v1.ConfigMap': configuration.configMap,
  'io.k8s.api.core.v1.Endpoints': networking.endpoints,
  'io.k8s.api.core.v1.Event': events.event,
  'io.k8s.api.core.v1.LimitRange': configuration.createdAt,
  'io.k8s.api.core.v1.Namespace': nodes.namespace,
  'io.k8s.api.core.v1.Node': nodes.node,
  'io.k8s.api.core.v1.PersistentVolume': storage.persistentVolume,
  'io.k8s.api.core.v1.PersistentVolumeClaim': storage.persistentVolumeClaim,
  'io.k8s.api.core.v1.Pod': pods.pod,
  'io.k8s.api.core.v1.PodTemplate': pods.podTemplate,
  'io.k8s.api.core.v1.ReplicationController': workloads.replicationController,
  'io.k8s.api.core.v1.ResourceQuota': configuration.resourceQuota,
  'io.k8s.api.core.v1.Secret': configuration.secret,
  'io.k8s.api.core.v1.Service': networking.service,
  'io.k8s.api.core.v1.ServiceAccount': configuration.serviceAccount,
  'io.k8s.api.discovery.v1.EndpointSlice': networking.endpointSlice,
  'io.k8s.api.events.v1.Event': events.eventsV1Event,
  'io.k8s.api.flowcontrol.v1.FlowSchema': policy.flowSchema,
  'io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration': policy.priorityLevelConfiguration,
  'io.k8s.api.networking.v1.Ingress': networking.ingress,
  'io.k8s.api.networking.v1.IngressClass': networking.ingressClass,
  'io.k8s.api.networking.v1.IPAddress': networking.ipAddress,
  'io.k8s.api.networking.v1.NetworkPolicy': networking.networkPolicy,
  'io.k8s.api.networking.v1.ServiceCIDR': networking.serviceCidr,
  'io.k8s.api.node.v1.RuntimeClass': configuration.runtimeClass,
  'io.k8s.api.policy.v1.PodDisruptionBudget': workloads.podDisruptionBudget,
  'io.k8s.api.rbac.v1.ClusterRole': configuration.createdAt,
  'io.k8s.api.rbac.v1.ClusterRoleBinding': configuration.clusterRoleBinding,
  'io.k8s.api.rbac.v1.Role': configuration.createdAt,
  'io.k8s.api.rbac.v1.RoleBinding': configuration.roleBinding,
  'io.k8s.api.scheduling.v1.PriorityClass': configuration.priorityClass,
  'io.k8s.api.storage.v1.CSIDriver': storage.csiDriver,
  'io.k8s.api.storage.v1.CSINode': storage.csiNode,
  'io.k8s.api.storage.v1.CSIStorageCapacity': configuration.createdAt,
  'io.k8s.api.storage.v1.StorageClass': storage.storageClass,
  'io.k8s.api.storage.v1.VolumeAttachment': storage.volumeAttachment,
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition': configuration.createdAt,
  'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService': configuration.apiService,
};

/** What a kind has that nobody said more of: its name and when it was created. */
export const defaultPrinter: Printer = printer<KubernetesObject>(
  columns(NAME, column('Created At', 'date')),
  object => [nameOf(object), object.metadata?.creationTimestamp ?? ''],
);
