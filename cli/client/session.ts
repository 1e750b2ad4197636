/** What a command of the cluster CLI works with: the API, what it serves, and the streams. */
import type { Command } from 'commander';
import { HttpsTransport } from '../../control/client/https.ts';
import type { CommandContext } from '../context.ts';
import { productVersion } from '../version.ts';
import { Api } from './api.ts';
import { Discovery } from './discovery.ts';
import { describeError } from './errors.ts';
import { type Connection, type GlobalFlags, loadConnection } from './kubeconfig.ts';

/** How long to wait for a server to answer a request; watches answer at once. */
const REQUEST_TIMEOUT_MS = 60_000;

export class Session {
  readonly context: CommandContext;
  readonly connection: Connection;
  readonly api: Api;
  readonly discovery: Discovery;
  /** The namespace to use where none is named. */
  readonly namespace: string;
  /** True if it was named on the command line. */
  readonly isNamespaceExplicit: boolean;
  readonly transport: HttpsTransport;

  constructor(context: CommandContext, flags: GlobalFlags) {
    this.context = context;
    this.connection = loadConnection(flags, context.env);
    this.namespace = this.connection.namespace;
    this.isNamespaceExplicit = flags.namespace !== undefined;
    const { server, tls, token, headers } = this.connection;
    this.transport = new HttpsTransport({
      servers: [server],
      tls,
      clock: context.clock,
      random: context.random,
      responseTimeoutMs: REQUEST_TIMEOUT_MS,
      ...(token && { token }),
    });
    this.api = new Api({
      transport: this.transport,
      headers: { 'user-agent': `raftsman/${productVersion}`, ...headers },
      onWarning: text => this.error(`Warning: ${text}`),
    });
    this.discovery = new Discovery(this.api);
  }

  /** A line of the result. */
  print(line: string): void {
    this.context.stdout.write(`${line}\n`);
  }

  /** A line about the work. */
  error(line: string): void {
    this.context.stderr.write(`${line}\n`);
  }

  close(): Promise<void> {
    return this.transport.close();
  }
}

/** The work of a command. What it throws is printed as kubectl would print it, and sets the exit code. */
export type SessionAction<F> = (
  session: Session,
  args: readonly string[],
  flags: F & GlobalFlags,
  command: Command,
) => Promise<void>;

/** Makes the action of a command that takes `[args...]`. */
export function withSession<F>(context: CommandContext, run: SessionAction<F>) {
  return async (args: readonly string[], _flags: unknown, command: Command): Promise<void> => {
    const flags = flagsOf<F & GlobalFlags>(command);
    let session: Session | undefined;
    try {
      session = new Session(context, flags);
      await run(session, args, flags, command);
    } catch (error) {
      const { text, exitCode } = describeError(error, session?.connection.server);
      if (text !== '') context.stderr.write(`${text}\n`);
      context.setExitCode(exitCode);
    } finally {
      await session?.close();
    }
  };
}

/** What was given to the command and, before its name, to those it stands under. */
function flagsOf<F>(command: Command): F {
  const chain: Command[] = [];
  for (let current: Command | null = command; current; current = current.parent) chain.unshift(current);
  return Object.assign({}, ...chain.map(each => each.opts()));
}
