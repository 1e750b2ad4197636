/** Persistent volumes and claims. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

const NOT_HERE = 'Nodes of this cluster do not mount it: use a CSI driver.';
const GONE = 'There is nothing any more that mounts it.';

const MODES =
  '"ReadWriteOnce": written by pods of one node. "ReadOnlyMany": read on many nodes. "ReadWriteMany": written on many nodes. "ReadWriteOncePod": by a single pod, and then the only mode.';

export const PERSISTENT_VOLUMES: TextTable = {
  prefix: CORE_V1,
  texts: {
    PersistentVolume: {
      itself:
        'PersistentVolume is a piece of storage that outlives pods. An administrator or a provisioner makes it; it belongs to the cluster, and is bound to one claim at most.',
      spec: 'What the volume is and who may have it. Its source, its mode and its nodes cannot be changed.',
      status: 'Whether it is free, bound or given back.',
    },
    PersistentVolumeSpec: {
      itself: 'PersistentVolumeSpec is a piece of storage: its size, its ways of access, and one source.',
      accessModes: `Ways in which the volume can be used. ${MODES}`,
      awsElasticBlockStore: `A disk of Amazon EBS. ${NOT_HERE}`,
      azureDisk: `A data disk of Azure. ${NOT_HERE}`,
      azureFile: `A file share of Azure. ${NOT_HERE}`,
      capacity: 'Size of the volume, under the key "storage", which is the only one.',
      cephfs: `A Ceph file system. ${NOT_HERE}`,
      cinder: `A volume of OpenStack Cinder. ${NOT_HERE}`,
      claimRef:
        'The claim that the volume is bound to. Set beforehand, with namespace and name, it keeps the volume for that claim. Taken away from a released volume, it makes it free again.',
      csi: 'A volume of a CSI driver.',
      fc: `A Fibre Channel device. ${NOT_HERE}`,
      flexVolume: 'A volume of a FlexVolume driver, the forerunner of CSI. Nodes of this cluster do not mount it.',
      flocker: `A Flocker volume. ${GONE}`,
      gcePersistentDisk: `A persistent disk of Google Compute Engine. ${NOT_HERE}`,
      glusterfs: `A GlusterFS volume. ${GONE}`,
      hostPath: 'A directory of whichever node a pod is on. It is for trying things out on one node.',
      iscsi: `An iSCSI disk. ${NOT_HERE}`,
      local: 'A directory or a device of one node. It takes nodeAffinity.',
      mountOptions: 'Options of mounting, such as "ro" or "soft". A wrong one shows only when the volume is mounted.',
      nfs: 'A directory of an NFS server.',
      nodeAffinity:
        'Which nodes can reach the volume. Pods that use it run there. It can be set once, and not be changed then.',
      persistentVolumeReclaimPolicy:
        'What becomes of the volume when its claim is deleted. "Retain": it stays, with its data. "Delete": it is deleted, with its storage. "Recycle": it is out of use. The default is Retain; provisioned volumes take that of their class.',
      photonPersistentDisk: `A disk of Photon Controller. ${GONE}`,
      portworxVolume: `A Portworx volume. ${NOT_HERE}`,
      quobyte: `A Quobyte volume. ${GONE}`,
      rbd: `A RADOS block device of Ceph. ${NOT_HERE}`,
      scaleIO: `A ScaleIO volume. ${GONE}`,
      storageClassName: 'Class of the volume. Only claims of the same class get it; empty means that it has none.',
      storageos: `A StorageOS volume. ${GONE}`,
      volumeAttributesClassName:
        'Name of the VolumeAttributesClass whose settings the volume has. It is off in this version: the server drops it.',
      volumeMode:
        '"Filesystem" (the default): the volume is mounted as a directory. "Block": it is given as a raw device. It cannot be changed.',
      vsphereVolume: `A disk of vSphere. ${NOT_HERE}`,
    },
    PersistentVolumeStatus: {
      itself: 'PersistentVolumeStatus tells whether a volume is free.',
      lastPhaseTransitionTime: 'When the phase last changed.',
      message: 'Why the volume is as it is, for people.',
      phase:
        '"Pending": not yet there. "Available": free. "Bound": some claim has it. "Released": its claim was deleted, and it is not free again. "Failed": it could not be reclaimed.',
      reason: 'One word for a failure.',
    },
    VolumeNodeAffinity: {
      itself: 'VolumeNodeAffinity tells from which nodes a volume can be reached.',
      required: 'Conditions that a node has to meet.',
    },
    LocalVolumeSource: {
      itself: 'LocalVolumeSource is storage that one node has.',
      fsType:
        'File system that a device is given, such as ext4. It counts for block devices only; without it one is chosen.',
      path: 'Path on the node: a directory or a block device, without "..".',
    },
    CSIPersistentVolumeSource: {
      itself: 'CSIPersistentVolumeSource is a volume of a CSI driver. It cannot be changed.',
      controllerExpandSecretRef: 'Secret that the driver is given to enlarge the volume.',
      controllerPublishSecretRef: 'Secret that the driver is given to attach the volume to a node and to detach it.',
      driver: 'Name of the driver, as its CSIDriver object has it.',
      fsType: 'File system of the volume, such as ext4.',
      nodeExpandSecretRef: 'Secret that the driver is given to enlarge the volume on the node.',
      nodePublishSecretRef: 'Secret that the driver is given to mount the volume for a pod.',
      nodeStageSecretRef: 'Secret that the driver is given to make the volume ready on the node.',
      readOnly: 'True to let it only be read. The default is false.',
      volumeAttributes: 'What the driver said of the volume when it made it.',
      volumeHandle: 'Name of the volume at the driver. All calls about the volume carry it.',
    },
    PersistentVolumeClaim: {
      itself:
        'PersistentVolumeClaim asks for storage, for pods of its namespace. It is bound to a PersistentVolume that fits or that is made for it.',
      spec: 'What is asked for. Later only the size may be raised, if the class allows it, and the volume be named once.',
      status: 'What the claim got.',
    },
    PersistentVolumeClaimSpec: {
      itself: 'PersistentVolumeClaimSpec is what is asked of storage.',
      accessModes: `Ways in which the volume has to be usable; at least one. ${MODES}`,
      dataSource:
        'What the volume is filled with: a VolumeSnapshot or another claim of the namespace. It is kept equal to dataSourceRef as far as it can say the same.',
      dataSourceRef:
        'What the volume is filled with: an object of any kind that some populator knows. A namespace other than its own takes a feature that is off in this version.',
      resources: 'How much storage is asked for.',
      selector: 'Chooses among volumes that are there by their labels. With it none is made for the claim.',
      storageClassName:
        'Class of the volume. Without it the default class is taken, now or when there is one; "" asks for a volume without a class.',
      volumeAttributesClassName:
        'Name of the VolumeAttributesClass whose settings the volume is to have. It is off in this version: the server drops it.',
      volumeMode: '"Filesystem" (the default): a directory. "Block": a raw device. It cannot be changed.',
      volumeName:
        'Name of the volume that the claim is bound to, or is to be bound to. Once set, it cannot be changed.',
    },
    VolumeResourceRequirements: {
      itself: 'VolumeResourceRequirements is how much storage is asked for.',
      limits: 'The most that will do, under the key "storage". Binding does not look at it.',
      requests: 'The least that will do, under the key "storage". It may be raised later if the class allows that.',
    },
    TypedLocalObjectReference: {
      itself: 'TypedLocalObjectReference names an object of any kind in the same namespace.',
      apiGroup: 'Group of the kind, such as snapshot.storage.k8s.io. Without it the core group.',
      kind: 'Kind of the object.',
      name: 'Name of the object.',
    },
    TypedObjectReference: {
      itself: 'TypedObjectReference names an object of any kind, perhaps in another namespace.',
      apiGroup: 'Group of the kind, such as snapshot.storage.k8s.io. Without it the core group.',
      kind: 'Kind of the object.',
      name: 'Name of the object.',
      namespace:
        'Namespace of the object, if it is another. Somebody there has to allow that by a ReferenceGrant. It is off in this version by default.',
    },
    PersistentVolumeClaimStatus: {
      itself: 'PersistentVolumeClaimStatus is what a claim got.',
      accessModes: 'Ways in which the volume can be used.',
      allocatedResourceStatuses:
        'How far a change of size is, under the key "storage": ControllerResizeInProgress, ControllerResizeInfeasible, NodeResizePending, NodeResizeInProgress or NodeResizeInfeasible. Nothing while none is under way.',
      allocatedResources:
        'Sizes that were set aside for the volume, under the key "storage". During a change it may be more than capacity.',
      capacity: 'Sizes that the volume really has, under the key "storage".',
      conditions: 'Conditions of the claim, such as Resizing and FileSystemResizePending while it is enlarged.',
      currentVolumeAttributesClassName: 'Name of the VolumeAttributesClass whose settings the volume has now.',
      modifyVolumeStatus: 'How far a change of the VolumeAttributesClass is.',
      phase: '"Pending": not bound yet. "Bound": it has a volume. "Lost": its volume is gone, and the data with it.',
    },
    PersistentVolumeClaimCondition: {
      itself: 'PersistentVolumeClaimCondition tells one thing about a claim.',
      lastProbeTime: 'When it was last looked at. Mostly not set.',
    },
    ModifyVolumeStatus: {
      itself: 'ModifyVolumeStatus tells how far a change of a VolumeAttributesClass is.',
      status:
        '"Pending": something is missing, such as the class. "InProgress": it is under way. "Infeasible": the driver refused it, and another class has to be named.',
      targetVolumeAttributesClassName: 'Name of the class whose settings the volume is to get.',
    },
  },
};
