/** The group storage.k8s.io: CSI drivers, what they are on each node, and how much room they have. */
import type { TextTable } from '../texts.ts';

export const CSI_DRIVERS: TextTable = {
  prefix: 'io.k8s.api.storage.v1.',
  texts: {
    CSIDriver: {
      itself:
        'CSIDriver tells the cluster what a CSI driver needs and can do. Its name is the one that the driver gives itself, at most 63 characters. It comes with the driver.',
      spec: 'How volumes of the driver are treated. The driver sets it.',
    },
    CSIDriverSpec: {
      itself: 'CSIDriverSpec says how volumes of a driver are treated.',
      attachRequired:
        'False if volumes need not be attached to a node before they are mounted, so that no VolumeAttachments are made. True by default. It cannot be changed.',
      fsGroupPolicy:
        'Whether files of a volume are given to the pod\'s fsGroup: "File" always, "None" never, "ReadWriteOnceWithFSType", the default, if it has a file system type and the access mode ReadWriteOnce.',
      nodeAllocatableUpdatePeriodSeconds:
        'How often, in seconds, the node asks the driver anew for how many volumes it has room. It is behind a feature gate that is off in this version: the server drops it.',
      podInfoOnMount:
        'True if the driver is told name, namespace, UID and service account of the pod that a volume is mounted for. False by default.',
      requiresRepublish:
        'True if the driver is called again from time to time for volumes that are mounted, for instance to renew tokens. False by default.',
      seLinuxMount:
        'True if the driver lets its volumes be mounted with an SELinux label of their own. False by default. Stored, and not acted on here.',
      storageCapacity:
        'True if the scheduler should heed the CSIStorageCapacity objects of the driver, and not place pods whose volumes find no room. False by default.',
      tokenRequests:
        "Tokens of the pod's service account that the driver is handed when it mounts a volume. Each audience once.",
      volumeLifecycleModes:
        'Which volumes the driver has: "Persistent", the default, those of claims; "Ephemeral" those that stand in a pod\'s own spec and live as long as it. It cannot be changed.',
    },
    TokenRequest: {
      itself: "TokenRequest asks for a token of the pod's service account, for a driver.",
      audience: 'Whom the token is meant for. Empty: the API server itself.',
      expirationSeconds: 'Seconds that the token is good for; at least 600, and 3600 if nothing is said.',
    },
    CSINode: {
      itself:
        'CSINode tells which CSI drivers a node has. It has the name of the node; its agent writes it when a driver registers or goes.',
      spec: 'The drivers of the node.',
    },
    CSINodeSpec: {
      itself: 'CSINodeSpec lists the drivers of a node.',
      drivers: 'The drivers; each name once. An entry does not change while it is there.',
    },
    CSINodeDriver: {
      itself: 'CSINodeDriver is one driver on a node.',
      allocatable: 'For how many volumes of the driver the node has room.',
      name: 'Name of the driver, the same as that of its CSIDriver. At most 63 characters.',
      nodeID: 'What the driver calls the node; up to 256 characters.',
      topologyKeys:
        "Keys of labels that say where the node is, for the driver. Their values stand in the Node's labels; a volume made for the node can be reached from where they are the same.",
    },
    VolumeNodeResources: {
      itself: 'VolumeNodeResources is what a node can hold of a driver.',
      count:
        'How many volumes of the driver may be on the node; a volume that several pods share counts once. Missing: no bound.',
    },
    CSIStorageCapacity: {
      itself:
        "CSIStorageCapacity tells how much room a driver has for a class in some part of the cluster. The driver's provisioner writes these objects; where there is none for a place, there is no room.",
      capacity: 'Room that is left. Missing counts as none.',
      maximumVolumeSize: 'The largest volume that can be made there. Missing, capacity is the bound.',
      nodeTopology: 'Labels of the nodes that can reach the storage. Missing: none; empty: all. It cannot be changed.',
      storageClassName: 'Name of the StorageClass that the room is for. It cannot be changed.',
    },
  },
};
