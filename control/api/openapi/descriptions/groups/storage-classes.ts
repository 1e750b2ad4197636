/** The group storage.k8s.io: StorageClasses and VolumeAttachments. */
import type { TextTable } from '../texts.ts';

export const STORAGE_CLASSES: TextTable = {
  prefix: 'io.k8s.api.storage.v1.',
  texts: {
    StorageClass: {
      itself:
        'StorageClass is a sort of storage that claims can ask for by name: who makes the volumes, and how. With the annotation storageclass.kubernetes.io/is-default-class: "true" it is that of claims which name none.',
      allowVolumeExpansion:
        'True if claims of the class may ask for more room later. The driver has to be able to grow volumes.',
      allowedTopologies:
        'Where volumes may be made, by labels of nodes; one of the terms has to fit. Missing: everywhere.',
      mountOptions:
        'Options that the volumes of the class are mounted with, such as noatime. Nobody checks them before: a wrong one lets the mount fail.',
      parameters:
        'Settings for whoever makes the volumes; what they may be is up to it. At most 512, with 256 KiB in all. They cannot be changed.',
      provisioner:
        'Who makes the volumes, such as raftsman.io/local-path or the name of a CSI driver; kubernetes.io/no-provisioner if nobody does. It cannot be changed.',
      reclaimPolicy:
        'What becomes of a volume when its claim is deleted: "Delete", the default, removes it, "Retain" keeps it; "Recycle" is refused. Volumes that exist already keep theirs. It cannot be changed.',
      volumeBindingMode:
        'When a claim gets its volume: "Immediate", the default, at once; "WaitForFirstConsumer" once a pod uses it, where that pod can run. It cannot be changed.',
    },
    VolumeAttachment: {
      itself:
        'VolumeAttachment says that a volume is to be attached to a node, or is. The controller makes it when a pod needs the volume; the attacher of the driver does the work and writes the status.',
    },
    VolumeAttachmentSpec: {
      itself: 'VolumeAttachmentSpec says which volume goes to which node. It cannot be changed.',
      attacher: 'Name of the CSI driver that has to do it.',
      nodeName: 'Name of the node that the volume is attached to.',
      source: 'The volume.',
    },
    VolumeAttachmentSource: {
      itself: 'VolumeAttachmentSource is the volume: exactly one of the two fields is set.',
      inlineVolumeSpec: 'The volume as a pod has it in its own spec, brought into the form of a PersistentVolume.',
      persistentVolumeName: 'Name of a PersistentVolume.',
    },
    VolumeAttachmentStatus: {
      itself: 'VolumeAttachmentStatus is how the attacher got on.',
      attachError: 'What went wrong when the volume was last to be attached.',
      attached: 'True once the volume is attached. Only the attacher sets it.',
      attachmentMetadata: 'What the driver said when it had attached the volume; it is handed to it again on the node.',
      detachError: 'What went wrong when the volume was last to be detached.',
    },
    VolumeError: {
      itself: 'VolumeError is what went wrong with a volume.',
      errorCode: 'gRPC code that the driver answered with. Not every attacher writes it.',
      message:
        'What went wrong, in words. Everybody who may read the object can see it, so there must be no secrets in it.',
      time: 'When it went wrong.',
    },
  },
};
