/** What a native container keeps on the disk. */
import path from 'node:path';
import { folderBytes, logBytes } from '../folder-bytes.ts';
import type { ContainerStorage } from '../runtime.ts';
import type { Layout } from './layout.ts';

/**
 * Where the kernel has no overlay on this disk, the container has a copy of its image (in `root`, else empty from here), which is
 * all its own; or its layer is in memory, where its limit of memory counts it.
 */
export async function storageOf(layout: Layout, id: string): Promise<ContainerStorage> {
  const folders = ['disk/upper', 'root'].map(name => path.join(layout.containerDir(id), name));
  let writableBytes = 0;
  for (const folder of folders) writableBytes += await folderBytes(folder);
  return { id, logBytes: await logBytes(layout.logFile(id)), writableBytes };
}
