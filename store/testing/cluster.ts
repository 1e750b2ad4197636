/** A cluster in one process for tests: each member with its own directory and ports, all with one certificate. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Membership } from '../../raft/index.ts';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { systemClock } from '../clock.ts';
import { openStore } from '../member/open.ts';
import type { OpenStore, OpenStoreOptions } from '../member/options.ts';
import type { TlsMaterial } from '../remote/server.ts';

export class TestCluster {
  readonly members: OpenStore[] = [];
  readonly #root: string;
  readonly #random: () => number;
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };

  private constructor(root: string, tls: TestCluster['tls'], random: () => number) {
    this.#root = root;
    this.tls = tls satisfies TlsMaterial;
    this.#random = random;
  }

  /** @param tls valid for `localhost` */
  static async create(tls: TestCluster['tls'], random: () => number): Promise<TestCluster> {
    return new TestCluster(await mkdtemp(join(tmpdir(), 'raftsman-store-')), tls, random);
  }

  options(name: string, port: number, more: Partial<OpenStoreOptions> = {}): OpenStoreOptions {
    const listen = { host: '127.0.0.1', port };
    return {
      dataDir: join(this.#root, name),
      name,
      beginning: { type: 'bootstrap' },
      peer: { address: `127.0.0.1:${port}`, listen, tls: this.tls, serverName: 'localhost' },
      clientUrl: `https://127.0.0.1:${port}`,
      serve: { listen: { host: '127.0.0.1', port: 0 }, tls: this.tls },
      clock: systemClock,
      random: this.#random,
      onFatal: error => {
        throw error;
      },
      raft: { heartbeatMs: 20, electionTimeoutMs: 150 },
      ...more,
    };
  }

  /** Starts one more member, which joins those that are there. */
  async start(name: string, more: Partial<OpenStoreOptions> = {}): Promise<OpenStore> {
    const first = this.members[0];
    const joining: Partial<OpenStoreOptions> =
      first === undefined
        ? {}
        : {
            beginning: { type: 'join', discover: async (): Promise<Membership> => first.raft.status().membership },
            announce: member => first.raft.addMember(member),
          };
    const member = await openStore(this.options(name, await freePort(), { ...joining, ...more }));
    this.members.push(member);
    return member;
  }

  /** Where remote clients are served. */
  urls(): string[] {
    return this.members.map(member => `wss://localhost:${member.servedPort}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const member of this.members) await member.close();
    await rm(this.#root, { recursive: true });
  }
}
