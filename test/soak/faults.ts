/** What is done to the cluster, one thing at a time. Each fault says what it does and how long; the cluster heals it. */

import { pick, shuffled } from '../simulation/random.ts';
import type { Cluster } from './cluster.ts';
import { HEALTHY_NETWORK } from './hosts.ts';
import type { MemberProcess } from './member-process.ts';

export interface FaultContext {
  readonly cluster: Cluster;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly rest: (ms: number) => Promise<void>;
  readonly tell: (line: string) => void;
  readonly canDelay: boolean;
}

export interface Fault {
  readonly name: string;
  /** Why it cannot be had here; undefined if it can. */
  readonly lacks?: (context: FaultContext) => string | undefined;
  readonly cause: (context: FaultContext) => Promise<void>;
}

const COMPILER = ({ cluster }: FaultContext) => (cluster.hasFaultDisks ? undefined : 'a C compiler');

export const FAULTS: readonly Fault[] = [
  { name: 'kill the leader', cause: async context => kill(context, [await context.cluster.leader()]) },
  { name: 'kill a follower', cause: async context => kill(context, [await follower(context)]) },
  {
    name: 'kill two',
    cause: async context => kill(context, shuffled(context.random, context.cluster.members).slice(0, 2)),
  },
  { name: 'kill all', cause: async context => kill(context, context.cluster.members) },
  { name: 'pause the leader', cause: async context => pause(context, await context.cluster.leader()) },
  { name: 'pause a follower', cause: async context => pause(context, await follower(context)) },
  { name: 'cut off the leader', cause: async context => cutOff(context, await context.cluster.leader()) },
  { name: 'cut off a follower', cause: async context => cutOff(context, await follower(context)) },
  { name: 'the leader hears nobody', cause: async context => deafen(context, await context.cluster.leader()) },
  { name: 'nobody hears the leader', cause: async context => silence(context, await context.cluster.leader()) },
  { name: 'nobody hears anybody', cause: separate },
  { name: 'packets are lost', cause: losePackets },
  {
    name: 'packets are late',
    lacks: ({ canDelay }) => (canDelay ? undefined : "the kernel's netem"),
    cause: delayPackets,
  },
  { name: 'leadership moves', cause: moveLeadership },
  {
    name: 'the leader’s fsync hangs',
    lacks: COMPILER,
    cause: async context => failSync(context, await context.cluster.leader(), 'hang'),
  },
  {
    name: 'a follower’s fsync hangs',
    lacks: COMPILER,
    cause: async context => failSync(context, await follower(context), 'hang'),
  },
  {
    name: 'the leader’s fsync fails',
    lacks: COMPILER,
    cause: async context => failSync(context, await context.cluster.leader(), 'fail'),
  },
  { name: 'the leader’s disk is full', cause: async context => fill(context, await context.cluster.leader()) },
  { name: 'a follower’s disk is full', cause: async context => fill(context, await follower(context)) },
  { name: 'a follower is away for long', cause: async context => stayAway(context, await follower(context)) },
  { name: 'a follower loses its data', cause: async context => loseData(context, await follower(context)) },
  { name: 'a bit flips in a follower’s log', cause: async context => flipBit(context, await follower(context)) },
];

async function follower(context: FaultContext): Promise<MemberProcess> {
  const leader = await context.cluster.leader();
  const others = context.cluster.members.filter(member => member !== leader);
  const chosen = pick(context.random, others);
  if (chosen === undefined) throw new Error('there is no follower');
  return chosen;
}

/** Between one and `max` seconds. */
const seconds = ({ random }: FaultContext, max: number) => 1_000 + random() * (max - 1) * 1_000;

async function kill(context: FaultContext, members: readonly MemberProcess[]): Promise<void> {
  context.tell(`kill ${members.map(({ name }) => name).join(', ')}`);
  await Promise.all(members.map(member => member.kill()));
  await context.rest(seconds(context, 4));
}

