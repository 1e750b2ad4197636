/** This master's own member of the store that the masters keep among them, with what looks after it. */
import {
  type Membership,
  type OpenStoreOptions,
  type StoreClient,
  type StoreHealth,
  systemClock,
} from '../../store/index.ts';
import type { Clock } from '../client/clock.ts';
import type { AddMemberRequest } from '../join/protocol.ts';
import { watchForForeignCluster } from './foreign.ts';
import { takeIn } from './member-routes.ts';
import { keepMemberFile, type MasterStoreOptions, openMasterStore } from './open-store.ts';

export interface OwnStoreOptions extends Omit<MasterStoreOptions, 'store'> {
  readonly store: Omit<MasterStoreOptions['store'], 'clock' | 'wallClock' | 'logger'>;
  readonly clock: Clock;
  /** The master must end: its member was removed, its disk failed, its cluster is another one now. */
  readonly onFatal: OpenStoreOptions['onFatal'];
}

export interface OwnStore {
  readonly client: StoreClient;
  readonly health: StoreHealth;
  onLeadership(listener: (leadership: { readonly isLeader: boolean; readonly term: number }) => void): () => void;
  membership(): Membership;
  status(): Promise<{ readonly leaderId: string | undefined; readonly term: number; readonly revision: number }>;
  /** The members that are heard of, as far as this one knows. */
  living(): Membership['members'];
  addMember(member: AddMemberRequest): Promise<Membership>;
  close(): Promise<void>;
}

/** @throws what `openMasterStore` throws */
export async function openOwnStore(options: OwnStoreOptions): Promise<OwnStore> {
  const { dataDir, clock, logger, peers, onFatal } = options;
  const store = await openMasterStore({
    ...options,
    store: { ...options.store, clock: systemClock, wallClock: () => new Date(clock.now()), logger },
  });
  // Nothing is awaited from here on: whoever opened the store must be able to close it as soon as anything can fail.
  const stopKeeping = keepMemberFile({
    dataDir,
    store,
    clock,
    onFailure: error => logger.warn({ err: error }, 'member.json could not be written'),
  });
  const stopWatching = watchForForeignCluster({ dataDir, store, peers, clock, onFound: onFatal });
  const membership = () => store.raft.status().membership;
  return {
    client: store.client,
    health: store.health,
    onLeadership: listener => store.raft.onLeadership(listener),
    membership,
    status: () => store.client.status(),
    addMember: member => takeIn({ store: store.client, membership }, member),
    living() {
      const { id, membership: present, progress } = store.raft.status();
      return present.members.filter(member => member.id === id || progress?.[member.id]?.active);
    },
    async close() {
      stopKeeping();
      stopWatching();
      await store.close();
    },
  };
}
