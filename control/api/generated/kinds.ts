// Made by control/api/generate.ts from the facts of Kubernetes v1.33. Do not edit.
import type { Kind } from '../kind.ts';
import type {
  APIService,
  AutoscalingV2HorizontalPodAutoscaler,
  Binding,
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  CertificateSigningRequest,
  ClusterRole,
  ClusterRoleBinding,
  ComponentStatus,
  ConfigMap,
  ControllerRevision,
  CronJob,
  CustomResourceDefinition,
  DaemonSet,
  Deployment,
  EndpointSlice,
  Endpoints,
  Event,
  EventsV1Event,
  FlowSchema,
  HorizontalPodAutoscaler,
  IPAddress,
  Ingress,
  IngressClass,
  Job,
  Lease,
  LimitRange,
  LocalSubjectAccessReview,
  MutatingWebhookConfiguration,
  Namespace,
  NetworkPolicy,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  PodTemplate,
  PriorityClass,
  PriorityLevelConfiguration,
  ReplicaSet,
  ReplicationController,
  ResourceQuota,
  Role,
  RoleBinding,
  RuntimeClass,
  Secret,
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SelfSubjectRulesReview,
  Service,
  ServiceAccount,
  ServiceCIDR,
  StatefulSet,
  StorageClass,
  SubjectAccessReview,
  TokenReview,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
  VolumeAttachment,
} from './types.ts';

