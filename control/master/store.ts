/** What a master needs of its store, whoever runs it: its own member (`own-store.ts`) or an external etcd (`datastore.ts`). */
import type { z } from 'zod';
import type { StoreClient } from '../../store/index.ts';
import type { JoinRoute, MembershipView } from '../join/handlers.ts';
import type { addMemberRequestSchema } from '../join/protocol.ts';

export interface MasterStore {
  readonly client: StoreClient;
  /** What it answers beside the Kubernetes API, for operators. */
  readonly routes: readonly JoinRoute[];
  onLeadership(listener: (leadership: { readonly isLeader: boolean; readonly term: number }) => void): () => void;
  /** The masters, as far as this one has heard. */
  membership(): MembershipView;
  status(): Promise<{ readonly leaderId: string | undefined; readonly term: number; readonly revision: number }>;
  /** The masters that are there, as far as this one knows. */
  living(): MembershipView['members'];
  addMember(request: z.infer<typeof addMemberRequestSchema>): Promise<MembershipView>;
  /** Gives up leadership and leaves the other masters' list. */
  close(): Promise<void>;
}
