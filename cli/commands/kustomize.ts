/** `raftsman kustomize`: not here, and what to do instead. */
import type { Command } from 'commander';
import { failure } from '../client/errors.ts';
import { tellFailure } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand } from './cluster-command.ts';

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('kustomize')
    .argument('[words...]')
    .usage('DIR')
    .summary('not built in: says how to use kustomize with raftsman')
    .description('raftsman has no kustomize of its own. Its output goes to `raftsman apply -f -`.')
    .allowUnknownOption()
    .addHelpText('after', '\nExamples:\n  kustomize build overlays/prod | raftsman apply -f -')
    .action((words: readonly string[]) => {
      const folder = words[0] ?? '.';
      tellFailure(
        context,
        failure(
          `raftsman has no kustomize of its own: use "kustomize build ${folder}", and pipe it into "raftsman apply -f -"`,
        ),
      );
    });
  program.addCommand(command);
}
