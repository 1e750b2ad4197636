/** The members together: who leads, and everything healthy again. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority, issueCertificate } from '../../control/pki/authority.ts';
import type { StoreStatus } from '../../store/index.ts';
import { until } from '../helpers/run.ts';
import { buildFaultDisk, Disk } from './disk.ts';
import { createNetwork, HEALTHY_NETWORK, Host } from './hosts.ts';
import { MemberProcess, OPEN_TIMEOUT_MS } from './member-process.ts';
import type { Joining, Tls } from './protocol.ts';

const LEADER_TIMEOUT_MS = 20_000;
const FIRST_HOST = 11;

export class Cluster {
  readonly tls: Tls;
  /** Whether fsync can be made to fail: there is a C compiler. */
  readonly hasFaultDisks: boolean;
  readonly members: MemberProcess[] = [];

  private constructor(tls: Tls, hasFaultDisks: boolean) {
    this.tls = tls;
    this.hasFaultDisks = hasFaultDisks;
  }

  static async create(folder: string, size: number): Promise<Cluster> {
    await createNetwork();
    const library = await buildFaultDisk(folder);
    const cluster = new Cluster(await makeTls(size), library !== undefined);
    for (let number = 0; number < size; number++) {
      const name = `member-${number + 1}`;
      const own = join(folder, name);
      await mkdir(own, { recursive: true });
      const host = await Host.create(FIRST_HOST + number);
      await host.setFault(HEALTHY_NETWORK);
      const disk = await Disk.create(own, library);
      const { tls } = cluster;
      const admit = (joining: Joining) => cluster.#admit(joining);
      cluster.members.push(new MemberProcess({ name, host, disk, folder: own, tls, admit }));
    }
    return cluster;
  }

  async bootstrap(): Promise<void> {
    const [first, ...others] = this.members;
    if (first === undefined) throw new Error('a cluster has a member');
    first.start();
    await first.opened();
    for (const member of others) await this.join(member);
  }

  /** Starts a member without data; in the place of what it was before, if it was anything. */
  async join(member: MemberProcess, replaces?: string): Promise<void> {
    const { clusterId, members } = await this.status();
    member.start({ membership: { clusterId, members }, replaces });
    await member.opened();
  }

  /** What some member that answers says. */
  async status(): Promise<StoreStatus> {
    return until('a member tells its status', async () => {
      for (const member of this.members) {
        if (member.isOpen && !member.isPaused) return member.status();
      }
      return undefined;
    });
  }

  async leader(): Promise<MemberProcess> {
    return until(
      'the members name a leader',
      async () => {
        for (const member of this.members.filter(one => one.isOpen && !one.isPaused)) {
          const status = await member.status().catch(() => undefined);
          const leader = this.members.find(one => one.id !== undefined && one.id === status?.leaderId);
          if (leader?.isOpen) return leader;
        }
        return undefined;
      },
      LEADER_TIMEOUT_MS,
    );
  }

  /** Takes every fault away and brings every member back. */
  async heal(): Promise<void> {
    for (const member of this.members) {
      await member.host.setFault(HEALTHY_NETWORK);
      await member.disk.setSync('healthy');
      await member.disk.empty();
      if (member.isPaused) member.resume();
    }
    for (const member of this.members) if (!member.isRunning) member.start();
    // Together: two of three may need each other to open.
    await Promise.all(this.members.map(member => this.#opened(member)));
  }

  /** A disk that failed may end a member once more while it comes back. */
  async #opened(member: MemberProcess): Promise<void> {
    await until(
      `${member.name} is back`,
      () => {
        if (!member.isRunning) member.start();
        return member.isOpen;
      },
      OPEN_TIMEOUT_MS,
    );
  }

  async stop(): Promise<void> {
    for (const member of this.members) {
      await member.disk.setSync('healthy');
      await member.kill();
    }
  }

  async #admit(joining: Joining): Promise<void> {
    await until(
      `${joining.member.name} is taken in`,
      async () => {
        const one = this.members.find(member => member.isOpen && !member.isPaused);
        await one?.admit(joining, OPEN_TIMEOUT_MS);
        return one !== undefined;
      },
      OPEN_TIMEOUT_MS,
    );
  }
}

async function makeTls(size: number): Promise<Tls> {
  const nowMs = Date.now();
  const authority = await createAuthority('soak-ca', { nowMs });
  const hosts = Array.from({ length: size }, (_, number) => `10.77.0.${FIRST_HOST + number}`);
  const leaf = await issueCertificate(
    authority,
    { commonName: 'soak', hosts, usages: ['client', 'server'] },
    { nowMs, validDays: 1 },
  );
  return { key: leaf.key, cert: leaf.certificate, ca: authority.certificate };
}
