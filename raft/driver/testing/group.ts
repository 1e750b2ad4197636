/** A Raft group in one process on memory storage and a memory network, for tests of the driver. */
import type { MemberId, Membership, MembershipEntry } from '../../core/types.ts';
import { MemoryDisk, MemoryStorage } from '../../storage/memory.ts';
import { MemoryNetwork } from '../../transport/memory.ts';
import { until } from '../../transport/testing/until.ts';
import { createRaftNode, type RaftDriver, type RaftNodeDependencies } from '../driver.ts';
import { systemClock } from '../system-clock.ts';
import { LogMachine, type LogMachineDisk } from './log-machine.ts';

export const GROUP_OPTIONS = { heartbeatMs: 20, electionTimeoutMs: 150 } as const;

export const CLUSTER_ID = 'c'.repeat(16);

export function memberEntry(number: number): Omit<MembershipEntry, 'role'> {
  const id = number.toString(16).padStart(16, '0');
  return { id, name: `m${number}`, peerAddress: `m${number}:1`, clientUrl: `https://m${number}` };
}

export interface GroupMember {
  readonly id: MemberId;
  readonly disk: MemoryDisk;
  readonly machineDisk: LogMachineDisk;
  node: RaftDriver<string>;
  machine: LogMachine;
  fatal: Error | undefined;
}

export class Group {
  readonly network = new MemoryNetwork({ clock: systemClock, random: Math.random });
  readonly members: GroupMember[] = [];

  /** Members that all vote from the beginning. */
  static async start(size: number, options: Partial<RaftNodeDependencies<string>> = {}): Promise<Group> {
    const group = new Group();
    const members = Array.from({ length: size }, (_, number) => ({ ...memberEntry(number), role: 'voter' as const }));
    for (let number = 0; number < size; number++) {
      await group.add(number, { clusterId: CLUSTER_ID, members }, options);
    }
    return group;
  }

  async add(
    number: number,
    bootstrap: Membership,
    options: Partial<RaftNodeDependencies<string>> = {},
  ): Promise<GroupMember> {
    const { id } = memberEntry(number);
    const disk = new MemoryDisk();
    const machineDisk = { appliedIndex: 0, commands: [] };
    const member: GroupMember = {
      id,
      disk,
      machineDisk,
      ...this.#make({ id, disk, machineDisk }, options, bootstrap),
      fatal: undefined,
    };
    this.members.push(member);
    await member.node.start();
    return member;
  }

  /** A new life on the old disk; needs no word of what cluster it is. */
  async restart(member: GroupMember, options: Partial<RaftNodeDependencies<string>> = {}): Promise<void> {
    Object.assign(member, this.#make(member, options), { fatal: undefined });
    await member.node.start();
  }

  get(number: number): GroupMember {
    const member = this.members[number];
    if (member === undefined) throw new Error(`there is no member ${number}`);
    return member;
  }

  leader(): GroupMember | undefined {
    return this.members.find(member => member.fatal === undefined && member.node.status().role === 'leader');
  }

  async leaderOnce(): Promise<GroupMember> {
    await until(() => this.leader() !== undefined);
    const leader = this.leader();
    if (leader === undefined) throw new Error('the leader is gone');
    return leader;
  }

  async followerOnce(): Promise<GroupMember> {
    const leader = await this.leaderOnce();
    const follower = this.members.find(member => member !== leader);
    if (follower === undefined) throw new Error('there is no follower');
    await until(() => follower.node.status().leader === leader.id);
    return follower;
  }

  async close(): Promise<void> {
    for (const member of this.members) await member.node.close();
  }

  #make(
    place: { readonly id: MemberId; readonly disk: MemoryDisk; readonly machineDisk: LogMachineDisk },
    options: Partial<RaftNodeDependencies<string>>,
    bootstrap?: Membership,
  ): { node: RaftDriver<string>; machine: LogMachine } {
    const machine = new LogMachine(place.machineDisk);
    const name = `m${Number.parseInt(place.id, 16)}`;
    const node = createRaftNode<string>({
      storage: new MemoryStorage(place.disk),
      transport: this.network.join(place.id),
      stateMachine: machine,
      clock: systemClock,
      random: Math.random,
      ...(bootstrap && {
        bootstrap: { identity: { clusterId: CLUSTER_ID, memberId: place.id, name }, membership: bootstrap },
      }),
      onFatal: error => {
        const member = this.members.find(other => other.id === place.id);
        if (member !== undefined) member.fatal = error;
      },
      ...options,
      options: { ...GROUP_OPTIONS, ...options.options },
    });
    return { node, machine };
  }
}
