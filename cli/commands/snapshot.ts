/** `raftsman snapshot`: taking, keeping and restoring pictures of the whole cluster. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import {
  PATHS,
  type SnapshotEntry,
  snapshotsAnswerSchema,
  snapshotTakenAnswerSchema,
} from '../../control/join/protocol.ts';
import type { SnapshotHeader } from '../../control/operations/files.ts';
import { failure } from '../client/errors.ts';
import { askMember, listMembers } from '../client/masters.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ageText, type OutputFlag, outputOption, printChoice, printTable, sizeText } from '../output/choice.ts';
import { withGlobalFlags } from './cluster-command.ts';
import { wholeNumber } from './options.ts';

const SIGN_OF_LIFE_MS = 2_000;

export function register(program: Command, context: CommandContext): void {
  const snapshot = program
    .command('snapshot')
    .summary('save, list, inspect and restore snapshots')
    .description(
      'Snapshots of the whole cluster: all objects, and the keys and certificates that make it the same cluster to its users. Keep them as you keep a password.',
    )
    .addHelpText(
      'after',
      `
Examples:
  raftsman snapshot save cluster.snap
  raftsman snapshot list
  raftsman snapshot inspect cluster.snap
  raftsman snapshot restore cluster.snap --data-dir /var/lib/raftsman`,
    );
  registerSave(snapshot, context);
  registerList(snapshot, context);
  registerDelete(snapshot, context);
  registerInspect(snapshot, context);
  registerRestore(snapshot, context);
}

function registerSave(snapshot: Command, context: CommandContext): void {
  withGlobalFlags(
    snapshot
      .command('save')
      .summary('take a snapshot')
      .description(
        'Takes a snapshot and writes it to a file here, or, without one, to the snapshot folder of a master. The file appears under its name only when all of it is there and checked.',
      )
      .argument('[args...]', 'the file')
      .addOption(outputOption())
      .addHelpText('after', '\nExamples:\n  raftsman snapshot save cluster.snap\n  raftsman snapshot save'),
  ).action(
    withSession<OutputFlag>(context, async (session, [file, ...more], flags) => {
      if (more.length > 0) throw failure('name one file');
      if (file === undefined) await saveThere(session, flags);
      else await saveHere(session, resolve(file), flags);
    }),
  );
}

async function saveHere(session: Session, file: string, flags: OutputFlag): Promise<void> {
  const { writeSnapshotFile, inspectSnapshotFile } = await import('../../control/operations/files.ts');
  let written = 0;
  using _signs = session.context.every(SIGN_OF_LIFE_MS, () => session.error(`${sizeText(written)} so far`));
  await writeSnapshotFile(file, await session.api.stream('GET', PATHS.snapshotStream), bytes => {
    written = bytes;
  });
  const { header, fileBytes } = await inspectSnapshotFile(file);
  const { attachments: _, ...value } = header;
  const keysFile = await saveKeys(session, file, header);
  printChoice(line => session.print(line), flags, {
    value: { file, sizeBytes: fileBytes, ...(keysFile !== undefined && { keysFile }), ...value },
    forPeople: () => {
      session.print(`saved ${file}: ${sizeText(fileBytes)}, revision ${header.revision}, ${header.keys} keys`);
      if (keysFile === undefined) return;
      session.error(`saved ${keysFile}: without it nobody reads the Secrets in the snapshot; keep it in another place`);
    },
  });
}

/** After the snapshot, so that no key is missing that came into use while it was taken. Undefined where a file has the keys. */
async function saveKeys(session: Session, file: string, header: SnapshotHeader): Promise<string | undefined> {
  const { keysBeside, neededKeys } = await import('../../control/operations/snapshot-keys.ts');
  const { encryptionKeysSchema, saveEncryptionKeys } = await import('../../control/pki/encryption-keys.ts');
  if (neededKeys(header).length === 0) return undefined;
  const keysFile = keysBeside(file);
  await saveEncryptionKeys(keysFile, encryptionKeysSchema.parse(await session.api.json('GET', PATHS.encryptionKeys)));
  return keysFile;
}

