/**
 * Volumes that are the files of an image, read-only and without programs that run (KEP-4639). The runtime says where the files
 * are, in `<pod>/image-files/<name>` where it has to unpack them; they are mounted at `<pod>/volumes/<name>`, below the
 * pod's folder, so that whatever ends the pod unmounts them. That a mount is whole is written down last.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Runtime } from '../runtime/runtime.ts';
import { isMissing } from './atomic-directory.ts';
import { VolumeError } from './content.ts';
import { isMountPoint, isSeenByOthers, mountReadOnly, unmount } from './mounts.ts';
import { podFolder } from './pod-folders.ts';

export interface ImageVolumesOptions {
  readonly dataDir: string;
  /** May the agent mount file systems? */
  readonly canMount: boolean;
  /** Without one there are no such volumes. */
  readonly runtime?: Pick<Runtime, 'name' | 'imageFiles'> | undefined;
}

export interface ImageVolumeRequest {
  readonly podUid: string;
  /** The volume's name. */
  readonly name: string;
  /** An image that is on this node. */
  readonly reference: string;
  readonly signal: AbortSignal;
}

export class ImageVolumes {
  readonly #options: ImageVolumesOptions;
  /** By pod: what is being made below its folder. */
  readonly #underWay = new Map<string, Set<Promise<void>>>();

  constructor(options: ImageVolumesOptions) {
    this.#options = options;
  }

  /** Throws {@link VolumeError} if the node can have no such volumes. */
  check(name: string): void {
    const { runtime } = this.#options;
    if (runtime?.imageFiles) return;
    throw new VolumeError(name, `volumes of type image are not supported by the runtime ${runtime?.name ?? 'none'}`);
  }

  /** True if the volume is whole, whichever agent made it. After a start of the machine none is. */
  async isMounted(podUid: string, name: string): Promise<boolean> {
    const noted = await readFile(this.#note(podUid, name), 'utf8').catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    return noted === NOTHING_TO_MOUNT || (noted !== undefined && (await isMountPoint(this.pathOf(podUid, name))));
  }

  /** Where the volume lies, once it is mounted. */
  pathOf(podUid: string, name: string): string {
    return join(podFolder(this.#options.dataDir, podUid), 'volumes', name);
  }

  /** Makes the volume unless it is there. Throws {@link VolumeError}, or what the runtime or the file system says. */
  async mount(request: ImageVolumeRequest): Promise<void> {
    const { podUid, signal } = request;
    // Later the pod's folder may be gone, and nobody would come to remove another.
    signal.throwIfAborted();
    const all = this.#underWay.get(podUid) ?? new Set();
    this.#underWay.set(podUid, all);
    const work = this.#mount(request);
    all.add(work);
    try {
      await work;
    } finally {
      all.delete(work);
      if (all.size === 0) this.#underWay.delete(podUid);
    }
  }

  /** Resolves when nothing of the pod's is being made; whoever ends the pod has aborted it. Never rejects. */
  async settled(podUid: string): Promise<void> {
    await Promise.allSettled(this.#underWay.get(podUid) ?? []);
  }

  async #mount({ podUid, name, reference, signal }: ImageVolumeRequest): Promise<void> {
    const { dataDir, canMount, runtime } = this.#options;
    this.check(name);
    if (await this.isMounted(podUid, name)) return;
    const note = this.#note(podUid, name);
    const target = this.pathOf(podUid, name);
    const folder = resolve(podFolder(dataDir, podUid), 'image-files', name);
    // What an agent died over is made anew.
    await rm(note, { force: true });
    if (await isMountPoint(target)) await unmount(target);
    await rm(folder, { recursive: true, force: true });
    for (const one of [join(note, '..'), folder, target]) await mkdir(one, { recursive: true, mode: 0o755 });
    const files = await runtime?.imageFiles?.(reference, { folder, signal });
    const [first, ...more] = files?.layers ?? [];
    if (files && first !== undefined) {
      if (!canMount) throw new VolumeError(name, 'volumes of type image need an agent that runs as root');
      if (runtime?.name === 'docker' && !(await isSeenByOthers(dataDir)))
        throw new VolumeError(
          name,
          'the agent has a mount namespace of its own: the engine would not see a volume of type image',
        );
      await mountReadOnly(target, { base: files.base, layers: [first, ...more] });
    }
    signal.throwIfAborted();
    await writeFile(note, first === undefined ? NOTHING_TO_MOUNT : 'mounted');
  }

  /** Beside the folder of files, so that it goes with the pod. */
  #note(podUid: string, name: string): string {
    return join(podFolder(this.#options.dataDir, podUid), 'images', name);
  }
}

const NOTHING_TO_MOUNT = 'empty';
