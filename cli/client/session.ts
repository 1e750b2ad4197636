/** What a command of the cluster CLI works with: the API, what it serves, and the streams. */
import type { Command } from 'commander';
import { HttpsTransport } from '../../control/client/https.ts';
import type { CommandContext } from '../context.ts';
import { parseDurationMs } from '../output/durations.ts';
import { productVersion } from '../version.ts';
import { Api, type RequestTold } from './api.ts';
import { Discovery } from './discovery.ts';
import { CommandError, describeError, failure } from './errors.ts';
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
  /** How many documents of YAML it has printed. */
  documentCount = 0;
  #warningCount = 0;
  readonly #postponed: CommandError[] = [];

  constructor(context: CommandContext, flags: GlobalFlags & { readonly v?: number }) {
    this.context = context;
    this.connection = loadConnection(flags, context.env, isTerminal(context.stdin));
    this.namespace = this.connection.namespace;
    this.isNamespaceExplicit = flags.namespace !== undefined;
    const { server, tls, token, headers, repeatedHeaders } = this.connection;
    this.transport = new HttpsTransport({
      servers: [server],
      tls,
      clock: context.clock,
      random: context.random,
      responseTimeoutMs: requestTimeoutMs(flags.requestTimeout) || REQUEST_TIMEOUT_MS,
      ...(token && { token }),
    });
    this.api = new Api({
      transport: this.transport,
      headers: { 'user-agent': `raftsman/${productVersion}`, ...headers },
      repeatedHeaders,
      onWarning: text => {
        this.#warningCount++;
        this.error(`Warning: ${text}`);
      },
      ...((flags.v ?? 0) >= REQUESTS_TOLD_FROM && {
        onRequest: (told: RequestTold) => this.error(requestLine(told, server)),
        clock: context.clock,
      }),
    });
    this.discovery = new Discovery(this.api);
  }

  /** Notes what went wrong with some objects, to be told when the others are done. */
  postponeFailures(failures: readonly CommandError[]): void {
    this.#postponed.push(...failures);
  }

  /** What was noted and not told yet. */
  takePostponed(): CommandError[] {
    return this.#postponed.splice(0);
  }

  /** How often the server has warned. */
  get warningCount(): number {
    return this.#warningCount;
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
      for (const postponed of session.takePostponed()) tellFailure(context, postponed);
      if (flags.warningsAsErrors && session.warningCount > 0) {
        const count = session.warningCount;
        throw failure(`${count} ${count === 1 ? 'warning' : 'warnings'} received`);
      }
    } catch (error) {
      tellFailure(context, error, session?.connection.server);
    } finally {
      await session?.close();
    }
  };
}

/** Seconds, or a duration with its unit; undefined or zero: as long as usual. */
function requestTimeoutMs(text = '0'): number {
  const duration = /^\d+$/.test(text) ? Number(text) * 1000 : parseDurationMs(text);
  if (duration !== undefined) return duration;
  throw failure(
    'Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)',
  );
}

const isTerminal = (stream: object): boolean => 'isTTY' in stream && stream.isTTY === true;

/** As the program ends for what was typed wrong; kubectl has no code of its own for that. */
const EXIT_USAGE = 2;

/** Prints what a command threw, in the words and with the exit code of kubectl. */
export function tellFailure(context: CommandContext, error: unknown, server?: string): void {
  const { text, exitCode } = describeError(error, server);
  if (text !== '') context.stderr.write(`${inOwnName(text, context.name)}\n`);
  const isUsage = error instanceof CommandError && error.isUsage;
  context.setExitCode(isUsage && context.name !== 'kubectl' ? EXIT_USAGE : exitCode);
}

/** Hints such as "use 'raftsman get -h'" name the program as it was called. */
export function inOwnName(text: string, name: string): string {
  return name === 'raftsman' ? text : text.replaceAll(/(['"`(]|e\.g\. )raftsman /g, `$1${name} `);
}

/** From this level on `-v` tells of each request. */
const REQUESTS_TOLD_FROM = 6;

function requestLine({ method, path, status, durationMs }: RequestTold, server: string): string {
  return `${method} ${server}${path} ${status} in ${Math.round(durationMs)} milliseconds`;
}

/** What was given to the command and, before its name, to those it stands under. */
export function flagsOf<F>(command: Command): F {
  const chain: Command[] = [];
  for (let current: Command | null = command; current; current = current.parent) chain.unshift(current);
  return Object.assign({}, ...chain.map(each => each.opts()));
}
