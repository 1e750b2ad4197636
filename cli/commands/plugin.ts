/** `raftsman plugin list`, and programs of the PATH named `kubectl-…`, which run as if they were commands of their own. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { CommandError, failure } from '../client/errors.ts';
import { type FoundPlugin, findPlugin, isExecutable, listPlugins } from '../client/plugins.ts';
import { tellFailure } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand } from './cluster-command.ts';

/** The one command that plugins may add subcommands to. */
const EXTENSIBLE = 'create';

/** The words that are no plugin's name whatever lies in the PATH. */
const RESERVED: ReadonlySet<string> = new Set(['help']);

/** As a shell tells that a signal ended a program. */
const EXIT_SIGNAL_BASE = 128;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('plugin')
    .summary('tell of programs that add commands')
    .description('Programs of the PATH that are named kubectl-NAME are commands: kubectl-foo runs as `raftsman foo`.')
    .asGroup(context)
    .addHelpText('after', '\nExamples:\n  raftsman plugin list');
  command.addCommand(
    new ClusterCommand('list')
      .argument('[words...]')
      .description('Lists them, in the order in which they are found.')
      .option('--name-only', 'without the folder')
      .addHelpText('after', '\nExamples:\n  raftsman plugin list')
      .action((_words: readonly string[], flags: { readonly nameOnly?: boolean }) => {
        try {
          tellPlugins(program, context, flags.nameOnly ?? false);
        } catch (error) {
          tellFailure(context, error);
        }
      }),
  );
  program.addCommand(command);
}

function tellPlugins(program: Command, context: CommandContext, isNameOnly: boolean): void {
  const { paths, unreadable } = listPlugins(context.env.PATH ?? '');
  for (const { folder, reason } of unreadable) {
    context.stderr.write(`Unable to read directory ${JSON.stringify(folder)} from your PATH: ${reason}. Skipping...\n`);
  }
  const mistakes: string[] = [];
  if (paths.length === 0) mistakes.push('error: unable to find any kubectl plugins in your PATH');
  else context.stdout.write('The following compatible plugins are available:\n\n');
  const seen = new Map<string, string>();
  let warningCount = 0;
  for (const path of paths) {
    context.stdout.write(`${isNameOnly ? basename(path) : path}\n`);
    for (const warning of warningsOf(path, { program, context, seen })) {
      context.stderr.write(`  - warning: ${warning}\n`);
      warningCount++;
    }
  }
  if (warningCount === 1) mistakes.push('error: one plugin warning was found');
  if (warningCount > 1) mistakes.push(`error: ${warningCount} plugin warnings were found`);
  if (mistakes.length > 0) throw new CommandError(mistakes.join('\n'));
}

interface Known {
  readonly program: Command;
  readonly context: CommandContext;
  /** Where each name was met first. */
  readonly seen: Map<string, string>;
}

function warningsOf(path: string, { program, context, seen }: Known): string[] {
  const name = basename(path);
  const warnings: string[] = [];
  if (!isExecutable(path)) warnings.push(`${path} identified as a kubectl plugin, but it is not executable`);
  const first = seen.get(name);
  if (first === undefined) seen.set(name, path);
  else warnings.push(`${path} is overshadowed by a similarly named plugin: ${first}`);
  const own = commandNamed(program, name.split('-').slice(1));
  if (own.length > 0) {
    warnings.push(`${name} overwrites existing command: ${JSON.stringify([context.name, ...own].join(' '))}`);
  }
  return warnings;
}

/** The names of the commands that the words lead to, as far as they do. */
function commandNamed(program: Command, words: readonly string[]): string[] {
  const names: string[] = [];
  let current = program;
  for (const word of words) {
    const next = subcommand(current, word);
    if (!next) break;
    names.push(next.name());
    current = next;
  }
  return names;
}

const subcommand = (command: Command, word: string) =>
  command.commands.find(each => each.name() === word || each.aliases().includes(word));

/**
 * Runs the plugin that a command line names, if no command of our own is meant.
 * @param program With all commands that the words may name.
 * @returns Whether there was one, or the line is told to be wrong.
 */
export async function runNamedPlugin(
  program: Command,
  words: readonly string[],
  context: CommandContext,
): Promise<boolean> {
  const verb = words.find(word => !word.startsWith('-'));
  if (verb === undefined || RESERVED.has(verb)) return false;
  const [first = '', second = ''] = words;
  const command = subcommand(program, verb);
  if (!command && first.startsWith('-')) {
    tellFailure(context, new CommandError(`Error: flags cannot be placed before plugin name: ${first}`));
    return true;
  }
  const mayExtend = first === EXTENSIBLE && second !== '' && !second.startsWith('-');
  if (command && !(mayExtend && !subcommand(command, second))) return false;
  const plugin = findPlugin(words, context.env.PATH ?? '', command ? 2 : 1);
  if (!plugin) return false;
  try {
    await run(plugin, context);
  } catch (error) {
    tellFailure(context, error);
  }
  return true;
}

/** Runs it in our place: with our streams and environment, and we end as it ends. */
function run({ path, words }: FoundPlugin, context: CommandContext): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, words, { stdio: 'inherit', env: { ...context.env } });
    // A terminal sends its signals to both of us: the plugin decides.
    const endings = [
      context.onSignal(['SIGINT', 'SIGQUIT'], () => {}),
      context.onSignal(['SIGTERM', 'SIGHUP'], signal => child.kill(signal)),
    ];
    const end = () => {
      for (const ending of endings) ending();
    };
    child.on('error', error => {
      end();
      reject(failure(`cannot run ${path}: ${error.message}`, error));
    });
    child.on('close', (code, signal) => {
      end();
      context.setExitCode(code ?? EXIT_SIGNAL_BASE + (signal ? constants.signals[signal] : 0));
      resolve();
    });
  });
}
