/**
 * The store under load: acknowledged puts per second and their latency for 1, 64 and 1,000 clients at once, against three
 * members in processes of their own on loopback, over the remote client, mutual TLS everywhere, every write on disk with
 * fsync on a majority.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAuthority, issueCertificate } from '../../control/pki/authority.ts';
import { RemoteClient, type StoreClient, systemClock } from '../../store/index.ts';
import { closedLoop, row } from './measure.ts';
import type { MemberMessage, MemberOrder } from './member.ts';

const MEMBERS = 3;
const FIRST_PORT = 27_800;
const VALUE_BYTES = 256;
/** Clients of this program; each keeps one connection and sends what a turn brings in one frame. */
const CONNECTIONS = 4;
const LOADS = [
  { concurrency: 1, puts: 1_000, reads: 2_000 },
  { concurrency: 64, puts: 30_000, reads: 60_000 },
  { concurrency: 1_000, puts: 100_000, reads: 200_000 },
] as const;

export async function benchStore(print: (line: string) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-bench-'));
  const members: ChildProcess[] = [];
  try {
    const tls = await makeTls();
    let membership: MemberOrder['membership'];
    for (let i = 0; i < MEMBERS; i++) {
      const child = fork(fileURLToPath(new URL('./member.ts', import.meta.url)), {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      members.push(child);
      const opened = waitFor(child, 'open');
      child.on('message', (message: MemberMessage) => {
        if (message.type === 'announce') void addThrough(members[0] as ChildProcess, child, message);
      });
      child.send({
        type: 'order',
        order: {
          name: `member-${i + 1}`,
          dataDir: join(folder, String(i)),
          peerPort: FIRST_PORT + i,
          servePort: FIRST_PORT + 10 + i,
          tls,
          membership,
        },
      } satisfies MemberMessage);
      membership ??= (await opened).membership;
      await opened;
    }
    const clients = Array.from({ length: CONNECTIONS }, () => connect(tls));
    for (const load of LOADS) await measure(clients, load, print);
    for (const client of clients) await client.close();
  } finally {
    for (const child of members) child.disconnect();
    await Promise.all(members.map(child => new Promise(resolve => child.once('exit', resolve))));
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(
  clients: readonly StoreClient[],
  { concurrency, puts, reads }: (typeof LOADS)[number],
  print: (line: string) => void,
): Promise<void> {
  const value = Buffer.alloc(VALUE_BYTES, 'v');
  const clientOf = (i: number) => clients[i % clients.length] as StoreClient;
  const key = (i: number) => `bench/${String(i).padStart(8, '0')}`;
  print(
    row(
      `put, ${concurrency} at once`,
      await closedLoop({ concurrency, total: puts, operation: async i => void (await clientOf(i).put(key(i), value)) }),
    ),
  );
  print(
    row(
      `linearizable get, ${concurrency} at once`,
      await closedLoop({
        concurrency,
        total: reads,
        operation: async i => void (await clientOf(i).range({ key: key(i % puts) })),
      }),
    ),
  );
}

async function makeTls(): Promise<MemberOrder['tls']> {
  const nowMs = Date.now();
  const authority = await createAuthority('bench-ca', { nowMs });
  const leaf = await issueCertificate(
    authority,
    { commonName: 'bench', hosts: ['127.0.0.1'], usages: ['client', 'server'] },
    { nowMs, validDays: 1 },
  );
  return { key: leaf.key, cert: leaf.certificate, ca: authority.certificate };
}

function connect(tls: MemberOrder['tls']): StoreClient {
  return new RemoteClient({
    urls: Array.from({ length: MEMBERS }, (_, i) => `wss://127.0.0.1:${FIRST_PORT + 10 + i}`),
    tls,
    clock: systemClock,
    random: () => Math.random(),
  });
}

async function addThrough(
  leader: ChildProcess,
  joiner: ChildProcess,
  { member }: Extract<MemberMessage, { type: 'announce' }>,
): Promise<void> {
  const added = waitFor(leader, 'added');
  leader.send({ type: 'add', member } satisfies MemberMessage);
  await added;
  joiner.send({ type: 'announced' } satisfies MemberMessage);
}

function waitFor<T extends MemberMessage['type']>(
  child: ChildProcess,
  type: T,
): Promise<Extract<MemberMessage, { type: T }>> {
  return new Promise(resolve => {
    const listen = (message: MemberMessage) => {
      if (message.type !== type) return;
      child.off('message', listen);
      resolve(message as Extract<MemberMessage, { type: T }>);
    };
    child.on('message', listen);
  });
}
