/**
 * The part of the Container Runtime Interface, version runtime.v1, that is used here: names and numbers of its messages'
 * fields (Kubernetes' `cri-api`, api.proto).
 */
import { flag, int, ints, many, message, one, text, textMap, texts } from '../../grpc/proto.ts';

const int64Value = message({ value: int(1) });
const uint64Value = int64Value;

/** How far a namespace reaches. */
export const namespaceMode = { pod: 0, container: 1, node: 2 } as const;
const namespaceOption = message({ network: int(1), pid: int(2), ipc: int(3), targetId: text(4) });

export const securityProfile = { runtimeDefault: 0, unconfined: 1, localhost: 2 } as const;
const profile = message({ profileType: int(1), localhostRef: text(2) });

const imageSpec = message({ image: text(1), annotations: textMap(2), userSpecifiedImage: text(18) });
const keyValue = message({ key: text(1), value: text(2) });

const sandboxMetadata = message({ name: text(1), uid: text(2), namespace: text(3), attempt: int(4) });
export const sandboxConfig = message({
  metadata: one(1, sandboxMetadata),
  hostname: text(2),
  logDirectory: text(3),
  labels: textMap(6),
  annotations: textMap(7),
  linux: one(
    8,
    message({
      cgroupParent: text(1),
      securityContext: one(
        2,
        message({
          namespaceOptions: one(1, namespaceOption),
          readonlyRootfs: flag(4),
          privileged: flag(6),
          seccomp: one(9, profile),
        }),
      ),
      sysctls: textMap(3),
    }),
  ),
});

export const sandboxState = { ready: 0, notReady: 1 } as const;
const sandboxStatus = message({
  id: text(1),
  metadata: one(2, sandboxMetadata),
  state: int(3),
  createdAt: int(4),
  labels: textMap(7),
  annotations: textMap(8),
});
export const sandboxItem = message({
  id: text(1),
  metadata: one(2, sandboxMetadata),
  state: int(3),
  createdAt: int(4),
  labels: textMap(5),
  annotations: textMap(6),
});

const containerMetadata = message({ name: text(1), attempt: int(2) });
const resources = message({
  cpuPeriod: int(1),
  cpuQuota: int(2),
  cpuShares: int(3),
  memoryLimitInBytes: int(4),
  oomScoreAdj: int(5),
  memorySwapLimitInBytes: int(10),
});
export const mountPropagation = { private: 0, hostToContainer: 1, bidirectional: 2 } as const;
export const containerConfig = message({
  metadata: one(1, containerMetadata),
  image: one(2, imageSpec),
  command: texts(3),
  args: texts(4),
  workingDir: text(5),
  envs: many(6, keyValue),
  mounts: many(7, message({ containerPath: text(1), hostPath: text(2), readonly: flag(3), propagation: int(5) })),
  devices: many(8, message({ containerPath: text(1), hostPath: text(2), permissions: text(3) })),
  labels: textMap(9),
  annotations: textMap(10),
  logPath: text(11),
  stdin: flag(12),
  stdinOnce: flag(13),
  tty: flag(14),
  linux: one(
    15,
    message({
      resources: one(1, resources),
      securityContext: one(
        2,
        message({
          capabilities: one(1, message({ addCapabilities: texts(1), dropCapabilities: texts(2) })),
          privileged: flag(2),
          namespaceOptions: one(3, namespaceOption),
          runAsUser: one(5, int64Value),
          runAsUsername: text(6),
          readonlyRootfs: flag(7),
          supplementalGroups: ints(8),
          noNewPrivs: flag(11),
          runAsGroup: one(12, int64Value),
          maskedPaths: texts(13),
          readonlyPaths: texts(14),
          seccomp: one(15, profile),
          apparmor: one(16, profile),
        }),
      ),
    }),
  ),
});

export const containerState = { created: 0, running: 1, exited: 2, unknown: 3 } as const;
export const containerItem = message({
  id: text(1),
  podSandboxId: text(2),
  metadata: one(3, containerMetadata),
  imageRef: text(5),
  state: int(6),
  createdAt: int(7),
  labels: textMap(8),
  imageId: text(10),
});
export const containerStatus = message({
  id: text(1),
  metadata: one(2, containerMetadata),
  state: int(3),
  createdAt: int(4),
  startedAt: int(5),
  finishedAt: int(6),
  exitCode: int(7),
  imageRef: text(9),
  reason: text(10),
  message: text(11),
  labels: textMap(12),
  logPath: text(15),
});

