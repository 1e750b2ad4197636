/**
 * What the agent asks of a container runtime. Implementations: `docker/`, `native/`, `fake.ts`; all pass `contract.ts`.
 *
 * Contract: every call is idempotent as far as it can be; what was made can be found again by `list` after the agent or
 * the runtime restarted, because everything carries its labels. A runtime knows nothing of the API server, of probes or
 * of restart policies: the agent decides, the runtime does. It makes no network: a sandbox starts with an empty network
 * namespace (or the host's), and `node/network` fills it.
 */
import type { Readable, Writable } from 'node:stream';

/** Whom a sandbox belongs to. */
export interface PodIdentity {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}
export interface SandboxSpec {
  readonly pod: PodIdentity;
  readonly hostname: string;
  /** Of the pod's RuntimeClass; undefined takes the runtime's usual one. Throws {@link CreateContainerError} for one that is not there. */
  readonly runtimeHandler?: string;
  readonly hostNetwork: boolean;
  readonly hostPid: boolean;
  readonly hostIpc: boolean;
  /** The containers see each other's processes (`shareProcessNamespace`). */
  readonly shareProcessNamespace?: boolean;
  readonly sysctls: Readonly<Record<string, string>>;
  /** Labels of the pod, kept for operators who look at the runtime with its own tools. */
  readonly labels: Readonly<Record<string, string>>;
  /** How often this pod's sandbox has been made before. */
  readonly attempt: number;
}
export interface Mount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
  readonly propagation: 'private' | 'hostToContainer' | 'bidirectional';
  /** What lies at `hostPath` is mounted there read-only and without programs that run, and stays so in the container. */
  readonly noExec?: true;
}
/** A block device of the node, as the container finds it. */
export interface Device {
  readonly hostPath: string;
  readonly containerPath: string;
}
export interface ContainerSpec {
  readonly name: string;
  /** 0 for the first, counted up at each restart. */
  readonly attempt: number;
  readonly image: string;
  /** Undefined keeps the image's entrypoint. */
  readonly command: readonly string[] | undefined;
  /** Undefined keeps the image's command, unless `command` is given. */
  readonly args: readonly string[] | undefined;
  readonly workingDir: string | undefined;
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly mounts: readonly Mount[];
  readonly devices?: readonly Device[];
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly resources: {
    /** Relative weight as cgroups have it; from requests. */
    readonly cpuShares?: number;
    /** Thousandths of a core; from limits. */
    readonly cpuLimitMilli?: number;
    readonly memoryLimitBytes?: number;
    readonly oomScoreAdj?: number;
  };
  readonly security: {
    readonly user?: number;
    readonly group?: number;
    readonly supplementalGroups?: readonly number[];
    readonly privileged?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly addCapabilities?: readonly string[];
    readonly dropCapabilities?: readonly string[];
    readonly runAsNonRoot?: boolean;
    /** Undefined leaves it to the runtime. */
    readonly seccomp?: 'RuntimeDefault' | 'Unconfined';
    /** The node's own profile, as JSON; takes the place of `seccomp`. */
    readonly seccompProfile?: string;
    /** Where that profile lies on the node. */
    readonly seccompProfilePath?: string;
    /** A profile's name, or `unconfined`; undefined leaves it to the runtime. */
    readonly appArmor?: string;
    readonly procMount?: 'Default' | 'Unmasked';
  };
  /** Where `terminationMessagePath` is in the container, and the host file that stands behind it. */
  readonly terminationMessage: { readonly containerPath: string; readonly hostPath: string } | undefined;
}

