/** Stores for tests of this folder: below the folder for temporary files, as root only. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runCommand } from '../runtime/command.ts';
import { unmountBelow } from './layers.ts';
import { ImageStore } from './store.ts';

export const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** Why these tests cannot run here. */
export const storeUnavailable =
  process.platform === 'linux' && process.getuid?.() === 0 ? undefined : 'needs root on Linux';

export interface TestStore {
  readonly root: string;
  readonly store: ImageStore;
}

export async function makeStore(
  t: { teardown(callback: () => Promise<void>): void },
  root = mkdtempSync(path.join(tmpdir(), 'raftsman-store-')),
): Promise<TestStore> {
  let now = 0;
  const store = new ImageStore({ root, architecture, run: runCommand, now: () => ++now });
  await store.open();
  t.teardown(async () => {
    await unmountBelow(runCommand, root);
    await rm(root, { recursive: true, force: true });
  });
  return { root, store };
}