export const versionRequest = message({ version: text(1) });
export const versionResponse = message({
  version: text(1),
  runtimeName: text(2),
  runtimeVersion: text(3),
  runtimeApiVersion: text(4),
});
export const statusRequest = message({ verbose: flag(1) });
export const statusResponse = message({
  status: one(
    1,
    message({ conditions: many(1, message({ type: text(1), status: flag(2), reason: text(3), message: text(4) })) }),
  ),
  info: textMap(2),
});
export const empty = message({});

export const runSandboxRequest = message({ config: one(1, sandboxConfig), runtimeHandler: text(2) });
export const sandboxId = message({ podSandboxId: text(1) });
export const sandboxStatusRequest = message({ podSandboxId: text(1), verbose: flag(2) });
export const sandboxStatusResponse = message({ status: one(1, sandboxStatus), info: textMap(2) });
export const listSandboxRequest = message({ filter: one(1, message({ id: text(1), labelSelector: textMap(3) })) });
export const listSandboxResponse = message({ items: many(1, sandboxItem) });

export const createContainerRequest = message({
  podSandboxId: text(1),
  config: one(2, containerConfig),
  sandboxConfig: one(3, sandboxConfig),
});
export const containerId = message({ containerId: text(1) });
export const updateResourcesRequest = message({ containerId: text(1), linux: one(2, resources) });
export const stopContainerRequest = message({ containerId: text(1), timeout: int(2) });
export const listContainersRequest = message({
  filter: one(1, message({ id: text(1), podSandboxId: text(3), labelSelector: textMap(4) })),
});
export const listContainersResponse = message({ containers: many(1, containerItem) });
export const containerStatusRequest = message({ containerId: text(1), verbose: flag(2) });
export const containerStatusResponse = message({ status: one(1, containerStatus), info: textMap(2) });

export const execRequest = message({
  containerId: text(1),
  cmd: texts(2),
  tty: flag(3),
  stdin: flag(4),
  stdout: flag(5),
  stderr: flag(6),
});
export const attachRequest = message({
  containerId: text(1),
  stdin: flag(2),
  tty: flag(3),
  stdout: flag(4),
  stderr: flag(5),
});
export const streamResponse = message({ url: text(1) });

const stats = message({
  attributes: one(1, message({ id: text(1), labels: textMap(3) })),
  cpu: one(2, message({ timestamp: int(1), usageCoreNanoSeconds: one(2, uint64Value) })),
  memory: one(
    3,
    message({
      timestamp: int(1),
      workingSetBytes: one(2, uint64Value),
      availableBytes: one(3, uint64Value),
      usageBytes: one(4, uint64Value),
      rssBytes: one(5, uint64Value),
      pageFaults: one(6, uint64Value),
      majorPageFaults: one(7, uint64Value),
    }),
  ),
  writableLayer: one(4, message({ timestamp: int(1), usedBytes: one(3, uint64Value) })),
  swap: one(
    5,
    message({ timestamp: int(1), swapAvailableBytes: one(2, uint64Value), swapUsageBytes: one(3, uint64Value) }),
  ),
});
export const listStatsRequest = message({ filter: one(1, message({ id: text(1), labelSelector: textMap(3) })) });
export const listStatsResponse = message({ stats: many(1, stats) });
export const containerEvent = message({
  containerId: text(1),
  type: int(2),
  createdAt: int(3),
  sandboxStatus: one(4, sandboxStatus),
});

const image = message({
  id: text(1),
  repoTags: texts(2),
  repoDigests: texts(3),
  size: int(4),
  uid: one(5, int64Value),
  username: text(6),
});
export const listImagesResponse = message({ images: many(1, image) });
export const imageFsInfoResponse = message({
  imageFilesystems: many(1, message({ timestamp: int(1), fsId: one(2, message({ mountpoint: text(1) })) })),
});
export const imageRequest = message({ image: one(1, imageSpec), verbose: flag(2) });
export const imageStatusResponse = message({ image: one(1, image), info: textMap(2) });
const auth = message({
  username: text(1),
  password: text(2),
  auth: text(3),
  serverAddress: text(4),
  identityToken: text(5),
  registryToken: text(6),
});
export const pullImageRequest = message({ image: one(1, imageSpec), auth: one(2, auth) });
export const pullImageResponse = message({ imageRef: text(1) });
