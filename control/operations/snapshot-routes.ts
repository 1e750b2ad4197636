/** The masters' answers about snapshots, for administrators. */
import { z } from 'zod';
import type { StoreClient } from '../../store/index.ts';
import { ApiError } from '../api/status.ts';
import { administratorRoute, type JoinRoute } from '../join/handlers.ts';
import { deleteSnapshotRequestSchema, PATHS, type SnapshotsAnswer } from '../join/protocol.ts';
import { OperationError } from './errors.ts';
import { orApiError } from './member-routes.ts';
import type { SnapshotFolder } from './snapshot-folder.ts';

const nothing = z.unknown();

export function snapshotRoutes(dependencies: {
  readonly store: Pick<StoreClient, 'saveSnapshot'>;
  readonly folder: SnapshotFolder;
}): readonly JoinRoute[] {
  const { store, folder } = dependencies;
  const what = 'see or take snapshots';
  return [
    administratorRoute({
      method: 'GET',
      path: PATHS.snapshots,
      what,
      body: nothing,
      handle: async (): Promise<SnapshotsAnswer> => ({ folder: folder.path, snapshots: [...(await folder.list())] }),
    }),
    administratorRoute({
      method: 'POST',
      path: PATHS.snapshots,
      what,
      body: nothing,
      handle: async () => ({ snapshot: await orApiError(() => folder.take('saved')) }),
    }),
    administratorRoute({
      method: 'GET',
      path: PATHS.snapshotStream,
      what,
      body: nothing,
      handle: () => orApiError(() => begun(store.saveSnapshot())),
    }),
    administratorRoute({
      method: 'POST',
      path: PATHS.deleteSnapshot,
      what,
      body: deleteSnapshotRequestSchema,
      handle: async ({ name }) => {
        await folder.delete(name).catch((error: unknown) => {
          throw error instanceof OperationError ? new ApiError('NotFound', error.message, { cause: error }) : error;
        });
        return { deleted: name };
      },
    }),
  ];
}

/** Waits for the first part, so that a store that cannot answer is told by a status and not by a stream that breaks off. */
async function begun(stream: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = stream[Symbol.asyncIterator]();
  let first: IteratorResult<Uint8Array> | undefined = await iterator.next();
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const result = first ?? (await iterator.next());
        first = undefined;
        return result;
      },
      return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
    }),
  };
}