export type ContainerStatus = {
  /** The runtime's own id, without scheme. */
  readonly id: string;
  readonly name: string;
  readonly attempt: number;
  /** As the spec named it. */
  readonly image: string;
  /** What it resolved to: a digest or id. */
  readonly imageId: string;
  readonly createdAt: number;
} & (
  | { readonly state: 'created' }
  | { readonly state: 'running'; readonly startedAt: number; readonly pid: number }
  | {
      readonly state: 'exited';
      readonly startedAt: number;
      readonly finishedAt: number;
      readonly exitCode: number;
      readonly signal?: number;
      readonly oomKilled: boolean;
      /** What the runtime said if the start failed. */
      readonly message?: string;
    }
);
export interface SandboxStatus {
  readonly id: string;
  readonly pod: PodIdentity;
  readonly attempt: number;
  readonly createdAt: number;
  /** Ready while the process that holds the namespaces lives. */
  readonly ready: boolean;
  /** That process, to enter its namespaces; undefined when not ready. */
  readonly pid: number | undefined;
  readonly containers: readonly ContainerStatus[];
}

export interface LogOptions {
  readonly follow: boolean;
  /** Each line opens with an RFC 3339 time with nanoseconds and a space. */
  readonly timestamps: boolean;
  readonly tailLines?: number;
  /** Milliseconds since the epoch. */
  readonly sinceMs?: number;
  readonly signal: AbortSignal;
}
export interface ExecRequest {
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
}
/** A running exec or attach. With a tty all output comes on `stdout`. */
export interface ExecSession {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable | undefined;
  resize(size: { readonly columns: number; readonly rows: number }): Promise<void>;
  /** Resolves when the process has ended and all output was delivered. */
  readonly exitCode: Promise<number>;
  /** The client went away: ends what is left. */
  kill(): Promise<void>;
}
export interface ContainerUsage {
  readonly id: string;
  readonly cpuNanoseconds: number;
  /** The working set: what could be dropped at once does not count. */
  readonly memoryBytes: number;
  /** As far as the runtime tells it. */
  readonly memory?: MemoryDetails;
  readonly processes?: number;
}
export interface MemoryDetails {
  /** With what could be dropped. */
  readonly usageBytes?: number;
  readonly rssBytes?: number;
  readonly pageFaults?: number;
  readonly majorPageFaults?: number;
  /** Absent without a limit. */
  readonly limitBytes?: number;
  readonly swapBytes?: number;
}
/** What a container keeps on the machine's disk; what lies in memory is not counted. */
export interface ContainerStorage {
  readonly id: string;
  /** Its log, with the older files of it. */
  readonly logBytes: number;
  /** What it wrote anywhere but in its mounts. */
  readonly writableBytes: number;
}
export interface ImageStatus {
  readonly id: string;
  readonly tags: readonly string[];
  readonly sizeBytes: number;
}
/** Who a registry is spoken to as, from a pull secret. */
export interface RegistryCredentials {
  /** As the secret's key has it: a host, perhaps with a scheme, a port, a path, or `*` for parts of the name. */
  readonly registry: string;
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
}
export interface PullOptions {
  readonly signal: AbortSignal;
  readonly credentials?: readonly RegistryCredentials[];
}
export interface ImageFilesRequest {
  /** A folder of the caller's, empty, that the files may be put into; by its absolute path. */
  readonly folder: string;
  readonly signal: AbortSignal;
}
/** Directories that together are an image's files, to be read only. */
export interface ImageFiles {
  readonly base: string;
  /** Names below `base` or absolute ones, the highest first, as overlayfs has them; none where nothing is behind an image. */
  readonly layers: readonly string[];
}
/** Something changed: look again. `podUid` undefined means anything may have. */
export interface RuntimeEvent {
  readonly podUid: string | undefined;
}

