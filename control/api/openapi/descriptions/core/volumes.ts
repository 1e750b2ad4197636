/** Volumes of pods. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

const NOT_HERE = 'Nodes of this cluster do not mount it: use a CSI driver.';

const DEFAULT_MODE =
  'Rights of the files that name none themselves, 0 to 0777: octal in YAML, 0 to 511 in JSON. The default is 0644. fsGroup of the pod may add to them.';

/** Of what becomes files by its keys. */
const ITEMS =
  'Which keys become files, and under which paths. Without it all keys do, each under its own name. A key that does not exist is an error, unless the volume is optional.';

const OBJECT_NAME = 'Name of the object in the namespace of the pod.';

export const VOLUMES: TextTable = {
  prefix: CORE_V1,
  texts: {
    Volume: {
      itself:
        'Volume is a directory, or a device, that containers of the pod can mount. It has a name and one source; without a source it is an emptyDir.',
      awsElasticBlockStore: `A disk of Amazon EBS. ${NOT_HERE}`,
      azureDisk: `A data disk of Azure. ${NOT_HERE}`,
      azureFile: `A file share of Azure. ${NOT_HERE}`,
      cephfs: `A Ceph file system. ${NOT_HERE}`,
      cinder: `A volume of OpenStack Cinder. ${NOT_HERE}`,
      configMap: 'Files from a ConfigMap.',
      csi: 'A volume that a CSI driver makes for the pod alone, and that goes with it.',
      downwardAPI: 'Files that tell the pod about itself.',
      emptyDir:
        'A directory that is empty when the pod starts and goes with it. Containers that restart find it as they left it.',
      ephemeral:
        'A volume with a claim that is made for the pod and goes with it: for what a storage class can do, such as limits and snapshots, without keeping the data.',
      fc: `A Fibre Channel device. ${NOT_HERE}`,
      flexVolume: 'A volume of a FlexVolume driver, the forerunner of CSI. Nodes of this cluster do not mount it.',
      flocker: 'A Flocker volume. There is nothing any more that mounts it.',
      gcePersistentDisk: `A persistent disk of Google Compute Engine. ${NOT_HERE}`,
      gitRepo:
        'A clone of a git repository. It is out of use and not mounted: clone into an emptyDir in an init container instead.',
      glusterfs: 'A GlusterFS volume. There is nothing any more that mounts it.',
      hostPath:
        'A file or directory of the node itself. It gives the pod power over the node, and another node has other files.',
      image: 'The files of an image. It is off in this version: the server drops it.',
      iscsi: `An iSCSI disk. ${NOT_HERE}`,
      name: 'Name of the volume, a DNS label, unique in the pod. Mounts refer to it.',
      nfs: 'A directory of an NFS server.',
      persistentVolumeClaim: 'The volume that a claim in the same namespace is bound to.',
      photonPersistentDisk: 'A disk of Photon Controller. There is nothing any more that mounts it.',
      portworxVolume: `A Portworx volume. ${NOT_HERE}`,
      projected: 'Files from several sources in one directory.',
      quobyte: 'A Quobyte volume. There is nothing any more that mounts it.',
      rbd: `A RADOS block device of Ceph. ${NOT_HERE}`,
      scaleIO: 'A ScaleIO volume. There is nothing any more that mounts it.',
      secret: 'Files from a Secret, kept in memory.',
      storageos: 'A StorageOS volume. There is nothing any more that mounts it.',
      vsphereVolume: `A disk of vSphere. ${NOT_HERE}`,
    },
    KeyToPath: {
      itself: 'KeyToPath makes a file of a key.',
      key: 'The key.',
      mode: 'Rights of the file, 0 to 0777: octal in YAML, 0 to 511 in JSON. Without it defaultMode of the volume.',
      path: 'Path of the file in the volume. It must not be absolute, contain ".." or begin with "..".',
    },
    ConfigMapVolumeSource: {
      itself:
        'ConfigMapVolumeSource makes files of the keys of a ConfigMap. They follow its changes within about a minute, all at once, but not where subPath mounts them.',
      defaultMode: DEFAULT_MODE,
      items: ITEMS,
      name: OBJECT_NAME,
      optional: 'True to start without the ConfigMap, or without keys of items, if they are missing.',
    },
    SecretVolumeSource: {
      itself:
        'SecretVolumeSource makes files of the keys of a Secret. They follow its changes within about a minute, all at once, but not where subPath mounts them.',
      defaultMode: DEFAULT_MODE,
      items: ITEMS,
      optional: 'True to start without the Secret, or without keys of items, if they are missing.',
      secretName: OBJECT_NAME,
    },
    ProjectedVolumeSource: {
      itself: 'ProjectedVolumeSource puts files of several sources into one directory.',
      defaultMode: DEFAULT_MODE,
      sources: 'The sources. No two may give the same path.',
    },
    VolumeProjection: {
      itself: 'VolumeProjection is one source of a projected volume. Just one of its fields is set.',
      clusterTrustBundle: 'Certificates of ClusterTrustBundles. It is off in this version.',
      configMap: 'Keys of a ConfigMap.',
      downwardAPI: 'Facts about the pod.',
      secret: 'Keys of a Secret.',
      serviceAccountToken: 'A token of the service account, which the node renews.',
    },
    ConfigMapProjection: {
      itself: 'ConfigMapProjection makes files of the keys of a ConfigMap.',
      items: ITEMS,
      name: OBJECT_NAME,
      optional: 'True to do without the ConfigMap, or without keys of items, if they are missing.',
    },
    SecretProjection: {
      itself: 'SecretProjection makes files of the keys of a Secret.',
      items: ITEMS,
      name: OBJECT_NAME,
      optional: 'True to do without the Secret, or without keys of items, if they are missing.',
    },
    ServiceAccountTokenProjection: {
      itself:
        'ServiceAccountTokenProjection makes a file with a token of the service account, good for one audience and bound to the pod.',
      audience: "Whom the token is for. Others must not accept it. The default is the API server's own.",
      expirationSeconds:
        'Seconds that a token is good for, at least 600; the default is 3600. The node renews it after four fifths of that time, or a day.',
      path: 'Path of the file in the volume.',
    },
    ClusterTrustBundleProjection: {
      itself:
        'ClusterTrustBundleProjection makes a file of the certificates of ClusterTrustBundles, in no particular order.',
      labelSelector:
        'With signerName: chooses among its bundles by labels. Without it none is chosen, with an empty one all.',
      name: 'Name of one bundle. Not together with signerName and labelSelector.',
      optional: 'True to start without the bundles if there are none. Otherwise the pod waits.',
      path: 'Path of the file in the volume.',
      signerName: 'Signer whose bundles are taken, as far as labelSelector chooses them. Not together with name.',
    },
    DownwardAPIVolumeSource: {
      itself: 'DownwardAPIVolumeSource makes files of facts about the pod. They follow its changes.',
      defaultMode: DEFAULT_MODE,
      items: 'The files.',
    },
    DownwardAPIProjection: {
      itself: 'DownwardAPIProjection makes files of facts about the pod, in a projected volume.',
      items: 'The files.',
    },
    DownwardAPIVolumeFile: {
      itself: 'DownwardAPIVolumeFile is a file with one fact about the pod.',
      fieldRef:
        "A field: metadata.name, metadata.namespace, metadata.uid, metadata.labels or metadata.annotations, or one of these as metadata.labels['KEY'].",
      mode: 'Rights of the file, 0 to 0777: octal in YAML, 0 to 511 in JSON. Without it defaultMode of the volume.',
      path: 'Path of the file in the volume. It must not be absolute, contain ".." or begin with "..".',
      resourceFieldRef: 'A limit or request of a container, such as limits.memory. Not together with fieldRef.',
    },
    EmptyDirVolumeSource: {
      itself: 'EmptyDirVolumeSource is a directory that is empty when the pod starts and goes with it.',
      medium:
        'Where the files lie. Empty (the default): on the disk of the node. "Memory": in memory, which counts for the containers that write them. "HugePages" or "HugePages-SIZE": in huge pages.',
      sizeLimit:
        'How large it may become. On disk, a pod that goes above is evicted; in memory no more fits in. Without it there is no limit but that of the medium.',
    },
    HostPathVolumeSource: {
      itself: 'HostPathVolumeSource is a file or directory of the node.',
      path: 'Its path on the node, without "..". A symbolic link is followed.',
      type: 'What has to be there. Empty (the default): nothing is checked, and a directory is made where nothing is. "Directory", "File", "Socket", "CharDevice", "BlockDevice": just that, or the pod waits. "DirectoryOrCreate", "FileOrCreate": it is made if it is missing, with 0755 or 0644.',
    },
    NFSVolumeSource: {
      itself: 'NFSVolumeSource is a directory of an NFS server.',
      path: 'Path that the server exports. It must be absolute.',
      readOnly: 'True to mount it read-only. The default is false.',
      server: 'Name or address of the server.',
    },
    PersistentVolumeClaimVolumeSource: {
      itself:
        'PersistentVolumeClaimVolumeSource is the volume of a claim, as something that somebody else has provided.',
      claimName: 'Name of the claim in the namespace of the pod.',
      readOnly: 'True to mount it read-only in all containers. The default is false.',
    },
    EphemeralVolumeSource: {
      itself: 'EphemeralVolumeSource is a volume with a claim of its own.',
      volumeClaimTemplate:
        'What the claim is made from. It is called POD-VOLUME, belongs to the pod, and is deleted with it. If another claim has that name, the pod does not start.',
    },
    PersistentVolumeClaimTemplate: {
      itself: 'PersistentVolumeClaimTemplate is what the claim of an ephemeral volume is made from.',
      metadata: 'Labels and annotations of the claim. Nothing else may be set.',
      spec: 'What is asked of the claim, as in a claim itself.',
    },
    CSIVolumeSource: {
      itself:
        'CSIVolumeSource is a volume that a CSI driver makes when the pod starts and removes when it has ended. The driver must offer that.',
      driver: 'Name of the driver, as its CSIDriver object has it.',
      fsType: 'File system of the volume, such as ext4. If it is empty, the driver decides.',
      nodePublishSecretRef: 'Secret in the namespace of the pod that the driver is given when it mounts the volume.',
      readOnly: 'True to mount it read-only. The default is false.',
      volumeAttributes: 'Settings that the driver is given. It says which it knows.',
    },
    ImageVolumeSource: {
      itself:
        'ImageVolumeSource is the files of an image, read-only. The server drops such volumes unless its feature gate ImageVolume is on.',
      pullPolicy: 'When the image is pulled: "Always", "IfNotPresent" or "Never", as for containers.',
      reference: 'Name of the image, as for containers.',
    },
  },
};
