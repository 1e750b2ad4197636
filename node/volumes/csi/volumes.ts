/**
 * Publishes the CSI volumes of pods and takes them back: attached, staged and published in this order, unpublished and
 * unstaged in the other (CSI spec, "Volume Lifecycle"). Calls that concern one volume follow each other; all of them may be
 * repeated, by this agent or the next.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  attachmentName,
  type Client,
  type CSIDriver,
  csidrivers,
  hasReason,
  inUseName,
  type Pod,
  volumeattachments,
} from '../../api.ts';
import { type Clock, sleep } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { VolumeError } from '../content.ts';
import { giveToGroup } from '../ownership.ts';
import type { Sources } from '../sources.ts';
import { CsiError } from './driver.ts';
import type { DriverCalls } from './driver-calls.ts';
import { attachPollMs, attachWaitMs, inUsePollMs, inUseWaitMs } from './limits.ts';
import type { VolumeCapability } from './messages.ts';
import { checkDevice, clearPlace, clearStaged } from './places.ts';
import { Records, readStaged, type VolumeRecord, writeStaged } from './records.ts';
import type { Driver } from './registry.ts';
import { nodeCalls } from './services.ts';
import {
  type CsiVolume,
  capabilityOf,
  checkLifecycle,
  isGivenToGroup,
  isStagedBy,
  needsAttachment,
  pathsOf,
  podAttributes,
} from './volume.ts';

export interface CsiVolumesOptions {
  readonly dataDir: string;
  /** The folder that drivers know as the kubelet's. */
  readonly kubeletDir: string;
  readonly nodeName: string;
  readonly client: Client;
  readonly sources: Pick<Sources, 'tokenStatus'>;
  readonly calls: DriverCalls;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The volumes that the node's status in the API names as in use. */
  readonly reportedInUse: () => readonly string[];
  /** What is in use has changed: it is to be reported. */
  readonly onInUse: () => void;
}

const TOKENS = 'csi.storage.k8s.io/serviceAccount.tokens';
const TOKEN_SECONDS_DEFAULT = 3600;

export class CsiVolumes {
  readonly #options: CsiVolumesOptions;
  readonly #records: Records;
  /** The pods that use an attached volume, by the volume's name in the node's status. */
  readonly #inUse = new Map<string, Set<string>>();
  /** Pods' volumes that are being published once more. */
  readonly #again = new Map<string, Promise<void>>();
  #boot: Promise<string> | undefined;

  constructor(options: CsiVolumesOptions) {
    this.#options = options;
    this.#records = new Records(options.dataDir);
  }

  /** Takes up what an earlier agent left, before anything is reported. */
  async load(): Promise<void> {
    try {
      for (const { podUid, record } of await this.#records.all()) {
        if (record.inUseName !== undefined) this.#use(record.inUseName, podUid);
      }
    } catch (error) {
      // What is spoilt keeps volumes from being taken back, for nobody knows who uses them; not the node from running pods.
      this.#options.logger.error({ error }, 'a record of a CSI volume cannot be read');
    }
  }

