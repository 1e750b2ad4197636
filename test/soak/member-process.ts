/** A member of the soak from outside: its host, its disk and the process that runs there, when one does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Membership, StoreStatus } from '../../store/index.ts';
import { HopelessError, until } from '../helpers/run.ts';
import type { Disk } from './disk.ts';
import type { Host } from './hosts.ts';
import type { FromMember, Joining, MemberOrder, Tls, ToMember } from './protocol.ts';

const PROGRAM = fileURLToPath(new URL('./member.ts', import.meta.url));
const PEER_PORT = 7001;
const SERVE_PORT = 7002;
const STATUS_TIMEOUT_MS = 2_000;
export const OPEN_TIMEOUT_MS = 60_000;

export interface MemberOptions {
  readonly name: string;
  readonly host: Host;
  readonly disk: Disk;
  readonly folder: string;
  readonly tls: Tls;
  /** Has some member that runs take this one in. */
  readonly admit: (joining: Joining) => Promise<void>;
}

export class MemberProcess {
  readonly name: string;
  readonly host: Host;
  readonly disk: Disk;
  readonly #options: MemberOptions;
  #child: ChildProcess | undefined;
  #isOpen = false;
  #isPaused = false;
  #id: string | undefined;
  #fatal: Extract<FromMember, { type: 'fatal' }> | undefined;
  readonly #listeners = new Set<(message: FromMember) => void>();

  constructor(options: MemberOptions) {
    this.name = options.name;
    this.host = options.host;
    this.disk = options.disk;
    this.#options = options;
  }

  get url(): string {
    return `wss://${this.host.address}:${SERVE_PORT}`;
  }
  get id(): string | undefined {
    return this.#id;
  }
  get isRunning(): boolean {
    return this.#child !== undefined;
  }
  get isOpen(): boolean {
    return this.#isOpen;
  }
  get isPaused(): boolean {
    return this.#isPaused;
  }
  /** Why the last process ended by itself; undefined if it did not. */
  get fatal(): { readonly code: string; readonly reason: string } | undefined {
    return this.#fatal;
  }

  /** Starts the process; {@link opened} tells when it takes part. */
  start(joins?: { readonly membership: Membership; readonly replaces: string | undefined }): void {
    const { name, host, disk, tls, folder } = this.#options;
    const [program, ...args] = host.command(process.execPath, [PROGRAM]);
    this.#fatal = undefined;
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...disk.environment },
    });
    const log = createWriteStream(join(folder, 'log'), { flags: 'a' });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    this.#child = child;
    child.on('message', (message: FromMember) => this.#hear(message));
    child.once('exit', () => {
      log.end();
      if (this.#child === child) this.#child = undefined;
      this.#isOpen = false;
      this.#isPaused = false;
    });
    const order: MemberOrder = {
      name,
      dataDir: disk.dataDir,
      address: host.address,
      peerPort: PEER_PORT,
      servePort: SERVE_PORT,
      tls,
      membership: joins?.membership,
      ...(joins?.replaces === undefined ? {} : { replaces: joins.replaces }),
    };
    this.#tell({ type: 'order', order });
  }

  async opened(timeoutMs = OPEN_TIMEOUT_MS): Promise<void> {
    await until(
      `${this.name} opens`,
      () => {
        if (!this.isRunning) throw new HopelessError(this.#fatal?.reason ?? 'its process has ended');
        return this.#isOpen;
      },
      timeoutMs,
    );
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  pause(): void {
    this.#isPaused = this.#child?.kill('SIGSTOP') === true;
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
    this.#isPaused = false;
  }

  async status(): Promise<StoreStatus> {
    this.#tell({ type: 'status' });
    const answer = await this.#answer(message => message.type === 'status', STATUS_TIMEOUT_MS);
    if (answer.type !== 'status') throw new Error('a member answered something else');
    return answer.status;
  }

  /** Asks this member to take another in. */
  async admit(joining: Joining, timeoutMs: number): Promise<void> {
    this.#tell({ type: 'add', joining });
    const answer = await this.#answer(
      message =>
        (message.type === 'added' && message.id === joining.member.id) ||
        (message.type === 'failed' && message.request === 'add'),
      timeoutMs,
    );
    if (answer.type === 'failed') throw new Error(answer.reason);
  }

  transferLeadership(): void {
    this.#tell({ type: 'transfer' });
  }

  #tell(message: ToMember): void {
    // Who has just died does not listen; what waits for an answer has a deadline.
    this.#child?.send(message, () => {});
  }

  #answer(isWanted: (message: FromMember) => boolean, timeoutMs: number): Promise<FromMember> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#listeners.delete(listener);
        reject(new Error(`${this.name} did not answer within ${timeoutMs} ms`));
      }, timeoutMs);
      const listener = (message: FromMember) => {
        if (!isWanted(message)) return;
        clearTimeout(timer);
        this.#listeners.delete(listener);
        resolve(message);
      };
      this.#listeners.add(listener);
    });
  }

  #hear(message: FromMember): void {
    if (message.type === 'open') {
      this.#isOpen = true;
      this.#id = message.id;
    }
    if (message.type === 'fatal') this.#fatal = message;
    if (message.type === 'announce') {
      void this.#options.admit(message.joining).then(() => this.#tell({ type: 'announced' }));
    }
    for (const listener of this.#listeners) listener(message);
  }
}
