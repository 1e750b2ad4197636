/** One member of the store as a process of its own, told over the IPC channel what to do by `store.ts`. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { OpenStore } from '../../../store/index.ts';
import { loadStore } from './package.ts';

import type { Tls } from './system.ts';

type Membership = ReturnType<OpenStore['raft']['status']>['membership'];
type Member = Parameters<OpenStore['raft']['addMember']>[0];

/** What the parent says first. */
export interface MemberOrder {
  readonly name: string;
  readonly dataDir: string;
  readonly peerPort: number;
  readonly servePort: number;
  /** For etcd's API. */
  readonly etcdPort: number;
  readonly tls: Tls;
  /** Undefined for the first, and for one that has been a member before. */
  readonly membership: Membership | undefined;
}
/** What travels between parent and member afterwards. */
export type MemberMessage =
  | { readonly type: 'order'; readonly order: MemberOrder }
  | { readonly type: 'announce'; readonly member: Member }
  | { readonly type: 'announced' }
  | { readonly type: 'add'; readonly member: Member }
  | { readonly type: 'added' }
  | { readonly type: 'open'; readonly membership: Membership }
  | { readonly type: 'leads' }
  | { readonly type: 'longestTurn'; readonly ms: number };

const { openStore, systemClock } = await loadStore();
const tell = (message: MemberMessage) => process.send?.(message);
let announced = Promise.withResolvers<void>();
let store: OpenStore | undefined;
/** Begins with the first question, since its timer costs a thousand turns a second. */
const turns = monitorEventLoopDelay({ resolution: 1 });

process.on('message', (message: MemberMessage) => {
  void (async () => {
    if (message.type === 'order') await open(message.order);
    if (message.type === 'announced') announced.resolve();
    if (message.type === 'add') {
      await store?.raft.addMember(message.member);
      tell({ type: 'added' });
    }
    // Asked with any number; it is forgotten with the answer.
    if (message.type === 'longestTurn') {
      tell({ type: 'longestTurn', ms: turns.max / 1e6 });
      turns.enable();
      turns.reset();
    }
  })();
});
process.on('disconnect', () => process.exit(0));

async function open({ name, dataDir, peerPort, servePort, etcdPort, tls, membership }: MemberOrder): Promise<void> {
  store = await openStore({
    dataDir,
    name,
    beginning: membership ? { type: 'join', discover: async () => membership } : { type: 'bootstrap' },
    announce: async member => {
      if (!membership) return;
      announced = Promise.withResolvers();
      tell({ type: 'announce', member });
      await announced.promise;
    },
    peer: { address: `127.0.0.1:${peerPort}`, listen: { host: '127.0.0.1', port: peerPort }, tls },
    clientUrl: `https://127.0.0.1:${servePort}`,
    serve: { listen: { host: '127.0.0.1', port: servePort }, tls },
    serveEtcd: { listen: { host: '127.0.0.1', port: etcdPort }, tls },
    clock: systemClock,
    random: () => Math.random(),
    onFatal: error => {
      console.error(error);
      process.exit(1);
    },
  });
  tell({ type: 'open', membership: store.raft.status().membership });
  await store.client.range({ key: 'any' });
  tell({ type: 'leads' });
}
