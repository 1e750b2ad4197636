/**
 * How Go lays out a pod template in Kubernetes v1.33: for each structure its fields in order, as `Name type` and, where it is
 * not the name with a small letter, the name in JSON; `-` stands for the fields of an embedded structure. Facts, taken from
 * k8s.io/api v0.33.1 (core/v1/types.go) and k8s.io/apimachinery (meta/v1/types.go). The hash of a template depends on them.
 */
export const POD_TEMPLATE_LAYOUT = `
AWSElasticBlockStoreVolumeSource: VolumeID string, FSType string fsType, Partition int32, ReadOnly bool
Affinity: NodeAffinity *NodeAffinity, PodAffinity *PodAffinity, PodAntiAffinity *PodAntiAffinity
AppArmorProfile: Type AppArmorProfileType, LocalhostProfile *string
AzureDiskVolumeSource:
  DiskName string, DataDiskURI string diskURI, CachingMode *AzureDataDiskCachingMode, FSType *string fsType,
  ReadOnly *bool, Kind *AzureDataDiskKind
AzureFileVolumeSource: SecretName string, ShareName string, ReadOnly bool
CSIVolumeSource:
  Driver string, ReadOnly *bool, FSType *string fsType, VolumeAttributes map[string]string,
  NodePublishSecretRef *LocalObjectReference
Capabilities: Add []Capability, Drop []Capability
CephFSVolumeSource:
  Monitors []string, Path string, User string, SecretFile string, SecretRef *LocalObjectReference,
  ReadOnly bool
CinderVolumeSource: VolumeID string, FSType string fsType, ReadOnly bool, SecretRef *LocalObjectReference
ClusterTrustBundleProjection: Name *string, SignerName *string, LabelSelector *LabelSelector, Optional *bool, Path string
ConfigMapEnvSource: LocalObjectReference LocalObjectReference -, Optional *bool
ConfigMapKeySelector: LocalObjectReference LocalObjectReference -, Key string, Optional *bool
ConfigMapProjection: LocalObjectReference LocalObjectReference -, Items []KeyToPath, Optional *bool
ConfigMapVolumeSource: LocalObjectReference LocalObjectReference -, Items []KeyToPath, DefaultMode *int32, Optional *bool
Container:
  Name string, Image string, Command []string, Args []string, WorkingDir string, Ports []ContainerPort,
  EnvFrom []EnvFromSource, Env []EnvVar, Resources ResourceRequirements, ResizePolicy []ContainerResizePolicy,
  RestartPolicy *ContainerRestartPolicy, VolumeMounts []VolumeMount, VolumeDevices []VolumeDevice,
  LivenessProbe *Probe, ReadinessProbe *Probe, StartupProbe *Probe, Lifecycle *Lifecycle,
  TerminationMessagePath string, TerminationMessagePolicy TerminationMessagePolicy, ImagePullPolicy PullPolicy,
  SecurityContext *SecurityContext, Stdin bool, StdinOnce bool, TTY bool tty
ContainerPort: Name string, HostPort int32, ContainerPort int32, Protocol Protocol, HostIP string
ContainerResizePolicy: ResourceName ResourceName, RestartPolicy ResourceResizeRestartPolicy
DownwardAPIProjection: Items []DownwardAPIVolumeFile
DownwardAPIVolumeFile: Path string, FieldRef *ObjectFieldSelector, ResourceFieldRef *ResourceFieldSelector, Mode *int32
DownwardAPIVolumeSource: Items []DownwardAPIVolumeFile, DefaultMode *int32
EmptyDirVolumeSource: Medium StorageMedium, SizeLimit *resource.Quantity
EnvFromSource: Prefix string, ConfigMapRef *ConfigMapEnvSource, SecretRef *SecretEnvSource
EnvVar: Name string, Value string, ValueFrom *EnvVarSource
EnvVarSource:
  FieldRef *ObjectFieldSelector, ResourceFieldRef *ResourceFieldSelector,
  ConfigMapKeyRef *ConfigMapKeySelector, SecretKeyRef *SecretKeySelector
EphemeralContainer: EphemeralContainerCommon EphemeralContainerCommon -, TargetContainerName string
EphemeralContainerCommon:
  Name string, Image string, Command []string, Args []string, WorkingDir string, Ports []ContainerPort,
  EnvFrom []EnvFromSource, Env []EnvVar, Resources ResourceRequirements, ResizePolicy []ContainerResizePolicy,
  RestartPolicy *ContainerRestartPolicy, VolumeMounts []VolumeMount, VolumeDevices []VolumeDevice,
  LivenessProbe *Probe, ReadinessProbe *Probe, StartupProbe *Probe, Lifecycle *Lifecycle,
  TerminationMessagePath string, TerminationMessagePolicy TerminationMessagePolicy, ImagePullPolicy PullPolicy,
  SecurityContext *SecurityContext, Stdin bool, StdinOnce bool, TTY bool tty
EphemeralVolumeSource: VolumeClaimTemplate *PersistentVolumeClaimTemplate
ExecAction: Command []string
FCVolumeSource: TargetWWNs []string, Lun *int32, FSType string fsType, ReadOnly bool, WWIDs []string wwids
FlexVolumeSource:
  Driver string, FSType string fsType, SecretRef *LocalObjectReference, ReadOnly bool,
  Options map[string]string
FlockerVolumeSource: DatasetName string, DatasetUUID string
GCEPersistentDiskVolumeSource: PDName string pdName, FSType string fsType, Partition int32, ReadOnly bool
GRPCAction: Port int32, Service *string
GitRepoVolumeSource: Repository string, Revision string, Directory string
GlusterfsVolumeSource: EndpointsName string endpoints, Path string, ReadOnly bool
HTTPGetAction: Path string, Port intstr.IntOrString, Host string, Scheme URIScheme, HTTPHeaders []HTTPHeader httpHeaders
HTTPHeader: Name string, Value string
HostAlias: IP string ip, Hostnames []string
HostPathVolumeSource: Path string, Type *HostPathType
ISCSIVolumeSource:
  TargetPortal string, IQN string iqn, Lun int32, ISCSIInterface string iscsiInterface, FSType string fsType,
  ReadOnly bool, Portals []string, DiscoveryCHAPAuth bool chapAuthDiscovery,
  SessionCHAPAuth bool chapAuthSession, SecretRef *LocalObjectReference, InitiatorName *string
ImageVolumeSource: Reference string, PullPolicy PullPolicy
KeyToPath: Key string, Path string, Mode *int32
Lifecycle: PostStart *LifecycleHandler, PreStop *LifecycleHandler, StopSignal *Signal
LifecycleHandler: Exec *ExecAction, HTTPGet *HTTPGetAction httpGet, TCPSocket *TCPSocketAction tcpSocket, Sleep *SleepAction
LocalObjectReference: Name string
NFSVolumeSource: Server string, Path string, ReadOnly bool
NodeAffinity:
  RequiredDuringSchedulingIgnoredDuringExecution *NodeSelector,
  PreferredDuringSchedulingIgnoredDuringExecution []PreferredSchedulingTerm
NodeSelector: NodeSelectorTerms []NodeSelectorTerm
NodeSelectorRequirement: Key string, Operator NodeSelectorOperator, Values []string
NodeSelectorTerm: MatchExpressions []NodeSelectorRequirement, MatchFields []NodeSelectorRequirement
ObjectFieldSelector: APIVersion string apiVersion, FieldPath string
PersistentVolumeClaimSpec:
  AccessModes []PersistentVolumeAccessMode, Selector *LabelSelector, Resources VolumeResourceRequirements,
  VolumeName string, StorageClassName *string, VolumeMode *PersistentVolumeMode,
  DataSource *TypedLocalObjectReference, DataSourceRef *TypedObjectReference,
  VolumeAttributesClassName *string
PersistentVolumeClaimTemplate: ObjectMeta ObjectMeta metadata, Spec PersistentVolumeClaimSpec
PersistentVolumeClaimVolumeSource: ClaimName string, ReadOnly bool
PhotonPersistentDiskVolumeSource: PdID string, FSType string fsType
PodAffinity:
  RequiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm,
  PreferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm
PodAffinityTerm:
  LabelSelector *LabelSelector, Namespaces []string, TopologyKey string,
  NamespaceSelector *LabelSelector, MatchLabelKeys []string, MismatchLabelKeys []string
PodAntiAffinity:
  RequiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm,
  PreferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm
PodDNSConfig: Nameservers []string, Searches []string, Options []PodDNSConfigOption
PodDNSConfigOption: Name string, Value *string
PodOS: Name OSName
PodReadinessGate: ConditionType PodConditionType
PodResourceClaim: Name string, ResourceClaimName *string, ResourceClaimTemplateName *string
PodSchedulingGate: Name string
PodSecurityContext:
  SELinuxOptions *SELinuxOptions seLinuxOptions, WindowsOptions *WindowsSecurityContextOptions,
  RunAsUser *int64, RunAsGroup *int64, RunAsNonRoot *bool, SupplementalGroups []int64,
  SupplementalGroupsPolicy *SupplementalGroupsPolicy, FSGroup *int64 fsGroup, Sysctls []Sysctl,
  FSGroupChangePolicy *PodFSGroupChangePolicy fsGroupChangePolicy, SeccompProfile *SeccompProfile,
  AppArmorProfile *AppArmorProfile, SELinuxChangePolicy *PodSELinuxChangePolicy seLinuxChangePolicy
PodSpec:
  Volumes []Volume, InitContainers []Container, Containers []Container,
  EphemeralContainers []EphemeralContainer, RestartPolicy RestartPolicy, TerminationGracePeriodSeconds *int64,
  ActiveDeadlineSeconds *int64, DNSPolicy DNSPolicy dnsPolicy, NodeSelector map[string]string,
  ServiceAccountName string, DeprecatedServiceAccount string serviceAccount,
  AutomountServiceAccountToken *bool, NodeName string, HostNetwork bool, HostPID bool, HostIPC bool,
  ShareProcessNamespace *bool, SecurityContext *PodSecurityContext, ImagePullSecrets []LocalObjectReference,
  Hostname string, Subdomain string, Affinity *Affinity, SchedulerName string, Tolerations []Toleration,
  HostAliases []HostAlias, PriorityClassName string, Priority *int32, DNSConfig *PodDNSConfig dnsConfig,
  ReadinessGates []PodReadinessGate, RuntimeClassName *string, EnableServiceLinks *bool,
  PreemptionPolicy *PreemptionPolicy, Overhead ResourceList,
  TopologySpreadConstraints []TopologySpreadConstraint, SetHostnameAsFQDN *bool, OS *PodOS os, HostUsers *bool,
  SchedulingGates []PodSchedulingGate, ResourceClaims []PodResourceClaim, Resources *ResourceRequirements
PodTemplateSpec: ObjectMeta ObjectMeta metadata, Spec PodSpec
PortworxVolumeSource: VolumeID string, FSType string fsType, ReadOnly bool
PreferredSchedulingTerm: Weight int32, Preference NodeSelectorTerm
Probe:
  ProbeHandler ProbeHandler -, InitialDelaySeconds int32, TimeoutSeconds int32, PeriodSeconds int32,
  SuccessThreshold int32, FailureThreshold int32, TerminationGracePeriodSeconds *int64
ProbeHandler:
  Exec *ExecAction, HTTPGet *HTTPGetAction httpGet, TCPSocket *TCPSocketAction tcpSocket,
  GRPC *GRPCAction grpc
ProjectedVolumeSource: Sources []VolumeProjection, DefaultMode *int32
QuobyteVolumeSource: Registry string, Volume string, ReadOnly bool, User string, Group string, Tenant string
RBDVolumeSource:
  CephMonitors []string monitors, RBDImage string image, FSType string fsType, RBDPool string pool,
  RadosUser string user, Keyring string, SecretRef *LocalObjectReference, ReadOnly bool
ResourceClaim: Name string, Request string
ResourceFieldSelector: ContainerName string, Resource string, Divisor resource.Quantity
ResourceRequirements: Limits ResourceList, Requests ResourceList, Claims []ResourceClaim
SELinuxOptions: User string, Role string, Type string, Level string
ScaleIOVolumeSource:
  Gateway string, System string, SecretRef *LocalObjectReference, SSLEnabled bool sslEnabled,
  ProtectionDomain string, StoragePool string, StorageMode string, VolumeName string, FSType string fsType,
  ReadOnly bool
SeccompProfile: Type SeccompProfileType, LocalhostProfile *string
SecretEnvSource: LocalObjectReference LocalObjectReference -, Optional *bool
SecretKeySelector: LocalObjectReference LocalObjectReference -, Key string, Optional *bool
SecretProjection: LocalObjectReference LocalObjectReference -, Items []KeyToPath, Optional *bool
SecretVolumeSource: SecretName string, Items []KeyToPath, DefaultMode *int32, Optional *bool
SecurityContext:
  Capabilities *Capabilities, Privileged *bool, SELinuxOptions *SELinuxOptions seLinuxOptions,
  WindowsOptions *WindowsSecurityContextOptions, RunAsUser *int64, RunAsGroup *int64, RunAsNonRoot *bool,
  ReadOnlyRootFilesystem *bool, AllowPrivilegeEscalation *bool, ProcMount *ProcMountType,
  SeccompProfile *SeccompProfile, AppArmorProfile *AppArmorProfile
ServiceAccountTokenProjection: Audience string, ExpirationSeconds *int64, Path string
SleepAction: Seconds int64
StorageOSVolumeSource:
  VolumeName string, VolumeNamespace string, FSType string fsType, ReadOnly bool,
  SecretRef *LocalObjectReference
Sysctl: Name string, Value string
TCPSocketAction: Port intstr.IntOrString, Host string
Toleration: Key string, Operator TolerationOperator, Value string, Effect TaintEffect, TolerationSeconds *int64
TopologySpreadConstraint:
  MaxSkew int32, TopologyKey string, WhenUnsatisfiable UnsatisfiableConstraintAction,
  LabelSelector *LabelSelector, MinDomains *int32, NodeAffinityPolicy *NodeInclusionPolicy,
  NodeTaintsPolicy *NodeInclusionPolicy, MatchLabelKeys []string
TypedLocalObjectReference: APIGroup *string apiGroup, Kind string, Name string
TypedObjectReference: APIGroup *string apiGroup, Kind string, Name string, Namespace *string
Volume: Name string, VolumeSource VolumeSource -
VolumeDevice: Name string, DevicePath string
VolumeMount:
  Name string, ReadOnly bool, RecursiveReadOnly *RecursiveReadOnlyMode, MountPath string, SubPath string,
  MountPropagation *MountPropagationMode, SubPathExpr string
VolumeProjection:
  Secret *SecretProjection, DownwardAPI *DownwardAPIProjection, ConfigMap *ConfigMapProjection,
  ServiceAccountToken *ServiceAccountTokenProjection, ClusterTrustBundle *ClusterTrustBundleProjection
VolumeResourceRequirements: Limits ResourceList, Requests ResourceList
VolumeSource:
  HostPath *HostPathVolumeSource, EmptyDir *EmptyDirVolumeSource,
  GCEPersistentDisk *GCEPersistentDiskVolumeSource gcePersistentDisk,
  AWSElasticBlockStore *AWSElasticBlockStoreVolumeSource awsElasticBlockStore, GitRepo *GitRepoVolumeSource,
  Secret *SecretVolumeSource, NFS *NFSVolumeSource nfs, ISCSI *ISCSIVolumeSource iscsi,
  Glusterfs *GlusterfsVolumeSource, PersistentVolumeClaim *PersistentVolumeClaimVolumeSource,
  RBD *RBDVolumeSource rbd, FlexVolume *FlexVolumeSource, Cinder *CinderVolumeSource,
  CephFS *CephFSVolumeSource cephfs, Flocker *FlockerVolumeSource, DownwardAPI *DownwardAPIVolumeSource,
  FC *FCVolumeSource fc, AzureFile *AzureFileVolumeSource, ConfigMap *ConfigMapVolumeSource,
  VsphereVolume *VsphereVirtualDiskVolumeSource, Quobyte *QuobyteVolumeSource,
  AzureDisk *AzureDiskVolumeSource, PhotonPersistentDisk *PhotonPersistentDiskVolumeSource,
  Projected *ProjectedVolumeSource, PortworxVolume *PortworxVolumeSource, ScaleIO *ScaleIOVolumeSource,
  StorageOS *StorageOSVolumeSource storageos, CSI *CSIVolumeSource csi, Ephemeral *EphemeralVolumeSource,
  Image *ImageVolumeSource
VsphereVirtualDiskVolumeSource: VolumePath string, FSType string fsType, StoragePolicyName string, StoragePolicyID string
WeightedPodAffinityTerm: Weight int32, PodAffinityTerm PodAffinityTerm
WindowsSecurityContextOptions:
  GMSACredentialSpecName *string gmsaCredentialSpecName, GMSACredentialSpec *string gmsaCredentialSpec,
  RunAsUserName *string, HostProcess *bool
LabelSelector: MatchLabels map[string]string, MatchExpressions []LabelSelectorRequirement
LabelSelectorRequirement: Key string, Operator LabelSelectorOperator, Values []string
ObjectMeta: Name string, GenerateName string, Namespace string, SelfLink string, UID types.UID uid, ResourceVersion string,
  Generation int64, CreationTimestamp Time, DeletionTimestamp *Time, DeletionGracePeriodSeconds *int64,
  Labels map[string]string, Annotations map[string]string, OwnerReferences []OwnerReference, Finalizers []string,
  ManagedFields []ManagedFieldsEntry
OwnerReference: APIVersion string apiVersion, Kind string, Name string, UID types.UID uid, Controller *bool,
  BlockOwnerDeletion *bool
`;
