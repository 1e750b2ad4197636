/** The `raftsman` command: hands streams, clock and signals to the commands, and turns failures into one line and an exit code. */

import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { collectWhenIdle } from '../control/client/idle-collection.ts';
import { ownProcess } from '../control/client/idle-process.ts';
import { operationNames } from './commands/operation-names.ts';
import type { CommandContext } from './context.ts';
import { describeFailure } from './failure.ts';
import { productVersion } from './version.ts';

/** 1 for what went wrong, 2 for what was typed wrong; kubectl knows 1 alone, and so does a program of that name. */
const EXIT_USAGE = basename(process.argv[1] ?? '') === 'kubectl' ? 1 : 2;

const context: CommandContext = {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  name: basename(process.argv[1] ?? '') === 'kubectl' ? 'kubectl' : 'raftsman',
  command: [
    process.execPath,
    ...process.execArgv,
    fileURLToPath(new URL(`./main.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)),
  ],
  pid: process.pid,
  clock: {
    now: () => Date.now(),
    setTimeout: (callback, delayMs) => {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
  },
  random: () => Math.random(),
  delay: (ms, signal) => sleep(ms, undefined, { ...(signal && { signal }) }),
  every: ownProcess.every,
  onSignal: (signals, callback) => {
    for (const signal of signals) process.on(signal, callback);
    return () => {
      for (const signal of signals) process.off(signal, callback);
    };
  },
  collectWhenIdle: () => collectWhenIdle(ownProcess),
  setExitCode: code => {
    process.exitCode = code;
  },
};

// A reader that has seen enough (`raftsman get pods | head -1`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

const program = new Command('raftsman')
  .description('raftsman turns machines into a highly available Kubernetes-API cluster, and is its command line.')
  .version(productVersion, '-V, --version', 'print the version')
  .showHelpAfterError(false)
  .configureHelp({ sortSubcommands: true, showGlobalOptions: false })
  .exitOverride()
  .enablePositionalOptions();
const words = process.argv.slice(2);
const isOperation = operationNames.has(words[0] ?? '');
if (!isOperation) await (await import('./commands/kubernetes.ts')).registerClusterCommands(program, context, words);
// A command that speaks to a cluster need not load what runs one; help and unknown words show all.
if (isOperation || program.commands.length > 1) {
  for (const register of (await import('./commands/operations.ts')).operationCommands) register(program, context);
}
overrideExit(program);

/** Usage mistakes are told in one line and thrown, in every command below as well. */
function overrideExit(command: Command): void {
  command.exitOverride();
  command.configureOutput({
    outputError: (text, write) => {
      const told = usageText(text.trim());
      const isUnknown = told.includes(`unknown command `) && command === program;
      write(isUnknown ? `${told}\n` : `${told}\nSee '${nameOf(command)} --help' for usage.\n`);
    },
  });
  for (const child of command.commands) overrideExit(child);
}

/** The line in kubectl's words. */
function usageText(text: string): string {
  return text
    .replace(/\s*\(Did you mean (?:one of )?(.*?)\?\)$/s, (_, names: string) =>
      ['', '', 'Did you mean this?', ...names.split(', ').map(name => `\t${name}`)].join('\n'),
    )
    .replace(/^error: unknown option '-([^-])(.*)'/, "error: unknown shorthand flag: '$1' in -$1$2")
    .replace(/^error: unknown option '([^=']*).*?'/, 'error: unknown flag: $1')
    .replace(/^error: unknown command '(.*?)'/, `error: unknown command "$1" for "${context.name}"`)
    .replace(/^error: option '(?:-\w, )?(--[\w-]+)[^']*' argument missing/, 'error: flag needs an argument: $1')
    .replace(
      /^error: option '((?:-\w, )?--[\w-]+)[^']*' argument '(.*?)' is invalid\. (.*?)\.?$/,
      'error: invalid argument "$2" for "$1" flag: $3',
    );
}

/** Whether a plugin of the PATH was meant, and has run. Looking for one is loaded only where no command of ours is meant. */
async function hasRunPlugin(): Promise<boolean> {
  if (isOperation || (program.commands.length === 1 && words[0] !== 'create')) return false;
  return (await import('./commands/plugin.ts')).runNamedPlugin(program, words, context);
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : context.name;
}

try {
  if (!(await hasRunPlugin())) await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and version have been printed already.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  } else {
    const failure = describeFailure(error, context.env);
    process.stderr.write(`${failure.text}\n`);
    process.exitCode = failure.exitCode;
  }
}
