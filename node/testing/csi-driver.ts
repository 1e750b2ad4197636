/**
 * A CSI driver over a folder, for tests: `<root>/volumes/<id>` is a volume, which it mounts where it is told to (as root), and
 * it registers as drivers do. It keeps CSI's rules: what is published has to be staged, what is unstaged must not be published,
 * and every call may be repeated. A test can let it refuse, or say nothing.
 */
import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, rmdir, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { status } from '@grpc/grpc-js';
import type { Read } from '../grpc/proto.ts';
import {
  type expandVolume,
  nodeCapability,
  type publishVolume,
  type stageVolume,
  usageUnit,
} from '../volumes/csi/messages.ts';
import { nodeCalls, registrationCalls } from '../volumes/csi/services.ts';
import { isMountPoint } from '../volumes/mounts.ts';
import { Refusal, TestGrpcServer } from './grpc-server.ts';

const run = promisify(execFile);

export interface TestCsiDriverOptions {
  /** The folder that stands for the kubelet's. Short: sockets' paths are. */
  readonly kubeletDir: string;
  readonly name?: string;
  readonly versions?: readonly string[];
  readonly type?: string;
  /** Of its registrar's socket; the driver's name otherwise. */
  readonly socketName?: string;
  readonly nodeId?: string;
  readonly volumesMax?: number;
  readonly topology?: Readonly<Record<string, string>>;
  readonly capabilities?: readonly number[];
}

type Stage = Read<typeof stageVolume>;
type Publish = Read<typeof publishVolume>;
type Expand = Read<typeof expandVolume>;
export type CsiCall =
  | 'NodeGetInfo'
  | 'NodeStageVolume'
  | 'NodeUnstageVolume'
  | 'NodePublishVolume'
  | 'NodeUnpublishVolume'
  | 'NodeExpandVolume'
  | 'NodeGetVolumeStats';

export class TestCsiDriver {
  readonly name: string;
  readonly #options: TestCsiDriverOptions;
  /** Calls in order, as `Name volume`. */
  readonly calls: string[] = [];
  readonly stages: Stage[] = [];
  readonly publishes: Publish[] = [];
  readonly expansions: Expand[] = [];
  /** What the kubelet's side answered to registrations. */
  readonly notices: { readonly pluginRegistered: boolean; readonly error: string }[] = [];
  /** Calls that are refused with this code and message. */
  readonly refused = new Map<CsiCall, Refusal>();
  /** Calls that get no answer. */
  readonly hanging = new Set<CsiCall>();
  #servers: readonly TestGrpcServer[] = [];

  constructor(options: TestCsiDriverOptions) {
    this.#options = options;
    this.name = options.name ?? 'csi.test.example';
  }