export const bindings: Kind<Binding> = {"group":"","version":"v1","kind":"Binding","plural":"bindings","singular":"binding","namespaced":true,"shortNames":[],"categories":[],"definition":"io.k8s.api.core.v1.Binding"};
export const componentstatuses: Kind<ComponentStatus> = {"group":"","version":"v1","kind":"ComponentStatus","plural":"componentstatuses","singular":"componentstatus","namespaced":false,"shortNames":["cs"],"categories":[],"definition":"io.k8s.api.core.v1.ComponentStatus"};
export const configmaps: Kind<ConfigMap> = {"group":"","version":"v1","kind":"ConfigMap","plural":"configmaps","singular":"configmap","namespaced":true,"shortNames":["cm"],"categories":[],"definition":"io.k8s.api.core.v1.ConfigMap"};
export const endpoints: Kind<Endpoints> = {"group":"","version":"v1","kind":"Endpoints","plural":"endpoints","singular":"endpoints","namespaced":true,"shortNames":["ep"],"categories":[],"definition":"io.k8s.api.core.v1.Endpoints"};
export const events: Kind<Event> = {"group":"","version":"v1","kind":"Event","plural":"events","singular":"event","namespaced":true,"shortNames":["ev"],"categories":[],"definition":"io.k8s.api.core.v1.Event"};
export const limitranges: Kind<LimitRange> = {"group":"","version":"v1","kind":"LimitRange","plural":"limitranges","singular":"limitrange","namespaced":true,"shortNames":["limits"],"categories":[],"definition":"io.k8s.api.core.v1.LimitRange"};
export const namespaces: Kind<Namespace> = {"group":"","version":"v1","kind":"Namespace","plural":"namespaces","singular":"namespace","namespaced":false,"shortNames":["ns"],"categories":[],"definition":"io.k8s.api.core.v1.Namespace"};
export const nodes: Kind<Node> = {"group":"","version":"v1","kind":"Node","plural":"nodes","singular":"node","namespaced":false,"shortNames":["no"],"categories":[],"definition":"io.k8s.api.core.v1.Node"};
export const persistentvolumeclaims: Kind<PersistentVolumeClaim> = {"group":"","version":"v1","kind":"PersistentVolumeClaim","plural":"persistentvolumeclaims","singular":"persistentvolumeclaim","namespaced":true,"shortNames":["pvc"],"categories":[],"definition":"io.k8s.api.core.v1.PersistentVolumeClaim"};
export const persistentvolumes: Kind<PersistentVolume> = {"group":"","version":"v1","kind":"PersistentVolume","plural":"persistentvolumes","singular":"persistentvolume","namespaced":false,"shortNames":["pv"],"categories":[],"definition":"io.k8s.api.core.v1.PersistentVolume"};
export const pods: Kind<Pod> = {"group":"","version":"v1","kind":"Pod","plural":"pods","singular":"pod","namespaced":true,"shortNames":["po"],"categories":["all"],"definition":"io.k8s.api.core.v1.Pod"};
export const podtemplates: Kind<PodTemplate> = {"group":"","version":"v1","kind":"PodTemplate","plural":"podtemplates","singular":"podtemplate","namespaced":true,"shortNames":[],"categories":[],"definition":"io.k8s.api.core.v1.PodTemplate"};
export const replicationcontrollers: Kind<ReplicationController> = {"group":"","version":"v1","kind":"ReplicationController","plural":"replicationcontrollers","singular":"replicationcontroller","namespaced":true,"shortNames":["rc"],"categories":["all"],"definition":"io.k8s.api.core.v1.ReplicationController"};
export const resourcequotas: Kind<ResourceQuota> = {"group":"","version":"v1","kind":"ResourceQuota","plural":"resourcequotas","singular":"resourcequota","namespaced":true,"shortNames":["quota"],"categories":[],"definition":"io.k8s.api.core.v1.ResourceQuota"};
export const secrets: Kind<Secret> = {"group":"","version":"v1","kind":"Secret","plural":"secrets","singular":"secret","namespaced":true,"shortNames":[],"categories":[],"definition":"io.k8s.api.core.v1.Secret"};
export const serviceaccounts: Kind<ServiceAccount> = {"group":"","version":"v1","kind":"ServiceAccount","plural":"serviceaccounts","singular":"serviceaccount","namespaced":true,"shortNames":["sa"],"categories":[],"definition":"io.k8s.api.core.v1.ServiceAccount"};
export const services: Kind<Service> = {"group":"","version":"v1","kind":"Service","plural":"services","singular":"service","namespaced":true,"shortNames":["svc"],"categories":["all"],"definition":"io.k8s.api.core.v1.Service"};
export const apiservices: Kind<APIService> = {"group":"apiregistration.k8s.io","version":"v1","kind":"APIService","plural":"apiservices","singular":"apiservice","namespaced":false,"shortNames":[],"categories":["api-extensions"],"definition":"io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService"};
export const controllerrevisions: Kind<ControllerRevision> = {"group":"apps","version":"v1","kind":"ControllerRevision","plural":"controllerrevisions","singular":"controllerrevision","namespaced":true,"shortNames":[],"categories":[],"definition":"io.k8s.api.apps.v1.ControllerRevision"};
export const daemonsets: Kind<DaemonSet> = {"group":"apps","version":"v1","kind":"DaemonSet","plural":"daemonsets","singular":"daemonset","namespaced":true,"shortNames":["ds"],"categories":["all"],"definition":"io.k8s.api.apps.v1.DaemonSet"};
export const deployments: Kind<Deployment> = {"group":"apps","version":"v1","kind":"Deployment","plural":"deployments","singular":"deployment","namespaced":true,"shortNames":["deploy"],"categories":["all"],"definition":"io.k8s.api.apps.v1.Deployment"};
export const replicasets: Kind<ReplicaSet> = {"group":"apps","version":"v1","kind":"ReplicaSet","plural":"replicasets","singular":"replicaset","namespaced":true,"shortNames":["rs"],"categories":["all"],"definition":"io.k8s.api.apps.v1.ReplicaSet"};
export const statefulsets: Kind<StatefulSet> = {"group":"apps","version":"v1","kind":"StatefulSet","plural":"statefulsets","singular":"statefulset","namespaced":true,"shortNames":["sts"],"categories":["all"],"definition":"io.k8s.api.apps.v1.StatefulSet"};
export const eventsV1Events: Kind<EventsV1Event> = {"group":"events.k8s.io","version":"v1","kind":"Event","plural":"events","singular":"event","namespaced":true,"shortNames":["ev"],"categories":[],"definition":"io.k8s.api.events.v1.Event"};
export const selfsubjectreviews: Kind<SelfSubjectReview> = {"group":"authentication.k8s.io","version":"v1","kind":"SelfSubjectReview","plural":"selfsubjectreviews","singular":"selfsubjectreview","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.authentication.v1.SelfSubjectReview"};
export const tokenreviews: Kind<TokenReview> = {"group":"authentication.k8s.io","version":"v1","kind":"TokenReview","plural":"tokenreviews","singular":"tokenreview","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.authentication.v1.TokenReview"};
export const localsubjectaccessreviews: Kind<LocalSubjectAccessReview> = {"group":"authorization.k8s.io","version":"v1","kind":"LocalSubjectAccessReview","plural":"localsubjectaccessreviews","singular":"localsubjectaccessreview","namespaced":true,"shortNames":[],"categories":[],"definition":"io.k8s.api.authorization.v1.LocalSubjectAccessReview"};
export const selfsubjectaccessreviews: Kind<SelfSubjectAccessReview> = {"group":"authorization.k8s.io","version":"v1","kind":"SelfSubjectAccessReview","plural":"selfsubjectaccessreviews","singular":"selfsubjectaccessreview","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.authorization.v1.SelfSubjectAccessReview"};
export const selfsubjectrulesreviews: Kind<SelfSubjectRulesReview> = {"group":"authorization.k8s.io","version":"v1","kind":"SelfSubjectRulesReview","plural":"selfsubjectrulesreviews","singular":"selfsubjectrulesreview","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.authorization.v1.SelfSubjectRulesReview"};
export const subjectaccessreviews: Kind<SubjectAccessReview> = {"group":"authorization.k8s.io","version":"v1","kind":"SubjectAccessReview","plural":"subjectaccessreviews","singular":"subjectaccessreview","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.authorization.v1.SubjectAccessReview"};
export const horizontalpodautoscalers: Kind<AutoscalingV2HorizontalPodAutoscaler> = {"group":"autoscaling","version":"v2","kind":"HorizontalPodAutoscaler","plural":"horizontalpodautoscalers","singular":"horizontalpodautoscaler","namespaced":true,"shortNames":["hpa"],"categories":["all"],"definition":"io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler"};
export const autoscalingV1Horizontalpodautoscalers: Kind<HorizontalPodAutoscaler> = {"group":"autoscaling","version":"v1","kind":"HorizontalPodAutoscaler","plural":"horizontalpodautoscalers","singular":"horizontalpodautoscaler","namespaced":true,"shortNames":["hpa"],"categories":["all"],"definition":"io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler"};
export const cronjobs: Kind<CronJob> = {"group":"batch","version":"v1","kind":"CronJob","plural":"cronjobs","singular":"cronjob","namespaced":true,"shortNames":["cj"],"categories":["all"],"definition":"io.k8s.api.batch.v1.CronJob"};
export const jobs: Kind<Job> = {"group":"batch","version":"v1","kind":"Job","plural":"jobs","singular":"job","namespaced":true,"shortNames":[],"categories":["all"],"definition":"io.k8s.api.batch.v1.Job"};
export const certificatesigningrequests: Kind<CertificateSigningRequest> = {"group":"certificates.k8s.io","version":"v1","kind":"CertificateSigningRequest","plural":"certificatesigningrequests","singular":"certificatesigningrequest","namespaced":false,"shortNames":["csr"],"categories":[],"definition":"io.k8s.api.certificates.v1.CertificateSigningRequest"};
export const ingressclasses: Kind<IngressClass> = {"group":"networking.k8s.io","version":"v1","kind":"IngressClass","plural":"ingressclasses","singular":"ingressclass","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.networking.v1.IngressClass"};
export const ingresses: Kind<Ingress> = {"group":"networking.k8s.io","version":"v1","kind":"Ingress","plural":"ingresses","singular":"ingress","namespaced":true,"shortNames":["ing"],"categories":[],"definition":"io.k8s.api.networking.v1.Ingress"};
export const ipaddresses: Kind<IPAddress> = {"group":"networking.k8s.io","version":"v1","kind":"IPAddress","plural":"ipaddresses","singular":"ipaddress","namespaced":false,"shortNames":["ip"],"categories":[],"definition":"io.k8s.api.networking.v1.IPAddress"};
export const networkpolicies: Kind<NetworkPolicy> = {"group":"networking.k8s.io","version":"v1","kind":"NetworkPolicy","plural":"networkpolicies","singular":"networkpolicy","namespaced":true,"shortNames":["netpol"],"categories":[],"definition":"io.k8s.api.networking.v1.NetworkPolicy"};
export const servicecidrs: Kind<ServiceCIDR> = {"group":"networking.k8s.io","version":"v1","kind":"ServiceCIDR","plural":"servicecidrs","singular":"servicecidr","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.networking.v1.ServiceCIDR"};
export const poddisruptionbudgets: Kind<PodDisruptionBudget> = {"group":"policy","version":"v1","kind":"PodDisruptionBudget","plural":"poddisruptionbudgets","singular":"poddisruptionbudget","namespaced":true,"shortNames":["pdb"],"categories":[],"definition":"io.k8s.api.policy.v1.PodDisruptionBudget"};
export const clusterrolebindings: Kind<ClusterRoleBinding> = {"group":"rbac.authorization.k8s.io","version":"v1","kind":"ClusterRoleBinding","plural":"clusterrolebindings","singular":"clusterrolebinding","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.rbac.v1.ClusterRoleBinding"};
export const clusterroles: Kind<ClusterRole> = {"group":"rbac.authorization.k8s.io","version":"v1","kind":"ClusterRole","plural":"clusterroles","singular":"clusterrole","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.rbac.v1.ClusterRole"};
export const rolebindings: Kind<RoleBinding> = {"group":"rbac.authorization.k8s.io","version":"v1","kind":"RoleBinding","plural":"rolebindings","singular":"rolebinding","namespaced":true,"shortNames":[],"categories":[],"definition":"io.k8s.api.rbac.v1.RoleBinding"};
export const roles: Kind<Role> = {"group":"rbac.authorization.k8s.io","version":"v1","kind":"Role","plural":"roles","singular":"role","namespaced":true,"shortNames":[],"categories":[],"definition":"io.k8s.api.rbac.v1.Role"};
export const csidrivers: Kind<CSIDriver> = {"group":"storage.k8s.io","version":"v1","kind":"CSIDriver","plural":"csidrivers","singular":"csidriver","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.storage.v1.CSIDriver"};
export const csinodes: Kind<CSINode> = {"group":"storage.k8s.io","version":"v1","kind":"CSINode","plural":"csinodes","singular":"csinode","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.storage.v1.CSINode"};
export const csistoragecapacities: Kind<CSIStorageCapacity> = {"group":"storage.k8s.io","version":"v1","kind":"CSIStorageCapacity","plural":"csistoragecapacities","singular":"csistoragecapacity","namespaced":true,"shortNames":[],"categories":[],"definition":"io.k8s.api.storage.v1.CSIStorageCapacity"};
export const storageclasses: Kind<StorageClass> = {"group":"storage.k8s.io","version":"v1","kind":"StorageClass","plural":"storageclasses","singular":"storageclass","namespaced":false,"shortNames":["sc"],"categories":[],"definition":"io.k8s.api.storage.v1.StorageClass"};
export const volumeattachments: Kind<VolumeAttachment> = {"group":"storage.k8s.io","version":"v1","kind":"VolumeAttachment","plural":"volumeattachments","singular":"volumeattachment","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.storage.v1.VolumeAttachment"};
export const mutatingwebhookconfigurations: Kind<MutatingWebhookConfiguration> = {"group":"admissionregistration.k8s.io","version":"v1","kind":"MutatingWebhookConfiguration","plural":"mutatingwebhookconfigurations","singular":"mutatingwebhookconfiguration","namespaced":false,"shortNames":[],"categories":["api-extensions"],"definition":"io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration"};
export const validatingadmissionpolicies: Kind<ValidatingAdmissionPolicy> = {"group":"admissionregistration.k8s.io","version":"v1","kind":"ValidatingAdmissionPolicy","plural":"validatingadmissionpolicies","singular":"validatingadmissionpolicy","namespaced":false,"shortNames":[],"categories":["api-extensions"],"definition":"io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy"};
export const validatingadmissionpolicybindings: Kind<ValidatingAdmissionPolicyBinding> = {"group":"admissionregistration.k8s.io","version":"v1","kind":"ValidatingAdmissionPolicyBinding","plural":"validatingadmissionpolicybindings","singular":"validatingadmissionpolicybinding","namespaced":false,"shortNames":[],"categories":["api-extensions"],"definition":"io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding"};
export const validatingwebhookconfigurations: Kind<ValidatingWebhookConfiguration> = {"group":"admissionregistration.k8s.io","version":"v1","kind":"ValidatingWebhookConfiguration","plural":"validatingwebhookconfigurations","singular":"validatingwebhookconfiguration","namespaced":false,"shortNames":[],"categories":["api-extensions"],"definition":"io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration"};
export const customresourcedefinitions: Kind<CustomResourceDefinition> = {"group":"apiextensions.k8s.io","version":"v1","kind":"CustomResourceDefinition","plural":"customresourcedefinitions","singular":"customresourcedefinition","namespaced":false,"shortNames":["crd","crds"],"categories":["api-extensions"],"definition":"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"};
export const priorityclasses: Kind<PriorityClass> = {"group":"scheduling.k8s.io","version":"v1","kind":"PriorityClass","plural":"priorityclasses","singular":"priorityclass","namespaced":false,"shortNames":["pc"],"categories":[],"definition":"io.k8s.api.scheduling.v1.PriorityClass"};
export const leases: Kind<Lease> = {"group":"coordination.k8s.io","version":"v1","kind":"Lease","plural":"leases","singular":"lease","namespaced":true,"shortNames":[],"categories":[],"definition":"io.k8s.api.coordination.v1.Lease"};
export const runtimeclasses: Kind<RuntimeClass> = {"group":"node.k8s.io","version":"v1","kind":"RuntimeClass","plural":"runtimeclasses","singular":"runtimeclass","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.node.v1.RuntimeClass"};
export const endpointslices: Kind<EndpointSlice> = {"group":"discovery.k8s.io","version":"v1","kind":"EndpointSlice","plural":"endpointslices","singular":"endpointslice","namespaced":true,"shortNames":[],"categories":[],"definition":"io.k8s.api.discovery.v1.EndpointSlice"};
export const flowschemas: Kind<FlowSchema> = {"group":"flowcontrol.apiserver.k8s.io","version":"v1","kind":"FlowSchema","plural":"flowschemas","singular":"flowschema","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.flowcontrol.v1.FlowSchema"};
export const prioritylevelconfigurations: Kind<PriorityLevelConfiguration> = {"group":"flowcontrol.apiserver.k8s.io","version":"v1","kind":"PriorityLevelConfiguration","plural":"prioritylevelconfigurations","singular":"prioritylevelconfiguration","namespaced":false,"shortNames":[],"categories":[],"definition":"io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration"};
