/**
 * What was begun with CSI volumes, written down before the driver is called: whoever unmounts them needs no word of the API,
 * and may be another agent. A pod's records lie in its folder, `<dataDir>/pods/<uid>/csi/<volume>.json`; that of a staged
 * volume lies beside it, in the `vol_data.json` that a kubelet has there.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { isMissing } from '../atomic-directory.ts';
import { podFolder, storedPodUids } from '../pod-folders.ts';

const recordSchema = z.object({
  specVolID: z.string(),
  volumeHandle: z.string(),
  driverName: z.string(),
  nodeName: z.string(),
  volumeLifecycleMode: z.enum(['Persistent', 'Ephemeral']),
  targetPath: z.string(),
  /** Where the driver staged it; absent if it does not stage. */
  stagingPath: z.string().optional(),
  /** As the node's status names it, for one that is attached. */
  inUseName: z.string().optional(),
  /** The start of the machine in which it was published; absent while it may not be. */
  publishedBoot: z.string().optional(),
});
/** One volume of one pod. */
export type VolumeRecord = z.infer<typeof recordSchema>;

const stagedSchema = z.object({ driverName: z.string(), volumeHandle: z.string(), stagedBoot: z.string().optional() });
/** A staged volume. */
export type StagedRecord = z.infer<typeof stagedSchema>;

export class Records {
  readonly #dataDir: string;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /** The pod's volumes; none for a pod without a folder. Throws for a file that is no record. */
  async of(podUid: string): Promise<readonly VolumeRecord[]> {
    const folder = this.#folder(podUid);
    const names = await readdir(folder).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    const records = names.filter(name => name.endsWith('.json')).map(name => readJson(join(folder, name)));
    return (await Promise.all(records)).flatMap(value => (value === undefined ? [] : [recordSchema.parse(value)]));
  }

  /** The volumes of all pods. */
  async all(): Promise<readonly { readonly podUid: string; readonly record: VolumeRecord }[]> {
    const uids = await storedPodUids(this.#dataDir);
    const lists = await Promise.all(
      uids.map(async podUid => (await this.of(podUid)).map(record => ({ podUid, record }))),
    );
    return lists.flat();
  }

  write(podUid: string, record: VolumeRecord): Promise<void> {
    return writeJson(this.#file(podUid, record), record);
  }

  async remove(podUid: string, record: VolumeRecord): Promise<void> {
    await rm(this.#file(podUid, record), { force: true });
  }

  #folder(podUid: string): string {
    return join(podFolder(this.#dataDir, podUid), 'csi');
  }

  #file(podUid: string, { specVolID }: VolumeRecord): string {
    return join(this.#folder(podUid), `${specVolID}.json`);
  }
}

const stagedFile = (stagingPath: string) => join(dirname(stagingPath), `${baseOf(stagingPath)}vol_data.json`);
/** Staged devices share a folder; of a file system there is one in each. */
const baseOf = (stagingPath: string) =>
  stagingPath.endsWith('/globalmount') ? '' : `${stagingPath.slice(stagingPath.lastIndexOf('/') + 1)}.`;

export async function readStaged(stagingPath: string): Promise<StagedRecord | undefined> {
  const value = await readJson(stagedFile(stagingPath));
  return value === undefined ? undefined : stagedSchema.parse(value);
}

export const writeStaged = (stagingPath: string, record: StagedRecord): Promise<void> =>
  writeJson(stagedFile(stagingPath), record);

export const removeStaged = (stagingPath: string): Promise<void> => rm(stagedFile(stagingPath), { force: true });

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** On the disk before the driver does anything. */
async function writeJson(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  const next = `${path}.next`;
  {
    await using file = await open(next, 'w', 0o600);
    await file.writeFile(JSON.stringify(value));
    await file.sync();
  }
  await rename(next, path);
}