  get registrar(): string {
    return join(this.#options.kubeletDir, 'plugins_registry', `${this.#options.socketName ?? this.name}-reg.sock`);
  }

  get #endpoint(): string {
    return join(this.#options.kubeletDir, 'plugins', this.name, `${this.#options.socketName ?? 'csi'}.sock`);
  }

  /** Where the data of a volume are. */
  folderOf(volumeId: string): string {
    return join(this.#options.kubeletDir, 'data', this.name, volumeId);
  }

  /** Makes a volume with one file in it. */
  async makeVolume(volumeId: string, text: string): Promise<void> {
    await mkdir(this.folderOf(volumeId), { recursive: true });
    await writeFile(join(this.folderOf(volumeId), 'text'), text);
  }

  async start(): Promise<void> {
    const { kubeletDir, versions = ['1.0.0'], type = 'CSIPlugin' } = this.#options;
    await mkdir(join(kubeletDir, 'plugins_registry'), { recursive: true });
    await mkdir(join(kubeletDir, 'plugins', this.name), { recursive: true });
    const driver = TestGrpcServer.at(this.#endpoint);
    driver.on(nodeCalls.getInfo, () => this.#answer('NodeGetInfo', '', async () => this.#info()));
    const capabilities = (this.#options.capabilities ?? [nodeCapability.stageUnstageVolume]).map(value => ({
      rpc: { type: value },
    }));
    driver.on(nodeCalls.getCapabilities, () => ({ capabilities }));
    driver.on(nodeCalls.stage, request => this.#stage(request as Stage));
    driver.on(nodeCalls.publish, request => this.#publish(request as Publish));
    driver.on(nodeCalls.unpublish, ({ volumeId = '', targetPath = '' }) =>
      this.#answer('NodeUnpublishVolume', volumeId, () => take(targetPath)),
    );
    driver.on(nodeCalls.unstage, ({ volumeId = '', stagingTargetPath = '' }) =>
      this.#answer('NodeUnstageVolume', volumeId, () => take(stagingTargetPath, false)),
    );
    driver.on(nodeCalls.expand, request => this.#expand(request as Expand));
    driver.on(nodeCalls.stats, ({ volumeId = '', volumePath = '' }) =>
      this.#answer('NodeGetVolumeStats', volumeId, () => figuresOf(volumePath)),
    );
    await driver.listen();
    const registrar = TestGrpcServer.at(this.registrar);
    const info = { type, name: this.name, endpoint: this.#endpoint, supportedVersions: versions };
    registrar.on(registrationCalls.getInfo, () => info);
    registrar.on(registrationCalls.notify, ({ pluginRegistered = false, error = '' }) => {
      this.notices.push({ pluginRegistered, error });
      return {};
    });
    await registrar.listen();
    this.#servers = [driver, registrar];
  }

  /** Hangs up; the sockets go. */
  async stop(): Promise<void> {
    for (const server of this.#servers) server.stop();
    this.#servers = [];
    for (const path of [this.#endpoint, this.registrar]) await rm(path, { force: true });
  }

  #info() {
    const { nodeId = 'test-node', volumesMax = 0, topology } = this.#options;
    return {
      nodeId,
      maxVolumesPerNode: volumesMax,
      ...(topology && { accessibleTopology: { segments: topology } }),
    };
  }

  async #answer(call: CsiCall, volumeId: string, work: () => Promise<unknown>): Promise<object> {
    if (call !== 'NodeGetInfo') this.calls.push(`${call} ${volumeId}`);
    if (this.hanging.has(call)) return new Promise<never>(() => {});
    const refusal = this.refused.get(call);
    if (refusal) throw refusal;
    return ((await work()) as object | undefined) ?? {};
  }

  #stage(request: Stage): Promise<object> {
    this.stages.push(request);
    const { volumeId, stagingTargetPath } = request;
    return this.#answer('NodeStageVolume', volumeId, () => this.#bind(this.folderOf(volumeId), stagingTargetPath));
  }

  #publish(request: Publish): Promise<object> {
    this.publishes.push(request);
    const { volumeId, stagingTargetPath, targetPath, readonly } = request;
    return this.#answer('NodePublishVolume', volumeId, async () => {
      if (stagingTargetPath && !(await isMountPoint(stagingTargetPath)))
        throw new Refusal(status.FAILED_PRECONDITION, `volume ${volumeId} is not staged`);
      const source = stagingTargetPath || this.folderOf(volumeId);
      // A pod's own volume is made with the pod.
      if (!stagingTargetPath) await mkdir(source, { recursive: true });
      await mkdir(targetPath, { recursive: true });
      await this.#bind(source, targetPath);
      if (readonly) await run('mount', ['-o', 'remount,bind,ro', targetPath]);
    });
  }

  /** A folder has no size: what is asked for is given. */
  #expand(request: Expand): Promise<object> {
    this.expansions.push(request);
    const { volumeId, volumePath, capacityRange } = request;
    return this.#answer('NodeExpandVolume', volumeId, async () => {
      if (!(await isMountPoint(volumePath)))
        throw new Refusal(status.NOT_FOUND, `volume ${volumeId} is not at ${volumePath}`);
      return { capacityBytes: capacityRange?.requiredBytes ?? 0 };
    });
  }

  async #bind(source: string, target: string): Promise<void> {
    if (await isMountPoint(target)) return;
    await readdir(source).catch(() => {
      throw new Refusal(status.NOT_FOUND, `no volume at ${source}`);
    });
    await run('mount', ['--bind', source, target]);
  }
}

async function take(path: string, removesPlace = true): Promise<void> {
  if (await isMountPoint(path)) await run('umount', [path]);
  if (removesPlace) await rmdir(path).catch(() => {});
}

async function figuresOf(path: string) {
  const { blocks, bavail, bfree, bsize, files, ffree } = await statfs(path);
  const bytes = { total: blocks * bsize, available: bavail * bsize, used: (blocks - bfree) * bsize };
  const inodes = { total: files, available: ffree, used: files - ffree };
  return {
    usage: [
      { ...bytes, unit: usageUnit.bytes },
      { ...inodes, unit: usageUnit.inodes },
    ],
  };
}