async function pause(context: FaultContext, member: MemberProcess): Promise<void> {
  const ms = seconds(context, 8);
  context.tell(`pause ${member.name} for ${(ms / 1000).toFixed(1)} s`);
  member.pause();
  await context.rest(ms);
  member.resume();
}

async function cutOff(context: FaultContext, member: MemberProcess): Promise<void> {
  await deafen(context, member, false);
  await silence(context, member);
}

async function deafen(context: FaultContext, member: MemberProcess, waits = true): Promise<void> {
  context.tell(`${member.name} hears nobody`);
  const deafTo = context.cluster.members.filter(other => other !== member).map(({ host }) => host.address);
  await member.host.setFault({ ...HEALTHY_NETWORK, deafTo });
  if (waits) await context.rest(seconds(context, 8));
}

async function silence(context: FaultContext, member: MemberProcess): Promise<void> {
  context.tell(`nobody hears ${member.name}`);
  for (const other of context.cluster.members) {
    if (other !== member) await other.host.setFault({ ...HEALTHY_NETWORK, deafTo: [member.host.address] });
  }
  await context.rest(seconds(context, 8));
}

async function separate(context: FaultContext): Promise<void> {
  const addresses = context.cluster.members.map(({ host }) => host.address);
  for (const { host } of context.cluster.members) {
    await host.setFault({ ...HEALTHY_NETWORK, deafTo: addresses.filter(address => address !== host.address) });
  }
  await context.rest(seconds(context, 5));
}

async function losePackets(context: FaultContext): Promise<void> {
  const lossPercent = 2 + Math.floor(context.random() * 18);
  context.tell(`${lossPercent} % of packets are lost`);
  for (const { host } of context.cluster.members) await host.setFault({ ...HEALTHY_NETWORK, lossPercent });
  await context.rest(seconds(context, 10));
}

async function delayPackets(context: FaultContext): Promise<void> {
  const delayMs = 10 + Math.floor(context.random() * 120);
  context.tell(`packets are ${delayMs} ms late`);
  for (const { host } of context.cluster.members) await host.setFault({ ...HEALTHY_NETWORK, delayMs });
  await context.rest(seconds(context, 10));
}

async function moveLeadership(context: FaultContext): Promise<void> {
  for (let move = 0; move < 3; move++) {
    (await context.cluster.leader()).transferLeadership();
    await context.rest(seconds(context, 2));
  }
}

async function failSync(context: FaultContext, member: MemberProcess, fault: 'hang' | 'fail'): Promise<void> {
  context.tell(`fsync of ${member.name}: ${fault}`);
  await member.disk.setSync(fault);
  await context.rest(seconds(context, 6));
}

async function fill(context: FaultContext, member: MemberProcess): Promise<void> {
  await member.disk.fill();
  context.tell(`the disk of ${member.name} is full (${await member.disk.freeBytes()} bytes free)`);
  await context.rest(2_000 + seconds(context, 6));
}

/** Long enough for the others to forget what it would need, so that only a snapshot helps. */
async function stayAway(context: FaultContext, member: MemberProcess): Promise<void> {
  context.tell(`${member.name} is away`);
  await member.kill();
  await context.rest(15_000 + seconds(context, 10));
}

async function loseData(context: FaultContext, member: MemberProcess): Promise<void> {
  const { id } = member;
  context.tell(`${member.name} loses its data and joins anew`);
  await member.kill();
  await member.disk.wipe();
  await context.cluster.join(member, id);
}

async function flipBit(context: FaultContext, member: MemberProcess): Promise<void> {
  const { id } = member;
  await member.kill();
  await member.disk.flipLogBit(context.random());
  member.start();
  const isWell = await member.opened().then(
    () => true,
    () => false,
  );
  context.tell(`a bit of ${member.name}'s log flipped: ${isWell ? 'no harm' : (member.fatal?.code ?? 'it ended')}`);
  if (isWell) return;
  await member.disk.wipe();
  await context.cluster.join(member, id);
}
