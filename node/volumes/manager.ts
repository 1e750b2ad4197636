/**
 * Makes and removes the volumes of pods, in `<dataDir>/pods/<uid>/volumes/<name>`, and keeps those up to date whose
 * content comes from the API. Every call may be repeated: what is there and right stays as it is.
 */
import { chmod, chown, mkdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, isLocalVolume, type PersistentVolume, type Pod, type Volume } from '../api.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { isMissing, writeAtomically } from './atomic-directory.ts';
import { claimNameOf, findVolumeOf } from './claims.ts';
import {
  type DownwardContext,
  holdsSecrets,
  isProjected,
  makePayload,
  needsOf,
  VolumeError,
  type VolumeSources,
} from './content.ts';
import type { CsiExpansion } from './csi/expansion.ts';
import { type CsiVolume, inlineCsiVolume, persistentCsiVolume } from './csi/volume.ts';
import type { CsiVolumes } from './csi/volumes.ts';
import { memoryVolumeBytes } from './empty-dir.ts';
import { prepareHostPath } from './host-path.ts';
import type { LocalFolder } from './local-folder.ts';
import { MemoryFolders } from './memory-folders.ts';
import { isMountPoint, mountNfs, mountTmpfs } from './mounts.ts';
import { giveToGroup } from './ownership.ts';
import { podFolder, removePodFolder, unmountBelow } from './pod-folders.ts';
import { SourceError, type Sources } from './sources.ts';
import { prepareSubPath } from './sub-path.ts';

export interface VolumeManagerOptions {
  readonly dataDir: string;
  readonly client: Client;
  readonly sources: Sources;
  /** Where volumes of the local class lie. */
  readonly localFolder: LocalFolder;
  readonly clock: Clock;
  readonly logger: Logger;
  /** May the agent mount file systems? Without, volumes in memory lie on the disk. */
  readonly canMount: boolean;
  /** Without, pods cannot have volumes of CSI drivers. */
  readonly csi?: Pick<CsiVolumes, 'publish' | 'isPublished' | 'republish' | 'unpublish'>;
  readonly expansion?: Pick<CsiExpansion, 'expandBefore' | 'follow' | 'forget'>;
}

/** One mount of a container. */
export interface MountRequest {
  readonly volume: string;
  readonly container: string;
  /** Which of the container's mounts it is. */
  readonly index: number;
  /** With variables filled in; '' for the whole volume. */
  readonly subPath: string;
}

export class VolumeManager {
  readonly #options: VolumeManagerOptions;

  readonly #memory: MemoryFolders;
  /** CSI volumes behind claims, by pod and name, as they were last published; undefined for claims that have others. */
  readonly #published = new Map<string, CsiVolume | undefined>();

  constructor(options: VolumeManagerOptions) {
    this.#options = options;
    this.#memory = new MemoryFolders(options);
  }

