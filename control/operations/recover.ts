/**
 * Beginning anew in a master's data directory, offline: from a snapshot (`restore`), or from what this master survived
 * with (`reset`). The new store is made beside the old one and takes its place by a rename, so that an interruption leaves
 * the one or the other; what was there is set aside, never deleted.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type LostEntries,
  type Recovered,
  type Reset,
  refuseIfInUse,
  resetStore,
  restoreStore,
  type SnapshotHeader,
  setAside,
} from '../../store/index.ts';
import { encryptionKeysFile, saveEncryptionKeys } from '../pki/encryption-keys.ts';
import { writePrivately } from '../pki/files.ts';
import { EXIT_DO_NOT_RESTART, OperationError } from './errors.ts';
import { IDENTITY, paths, STORE } from './layout.ts';
import { removeMemberFile } from './member-file.ts';
import { findSnapshotKeys } from './snapshot-keys.ts';

export type { LostEntries };

export interface RecoverOptions {
  /** A master's. */
  readonly dataDir: string;
  readonly bumpRevision: number | undefined;
  readonly now: () => Date;
  readonly random: () => number;
}

export interface Outcome extends Recovered {
  /** Where the data that was there is now; undefined if there was none. */
  readonly setAside: string | undefined;
}

/** Files of a master that a snapshot carries with it, by their path under the data directory. */
const ATTACHED = /^(?:settings\.json|pki\/[a-z-]+\.(?:crt|key))$/;

/**
 * Makes a new cluster of one master from a snapshot, with the certificates that the snapshot carries.
 * @throws {OperationError} there is data already, and `force` is not set
 * @throws {SnapshotError} the file is not sound; nothing was changed
 */
export async function restoreMaster(
  options: RecoverOptions & {
    readonly file: string;
    /** Where the keys of encrypted values are, besides the usual places. */
    readonly encryptionKeys?: string | undefined;
    readonly name: string | undefined;
    readonly force: boolean;
  },
): Promise<Outcome & { readonly header: SnapshotHeader; readonly hasKeys: boolean }> {
  const { dataDir, file, name, force, now, bumpRevision, random } = options;
  const present = (await listFolder(dataDir)).filter(entry => IDENTITY.some(part => part === entry));
  if (present.length > 0 && !force) {
    throw new OperationError(
      `${dataDir} holds the data of a master already (${present.join(', ')}): name an empty --data-dir, or set it aside with --force`,
    );
  }
  await refuseIfInUse(paths.store(dataDir));
  const { header, encryptionKeys, ...recovered } = await makeIncoming(dataDir, async directory => {
    const restored = await restoreStore({
      file,
      directory,
      random,
      ...(name !== undefined && { name }),
      ...(bumpRevision !== undefined && { bumpRevision }),
    });
    // The file is sound by now, and nothing that was there has been touched.
    const keys = await findSnapshotKeys({ file, dataDir, given: options.encryptionKeys });
    return { ...restored, encryptionKeys: keys };
  });
  const attachments = Object.entries(header.attachments ?? {}).filter(([path]) => ATTACHED.test(path));
  const hasKeys = attachments.length > 0;
  // Without keys of its own the snapshot takes those that are there.
  const moved = hasKeys ? IDENTITY : [STORE, 'member.json', 'datastore.json'];
  const place = present.length > 0 ? await setAside(dataDir, moved, { reason: 'restore', at: now() }) : undefined;
  for (const [path, text] of attachments) {
    await mkdir(dirname(join(dataDir, path)), { recursive: true, mode: 0o700 });
    await writePrivately(join(dataDir, path), text);
  }
  if (encryptionKeys.keys.length > 0) await saveEncryptionKeys(encryptionKeysFile(dataDir), encryptionKeys);
  await rm(paths.removed(dataDir), { force: true });
  await rename(paths.incomingStore(dataDir), paths.store(dataDir));
  return { ...recovered, header, hasKeys, setAside: place };
}

/**
 * Makes a new cluster of one master from all that this master has; certificates and secrets stay. For when most masters are
 * lost for good.
 * @param options.acceptLoss go on with what is whole of a damaged log
 * @throws {OperationError} {SurvivorError} {DamagedLogError} and what says that the data is in use or damaged; nothing was changed
 */
export async function resetMaster(
  options: RecoverOptions & { readonly acceptLoss?: boolean },
): Promise<Outcome & Reset> {
  const { dataDir, bumpRevision, now, random, acceptLoss = false } = options;
  const from = paths.store(dataDir);
  await finishInterrupted(dataDir);
  if (existsSync(paths.datastore(dataDir))) {
    throw new OperationError(
      `the cluster of ${dataDir} is kept in an external etcd, which has to be recovered with its own tools (\`etcdctl snapshot restore\`, \`etcd --force-new-cluster\`)`,
    );
  }
  if (!existsSync(from)) {
    throw new OperationError(`${dataDir} holds no master’s data: name the --data-dir of a master that was running`);
  }
  const result = await makeIncoming(dataDir, directory =>
    resetStore({ from, directory, random, acceptLoss, ...(bumpRevision !== undefined && { bumpRevision }) }),
  );
  const place = await setAside(dataDir, [STORE], { reason: 'reset', at: now() });
  await rename(paths.incomingStore(dataDir), from);
  // It names members that are gone.
  await removeMemberFile(dataDir);
  return { ...result, setAside: place };
}

/** @throws {OperationError} a reset or restore was interrupted at the very moment of the swap: it must be made again */
export function refuseIfInterrupted(dataDir: string): void {
  if (existsSync(paths.store(dataDir)) || !existsSync(paths.incomingStore(dataDir))) return;
  throw new OperationError(
    `a reset or a restore of ${dataDir} was interrupted: make it again (\`raftsman reset --data-dir ${dataDir}\` finishes a reset)`,
    { exitCode: EXIT_DO_NOT_RESTART },
  );
}

/** Between the two renames there is no store; the new one is whole by then. */
async function finishInterrupted(dataDir: string): Promise<void> {
  if (existsSync(paths.store(dataDir)) || !existsSync(paths.incomingStore(dataDir))) return;
  await rename(paths.incomingStore(dataDir), paths.store(dataDir));
}

/** Makes a store beside the old one. Under its name it is whole. */
async function makeIncoming<Result>(dataDir: string, make: (directory: string) => Promise<Result>): Promise<Result> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const building = paths.storeInTheMaking(dataDir);
  await rm(building, { recursive: true, force: true });
  await rm(paths.incomingStore(dataDir), { recursive: true, force: true });
  try {
    const result = await make(building);
    await rename(building, paths.incomingStore(dataDir));
    return result;
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

async function listFolder(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
