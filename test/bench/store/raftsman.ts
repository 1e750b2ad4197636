/** Three members of raftsman's store, each in a process of its own, mutual TLS everywhere. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../../raft/transport/testing/free-port.ts';
import { residentBytes } from '../resident.ts';
import { leaderFirst } from './etcd.ts';
import type { MemberMessage, MemberOrder } from './member.ts';
import { MEMBERS, type System, type Tls } from './system.ts';

export interface RaftsmanOptions {
  readonly folder: string;
  readonly tls: Tls;
  /** For profiles: given to each member's node. */
  readonly execArgv?: readonly string[];
}

export async function startRaftsman(options: RaftsmanOptions): Promise<System> {
  const ports = await freePorts(3 * MEMBERS);
  let members: ChildProcess[] = [];
  const start = (i: number, membership: MemberOrder['membership']) => {
    const child = startMember(options, { i, ports, membership });
    child.on('message', (message: MemberMessage) => {
      if (message.type === 'announce') void addThrough(members[0] as ChildProcess, child, message);
    });
    members.push(child);
    return child;
  };
  const stop = async (end: (child: ChildProcess) => void) => {
    const gone = members.map(child => new Promise(resolve => child.once('exit', resolve)));
    for (const child of members) end(child);
    await Promise.all(gone);
    members = [];
  };
  try {
    let membership: MemberOrder['membership'];
    for (let i = 0; i < MEMBERS; i++) {
      const opened = waitFor(start(i, membership), 'open');
      membership ??= (await opened).membership;
      await opened;
    }
  } catch (error) {
    await stop(child => child.kill('SIGKILL'));
    throw error;
  }
  return {
    name: 'raftsman',
    // The client finds the leader itself.
    target: async () => ({
      protocol: 'raftsman',
      urls: ports.slice(MEMBERS, 2 * MEMBERS).map(port => `wss://127.0.0.1:${port}`),
      tls: options.tls,
    }),
    etcdTarget: async () => {
      const urls = ports.slice(2 * MEMBERS).map(port => `https://127.0.0.1:${port}`);
      return { protocol: 'etcd', urls: await leaderFirst(urls, options.tls), tls: options.tls };
    },
    residentBytes: () => Promise.all(members.map(child => residentBytes(child.pid as number))),
    restart: async () => {
      await stop(child => child.kill('SIGKILL'));
      await Promise.all(Array.from({ length: MEMBERS }, (_, i) => waitFor(start(i, undefined), 'leads')));
    },
    longestTurnsMs: () =>
      Promise.all(
        members.map(async child => {
          const answer = waitFor(child, 'longestTurn');
          child.send({ type: 'longestTurn', ms: 0 } satisfies MemberMessage);
          return (await answer).ms;
        }),
      ),
    stop: () => stop(child => child.disconnect()),
  };
}

function startMember(
  { folder, tls, execArgv = [] }: RaftsmanOptions,
  { i, ports, membership }: { i: number; ports: readonly number[]; membership: MemberOrder['membership'] },
): ChildProcess {
  const child = fork(fileURLToPath(new URL('./member.ts', import.meta.url)), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [...process.execArgv, ...execArgv],
  });
  const order: MemberOrder = {
    name: `member-${i + 1}`,
    dataDir: join(folder, String(i)),
    peerPort: ports[i] as number,
    servePort: ports[MEMBERS + i] as number,
    etcdPort: ports[2 * MEMBERS + i] as number,
    tls,
    membership,
  };
  child.send({ type: 'order', order } satisfies MemberMessage);
  return child;
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
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`a member ended with ${code}`));
    const listen = (message: MemberMessage) => {
      if (message.type !== type) return;
      child.off('message', listen);
      child.off('exit', onExit);
      resolve(message as Extract<MemberMessage, { type: T }>);
    };
    child.once('exit', onExit);
    child.on('message', listen);
  });
}