  /** Where everything of a pod lies. */
  podDir(podUid: string): string {
    return podFolder(this.#options.dataDir, podUid);
  }

  /** Makes all volumes of the pod. Throws {@link VolumeError} for the first that cannot be made. */
  async mount(pod: Pod, context: DownwardContext): Promise<void> {
    const uid = pod.metadata?.uid ?? '';
    await mkdir(join(this.podDir(uid), 'volumes'), { recursive: true, mode: 0o750 });
    for (const volume of pod.spec?.volumes ?? []) {
      try {
        await this.#mountOne(pod, volume, context);
      } catch (error) {
        if (error instanceof VolumeError) throw error;
        throw new VolumeError(volume.name, error instanceof Error ? error.message : String(error), { cause: error });
      }
    }
  }

  /**
   * Brings ConfigMaps, Secrets, tokens and downward API files up to date. What cannot be read keeps its old content, as
   * users of Kubernetes know it. Resolves with the names of volumes that changed.
   */
  async refresh(pod: Pod, context: DownwardContext): Promise<string[]> {
    const changed: string[] = [];
    for (const volume of (pod.spec?.volumes ?? []).filter(isProjected)) {
      try {
        if (await this.#project(pod, volume, context)) changed.push(volume.name);
      } catch (error) {
        if (!(error instanceof VolumeError || error instanceof SourceError)) throw error;
        this.#options.logger.debug({ error, pod: pod.metadata?.name, volume: volume.name }, 'volume not refreshed');
      }
    }
    if (this.#options.csi) for (const volume of pod.spec?.volumes ?? []) await this.#refreshCsi(pod, volume);
    return changed;
  }

  async #refreshCsi(pod: Pod, volume: Volume): Promise<void> {
    const claimName = claimNameOf(pod, volume);
    const key = keyOf(pod, volume);
    try {
      // What an earlier agent published is known again when the API says what it is.
      if (claimName !== undefined && !this.#published.has(key))
        this.#published.set(key, await this.#adopt(pod, volume));
    } catch (error) {
      this.#options.logger.debug({ error, pod: pod.metadata?.name, volume: volume.name }, 'volume not known again');
    }
    const csi = inlineCsiVolume(pod, volume) ?? this.#published.get(key);
    if (!csi) return;
    this.#options.csi?.republish(pod, csi);
    if (claimName !== undefined) this.#options.expansion?.follow(pod, csi, claimName);
  }

  /** The CSI volume behind a claim that is mounted already; undefined if it is none. */
  async #adopt(pod: Pod, volume: Volume): Promise<CsiVolume | undefined> {
    const path = (await this.#noted(pod, 'claims', volume)) ?? (await this.#noted(pod, 'devices', volume));
    if (path === undefined) return undefined;
    if ((await this.#options.csi?.isPublished(pod.metadata?.uid ?? '', path)) === undefined) return undefined;
    const found = await findVolumeOf(this.#options.client, pod, volume);
    return persistentCsiVolume(found.volume, volume.persistentVolumeClaim?.readOnly ?? false);
  }

  /** The pod's volumes that drivers published, with their names in the pod and those of their claims. */
  csiVolumesOf(
    pod: Pod,
  ): readonly { readonly name: string; readonly claim: string | undefined; readonly csi: CsiVolume }[] {
    return (pod.spec?.volumes ?? []).flatMap(volume => {
      const csi = inlineCsiVolume(pod, volume) ?? this.#published.get(keyOf(pod, volume));
      return csi ? [{ name: volume.name, claim: claimNameOf(pod, volume), csi }] : [];
    });
  }

  /** The path on the node for a container's mount. Throws {@link VolumeError}. */
  async pathOf(pod: Pod, { volume: name, container, index, subPath }: MountRequest): Promise<string> {
    const volume = pod.spec?.volumes?.find(each => each.name === name);
    if (!volume) throw new VolumeError(name, 'the pod has no volume of this name');
    const root = await this.#rootOf(pod, volume);
    if (!subPath) return root;
    const podDir = this.podDir(pod.metadata?.uid ?? '');
    const place = this.#options.canMount ? join(podDir, 'volume-subpaths', name, container, String(index)) : undefined;
    return prepareSubPath({ volume: name, container, root, subPath, place });
  }

  /** Removes everything of the pod from the disk. Refuses while something below is still mounted. */
  async unmount(podUid: string): Promise<void> {
    const folder = this.podDir(podUid);
    // Parts of a volume are mounts of their own, which would keep it from being taken back.
    await unmountBelow(folder);
    await this.#options.csi?.unpublish(podUid);
    await removePodFolder(folder);
    this.#options.sources.forget(podUid);
    this.#options.expansion?.forget(podUid);
    for (const key of this.#published.keys()) if (key.startsWith(`${podUid}/`)) this.#published.delete(key);
  }

  #volumeDir(pod: Pod, volume: Volume): string {
    return join(this.podDir(pod.metadata?.uid ?? ''), 'volumes', volume.name);
  }

  async #mountOne(pod: Pod, volume: Volume, context: DownwardContext): Promise<void> {
    if (volume.hostPath) await prepareHostPath(volume);
    else if (volume.emptyDir) await this.#makeEmptyDir(pod, volume, context);
    else if (isProjected(volume)) await this.#project(pod, volume, context);
    else if (volume.nfs)
      await this.#mountNfs(pod, volume, { ...volume.nfs, options: volume.nfs.readOnly ? ['ro'] : [] });
    else if (claimNameOf(pod, volume) !== undefined) await this.#mountClaim(pod, volume);
    else if (volume.csi) await this.#mountInline(pod, volume);
    else
      throw unsupported(
        volume,
        Object.keys(volume).find(key => key !== 'name'),
      );
  }

  /** Where the volume lies, once it is mounted. */
  async #rootOf(pod: Pod, volume: Volume): Promise<string> {
    if (volume.hostPath) return volume.hostPath.path;
    if (claimNameOf(pod, volume) === undefined && !volume.csi) return this.#volumeDir(pod, volume);
    const path = await this.#noted(pod, 'claims', volume);
    if (path !== undefined) return path;
    throw new VolumeError(volume.name, `volume ${volume.name} has volumeMode Block, but is specified in volumeMounts`);
  }

  /** The path of the device behind a block volume of the pod. Throws {@link VolumeError}. */
  async devicePathOf(pod: Pod, name: string): Promise<string> {
    const volume = pod.spec?.volumes?.find(each => each.name === name);
    if (!volume) throw new VolumeError(name, 'the pod has no volume of this name');
    const path = await this.#noted(pod, 'devices', volume);
    if (path !== undefined) return path;
    throw new VolumeError(name, `volume ${name} has volumeMode Filesystem, but is specified in volumeDevices`);
  }

  async #noted(pod: Pod, what: Note, volume: Volume): Promise<string | undefined> {
    return readFile(this.#noteOf(pod, what, volume), 'utf8').catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
  }

  /** A file in the pod's folder that says something of one of its volumes. */
  #noteOf(pod: Pod, what: Note, { name }: Volume): string {
    return join(this.podDir(pod.metadata?.uid ?? ''), what, name);
  }

  async #note(pod: Pod, what: Note, volume: Volume, text: string): Promise<void> {
    const path = this.#noteOf(pod, what, volume);
    await mkdir(join(path, '..'), { recursive: true, mode: 0o750 });
    await writeFile(path, text);
  }

  /** Where the claim's volume lies is written down: a container that restarts while the API is away finds it there. */
  async #mountClaim(pod: Pod, volume: Volume): Promise<void> {
    if (await this.#isMounted(pod, volume)) return;
    const both = await findVolumeOf(this.#options.client, pod, volume);
    const found = both.volume;
    const csi = persistentCsiVolume(found, volume.persistentVolumeClaim?.readOnly ?? false);
    if (csi) {
      const path = await this.#publish(pod, csi);
      await this.#options.expansion?.expandBefore(pod, csi, both);
      this.#published.set(keyOf(pod, volume), csi);
      await this.#note(pod, csi.isBlock ? 'devices' : 'claims', volume, path);
    } else if (found.spec?.volumeMode === 'Block') {
      await this.#note(pod, 'devices', volume, await deviceOf(volume, found));
    } else {
      await this.#note(pod, 'claims', volume, await this.#mountPersistent(pod, volume, found));
    }
  }

  async #mountInline(pod: Pod, volume: Volume): Promise<void> {
    const csi = inlineCsiVolume(pod, volume);
    if (!csi || (await this.#isMounted(pod, volume))) return;
    await this.#note(pod, 'claims', volume, await this.#publish(pod, csi));
  }

  async #publish(pod: Pod, csi: CsiVolume): Promise<string> {
    if (!this.#options.csi) throw new VolumeError(csi.name, 'volumes of type csi need an agent that runs as root');
    return this.#options.csi.publish(pod, csi);
  }

  /** True if an earlier agent, or this one, has seen to it: a pod that runs needs no word of the API for what it has. */
  async #isMounted(pod: Pod, volume: Volume): Promise<boolean> {
    const path = (await this.#noted(pod, 'claims', volume)) ?? (await this.#noted(pod, 'devices', volume));
    if (path === undefined) return false;
    // After a start of the machine, what was mounted is an empty folder.
    if (path === this.#volumeDir(pod, volume)) return isMountPoint(path);
    const isPublished = await this.#options.csi?.isPublished(pod.metadata?.uid ?? '', path);
    if (isPublished !== undefined) return isPublished;
    return stat(path).then(
      () => true,
      () => false,
    );
  }

  async #mountPersistent(pod: Pod, volume: Volume, found: PersistentVolume): Promise<string> {
    const { hostPath, local, nfs, mountOptions = [] } = found.spec ?? {};
    if (hostPath) return prepareHostPath({ name: volume.name, hostPath });
    if (nfs) {
      await this.#mountNfs(pod, volume, { ...nfs, options: [...mountOptions, ...(nfs.readOnly ? ['ro'] : [])] });
      return this.#volumeDir(pod, volume);
    }
    if (!local)
      throw unsupported(
        volume,
        Object.keys(found.spec ?? {}).find(key => SOURCES.has(key)),
      );
    const path = isLocalVolume(found) ? await this.#options.localFolder.make(found) : await present(volume, local.path);
    const { fsGroup: group, fsGroupChangePolicy } = pod.spec?.securityContext ?? {};
    if (group !== undefined)
      await giveToGroup(path, { group, onlyOnMismatch: fsGroupChangePolicy === 'OnRootMismatch' });
    return path;
  }

  async #mountNfs(
    pod: Pod,
    volume: Volume,
    source: { readonly server: string; readonly path: string; readonly options: readonly string[] },
  ): Promise<void> {
    if (!this.#options.canMount)
      throw new VolumeError(volume.name, 'volumes of type nfs need an agent that runs as root');
    const path = this.#volumeDir(pod, volume);
    await mkdir(path, { recursive: true, mode: 0o750 });
    if (!(await isMountPoint(path))) await mountNfs(path, source);
  }

  async #makeEmptyDir(pod: Pod, volume: Volume, { allocatable }: DownwardContext): Promise<void> {
    const { medium = '' } = volume.emptyDir ?? {};
    if (medium !== '' && medium !== 'Memory') throw unsupported(volume, `emptyDir with medium ${medium}`);
    const path = this.#volumeDir(pod, volume);
    await mkdir(path, { recursive: true });
    const isMounted = medium === 'Memory' && this.#options.canMount;
    const isThere = !isMounted || (await isMountPoint(path));
    // What containers have made of their volume's mode is theirs, also when a new agent looks at it.
    if (isThere && (await this.#noted(pod, 'ready', volume)) !== undefined) return;
    if (!isThere) {
      const sizeBytes = memoryVolumeBytes(pod, volume, allocatable.memoryBytes);
      await mountTmpfs(path, sizeBytes === undefined ? [] : [`size=${sizeBytes}`]);
    }
    const group = pod.spec?.securityContext?.fsGroup;
    if (group !== undefined) await chown(path, -1, group);
    await chmod(path, group === undefined ? 0o777 : 0o2777);
    await this.#note(pod, 'ready', volume, 'ready');
  }

  async #project(pod: Pod, volume: Volume, context: DownwardContext): Promise<boolean> {
    const payload = makePayload(volume, await this.#fetch(pod, volume), context);
    const group = pod.spec?.securityContext?.fsGroup;
    const path = this.#volumeDir(pod, volume);
    if (holdsSecrets(volume)) await this.#memory.make(path);
    return writeAtomically(path, payload, { group, now: this.#options.clock.now() });
  }

  async #fetch(pod: Pod, volume: Volume): Promise<VolumeSources> {
    const { sources } = this.#options;
    const namespace = pod.metadata?.namespace ?? '';
    const needs = needsOf(volume);
    const pairs = async <T>(names: readonly string[], read: (name: string) => Promise<T>) =>
      new Map(await Promise.all(names.map(async name => [name, await read(name)] as const)));
    const configMaps = await pairs(needs.configMaps, name => sources.configMap(namespace, name));
    const secrets = await pairs(needs.secrets, name => sources.secret(namespace, name));
    const tokens = new Map<string, string>();
    for (const request of needs.tokens)
      tokens.set(`${request.audience}/${request.expirationSeconds}`, await sources.token(pod, request));
    return {
      configMap: name => configMaps.get(name),
      secret: name => secrets.get(name),
      token: (audience, expirationSeconds) => tokens.get(`${audience}/${expirationSeconds}`) ?? '',
    };
  }
}

const keyOf = (pod: Pod, { name }: Volume) => `${pod.metadata?.uid ?? ''}/${name}`;

/** What the agent writes down of a pod's volumes. */
type Note = 'claims' | 'devices' | 'ready';

const SOURCES: ReadonlySet<string> = new Set([
  'iscsi',
  'fc',
  'rbd',
  'cephfs',
  'cinder',
  'flexVolume',
  'awsElasticBlockStore',
  'azureDisk',
  'azureFile',
  'gcePersistentDisk',
  'vsphereVolume',
]);

const unsupported = (volume: Volume, type = 'unknown') =>
  new VolumeError(volume.name, `volumes of type ${type} are not supported by this node`);

/** The device behind a block volume: what a link names today may be another one tomorrow, so the device itself. */
async function deviceOf(volume: Volume, { spec }: PersistentVolume): Promise<string> {
  const type = Object.keys(spec ?? {}).find(key => SOURCES.has(key) || key === 'hostPath' || key === 'nfs');
  if (!spec?.local) throw new VolumeError(volume.name, `block volumes of type ${type} are not supported by this node`);
  const path = await realpath(await present(volume, spec.local.path));
  if ((await stat(path)).isBlockDevice()) return path;
  throw new VolumeError(volume.name, `path "${spec.local.path}" is not a block device`);
}

/** A local volume that somebody made is there, or the pod waits for it. */
async function present(volume: Volume, path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new VolumeError(volume.name, `path "${path}" does not exist`);
  }
}
