/** `raftsman reset`: going on with the one master that is left. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { LostEntries } from '../../control/operations/recover.ts';
import { UsageError } from '../cluster/errors.ts';
import { paths as clusterPaths } from '../cluster/layout.ts';
import type { CommandContext } from '../context.ts';
import { type OutputFlag, outputOption, printChoice, printTable } from '../output/choice.ts';
import { wholeNumber } from './options.ts';

interface Flags extends OutputFlag {
  readonly dataDir: string;
  readonly yes?: boolean;
  readonly acceptLoss?: boolean;
  readonly bumpRevision?: number;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command('reset')
    .summary('go on with one master after most are lost for good')
    .description(
      'Makes a stopped master a cluster of its own, with everything it has, after the masters that made up the majority are lost for good. It becomes a new cluster: data of the old one cannot join it by accident. Keys, certificates, nodes and kubeconfigs go on working. The old data is set aside.',
    )
    .requiredOption('--data-dir <dir>', 'the data directory of the master that is left')
    .option('--yes', 'do not ask')
    .option('--accept-loss', 'go on with what is whole of a damaged log; without it, a damaged log is refused')
    .option('--bump-revision <count>', 'how far the revision moves on (default: 1000000000)', wholeNumber)
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  raftsman reset --data-dir /var/lib/raftsman
  raftsman reset --data-dir ~/.raftsman/master-1 --yes       (a cluster of \`raftsman up\`)

If more than one master is left but not enough, choose the one whose \`raftsman snapshot\` or log is the youngest: what only the
others had is lost. Then start it, and join the others with empty data directories.`,
    )
    .action(async (flags: Flags) => {
      const dataDir = resolve(flags.dataDir);
      if (existsSync(clusterPaths.plan(dataDir))) {
        throw new UsageError(
          `${dataDir} is a whole cluster of \`raftsman up\`: name the directory of one of its masters, such as ${join(dataDir, 'master-1')}`,
        );
      }
      if (flags.yes !== true) await confirm(context, dataDir);
      const { resetMaster } = await import('../../control/operations/recover.ts');
      const outcome = await resetMaster({
        dataDir,
        bumpRevision: flags.bumpRevision,
        acceptLoss: flags.acceptLoss === true,
        now: () => new Date(context.clock.now()),
        random: context.random,
      });
      const print = (line: string) => void context.stdout.write(`${line}\n`);
      printChoice(print, flags, {
        value: { ...outcome, dataDir },
        forPeople: () => {
          printTable({ print }, [
            ['Reset:', `${outcome.name} is a cluster of its own, with ${outcome.keys} keys`],
            ['Cluster:', `${outcome.clusterId} (was ${outcome.oldClusterId})`],
            ['Revision:', String(outcome.revision)],
            ['Unconfirmed:', `${outcome.uncommittedEntries} entries of its log, kept`],
            ...(outcome.lost === undefined ? [] : [['Lost:', lossText(outcome.lost)]]),
            ['Set aside:', outcome.setAside ?? '-'],
          ]);
          print('Start it as before. On each other master, empty the data directory and join again:');
          print('`raftsman member add NAME` prints the command.');
        },
      });
    });
}

function lossText({ afterIndex, throughIndex, records }: LostEntries): string {
  return throughIndex === undefined
    ? `nothing that is known of: all up to entry ${afterIndex} is kept (${records} records of the log are damaged or gone)`
    : `entries ${afterIndex + 1} to ${throughIndex} of its log, and whatever came after them`;
}

/** @throws {UsageError} nobody is there to ask, or the answer is no */
async function confirm(context: CommandContext, dataDir: string): Promise<void> {
  const isInteractive = 'isTTY' in context.stdin && context.stdin.isTTY === true;
  if (!isInteractive)
    throw new UsageError('reset makes a new cluster out of this data: say --yes to do it without being asked');
  const dialogue = createInterface({ input: context.stdin, output: context.stderr });
  try {
    const answer = await dialogue.question(
      `This makes ${dataDir} a new cluster of one master. What only the other masters had is lost, and their data cannot join any more. Type yes to go on: `,
    );
    if (answer.trim() !== 'yes') throw new UsageError('nothing was changed');
  } finally {
    dialogue.close();
  }
}
