/** The node on a master's own machine: an agent as a process of its own, which joins with a token made for it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '../client/client.ts';
import { ensureToken } from '../join/tokens.ts';
import { fingerprint } from '../pki/authority.ts';
import { formatToken, randomToken } from '../pki/token.ts';
import { agentCommand } from './agent-command.ts';
import { EXIT_DO_NOT_RESTART } from './setup.ts';

export interface LocalAgentOptions {
  /** The master's name, which is its node's as well. */
  readonly name: string;
  readonly dataDir: string;
  readonly apiPort: number;
  /** How long a heartbeat holds; undefined for the usual time. */
  readonly leaseDurationSeconds: number | undefined;
  /** Flags of the agent that are the operator's: they go on as they are. */
  readonly flags: readonly string[];
  /** The cluster's authority, PEM. */
  readonly authority: string;
  /** The program that runs `raftsman`. */
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly client: Client;
  readonly now: () => number;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** The agent has ended by itself. */
  readonly onEnd: (error: Error) => void;
}

const TOKEN_LIFE_MS = 3_600_000;
const RETRY_MS = 500;

/** Starts the agent; the answer stops it, and leaves its pods running. */
export async function startLocalAgent(options: LocalAgentOptions): Promise<() => Promise<void>> {
  const directory = join(options.dataDir, 'agent');
  // A node that has joined needs no token any more.
  const token = existsSync(join(directory, 'pki', 'node.crt')) ? undefined : await makeToken(options);
  const [program, ...leading] = agentCommand(options.command);
  const child: ChildProcess = spawn(
    program,
    [
      ...leading,
      'agent',
      ...['--name', options.name],
      ...['--data-dir', directory],
      ...['--server', `https://127.0.0.1:${options.apiPort}`],
      ...(options.leaseDurationSeconds !== undefined
        ? ['--node-lease-duration', String(options.leaseDurationSeconds)]
        : []),
      ...options.flags,
    ],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...options.env, ...(token !== undefined && { RAFTSMAN_TOKEN: token }) },
    },
  );
  let isStopping = false;
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()));
  void ended.then(() => {
    if (isStopping) return;
    const error = new Error(
      'the node on this machine has ended; its reason stands above (--no-agent runs a master without a node)',
    );
    options.onEnd(Object.assign(error, { exitCode: EXIT_DO_NOT_RESTART }));
  });
  return async () => {
    isStopping = true;
    child.kill('SIGTERM');
    await ended;
  };
}

/** Makes a token, as soon as the store takes it: after a restart of all masters that takes an election. */
async function makeToken({ client, name, authority, now, delay, signal }: LocalAgentOptions): Promise<string> {
  const token = randomToken();
  for (;;) {
    try {
      await ensureToken(client, {
        token,
        roles: ['node'],
        description: `for the node on ${name}`,
        expiresAt: now() + TOKEN_LIFE_MS,
      });
      return formatToken(token, fingerprint(authority));
    } catch (error) {
      if (signal.aborted) throw error;
      await delay(RETRY_MS, signal);
    }
  }
}
