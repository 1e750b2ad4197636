/**
 * Runs programs of the machine (`ip`, `nft`, `nsenter` …) without a shell. Arguments are a list, so nothing is quoted;
 * time and output are bounded.
 */
import { execFile } from 'node:child_process';

const commandTimeoutMs = 30_000;
const commandOutputBytesMax = 16 * 1024 * 1024;

/**
 * Where programs are looked for, instead of this process' own PATH: under `npm` and `npx` that begins with
 * `node_modules/.bin`, and packages put programs there that have the names of the machine's (one is called `nft`).
 */
export const systemPath =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/wrappers/bin:/run/current-system/sw/bin';
/** English messages in plain ASCII, whatever the operator's language. */
export const systemEnvironment: Readonly<Record<string, string>> = { PATH: systemPath, LC_ALL: 'C' };

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
export interface CommandOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  /** Of its output; where it says more it is killed. */
  readonly outputBytesMax?: number;
}
/**
 * Runs one program to its end. Rejects with {@link CommandMissingError} if there is no such program, with
 * {@link CommandOutputError} if it says too much.
 */
export type RunCommand = (program: string, args: readonly string[], options?: CommandOptions) => Promise<CommandResult>;

/** The program is not installed, or not on the PATH. */
export class CommandMissingError extends Error {
  override readonly name = 'CommandMissingError';
  readonly code = 'COMMAND_MISSING';
}
/** The program said more than is read of it. */
export class CommandOutputError extends Error {
  override readonly name = 'CommandOutputError';
  readonly code = 'COMMAND_OUTPUT';
}
/** The program ran and said no. */
export class CommandFailedError extends Error {
  override readonly name = 'CommandFailedError';
  readonly code = 'COMMAND_FAILED';
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

export const runCommand: RunCommand = (program, args, options) =>
  new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...args],
      {
        env: systemEnvironment,
        timeout: options?.timeoutMs ?? commandTimeoutMs,
        maxBuffer: options?.outputBytesMax ?? commandOutputBytesMax,
        killSignal: 'SIGKILL',
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ code: 0, stdout, stderr });
        if (error.code === 'ENOENT') return reject(new CommandMissingError(`${program} is not installed`));
        if (typeof error.code === 'number') return resolve({ code: error.code, stdout, stderr });
        if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
          return reject(new CommandOutputError(`${program} ${args.join(' ')} says more than is read of it`));
        }
        reject(new CommandFailedError(`${program} ${args.join(' ')}: ${error.message}`, -1));
      },
    );
    // A program that ends without reading its input breaks the pipe; its exit code says what happened.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options?.input ?? '');
  });

/** Runs a program that has to succeed; gives its output. Throws {@link CommandFailedError} with what it printed. */
export async function mustRun(
  run: RunCommand,
  program: string,
  args: readonly string[],
  options?: CommandOptions,
): Promise<string> {
  const result = await run(program, args, options);
  if (result.code !== 0) {
    const said = result.stderr.trim() || result.stdout.trim() || 'no output';
    throw new CommandFailedError(`${program} ${args.join(' ')} failed with code ${result.code}: ${said}`, result.code);
  }
  return result.stdout;
}

/** Whether a program can be started at all. */
export async function commandExists(run: RunCommand, program: string, args: readonly string[]): Promise<boolean> {
  try {
    return (await run(program, args)).code === 0;
  } catch (error) {
    if (error instanceof CommandMissingError) return false;
    throw error;
  }
}
