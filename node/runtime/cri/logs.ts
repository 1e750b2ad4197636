/** Containers' logs: the files that the runtime writes (in Kubernetes' format), reading them, and their rotation. */
import { rename, rm, stat } from 'node:fs/promises';
import { mapBounded } from '../bounded.ts';
import { delay } from '../clock.ts';
import { logFilesMax } from '../native/limits.ts';
import { nameOf } from '../native/log-file.ts';
import { readLog } from '../native/log-reader.ts';
import type { LogOptions } from '../runtime.ts';
import { logFileOf } from './config.ts';
import { logFileBytesMax, logRotationMs, statusConcurrencyMax } from './limits.ts';
import { runtimeCalls } from './services.ts';
import { type CriTools, notFound } from './tools.ts';

/** @throws {ContainerNotFoundError} */
export async function* readContainerLog(
  { clock, inventory, terms }: CriTools,
  id: string,
  options: LogOptions,
): AsyncIterable<Uint8Array> {
  const found = await inventory.container(id);
  if (found === undefined) throw notFound(id);
  const isOpen = async () => {
    const state = (await inventory.container(id))?.status.state;
    return state === 'running' || state === 'created';
  };
  yield* readLog({ path: logFileOf(terms, found.mark.pod, found.mark), clock, isOpen }, options);
}

/** Rotates the logs of all that runs, from time to time, until the runtime is closed. Never throws. */
export async function keepRotating({ clock, closing, connection, inventory, terms }: CriTools): Promise<void> {
  for (;;) {
    await delay(clock, logRotationMs, closing);
    if (closing.aborted) return;
    const sandboxes = await inventory.list().catch(() => []);
    const running = sandboxes.flatMap(({ pod, containers }) =>
      containers.filter(one => one.state === 'running').map(one => ({ pod, one })),
    );
    await mapBounded(running, statusConcurrencyMax, ({ pod, one }) =>
      rotateIfLarge(logFileOf(terms, pod, one), async () => {
        await connection.call(runtimeCalls.reopenContainerLog, { containerId: one.id });
        // One that failed is tried again next time.
      }).catch(() => undefined),
    );
  }
}

/** Makes room where a log has grown: its files move up by one, and `reopen` has the runtime begin a new one. */
export async function rotateIfLarge(file: string, reopen: () => Promise<void>): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined || found.size < logFileBytesMax) return;
  for (let age = logFilesMax - 2; age >= 0; age -= 1) await renameIfThere(nameOf(file, age), nameOf(file, age + 1));
  try {
    await reopen();
  } catch (error) {
    // The runtime goes on writing to the file that was renamed: what it writes must stay in its place.
    if ((await stat(file).catch(() => undefined)) === undefined) await renameIfThere(nameOf(file, 1), file);
    throw error;
  }
}

export async function removeLogs(file: string): Promise<void> {
  for (let age = 0; age < logFilesMax; age += 1) await rm(nameOf(file, age), { force: true });
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  });
}