export interface Runtime {
  /** As container ids in the API begin. */
  readonly name: 'docker' | 'containerd' | 'cri-o' | 'native' | 'fake';
  /** Connects and checks; throws {@link RuntimeUnavailableError} with a sentence on what to install or start. */
  start(): Promise<void>;
  version(): Promise<{ readonly name: string; readonly version: string }>;
  /** Everything this node made, dead or alive. The node's name is given at construction and kept in labels. */
  list(): Promise<readonly SandboxStatus[]>;
  /** The same of one pod, where that is less work and waits for nothing of other pods. */
  listPod?(podUid: string): Promise<readonly SandboxStatus[]>;
  createSandbox(spec: SandboxSpec): Promise<SandboxStatus>;
  /** Ends all that runs in it, removes containers and sandbox. Succeeds if it is gone already. */
  removeSandbox(id: string): Promise<void>;
  /** Resolves with undefined if the image is not here. */
  imageStatus(reference: string): Promise<ImageStatus | undefined>;
  listImages(): Promise<readonly ImageStatus[]>;
  /** A folder of the file system that holds images; undefined if that is not on this machine. */
  imageFolder(): Promise<string | undefined>;
  /** Throws {@link ImagePullError}. */
  pullImage(reference: string, options: PullOptions): Promise<ImageStatus>;
  /** Takes all images of an archive (`docker save`, OCI layout; packed or not) in. Throws {@link ImagePullError}. */
  importImages?(archive: Readable): Promise<readonly ImageStatus[]>;
  /** Takes a name away, and with its last one, or by id, the image. Throws {@link ImagePullError} if one uses it. */
  removeImage?(reference: string): Promise<void>;
  /**
   * Where the files of an image are that is here; the image counts as used while the folder is there. Absent where the runtime
   * cannot tell. Throws {@link CreateContainerError} if the image is not here.
   */
  imageFiles?(reference: string, request: ImageFilesRequest): Promise<ImageFiles>;
  /** Creates, does not start. Throws {@link CreateContainerError}. */
  createContainer(sandboxId: string, spec: ContainerSpec): Promise<{ readonly id: string }>;
  /** Throws {@link StartContainerError} if the command cannot be run. */
  startContainer(id: string): Promise<void>;
  /** SIGTERM (or the image's stop signal), then SIGKILL after the grace period. Resolves when it has ended. */
  stopContainer(id: string, graceSeconds: number): Promise<void>;
  removeContainer(id: string): Promise<void>;
  /** Gives a container that runs other limits. Absent where the runtime cannot. */
  updateContainer?(id: string, resources: ContainerSpec['resources']): Promise<void>;
  /** Stdout and stderr in the order they were written; lines as the container wrote them. */
  logs(id: string, options: LogOptions): AsyncIterable<Uint8Array>;
  exec(id: string, request: ExecRequest): Promise<ExecSession>;
  attach(id: string, request: Omit<ExecRequest, 'command'>): Promise<ExecSession>;
  usage(): Promise<readonly ContainerUsage[]>;
  /** What these containers keep on the disk, without those that are gone. Costly: files are counted, one container after the other. */
  storage(ids: readonly string[]): Promise<readonly ContainerStorage[]>;
  /** Tells of changes, so that the agent need not poll; may tell too often. Ends with the signal. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
  close(): Promise<void>;
}

export class RuntimeUnavailableError extends Error {
  override readonly name = 'RuntimeUnavailableError';
  readonly code = 'RUNTIME_UNAVAILABLE';
}
export class ImagePullError extends Error {
  override readonly name = 'ImagePullError';
  readonly code = 'RUNTIME_IMAGE_PULL';
}
export class CreateContainerError extends Error {
  override readonly name: string = 'CreateContainerError';
  readonly code: string = 'RUNTIME_CREATE_CONTAINER';
}
/** The runtime was not even asked: what the container wants and what its image is do not go together. */
export class ContainerConfigError extends CreateContainerError {
  override readonly name = 'ContainerConfigError';
  override readonly code = 'RUNTIME_CONTAINER_CONFIG';
}
export class StartContainerError extends Error {
  override readonly name = 'StartContainerError';
  readonly code = 'RUNTIME_START_CONTAINER';
}
export class ContainerNotFoundError extends Error {
  override readonly name = 'ContainerNotFoundError';
  readonly code = 'RUNTIME_CONTAINER_NOT_FOUND';
}
