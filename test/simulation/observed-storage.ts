/** A member's log, with the reference told of everything that became durable, as long as the member lives. */
import type { MemberId, RaftStorage } from '../../raft/index.ts';
import type { Reference } from './reference.ts';

/** @param told.recovered is called when the log was read; `note` tells the reference, once what was read counts */
export function observed(
  storage: RaftStorage,
  told: {
    readonly id: MemberId;
    readonly reference: Reference;
    readonly clock: { readonly isOver: boolean };
    readonly recovered: (note: () => void) => void;
  },
): RaftStorage {
  const { id, reference, clock } = told;
  return {
    open: async () => {
      const recovered = await storage.open();
      told.recovered(() => reference.recovered(id, recovered.snapshot, recovered.entries));
      return recovered;
    },
    async initialize(identity, membership) {
      await storage.initialize(identity, membership);
      if (!clock.isOver) reference.begins(id, membership);
    },
    async save(request) {
      await storage.save(request);
      if (!clock.isOver) reference.saved(id, request.entries ?? []);
    },
    async compact(snapshot) {
      await storage.compact(snapshot);
      if (!clock.isOver) reference.logStarts(id, snapshot, { isReset: false });
    },
    async reset(snapshot, hardState) {
      await storage.reset(snapshot, hardState);
      if (!clock.isOver) reference.logStarts(id, snapshot, { isReset: true });
    },
    close: () => storage.close(),
  };
}