  /** What the node's status is to name: attached volumes that may be mounted, in order. */
  inUse(): readonly string[] {
    return [...this.#inUse.keys()].sort();
  }

  /** Ends calls that are under way; what was begun is written down. */
  async close(): Promise<void> {
    this.#options.calls.close();
    await Promise.all(this.#again.values());
  }

  /** Publishes the volume and gives the path at which it is. Throws {@link VolumeError}. */
  async publish(pod: Pod, volume: CsiVolume): Promise<string> {
    try {
      const object = await this.#driverObject(volume);
      checkLifecycle(volume, object);
      const driver = this.#options.calls.driver(volume.driver);
      return await this.#options.calls.inTurn(volume, () => this.#publish(pod, volume, { object, driver }));
    } catch (error) {
      if (error instanceof VolumeError) throw error;
      throw new VolumeError(volume.name, error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  /** Whether what lies at the path was published since the machine's start; undefined if it is no CSI volume of the pod. */
  async isPublished(podUid: string, path: string): Promise<boolean | undefined> {
    const record = (await this.#records.of(podUid)).find(({ targetPath }) => targetPath === path);
    return record && record.publishedBoot === (await this.#bootId());
  }

  /**
   * Publishes a volume once more whose driver wants that from time to time, with new tokens. It goes on in the background, one
   * call at a time for each volume: a driver that hangs keeps no other volume from being brought up to date.
   */
  republish(pod: Pod, volume: CsiVolume): void {
    const key = `${pod.metadata?.uid}/${volume.name}`;
    if (this.#again.has(key) || this.#options.calls.signal.aborted) return;
    const work = this.#republish(pod, volume)
      .catch((error: unknown) =>
        this.#options.logger.warn({ error, pod: pod.metadata?.name, volume: volume.name }, 'volume not republished'),
      )
      .finally(() => this.#again.delete(key));
    this.#again.set(key, work);
  }

  async #republish(pod: Pod, volume: CsiVolume): Promise<void> {
    const object = await this.#driverObject(volume);
    if (!object?.spec.requiresRepublish) return;
    const driver = this.#options.calls.driver(volume.driver);
    await this.#options.calls.inTurn(volume, async () => {
      const { targetPath } = this.#paths(pod, volume);
      // The pod may have ended meanwhile.
      if (!(await this.isPublished(pod.metadata?.uid ?? '', targetPath))) return;
      await this.#callPublish(pod, volume, { object, driver, context: await this.#attached(volume, object) });
    });
  }

  /** Takes all volumes of the pod back. Throws what a driver says; then some are there still, and it is to be called again. */
  async unpublish(podUid: string): Promise<void> {
    const errors: unknown[] = [];
    for (const record of await this.#records.of(podUid)) {
      const volume = { driver: record.driverName, handle: record.volumeHandle };
      await this.#options.calls
        .inTurn(volume, () => this.#unpublish(podUid, record))
        .catch((error: unknown) => errors.push(error));
    }
    // A volume that cannot be taken back keeps none of the others.
    if (errors.length > 0) throw errors[0];
    for (const [name, users] of this.#inUse) {
      if (!users.delete(podUid) || users.size > 0) continue;
      this.#inUse.delete(name);
      this.#options.onInUse();
    }
  }

  async #publish(
    pod: Pod,
    volume: CsiVolume,
    { object, driver }: { readonly object: CSIDriver | undefined; readonly driver: Driver },
  ): Promise<string> {
    const podUid = pod.metadata?.uid ?? '';
    const { targetPath, stagingPath } = this.#paths(pod, volume);
    const isAttached = needsAttachment(volume, object);
    if (isAttached) await this.#reportInUse(volume, podUid);
    const context = await this.#attached(volume, object);
    const isStaged = isStagedBy(driver, volume);
    const record: VolumeRecord = {
      specVolID: volume.name,
      volumeHandle: volume.handle,
      driverName: volume.driver,
      nodeName: this.#options.nodeName,
      volumeLifecycleMode: volume.lifecycle,
      targetPath,
      ...(isStaged && { stagingPath }),
      ...(isAttached && { inUseName: inUseName(volume) }),
    };
    await this.#records.write(podUid, record);
    if (isStaged) await this.#stage(pod, volume, { driver, stagingPath, context });
    await this.#callPublish(pod, volume, { object, driver, context });
    if (volume.isBlock) await checkDevice(volume, targetPath);
    const { fsGroup: group, fsGroupChangePolicy } = pod.spec?.securityContext ?? {};
    if (group !== undefined && isGivenToGroup(volume, object, driver.capabilities))
      await giveToGroup(targetPath, { group, onlyOnMismatch: fsGroupChangePolicy === 'OnRootMismatch' });
    await this.#records.write(podUid, { ...record, publishedBoot: await this.#bootId() });
    return targetPath;
  }

  /** Once a start of the machine: the driver knows what it staged, and other pods have it. */
  async #stage(
    pod: Pod,
    volume: CsiVolume,
    {
      driver,
      stagingPath,
      context,
    }: {
      readonly driver: Driver;
      readonly stagingPath: string;
      readonly context: Readonly<Record<string, string>>;
    },
  ): Promise<void> {
    const stagedBoot = await this.#bootId();
    if ((await readStaged(stagingPath))?.stagedBoot === stagedBoot) return;
    const staged = { driverName: volume.driver, volumeHandle: volume.handle };
    await mkdir(stagingPath, { recursive: true, mode: 0o750 });
    await writeStaged(stagingPath, staged);
    const operation = volume.isBlock ? 'MapVolume.SetUpDevice' : 'MountVolume.MountDevice';
    await this.#options.calls
      .call(driver, nodeCalls.stage, {
        volumeId: volume.handle,
        publishContext: context,
        stagingTargetPath: stagingPath,
        volumeCapability: capabilityFor(pod, volume, driver),
        secrets: await this.#options.calls.secrets(volume, volume.stageSecret),
        volumeContext: volume.attributes,
      })
      .catch((error: unknown) => {
        throw asVolumeError(volume, error, operation);
      });
    await writeStaged(stagingPath, { ...staged, stagedBoot });
  }

  async #callPublish(
    pod: Pod,
    volume: CsiVolume,
    {
      object,
      driver,
      context,
    }: {
      readonly object: CSIDriver | undefined;
      readonly driver: Driver;
      readonly context: Readonly<Record<string, string>>;
    },
  ): Promise<void> {
    const { targetPath, stagingPath } = this.#paths(pod, volume);
    // The driver makes the place itself; what is above it has to be there.
    await mkdir(dirname(targetPath), { recursive: true, mode: 0o750 });
    await this.#options.calls
      .call(driver, nodeCalls.publish, {
        volumeId: volume.handle,
        publishContext: context,
        ...(isStagedBy(driver, volume) && { stagingTargetPath: stagingPath }),
        targetPath,
        volumeCapability: capabilityFor(pod, volume, driver),
        readonly: volume.readOnly,
        secrets: await this.#options.calls.secrets(volume, volume.publishSecret),
        volumeContext: {
          ...volume.attributes,
          ...podAttributes(pod, volume, object),
          ...(await this.#tokens(pod, object)),
        },
      })
      .catch((error: unknown) => {
        throw asVolumeError(volume, error, volume.isBlock ? 'MapVolume.SetUpDevice' : 'MountVolume.SetUp');
      });
  }

  async #unpublish(podUid: string, record: VolumeRecord): Promise<void> {
    const { volumeHandle: volumeId, targetPath, stagingPath } = record;
    const driver = this.#options.calls.driver(record.driverName);
    await this.#options.calls.call(driver, nodeCalls.unpublish, { volumeId, targetPath });
    await clearPlace(targetPath);
    if (stagingPath !== undefined && !(await this.#isStagedForOthers(podUid, stagingPath))) {
      if (await readStaged(stagingPath))
        await this.#options.calls.call(driver, nodeCalls.unstage, { volumeId, stagingTargetPath: stagingPath });
      await clearStaged(stagingPath);
    }
    // Last: with it goes the memory of what there was to do.
    await this.#records.remove(podUid, record);
  }

  async #isStagedForOthers(podUid: string, stagingPath: string): Promise<boolean> {
    return (await this.#records.all()).some(
      ({ podUid: other, record }) => other !== podUid && record.stagingPath === stagingPath,
    );
  }

  /** Nobody detaches what the node's status names. Throws {@link VolumeError} if the API does not hear of it. */
  async #reportInUse(volume: CsiVolume, podUid: string): Promise<void> {
    const { clock, reportedInUse, onInUse } = this.#options;
    const name = inUseName(volume);
    this.#use(name, podUid);
    if (!reportedInUse().includes(name)) onInUse();
    const until = clock.now() + inUseWaitMs;
    while (!reportedInUse().includes(name)) {
      if (clock.now() >= until || this.#options.calls.signal.aborted)
        throw new VolumeError(volume.name, 'the node has not reported yet that it uses the volume');
      await sleep(clock, inUsePollMs, this.#options.calls.signal);
    }
  }

  #use(name: string, podUid: string): void {
    const users = this.#inUse.get(name) ?? new Set();
    users.add(podUid);
    this.#inUse.set(name, users);
  }

  /** What whoever attached the volume says of it. Throws {@link VolumeError} while it is not attached. */
  async #attached(volume: CsiVolume, object: CSIDriver | undefined): Promise<Readonly<Record<string, string>>> {
    if (!needsAttachment(volume, object)) return {};
    const { client, clock, nodeName } = this.#options;
    const name = attachmentName(volume, nodeName);
    const until = clock.now() + attachWaitMs;
    for (;;) {
      const attachment = await client.get(volumeattachments, { name }).catch((error: unknown) => {
        // A node may read those that are for it: of one that is not there yet nobody can say so.
        if (hasReason(error, 'NotFound') || hasReason(error, 'Forbidden')) return undefined;
        throw error;
      });
      if (attachment?.metadata?.deletionTimestamp)
        throw new VolumeError(volume.name, 'volume attachment is being deleted');
      const { attached, attachError, attachmentMetadata = {} } = attachment?.status ?? {};
      if (attached) return attachmentMetadata;
      if (attachError) throw new VolumeError(volume.name, attachError.message ?? 'the volume could not be attached');
      if (clock.now() >= until || this.#options.calls.signal.aborted)
        throw new VolumeError(
          volume.name,
          `timed out waiting for the volume to be attached (VolumeAttachment ${name})`,
        );
      await sleep(clock, attachPollMs, this.#options.calls.signal);
    }
  }

  async #driverObject({ driver }: CsiVolume): Promise<CSIDriver | undefined> {
    return this.#options.client.get(csidrivers, { name: driver }).catch((error: unknown) => {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    });
  }

  /** Tokens of the pod's service account, where the driver asks for them, as the JSON that drivers expect. */
  async #tokens(pod: Pod, object: CSIDriver | undefined): Promise<Readonly<Record<string, string>>> {
    const requests = object?.spec.tokenRequests ?? [];
    if (requests.length === 0) return {};
    const tokens: Record<string, unknown> = {};
    for (const { audience = '', expirationSeconds = TOKEN_SECONDS_DEFAULT } of requests)
      tokens[audience] = await this.#options.sources.tokenStatus(pod, { audience, expirationSeconds });
    return { [TOKENS]: JSON.stringify(tokens) };
  }

  #paths(pod: Pod, volume: CsiVolume) {
    return pathsOf(volume, { kubeletDir: this.#options.kubeletDir, podUid: pod.metadata?.uid ?? '' });
  }

  #bootId(): Promise<string> {
    this.#boot ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(text => text.trim());
    return this.#boot;
  }
}

const capabilityFor = (pod: Pod, volume: CsiVolume, { capabilities }: Driver): VolumeCapability =>
  capabilityOf(volume, capabilities, pod.spec?.securityContext?.fsGroup);

function asVolumeError({ name }: CsiVolume, error: unknown, operation: string): unknown {
  return error instanceof CsiError ? new VolumeError(name, error.message, { cause: error, operation }) : error;
}
