/** What a sub-command of `raftsman config` is. */
import type { Command } from 'commander';
import type { GlobalFlags } from '../client/kubeconfig.ts';
import type { CommandContext } from '../context.ts';

export type ConfigWork<F> = (
  context: CommandContext,
  words: readonly string[],
  flags: F & GlobalFlags,
) => void | Promise<void>;

export interface ConfigCommand {
  readonly name: string;
  readonly usage: string;
  readonly description: string;
  readonly example: string;
  /** It takes flags alone. The others leave words that they do not know out, as kubectl does. */
  readonly isWordless?: boolean;
  flags?(command: Command): void;
  readonly work: ConfigWork<object>;
}

/** A sub-command: its work needs no server. */
export function configCommand<F>(spec: Omit<ConfigCommand, 'work'> & { readonly work: ConfigWork<F> }): ConfigCommand {
  // The flags are those that the command itself declares.
  return spec as ConfigCommand;
}