async function saveThere(session: Session, flags: OutputFlag): Promise<void> {
  const { snapshot } = snapshotTakenAnswerSchema.parse(await session.api.json('POST', PATHS.snapshots));
  printChoice(line => session.print(line), flags, {
    value: snapshot,
    forPeople: () => session.print(`saved ${snapshot.name} on ${snapshot.master}: ${sizeText(snapshot.sizeBytes)}`),
  });
}

function registerList(snapshot: Command, context: CommandContext): void {
  withGlobalFlags(
    snapshot
      .command('list')
      .alias('ls')
      .summary('list the snapshots that the masters keep')
      .description('Lists the snapshots in the snapshot folders of all masters.')
      .argument('[args...]')
      .addOption(outputOption())
      .addHelpText('after', '\nExamples:\n  raftsman snapshot list\n  raftsman snapshot list -o yaml'),
  ).action(
    withSession<OutputFlag>(context, async (session, _args, flags) => {
      const snapshots = await gather(session);
      if (snapshots.length === 0 && flags.output === undefined) {
        session.error('No snapshots found.');
        return;
      }
      const nowMs = session.context.clock.now();
      printChoice(line => session.print(line), flags, {
        value: { snapshots },
        forPeople: () =>
          printTable(session, [
            ['NAME', 'MASTER', 'AGE', 'REVISION', 'KEYS', 'SIZE', 'STATE'],
            ...snapshots.map(each => [
              each.name,
              each.master,
              each.takenAt === undefined ? '-' : ageText(nowMs - Date.parse(each.takenAt)),
              String(each.revision ?? '-'),
              String(each.keys ?? '-'),
              sizeText(each.sizeBytes),
              each.problem === undefined ? 'ok' : 'unusable',
            ]),
          ]),
      });
    }),
  );
}

function registerDelete(snapshot: Command, context: CommandContext): void {
  withGlobalFlags(
    snapshot
      .command('delete')
      .alias('rm')
      .summary('delete snapshots that the masters keep')
      .description('Deletes snapshots from the folders of the masters that keep them.')
      .argument('[names...]')
      .addHelpText('after', '\nExamples:\n  raftsman snapshot delete saved-master-1-20261121T030405Z.snap'),
  ).action(
    withSession(context, async (session, names) => {
      if (names.length === 0) throw failure('name the snapshots to delete: `raftsman snapshot list` shows them');
      const kept = await gather(session);
      const { members } = await listMembers(session);
      for (const name of names) {
        const entry = kept.find(each => each.name === name);
        const member = members.find(each => each.name === entry?.master);
        if (member === undefined) {
          throw failure(`no master keeps a snapshot ${name}: \`raftsman snapshot list\` shows those that are there`);
        }
        await askMember(session, member, {
          method: 'POST',
          path: PATHS.deleteSnapshot,
          body: { name },
          answer: z.unknown(),
        });
        session.print(`snapshot "${name}" deleted`);
      }
    }),
  );
}

/** Of all masters that answer; the others are named on stderr. */
async function gather(session: Session): Promise<readonly SnapshotEntry[]> {
  const { members } = await listMembers(session);
  const question = { method: 'GET', path: PATHS.snapshots, answer: snapshotsAnswerSchema } as const;
  const answers = await Promise.all(
    members.map(async member => {
      try {
        return (await askMember(session, member, question)).snapshots;
      } catch {
        session.error(`Warning: ${member.name} at ${member.clientUrl} does not answer; its snapshots are not listed`);
        return [];
      }
    }),
  );
  return answers.flat().sort((a, b) => (a.takenAt ?? '').localeCompare(b.takenAt ?? ''));
}

