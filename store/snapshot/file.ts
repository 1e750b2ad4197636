/** Snapshots in files: written whole or not at all, and checked from the first byte to the last before they are believed. */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BatchHead } from '../codec/change.ts';
import { ImageCorruptError, ImageLoader } from '../codec/image.ts';
import type { Mvcc } from '../mvcc/mvcc.ts';
import { checkedSnapshot, decodeSnapshot, SnapshotError, type SnapshotHeader } from './format.ts';
import { SNAPSHOT_READ_BYTES, SNAPSHOT_SYNC_BYTES } from './limits.ts';

/** Only its owner may read it: it holds every secret of the cluster. */
const FILE_MODE = 0o600;

/** What a whole, sound file holds. */
export interface SnapshotSummary {
  readonly header: SnapshotHeader;
  readonly fileBytes: number;
}

/**
 * Writes a snapshot under a temporary name, makes it durable, then gives it its name: a file of that name is whole.
 * @throws {SnapshotError} the stream is not a sound snapshot; nothing is left behind
 */
export async function writeSnapshotFile(
  path: string,
  stream: AsyncIterable<Uint8Array>,
  onProgress: (bytes: number) => void = () => {},
): Promise<{ readonly fileBytes: number }> {
  const draft = `${path}.partial`;
  let fileBytes = 0;
  let syncedBytes = 0;
  try {
    const file = await open(draft, 'w', FILE_MODE);
    try {
      for await (const part of checkedSnapshot(stream)) {
        await file.writeFile(part);
        fileBytes += part.length;
        // In small helpings: the log's own syncs, on the same disk, would have to wait for one large one.
        if (fileBytes - syncedBytes >= SNAPSHOT_SYNC_BYTES) {
          await file.datasync();
          syncedBytes = fileBytes;
        }
        onProgress(fileBytes);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  return { fileBytes };
}

/** Reads only what a file says of itself; says nothing about the rest of it. @throws {SnapshotError} */
export async function readSnapshotHeader(path: string): Promise<SnapshotHeader> {
  return about(path, async () => {
    const reading = await decodeSnapshot(readParts(path));
    await reading.close();
    return reading.header;
  });
}

/** Reads all of it, checks every checksum, and that what it says of itself is so. @throws {SnapshotError} */
export async function inspectSnapshotFile(path: string): Promise<SnapshotSummary> {
  const { header, fileBytes } = await loadSnapshotFile(path);
  return { header, fileBytes };
}

/** The state that a file holds. @throws {SnapshotError} it is not whole and sound */
export async function loadSnapshotFile(
  path: string,
): Promise<SnapshotSummary & { readonly state: Mvcc; readonly head: BatchHead }> {
  return about(path, async () => {
    const counting = { bytes: 0 };
    const { header, chunks } = await decodeSnapshot(readParts(path, counting));
    const loader = new ImageLoader();
    for await (const chunk of chunks) loader.push(chunk);
    const { state, head } = loader.finish();
    if (state.revision !== header.revision || state.liveCount !== header.keys || head.appliedIndex !== header.index) {
      throw new SnapshotError('damaged', 'it is damaged: it does not hold what it says that it holds');
    }
    return { header, state, head, fileBytes: counting.bytes };
  });
}

/** Every complaint names the file and says what to do. */
async function about<Value>(path: string, read: () => Promise<Value>): Promise<Value> {
  try {
    return await read();
  } catch (error) {
    const problem =
      error instanceof ImageCorruptError
        ? new SnapshotError('damaged', `it is damaged: ${error.message}`, { cause: error })
        : error;
    if (!(problem instanceof SnapshotError)) throw error;
    const advice = problem.fault === 'newer' ? '' : '; use another snapshot';
    throw new SnapshotError(problem.fault, `${path} cannot be used: ${problem.message}${advice}`, { cause: error });
  }
}

async function* readParts(path: string, counting = { bytes: 0 }): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(SNAPSHOT_READ_BYTES), 0, SNAPSHOT_READ_BYTES);
      if (bytesRead === 0) return;
      counting.bytes += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** Makes names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
