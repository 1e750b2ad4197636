/** Members whose addresses change, over real connections. */
import test, { type ExecutionContext } from 'ava';
import type { Membership } from '../core/types.ts';
import { MemoryDisk, MemoryStorage } from '../storage/memory.ts';
import { TestAuthority } from '../transport/testing/certificates.ts';
import { freePort } from '../transport/testing/free-port.ts';
import { until } from '../transport/testing/until.ts';
import { WebSocketTransport } from '../transport/websocket.ts';
import { createRaftNode, type RaftDriver } from './driver.ts';
import { systemClock } from './system-clock.ts';
import { CLUSTER_ID, memberEntry } from './testing/group.ts';
import { LogMachine } from './testing/log-machine.ts';

const authority = await TestAuthority.create();
const tls = await authority.issue('member');

/** A member on the network of this machine: its disks stay, its port is another one in each life. */
class Machine {
  readonly entry: ReturnType<typeof memberEntry>;
  readonly #disk = new MemoryDisk();
  readonly #machineDisk = { appliedIndex: 0, commands: [] };
  #transport: WebSocketTransport | undefined;
  #node: RaftDriver<string> | undefined;
  fatal: Error | undefined;

  constructor(number: number) {
    this.entry = memberEntry(number);
  }

  get node(): RaftDriver<string> {
    if (this.#node === undefined) throw new Error('the machine is off');
    return this.#node;
  }

  /** Known once it has started. */
  get address(): string {
    return `127.0.0.1:${this.#transport?.address.port}`;
  }

  async start(options: { bootstrap?: Membership; peerAddresses?: ReadonlyMap<string, string>; port?: number } = {}) {
    const { id, name } = this.entry;
    this.fatal = undefined;
    const transport = new WebSocketTransport({
      clusterId: CLUSTER_ID,
      memberId: id,
      // Not any port: one that comes back must not find its place taken by somebody's way out.
      listen: { host: '127.0.0.1', port: options.port ?? (await freePort()) },
      tls,
      clock: systemClock,
      random: Math.random,
    });
    this.#transport = transport;
    this.#node = createRaftNode<string>({
      storage: new MemoryStorage(this.#disk),
      transport,
      stateMachine: new LogMachine(this.#machineDisk),
      clock: systemClock,
      random: Math.random,
      ...(options.bootstrap && {
        bootstrap: { identity: { clusterId: CLUSTER_ID, memberId: id, name }, membership: options.bootstrap },
      }),
      ...(options.peerAddresses && { peerAddresses: options.peerAddresses }),
      onFatal: error => {
        this.fatal = error;
      },
      options: { heartbeatMs: 20, electionTimeoutMs: 150 },
    });
    await this.#node.start();
  }

  async stop(): Promise<void> {
    await this.#node?.close();
    this.#node = undefined;
  }
}

/** A cluster of three, made one by one, each at the address that it happened to get. */
async function cluster(t: ExecutionContext): Promise<[Machine, Machine, Machine]> {
  const machines: [Machine, Machine, Machine] = [new Machine(0), new Machine(1), new Machine(2)];
  t.teardown(async () => {
    for (const machine of machines) await machine.stop();
  });
  const [founder, ...joiners] = machines;
  const alone: Membership = { clusterId: CLUSTER_ID, members: [{ ...founder.entry, role: 'voter' }] };
  await founder.start({ bootstrap: alone });
  await founder.node.updateMember(founder.entry.id, { peerAddress: founder.address });
  for (const joiner of joiners) {
    await joiner.start({ bootstrap: founder.node.status().membership });
    await founder.node.addMember({ ...joiner.entry, peerAddress: joiner.address });
  }
  return machines;
}

function addressesOf(machine: Machine): string[] {
  return machine.node.status().membership.members.map(({ peerAddress }) => peerAddress);
}

test('a member that moved tells the others itself, and the one it joined through is not needed', async t => {
  const [founder, second, third] = await cluster(t);
  await third.stop();
  await founder.stop();
  await third.start();
  await third.node.updateMember(third.entry.id, { peerAddress: third.address });
  await until(() => addressesOf(second).includes(third.address));
  await second.node.propose(Buffer.from('without the founder'));
  // Both sides know where the other is: whichever restarts at its place is found again.
  const { port } = new URL(`http://${second.address}`);
  await second.stop();
  await second.start({ port: Number(port) });
  await third.node.readBarrier();
  await second.node.propose(Buffer.from('after a restart without any flag'));
  t.pass();
});

test('when all have moved at once, the operator says where they are, and they remember', async t => {
  const machines = await cluster(t);
  for (const machine of machines) await machine.stop();
  // Their new ports are known only once they listen: each learns of those before it, which is enough to meet.
  const moved = new Map<string, string>();
  for (const [number, machine] of machines.entries()) {
    await machine.start({ peerAddresses: new Map(moved) });
    moved.set(number % 2 === 0 ? machine.entry.id : machine.entry.name, machine.address);
  }
  for (const machine of machines) await machine.node.updateMember(machine.entry.id, { peerAddress: machine.address });
  const expected = machines.map(machine => machine.address).sort();
  await until(() => machines.every(machine => addressesOf(machine).sort().join() === expected.join()));
  t.is(new Set(expected).size, 3);

  // From now on nobody has to be told: what the membership says is newer than what the operator said.
  const [first] = machines;
  const { port } = new URL(`http://${first.address}`);
  await first.stop();
  await first.start({ port: Number(port) });
  await first.node.readBarrier();
  await first.node.propose(Buffer.from('found again'));
});

test('a member that was removed while it was away is told over the network, by certificate and id', async t => {
  const [founder, , third] = await cluster(t);
  await third.stop();
  await founder.node.removeMember(third.entry.id);
  await third.start();
  await until(() => third.fatal !== undefined);
  t.like(third.fatal, { code: 'RAFT_REMOVED' });
});
