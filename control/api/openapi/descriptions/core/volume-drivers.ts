/** Volumes of storage systems that Kubernetes once brought drivers for. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

const CSI = 'Nodes of this cluster do not mount it: use a CSI driver.';
const GONE = 'There is nothing any more that mounts it.';

const FS_TYPE = 'File system to mount, such as ext4, which is the default. The node must know it.';
const READ_ONLY = 'True to mount it read-only. The default is false.';
const LOCAL_SECRET = 'Secret in the namespace of the pod';
const SECRET = 'Secret, by name and namespace,';

const CEPH = {
  monitors: 'Addresses of the monitors of Ceph, at least one.',
  readOnly: READ_ONLY,
} as const;
const CEPH_FS = {
  ...CEPH,
  path: 'Directory of the file system to mount. The default is "/".',
  secretFile: 'File on the node with the key of the user. The default is /etc/ceph/user.secret.',
  user: 'User of Ceph. The default is admin.',
} as const;
const RBD = {
  ...CEPH,
  fsType: FS_TYPE,
  image: 'Name of the image in the pool.',
  keyring: 'Keyring of the user, a file on the node. The default is /etc/ceph/keyring.',
  pool: 'Pool that has the image. The default is rbd.',
  user: 'User of Ceph. The default is admin.',
} as const;
const CINDER = {
  fsType: FS_TYPE,
  readOnly: READ_ONLY,
  volumeID: 'Id of the volume in Cinder.',
} as const;
const FLEX = {
  driver: 'Name of the driver.',
  fsType: 'File system to mount, such as ext4. The default is that of the driver.',
  options: 'Settings that the driver is given.',
  readOnly: READ_ONLY,
} as const;
const GLUSTER = {
  endpoints: 'Name of the Endpoints object with the addresses of the servers.',
  path: 'Name of the volume of Gluster.',
  readOnly: READ_ONLY,
} as const;
const ISCSI = {
  chapAuthDiscovery: 'True to use CHAP when targets are looked for.',
  chapAuthSession: 'True to use CHAP for the session.',
  fsType: FS_TYPE,
  initiatorName:
    'Name of the initiator, in place of the one of the node. With iscsiInterface a new interface of both is made.',
  iqn: 'Name of the target.',
  iscsiInterface: 'Interface of the initiator. The default is "default", which is TCP.',
  lun: 'Number of the logical unit of the target.',
  portals: 'Further portals of the target, as addresses, with a port if it is not 3260.',
  readOnly: READ_ONLY,
  targetPortal: 'Portal of the target, as an address, with a port if it is not 3260.',
} as const;
const SCALE_IO = {
  fsType: 'File system to mount. The default is xfs.',
  gateway: 'Address of the gateway of its API.',
  protectionDomain: 'Name of the protection domain.',
  readOnly: READ_ONLY,
  sslEnabled: 'True to speak TLS with the gateway. The default is false.',
  storageMode: '"ThinProvisioned" (the default) or "ThickProvisioned".',
  storagePool: 'Storage pool of the protection domain.',
  system: 'Name of the storage system.',
  volumeName: 'Name of the volume.',
} as const;
const STORAGE_OS = {
  fsType: FS_TYPE,
  readOnly: READ_ONLY,
  volumeName: 'Name of the volume, unique in its namespace of StorageOS.',
  volumeNamespace:
    'Namespace of StorageOS with the volume. Without it that of the pod or the claim; "default" if namespaces are not used.',
} as const;

export const VOLUME_DRIVERS: TextTable = {
  prefix: CORE_V1,
  texts: {
    AWSElasticBlockStoreVolumeSource: {
      itself: `AWSElasticBlockStoreVolumeSource is a disk of Amazon EBS, in the zone of the node. ${CSI}`,
      fsType: FS_TYPE,
      partition: 'Number of the partition to mount. 0 or none means the whole disk.',
      readOnly: READ_ONLY,
      volumeID: 'Id of the disk.',
    },
    AzureDiskVolumeSource: {
      itself: `AzureDiskVolumeSource is a data disk of Azure. ${CSI}`,
      cachingMode: 'Caching by the host: "None", "ReadOnly" or "ReadWrite" (the default).',
      diskName: 'Name of the disk.',
      diskURI: 'Address of the disk.',
      fsType: FS_TYPE,
      kind: '"Shared" (the default): many disks in one storage account. "Dedicated": one in an account. "Managed": a managed disk.',
      readOnly: READ_ONLY,
    },
    AzureFilePersistentVolumeSource: {
      itself: `AzureFilePersistentVolumeSource is a file share of Azure, as a persistent volume. ${CSI}`,
      readOnly: READ_ONLY,
      secretName: 'Name of the Secret with name and key of the storage account.',
      secretNamespace: 'Namespace of that Secret. Without it that of the claim.',
      shareName: 'Name of the share.',
    },
    AzureFileVolumeSource: {
      itself: `AzureFileVolumeSource is a file share of Azure. ${CSI}`,
      readOnly: READ_ONLY,
      secretName: 'Name of the Secret with name and key of the storage account, in the namespace of the pod.',
      shareName: 'Name of the share.',
    },
    CephFSPersistentVolumeSource: {
      itself: `CephFSPersistentVolumeSource is a Ceph file system, as a persistent volume. ${CSI}`,
      ...CEPH_FS,
      secretRef: `${SECRET} with the key of the user. It goes before secretFile.`,
    },
    CephFSVolumeSource: {
      itself: `CephFSVolumeSource is a Ceph file system. ${CSI}`,
      ...CEPH_FS,
      secretRef: `${LOCAL_SECRET} with the key of the user. It goes before secretFile.`,
    },
    CinderPersistentVolumeSource: {
      itself: `CinderPersistentVolumeSource is a volume of OpenStack Cinder, as a persistent volume. ${CSI}`,
      ...CINDER,
      secretRef: `${SECRET} with what is needed to connect to OpenStack.`,
    },
    CinderVolumeSource: {
      itself: `CinderVolumeSource is a volume of OpenStack Cinder. ${CSI}`,
      ...CINDER,
      secretRef: `${LOCAL_SECRET} with what is needed to connect to OpenStack.`,
    },
    FCVolumeSource: {
      itself: `FCVolumeSource is a Fibre Channel device, named by targetWWNs and lun, or by wwids. ${CSI}`,
      fsType: FS_TYPE,
      lun: 'Number of the logical unit.',
      readOnly: READ_ONLY,
      targetWWNs: 'World wide names of the targets.',
      wwids: 'World wide identifiers of the volume, in place of targetWWNs and lun.',
    },
    FlexPersistentVolumeSource: {
      itself:
        'FlexPersistentVolumeSource is a volume of a FlexVolume driver, as a persistent volume. Nodes of this cluster do not mount it.',
      ...FLEX,
      secretRef: `${SECRET} whose data the driver is given.`,
    },
    FlexVolumeSource: {
      itself: 'FlexVolumeSource is a volume of a FlexVolume driver. Nodes of this cluster do not mount it.',
      ...FLEX,
      secretRef: `${LOCAL_SECRET} whose data the driver is given.`,
    },
    FlockerVolumeSource: {
      itself: `FlockerVolumeSource is a Flocker volume, named in one of two ways. ${GONE}`,
      datasetName: 'Name of the dataset, as its metadata have it.',
      datasetUUID: 'UUID of the dataset.',
    },
    GCEPersistentDiskVolumeSource: {
      itself: `GCEPersistentDiskVolumeSource is a persistent disk of Google Compute Engine, in the zone of the node. ${CSI}`,
      fsType: FS_TYPE,
      partition: 'Number of the partition to mount. 0 or none means the whole disk.',
      pdName: 'Name of the disk.',
      readOnly: READ_ONLY,
    },
    GitRepoVolumeSource: {
      itself: 'GitRepoVolumeSource is a clone of a git repository. It is out of use, and nodes do not make it.',
      directory: 'Directory of the clone in the volume, without "..". "." is the volume itself.',
      repository: 'Address of the repository.',
      revision: 'Hash of the commit.',
    },
    GlusterfsPersistentVolumeSource: {
      itself: `GlusterfsPersistentVolumeSource is a GlusterFS volume, as a persistent volume. ${GONE}`,
      ...GLUSTER,
      endpointsNamespace: 'Namespace of the Endpoints object. Without it that of the claim.',
    },
    GlusterfsVolumeSource: {
      itself: `GlusterfsVolumeSource is a GlusterFS volume. ${GONE}`,
      ...GLUSTER,
    },
    ISCSIPersistentVolumeSource: {
      itself: `ISCSIPersistentVolumeSource is an iSCSI disk, as a persistent volume. ${CSI}`,
      ...ISCSI,
      secretRef: `${SECRET} with the credentials for CHAP.`,
    },
    ISCSIVolumeSource: {
      itself: `ISCSIVolumeSource is an iSCSI disk. ${CSI}`,
      ...ISCSI,
      secretRef: `${LOCAL_SECRET} with the credentials for CHAP.`,
    },
    PhotonPersistentDiskVolumeSource: {
      itself: `PhotonPersistentDiskVolumeSource is a disk of Photon Controller. ${GONE}`,
      fsType: FS_TYPE,
      pdID: 'Id of the disk.',
    },
    PortworxVolumeSource: {
      itself: `PortworxVolumeSource is a Portworx volume. ${CSI}`,
      fsType: FS_TYPE,
      readOnly: READ_ONLY,
      volumeID: 'Id of the volume.',
    },
    QuobyteVolumeSource: {
      itself: `QuobyteVolumeSource is a Quobyte volume. ${GONE}`,
      group: 'Group as which it is accessed. The default is none.',
      readOnly: READ_ONLY,
      registry: 'Registries of Quobyte, as HOST:PORT with commas between.',
      tenant: 'Tenant that owns the volume.',
      user: 'User as which it is accessed. The default is the owner of the volume.',
      volume: 'Name of the volume.',
    },
    RBDPersistentVolumeSource: {
      itself: `RBDPersistentVolumeSource is a RADOS block device of Ceph, as a persistent volume. ${CSI}`,
      ...RBD,
      secretRef: `${SECRET} with the key of the user. It goes before keyring.`,
    },
    RBDVolumeSource: {
      itself: `RBDVolumeSource is a RADOS block device of Ceph. ${CSI}`,
      ...RBD,
      secretRef: `${LOCAL_SECRET} with the key of the user. It goes before keyring.`,
    },
    ScaleIOPersistentVolumeSource: {
      itself: `ScaleIOPersistentVolumeSource is a ScaleIO volume, as a persistent volume. ${GONE}`,
      ...SCALE_IO,
      secretRef: `${SECRET} with user and password.`,
    },
    ScaleIOVolumeSource: {
      itself: `ScaleIOVolumeSource is a ScaleIO volume. ${GONE}`,
      ...SCALE_IO,
      secretRef: `${LOCAL_SECRET} with user and password.`,
    },
    StorageOSPersistentVolumeSource: {
      itself: `StorageOSPersistentVolumeSource is a StorageOS volume, as a persistent volume. ${GONE}`,
      ...STORAGE_OS,
      secretRef: 'Reference to the Secret with the credentials for its API.',
    },
    StorageOSVolumeSource: {
      itself: `StorageOSVolumeSource is a StorageOS volume. ${GONE}`,
      ...STORAGE_OS,
      secretRef: `${LOCAL_SECRET} with the credentials for its API.`,
    },
    VsphereVirtualDiskVolumeSource: {
      itself: `VsphereVirtualDiskVolumeSource is a disk of vSphere. ${CSI}`,
      fsType: FS_TYPE,
      storagePolicyID: 'Id of the profile that goes with storagePolicyName.',
      storagePolicyName: 'Name of the storage policy of the disk.',
      volumePath: 'Path of the disk file.',
    },
  },
};