function registerInspect(snapshot: Command, context: CommandContext): void {
  snapshot
    .command('inspect')
    .summary('check a snapshot file and show what it holds')
    .description('Reads a whole snapshot file, checks every checksum, and shows what it holds. Needs no cluster.')
    .argument('<file>')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman snapshot inspect cluster.snap\n  raftsman snapshot inspect cluster.snap -o json',
    )
    .action(async (file: string, flags: OutputFlag) => {
      const { inspectSnapshotFile } = await import('../../control/operations/files.ts');
      const { header, fileBytes } = await inspectSnapshotFile(resolve(file));
      const { attachments = {}, ...rest } = header;
      const print = (line: string) => void context.stdout.write(`${line}\n`);
      // What is attached are keys: only their names are shown.
      const value = { ...rest, sizeBytes: fileBytes, attachments: Object.keys(attachments) };
      printChoice(print, flags, {
        value,
        forPeople: () =>
          printTable({ print }, [
            ['File:', `${file}, ${sizeText(fileBytes)}, whole and undamaged`],
            ['Taken:', `${rest.takenAt} by ${rest.memberName}`],
            ['Cluster:', rest.clusterId],
            ['Revision:', String(rest.revision)],
            ['Keys:', `${rest.keys}, ${sizeText(rest.liveBytes)}`],
            ['Log:', `entry ${rest.index}, term ${rest.term}`],
            ['With it:', Object.keys(attachments).join(', ') || 'no keys or certificates'],
          ]),
      });
    });
}

function registerRestore(snapshot: Command, context: CommandContext): void {
  snapshot
    .command('restore')
    .summary('make a new cluster from a snapshot')
    .description(
      'Makes the data of the first master of a new cluster from a snapshot. The revision moves far on and all history before counts as compacted, so that no client takes old for new. Users, nodes and kubeconfigs of the old cluster go on working, because the snapshot carries its keys.',
    )
    .argument('<file>')
    .requiredOption('--data-dir <dir>', 'the data directory of the master to be; it must not hold one already')
    .option('--name <name>', 'the master’s name (default: that of the master that took the snapshot)')
    .option(
      '--encryption-keys <file>',
      'the keys of the Secrets in it (default: FILE.keys, or encryption-keys.json of the master that kept it)',
    )
    .option('--force', 'set aside what is in the data directory')
    .option('--bump-revision <count>', 'how far the revision moves on (default: 1000000000)', wholeNumber)
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  raftsman snapshot restore cluster.snap --data-dir /var/lib/raftsman
  raftsman snapshot restore cluster.snap --data-dir /var/lib/raftsman --name master-2 --force

Then start that master as before, and join the others with empty data directories.`,
    )
    .action(async (file: string, flags: RestoreFlags) => {
      const { restoreMaster } = await import('../../control/operations/recover.ts');
      const dataDir = resolve(flags.dataDir);
      const { header: _, ...outcome } = await restoreMaster({
        file: resolve(file),
        encryptionKeys: flags.encryptionKeys === undefined ? undefined : resolve(flags.encryptionKeys),
        dataDir,
        name: flags.name,
        force: flags.force === true,
        bumpRevision: flags.bumpRevision,
        now: () => new Date(context.clock.now()),
        random: context.random,
      });
      const print = (line: string) => void context.stdout.write(`${line}\n`);
      printChoice(print, flags, {
        value: { ...outcome, dataDir },
        forPeople: () => {
          printTable({ print }, [
            ['Restored:', `${outcome.keys} keys into ${dataDir}, as the master ${outcome.name}`],
            ['Cluster:', `${outcome.clusterId} (new)`],
            ['Revision:', String(outcome.revision)],
            ...(outcome.setAside === undefined ? [] : [['Set aside:', outcome.setAside]]),
          ]);
          print(
            outcome.hasKeys
              ? `Start it with \`raftsman server --name ${outcome.name} --data-dir ${dataDir} …\` as before, without --join.`
              : 'The snapshot carries no keys: unless the directory had some, the cluster gets new ones, and nodes and kubeconfigs have to be made anew.',
          );
        },
      });
    });
}

interface RestoreFlags extends OutputFlag {
  readonly dataDir: string;
  readonly encryptionKeys?: string;
  readonly name?: string;
  readonly force?: boolean;
  readonly bumpRevision?: number;
}
