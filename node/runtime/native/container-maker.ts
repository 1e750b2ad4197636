/** Puts on disk what a container needs to be started: its record, the places of its mounts, its program; and its groups. */
import { realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../clock.ts';
import { type ContainerSpec, CreateContainerError } from '../runtime.ts';
import { ensureTerminationFile } from '../termination-file.ts';
import type { Cgroups } from './cgroups.ts';
import { hostDevices } from './host-devices.ts';
import type { ContainerImage, NativeImages } from './images.ts';
import { type ContainerRecord, type Layout, madeDirectory, newId, type SandboxRecord } from './layout.ts';
import { resolveProcess } from './process.ts';
import type { Architecture } from './program/numbers.ts';
import { renderSetup, stagePath, stagesOf } from './setup-program.ts';

export interface MakerOptions {
  readonly layout: Layout;
  readonly clock: Clock;
  readonly cgroups: Cgroups;
  readonly images: NativeImages;
  readonly architecture: Architecture;
  readonly mayLowerOomScore: boolean;
}
export interface ContainerToMake {
  readonly sandbox: SandboxRecord;
  readonly spec: ContainerSpec;
  readonly image: ContainerImage;
}

/** Gives its id. Throws {@link CreateContainerError}; nothing is left of it then. */
export async function makeContainer(
  { layout, clock, cgroups, images, architecture, mayLowerOomScore }: MakerOptions,
  { sandbox, spec, image }: ContainerToMake,
): Promise<string> {
  const id = newId();
  try {
    const hostname = sandbox.pod.name;
    const process = resolveProcess(spec, { image: image.config, files: image.files, hostname });
    await ensureTerminationFile(spec);
    const directory = await realpath(await madeDirectory(layout.containerDir(id)));
    const record: ContainerRecord = {
      id,
      sandboxId: sandbox.id,
      podUid: sandbox.pod.uid,
      createdAt: clock.now(),
      spec: plain(spec),
      imageId: image.id,
      imageName: image.name,
      process: { ...process, command: [...process.command], env: [...process.env], groups: [...process.groups] },
    };
    const directories = await prepareMounts(directory, spec);
    const program = renderSetup({
      architecture,
      spec,
      process,
      directory,
      root: await images.prepareRoot(image.id, directory),
      isDirectory: hostPath => directories.has(hostPath),
      cgroupFiles: await cgroups.create(id, spec.resources),
      cgroupMounts: cgroups.mounts(),
      mayLowerOomScore,
      hostIpc: sandbox.hostIpc,
      devices: spec.security.privileged === true ? await hostDevices() : [],
      volumes: image.config.volumes,
    });
    await writeFile(layout.programFile(id), program, { mode: 0o700 });
    await layout.writeContainer(record);
    return id;
  } catch (error) {
    await cgroups.remove(id).catch(() => undefined);
    await layout.remove(layout.containerDir(id));
    throw new CreateContainerError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/**
 * Takes away what an agent that was killed had begun to make or to remove: its record is written last, and without one nobody
 * asks for it again. To be called before anything is made.
 */
export async function removeHalfMade({ layout, cgroups }: Pick<MakerOptions, 'layout' | 'cgroups'>): Promise<void> {
  for (const id of await layout.containerIds()) {
    // One that cannot be read is not one that is missing.
    if (await layout.readContainer(id).then(isThere, () => true)) continue;
    await cgroups.remove(id).catch(() => undefined);
    await layout.remove(layout.containerDir(id));
  }
  for (const id of await layout.sandboxIds()) {
    if (!(await layout.readSandbox(id).then(isThere, () => true))) await layout.remove(layout.sandboxDir(id));
  }
}
const isThere = (record: unknown): boolean => record !== undefined;

/** Makes what the container's mounts are taken to before its root is there. Gives which of them are directories. */
async function prepareMounts(directory: string, spec: ContainerSpec): Promise<ReadonlySet<string>> {
  const directories = new Set<string>();
  await madeDirectory(path.join(directory, 'mounts'));
  for (const [index, { hostPath }] of stagesOf(spec).entries()) {
    const isDirectory = (await stat(hostPath)).isDirectory();
    if (isDirectory) directories.add(hostPath);
    if (isDirectory) await madeDirectory(stagePath(directory, index));
    else await writeFile(stagePath(directory, index), '');
  }
  return directories;
}

/** The same in the form that is kept: lists of its own. */
function plain(spec: ContainerSpec): ContainerRecord['spec'] {
  // The types differ in what is readonly alone.
  return structuredClone(spec) as ContainerRecord['spec'];
}
