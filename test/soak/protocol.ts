/** What the soak and its members say to each other. */
import type { Membership, OpenStore, StoreStatus } from '../../store/index.ts';

export type JoiningMember = Parameters<OpenStore['raft']['addMember']>[0];

/** Somebody who wants to become a member. */
export interface Joining {
  readonly member: JoiningMember;
  /** The id that the same host had before it lost its data. */
  readonly replaces?: string;
}
export interface Tls {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}
/** What a member is told first. */
export interface MemberOrder {
  readonly name: string;
  readonly dataDir: string;
  readonly address: string;
  readonly peerPort: number;
  readonly servePort: number;
  readonly tls: Tls;
  /** Undefined for the one that begins the cluster. */
  readonly membership: Membership | undefined;
  readonly replaces?: string;
}
export type ToMember =
  | { readonly type: 'order'; readonly order: MemberOrder }
  | { readonly type: 'announced' }
  | { readonly type: 'add'; readonly joining: Joining }
  | { readonly type: 'transfer' }
  | { readonly type: 'status' };
export type FromMember =
  | { readonly type: 'open'; readonly id: string; readonly membership: Membership }
  | { readonly type: 'announce'; readonly joining: Joining }
  | { readonly type: 'added'; readonly id: string }
  | { readonly type: 'status'; readonly status: StoreStatus }
  | { readonly type: 'failed'; readonly request: ToMember['type']; readonly reason: string }
  | { readonly type: 'fatal'; readonly code: string; readonly reason: string };
