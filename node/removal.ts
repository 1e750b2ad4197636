/** Takes a node off its machine: containers, mounts, network and rules, in the order in which pods notice least of it. */
import { join } from 'node:path';
import { RUNTIME_OPERATIONS_MAX } from './limits.ts';
import type { Runtime } from './runtime/runtime.ts';
import { Semaphore } from './semaphore.ts';
import { abandonCsiVolumes } from './volumes/csi/places.ts';
import { podFolder, removePodFolder, storedPodUids, unmountBelow } from './volumes/pod-folders.ts';

export interface Removable {
  close(options: { readonly remove: boolean }): Promise<void>;
}
/** What a node has on its machine. */
export interface NodeHoldings {
  readonly dataDir: string;
  /** Started. */
  readonly runtime: Runtime;
  readonly network: Removable;
  /** What leads pods to services. */
  readonly services: readonly (Removable | undefined)[];
  readonly policies: Removable | undefined;
}

/** Something of the node is still there; the first reason is the `cause`. */
export class RemovalError extends Error {
  override readonly name = 'RemovalError';
  readonly code = 'NODE_REMOVAL';
}

/**
 * Removes all of it and closes the runtime. What cannot be removed keeps nothing else from going, and is told at the end:
 * throws {@link RemovalError}.
 */
export async function removeHoldings({ dataDir, runtime, network, services, policies }: NodeHoldings): Promise<void> {
  const failures: unknown[] = [];
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      failures.push(error);
      return undefined;
    }
  };
  for (const service of services) await attempt(async () => service?.close({ remove: true }));
  const slots = new Semaphore(RUNTIME_OPERATIONS_MAX);
  const sandboxes = (await attempt(() => runtime.list())) ?? [];
  await Promise.all(sandboxes.map(({ id }) => attempt(() => slots.run(() => runtime.removeSandbox(id)))));
  const podUids = (await attempt(() => storedPodUids(dataDir))) ?? [];
  for (const uid of podUids) {
    await attempt(async () => {
      await unmountBelow(podFolder(dataDir, uid));
      await abandonCsiVolumes(dataDir, uid);
      await removePodFolder(podFolder(dataDir, uid));
    });
  }
  // Where it is the node's own folder, what drivers mounted for themselves goes too: it is removed with the data directory.
  await attempt(() => unmountBelow(join(dataDir, 'kubelet')));
  // Last of all that pods could notice: they stay isolated for as long as they are.
  await attempt(async () => policies?.close({ remove: true }));
  await attempt(() => network.close({ remove: true }));
  await attempt(() => runtime.close());
  if (failures.length === 0) return;
  const reasons = failures.map(error => (error instanceof Error ? error.message : String(error)));
  throw new RemovalError(`something of the node is still there: ${reasons.join('; ')}`, { cause: failures[0] });
}
