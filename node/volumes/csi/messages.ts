/**
 * What is used here of the messages of CSI 1.x (container-storage-interface/spec, csi.proto) and of the kubelet's plugin
 * registration (k8s.io/kubelet/pkg/apis/pluginregistration/v1): names and numbers of their fields.
 */
import { flag, type Init, int, many, message, one, type Read, text, textMap, texts } from '../../grpc/proto.ts';

export const empty = message({});

export const pluginInfo = message({ type: text(1), name: text(2), endpoint: text(3), supportedVersions: texts(4) });
export const registrationStatus = message({ pluginRegistered: flag(1), error: text(2) });

/** What a driver can do on a node. */
export const nodeCapability = {
  stageUnstageVolume: 1,
  getVolumeStats: 2,
  expandVolume: 3,
  singleNodeMultiWriter: 5,
  volumeMountGroup: 6,
} as const;
export const nodeCapabilities = message({
  capabilities: many(1, message({ rpc: one(1, message({ type: int(1) })) })),
});
export const nodeInfo = message({
  nodeId: text(1),
  maxVolumesPerNode: int(2),
  accessibleTopology: one(3, message({ segments: textMap(1) })),
});
export type NodeInfo = Read<typeof nodeInfo>;

export const accessMode = {
  singleNodeWriter: 1,
  multiNodeReaderOnly: 3,
  multiNodeMultiWriter: 5,
  singleNodeSingleWriter: 6,
  singleNodeMultiWriter: 7,
} as const;
export const volumeCapability = message({
  block: one(1, empty),
  mount: one(2, message({ fsType: text(1), mountFlags: texts(2), volumeMountGroup: text(3) })),
  accessMode: one(3, message({ mode: int(1) })),
});
export type VolumeCapability = Init<typeof volumeCapability>;

export const stageVolume = message({
  volumeId: text(1),
  publishContext: textMap(2),
  stagingTargetPath: text(3),
  volumeCapability: one(4, volumeCapability),
  secrets: textMap(5),
  volumeContext: textMap(6),
});
export const unstageVolume = message({ volumeId: text(1), stagingTargetPath: text(2) });
export const publishVolume = message({
  volumeId: text(1),
  publishContext: textMap(2),
  stagingTargetPath: text(3),
  targetPath: text(4),
  volumeCapability: one(5, volumeCapability),
  readonly: flag(6),
  secrets: textMap(7),
  volumeContext: textMap(8),
});
export const unpublishVolume = message({ volumeId: text(1), targetPath: text(2) });

export const expandVolume = message({
  volumeId: text(1),
  volumePath: text(2),
  capacityRange: one(3, message({ requiredBytes: int(1), limitBytes: int(2) })),
  stagingTargetPath: text(4),
  volumeCapability: one(5, volumeCapability),
  secrets: textMap(6),
});
export const expandedVolume = message({ capacityBytes: int(1) });

/** What a volume's figures count. */
export const usageUnit = { bytes: 1, inodes: 2 } as const;
export const statsRequest = message({ volumeId: text(1), volumePath: text(2), stagingTargetPath: text(3) });
export const volumeStats = message({
  usage: many(1, message({ available: int(1), total: int(2), used: int(3), unit: int(4) })),
});
