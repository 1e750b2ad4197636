/** `raftsman kustomize`: prints what a kustomization makes. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { failure } from '../client/errors.ts';
import { tellFailure } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { buildKustomization } from '../kustomize/build.ts';
import { yamlText } from '../output/documents.ts';
import { ClusterCommand } from './cluster-command.ts';

interface Flags {
  readonly output?: string;
  readonly loadRestrictor: string;
}

const RESTRICTORS = ['LoadRestrictionsRootOnly', 'LoadRestrictionsNone'];

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('kustomize')
    .argument('[dir...]', 'the folder of a kustomization.yaml')
    .usage('DIR')
    .summary('print the objects of a kustomization')
    .description(
      'Builds the objects of a folder with a kustomization.yaml, and prints them as YAML. `-k DIR` gives them to apply, create, delete, diff, get and others.',
    )
    .option('-o, --output <file>', 'write there instead')
    .option(
      '--load-restrictor <restrictor>',
      `whether files must lie in the kustomization's folder: ${RESTRICTORS.join(' or ')}`,
      'LoadRestrictionsRootOnly',
    )
    .addHelpText('after', '\nExamples:\n  raftsman kustomize overlays/prod\n  raftsman apply -k overlays/prod')
    .action((folders: readonly string[], flags: Flags) => {
      try {
        if (folders.length > 1) throw failure('specify one path to kustomization.yaml');
        build(folders[0] ?? '.', flags, context);
      } catch (error) {
        tellFailure(context, error);
      }
    });
  program.addCommand(command);
}

function build(folder: string, { output, loadRestrictor }: Flags, { stdout, stderr, env }: CommandContext): void {
  if (!RESTRICTORS.includes(loadRestrictor)) {
    throw failure(`illegal flag value --load-restrictor ${loadRestrictor}; legal values: [${RESTRICTORS.join(' ')}]`);
  }
  const objects = buildKustomization(folder, {
    warn: text => void stderr.write(`${text}\n`),
    isOpen: loadRestrictor === 'LoadRestrictionsNone',
    env,
    order: 'by kind',
  });
  const text = objects.map(object => `${yamlText(object)}\n`).join('---\n');
  if (output === undefined) stdout.write(text);
  else writeFileSync(output, text);
}
