/** Runs the command line in the process of a test, with streams and a clock of its own. */
import { PassThrough, Readable } from 'node:stream';
import { Command, CommanderError } from 'commander';
import { registerClusterCommands } from '../../cli/commands/kubernetes.ts';
import type { CommandContext } from '../../cli/context.ts';

/** What a run printed, and how it ended. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Runs the program in process. @param own What its surroundings have in place of the usual. */
export async function runInProcess(
  words: readonly string[],
  env: Record<string, string> = {},
  input = '',
  own: Partial<CommandContext> = {},
): Promise<Outcome> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let exitCode = 0;
  const context: CommandContext = {
    stdout,
    stderr,
    stdin: Readable.from(input === '' ? [] : [Buffer.from(input)]),
    env: { HOME: '/nonexistent', ...env },
    name: 'raftsman',
    command: ['raftsman'],
    pid: 1,
    clock: {
      now: () => Date.parse('2026-01-01T00:00:10Z'),
      setTimeout: (callback, delayMs) => {
        const timer = setTimeout(callback, delayMs);
        return () => clearTimeout(timer);
      },
    },
    random: () => 0.5,
    delay: () => new Promise(resolve => setImmediate(resolve)),
    every: () => ({ [Symbol.dispose]: () => undefined }),
    onSignal: () => () => undefined,
    collectWhenIdle: () => ({ [Symbol.dispose]: () => undefined }),
    setExitCode: code => {
      exitCode = code;
    },
    ...own,
  };
  const program = new Command('raftsman').exitOverride().enablePositionalOptions();
  program.configureOutput({ writeOut: text => void stdout.write(text), writeErr: text => void stderr.write(text) });
  await registerClusterCommands(program, context, words);
  copyOutput(program);
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    exitCode = error.exitCode;
  }
  const text = (stream: PassThrough) => String(stream.read() ?? '');
  return { stdout: text(stdout), stderr: text(stderr), exitCode };
}

/** Help of every command goes where the program's does. */
function copyOutput(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command).exitOverride();
    copyOutput(child);
  }
}
