/** Three members of raftsman's store, each in a process of its own, mutual TLS everywhere. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../ports.ts';
import { residentBytes } from '../resident.ts';
import type { MemberMessage, MemberOrder } from './member.ts';
import { MEMBERS, type System, type Tls } from './system.ts';

export interface RaftsmanOptions {
  readonly folder: string;
  readonly tls: Tls;
  /** For profiles: given to each member's node. */
  readonly execArgv?: readonly string[];
}

export async function startRaftsman({ folder, tls, execArgv = [] }: RaftsmanOptions): Promise<System> {
  const members: ChildProcess[] = [];
  const ports = await freePorts(2 * MEMBERS);
  const stop = async () => {
    const gone = members.map(child => new Promise(resolve => child.once('exit', resolve)));
    for (const child of members) child.disconnect();
    await Promise.all(gone);
  };
  try {
    let membership: MemberOrder['membership'];
    for (let i = 0; i < MEMBERS; i++) {
      const child = fork(fileURLToPath(new URL('./member.ts', import.meta.url)), {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        execArgv: [...process.execArgv, ...execArgv],
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
          peerPort: ports[i] as number,
          servePort: ports[MEMBERS + i] as number,
          tls,
          membership,
        },
      } satisfies MemberMessage);
      membership ??= (await opened).membership;
      await opened;
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: 'raftsman',
    // The client finds the leader itself.
    target: async () => ({
      protocol: 'raftsman',
      urls: ports.slice(MEMBERS).map(port => `wss://127.0.0.1:${port}`),
      tls,
    }),
    residentBytes: () => Promise.all(members.map(child => residentBytes(child.pid as number))),
    stop,
  };
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
    child.once('exit', code => reject(new Error(`a member ended with ${code}`)));
    const listen = (message: MemberMessage) => {
      if (message.type !== type) return;
      child.off('message', listen);
      resolve(message as Extract<MemberMessage, { type: T }>);
    };
    child.on('message', listen);
  });
}
