/** Real etcd servers for tests: Debian's `etcd-server`, or whatever RAFTSMAN_ETCD names. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from '../../raft/transport/testing/free-port.ts';

/** Where the program is; undefined where there is none. */
export function findEtcd(): string | undefined {
  const named = process.env.RAFTSMAN_ETCD;
  const candidates = named ? [named] : (process.env.PATH ?? '').split(delimiter).map(folder => join(folder, 'etcd'));
  return candidates.find(path => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

interface Server {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  process: ChildProcess | undefined;
}
export interface EtcdTestOptions {
  readonly members?: number;
  readonly args?: readonly string[];
  /** The clients' scheme; `https` needs certificates in `args`. */
  readonly scheme?: 'http' | 'https';
}

export class TestEtcd {
  readonly endpoints: readonly string[];
  readonly #program: string;
  readonly #directory: string;
  readonly #servers: readonly Server[];
  readonly #options: EtcdTestOptions;

  private constructor(program: string, directory: string, servers: readonly Server[], options: EtcdTestOptions) {
    this.#program = program;
    this.#directory = directory;
    this.#servers = servers;
    this.#options = options;
    this.endpoints = servers.map(({ clientPort }) => `${options.scheme ?? 'http'}://127.0.0.1:${clientPort}`);
  }

  /** Starts a cluster of its own; does not wait until it serves (its clients do). */
  static async start(program: string, options: EtcdTestOptions = {}): Promise<TestEtcd> {
    const directory = await mkdtemp(join(tmpdir(), 'raftsman-etcd-'));
    const servers: Server[] = [];
    for (let index = 1; index <= (options.members ?? 1); index++) {
      servers.push({
        name: `e${index}`,
        clientPort: await freePort(),
        peerPort: await freePort(),
        process: undefined,
      });
    }
    const etcd = new TestEtcd(program, directory, servers, options);
    for (const index of servers.keys()) etcd.startServer(index);
    return etcd;
  }

  startServer(index: number): void {
    const server = this.#at(index);
    const peer = ({ peerPort }: Server) => `http://127.0.0.1:${peerPort}`;
    const client = this.endpoints[index] ?? '';
    const args = [
      ...['--name', server.name, '--data-dir', join(this.#directory, server.name), '--logger', 'zap'],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer(server), '--initial-advertise-peer-urls', peer(server)],
      ...['--initial-cluster', this.#servers.map(one => `${one.name}=${peer(one)}`).join(',')],
      ...['--heartbeat-interval', '50', '--election-timeout', '500'],
      ...(this.#options.args ?? []),
    ];
    server.process = spawn(this.#program, args, { stdio: 'ignore' });
  }

  /** Makes a server hang. Resolves once it does. */
  async pause(index: number): Promise<void> {
    const { process: child } = this.#at(index);
    child?.kill('SIGSTOP');
    while (!(await readFile(`/proc/${child?.pid}/status`, 'utf8')).includes('State:\tT')) {
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  }

  resume(index: number): void {
    this.#at(index).process?.kill('SIGCONT');
  }

  async kill(index: number): Promise<void> {
    const { process: child } = this.#at(index);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    for (const index of this.#servers.keys()) await this.kill(index);
    await rm(this.#directory, { recursive: true, force: true });
  }

  #at(index: number): Server {
    const server = this.#servers[index];
    if (server === undefined) throw new Error(`there is no etcd server ${index}`);
    return server;
  }
}
