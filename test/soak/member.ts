/** One member of the store as a process of its own, told over the IPC channel what to do. */
import { type OpenStore, openStore, systemClock } from '../../store/index.ts';
import type { FromMember, Joining, MemberOrder, ToMember } from './protocol.ts';

/** The log is kept short, so that members that were away need snapshots. */
const RAFT = { compactEntries: 2_000, tailEntries: 500 };
const EXIT_FATAL = 1;

const tell = (message: FromMember) => process.send?.(message);
const announced = Promise.withResolvers<void>();
let store: OpenStore | undefined;

process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToMember) => {
  obey(message).catch((error: unknown) => {
    if (message.type === 'order') fail(error);
    else tell({ type: 'failed', request: message.type, reason: String(error) });
  });
});

async function obey(message: ToMember): Promise<void> {
  switch (message.type) {
    case 'order':
      return open(message.order);
    case 'announced':
      announced.resolve();
      return;
    case 'add':
      await admit(message.joining);
      tell({ type: 'added', id: message.joining.member.id });
      return;
    case 'transfer':
      await store?.raft.transferLeadership();
      return;
    case 'status':
      if (store !== undefined) tell({ type: 'status', status: await store.client.status() });
  }
}

/** Takes a member in: in the place of one that lost its data, if it says so. */
async function admit({ member, replaces }: Joining): Promise<void> {
  if (store === undefined) throw new Error('this member is not open yet');
  if (replaces === undefined) await store.raft.addMember(member);
  else await store.raft.replaceMember(replaces, member);
}

async function open({
  name,
  dataDir,
  address,
  peerPort,
  servePort,
  tls,
  membership,
  replaces,
}: MemberOrder): Promise<void> {
  store = await openStore({
    dataDir,
    name,
    beginning: membership === undefined ? { type: 'bootstrap' } : { type: 'join', discover: async () => membership },
    announce: async member => {
      if (membership === undefined) return;
      tell({ type: 'announce', joining: { member, ...(replaces === undefined ? {} : { replaces }) } });
      await announced.promise;
    },
    peer: { address: `${address}:${peerPort}`, listen: { host: address, port: peerPort }, tls },
    clientUrl: `https://${address}:${servePort}`,
    serve: { listen: { host: address, port: servePort }, tls },
    clock: systemClock,
    random: () => Math.random(),
    onFatal: fail,
    raft: RAFT,
  });
  tell({ type: 'open', id: store.identity.memberId, membership: store.raft.status().membership });
}

/** What a master does too: it says why, and ends. */
function fail(error: unknown): void {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN';
  console.error(error);
  tell({ type: 'fatal', code, reason: error instanceof Error ? error.message : String(error) });
  // The channel needs a turn to carry it.
  setImmediate(() => process.exit(EXIT_FATAL));
}
