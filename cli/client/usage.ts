/** Mistakes of the command line, in kubectl's words, with a pointer to the command's help. */
import type { Command } from 'commander';
import { CommandError } from './errors.ts';

/** What commands say that need objects and got none. */
export const MUST_NAME_OBJECTS = `You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'`;

/** The names of the commands down to this one, without the program's. */
function commandPath(command: Command): string {
  return command.parent?.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name();
}

/** `error: …`, and where help is. */
export function usageFailure(command: Command, text: string): CommandError {
  return new CommandError(`error: ${text}\nSee 'raftsman ${commandPath(command)} -h' for help and examples`, {
    isUsage: true,
  });
}

/** @throws CommandError if a flag was not given that has to be. */
export function requireFlags(command: Command, names: readonly string[]): void {
  const isGiven = (name: string) => {
    const option = command.options.find(({ long }) => long === `--${name}`);
    return option && command.getOptionValueSource(option.attributeName()) === 'cli';
  };
  const missing = names.filter(name => !isGiven(name));
  if (missing.length > 0) {
    throw new CommandError(`error: required flag(s) ${missing.map(name => JSON.stringify(name)).join(', ')} not set`, {
      isUsage: true,
    });
  }
}
