/**
 * Makes and removes the volumes of pods, in `<dataDir>/pods/<uid>/volumes/<name>`, and keeps those up to date whose
 * content comes from the API. Every call may be repeated: what is there and right stays as it is.
 */
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod, Volume, VolumeMount } from '../api.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { quantityValue } from '../pods/quantity.ts';
import { writeAtomically } from './atomic-directory.ts';
import { type DownwardContext, isProjected, makePayload, needsOf, VolumeError, type VolumeSources } from './content.ts';
import { prepareHostPath } from './host-path.ts';
import { mountsBelow, mountTmpfs, unmount } from './mounts.ts';
import { SourceError, type Sources } from './sources.ts';
import { resolveSubPath } from './sub-path.ts';

export interface VolumeManagerOptions {
  readonly dataDir: string;
  readonly sources: Sources;
  readonly clock: Clock;
  readonly logger: Logger;
  /** May the agent mount file systems? Without, volumes in memory lie on the disk. */
  readonly canMount: boolean;
}

export class VolumeManager {
  readonly #options: VolumeManagerOptions;

  constructor(options: VolumeManagerOptions) {
    this.#options = options;
  }

  /** Where everything of a pod lies. */
  podDir(podUid: string): string {
    if (!/^[\w-]+$/.test(podUid)) throw new RangeError(`not a pod's uid: ${podUid}`);
    return join(this.#options.dataDir, 'pods', podUid);
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
    return changed;
  }

  /** The path on the node for a container's mount; follows subPath. `subPath` comes expanded. */
  async pathOf(pod: Pod, mount: VolumeMount, subPath: string): Promise<string> {
    const volume = pod.spec?.volumes?.find(({ name }) => name === mount.name);
    if (!volume) throw new VolumeError(mount.name, 'the pod has no volume of this name');
    const root = volume.hostPath ? volume.hostPath.path : this.#volumeDir(pod, volume);
    return subPath ? resolveSubPath(root, subPath, mount.name) : root;
  }

  /** Removes everything of the pod from the disk. Refuses while something below is still mounted. */
  async unmount(podUid: string): Promise<void> {
    const folder = this.podDir(podUid);
    for (const point of await mountsBelow(folder)) await unmount(point);
    const left = await mountsBelow(folder);
    // Removing through a mount would remove what belongs to somebody else.
    if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}`);
    await rm(folder, { recursive: true, force: true });
    this.#options.sources.forget(podUid);
  }

  #volumeDir(pod: Pod, volume: Volume): string {
    return join(this.podDir(pod.metadata?.uid ?? ''), 'volumes', volume.name);
  }

  async #mountOne(pod: Pod, volume: Volume, context: DownwardContext): Promise<void> {
    if (volume.hostPath) await prepareHostPath(volume);
    else if (volume.emptyDir) await this.#makeEmptyDir(pod, volume);
    else if (isProjected(volume)) await this.#project(pod, volume, context);
    else {
      const type = Object.keys(volume).find(key => key !== 'name') ?? 'unknown';
      throw new VolumeError(volume.name, `volumes of type ${type} are not supported by this node`);
    }
  }

  async #makeEmptyDir(pod: Pod, volume: Volume): Promise<void> {
    const path = this.#volumeDir(pod, volume);
    const group = pod.spec?.securityContext?.fsGroup;
    await mkdir(path, { recursive: true });
    const inMemory = volume.emptyDir?.medium === 'Memory' && this.#options.canMount;
    if (inMemory && !(await mountsBelow(path)).includes(path))
      await mountTmpfs(path, quantityValue(volume.emptyDir?.sizeLimit));
    if (group !== undefined) await chown(path, -1, group);
    await chmod(path, group === undefined ? 0o777 : 0o2777);
  }

  async #project(pod: Pod, volume: Volume, context: DownwardContext): Promise<boolean> {
    const payload = makePayload(volume, await this.#fetch(pod, volume), context);
    const group = pod.spec?.securityContext?.fsGroup;
    return writeAtomically(this.#volumeDir(pod, volume), payload, { group, now: this.#options.clock.now() });
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
