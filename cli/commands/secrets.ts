/** `raftsman secrets`: how Secrets lie in the store, and a new key for them. */
import type { Command } from 'commander';
import {
  type EncryptionStatusAnswer,
  encryptionStatusAnswerSchema,
  PATHS,
  rotatedAnswerSchema,
} from '../../control/join/protocol.ts';
import { failure } from '../client/errors.ts';
import { askMember, listMembers } from '../client/masters.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { type OutputFlag, outputOption, printChoice, printTable } from '../output/choice.ts';
import { durationMs, withGlobalFlags } from './cluster-command.ts';

const POLL_MS = 300;
const DEFAULT_PATIENCE_MS = 600_000;

interface RotateFlags extends OutputFlag {
  readonly timeout: number;
}

export function register(program: Command, context: CommandContext): void {
  const secrets = program
    .command('secrets')
    .summary('show and change how Secrets lie in the store')
    .description('The keys under which Secrets lie in the store of the masters.')
    .addHelpText('after', '\nExamples:\n  raftsman secrets status\n  raftsman secrets rotate-keys');
  withGlobalFlags(
    secrets
      .command('status')
      .summary('show the keys of each master, and what lies under which')
      .description('Shows what a Secret is written under, how many lie under what, and whether all masters agree.')
      .argument('[args...]')
      .addOption(outputOption())
      .addHelpText('after', '\nExamples:\n  raftsman secrets status\n  raftsman secrets status -o json'),
  ).action(withSession<OutputFlag>(context, status));
  withGlobalFlags(
    secrets
      .command('rotate-keys')
      .summary('make a new key and rewrite all Secrets under it')
      .description(
        'Gives all masters a new key, has them use it, and waits until every Secret is rewritten. May be broken off and repeated at any time. Old keys are kept for old snapshots.',
      )
      .argument('[args...]')
      .option('--timeout <duration>', 'how long to wait for the rewriting', durationMs, DEFAULT_PATIENCE_MS)
      .addOption(outputOption())
      .addHelpText('after', '\nExamples:\n  raftsman secrets rotate-keys'),
  ).action(withSession<RotateFlags>(context, rotate));
}

interface MasterStatus {
  readonly name: string;
  /** Undefined where the master does not answer. */
  readonly status: EncryptionStatusAnswer | undefined;
}

async function status(session: Session, _args: readonly string[], flags: OutputFlag): Promise<void> {
  const overall = await ask(session);
  const { members } = await listMembers(session);
  const question = { method: 'GET', path: PATHS.encryption, answer: encryptionStatusAnswerSchema } as const;
  const masters = await Promise.all(
    members.map(async (member): Promise<MasterStatus> => {
      const answer = await askMember(session, member, question).catch(() => undefined);
      return { name: member.name, status: answer };
    }),
  );
  printChoice(line => session.print(line), flags, {
    value: { ...overall, masters: masters.map(({ name, status: own }) => ({ name, writes: own?.writes ?? null })) },
    forPeople: () => {
      printTable(session, [
        ['Keys:', overall.source === 'masters' ? 'the masters’ own' : 'from --encryption-provider-config'],
        ['Secrets:', describeValues(overall)],
        ...masters.map(({ name, status: own }) => [`${name}:`, describeMaster(own)]),
      ]);
      if (overall.keys.length === 0) return;
      session.print('');
      printTable(session, [
        ['KEY', 'CREATED', 'STATE'],
        ...overall.keys.map(({ id, createdAt, state }) => [id, createdAt, state]),
      ]);
    },
  });
}

function describeValues({ values, stale }: EncryptionStatusAnswer): string {
  const parts = Object.entries(values).map(([label, count]) => `${count} under ${label}`);
  return `${parts.join(', ') || 'none'}${stale === 0 ? '' : `; ${stale} to be rewritten`}`;
}

function describeMaster(status: EncryptionStatusAnswer | undefined): string {
  if (!status) return 'does not answer';
  return status.writes === 'clear text' ? 'writes clear text' : `writes under ${status.writes}`;
}

async function rotate(session: Session, _args: readonly string[], flags: RotateFlags): Promise<void> {
  const { key, masters } = rotatedAnswerSchema.parse(await session.api.json('POST', PATHS.rotateEncryptionKeys));
  session.error(`the new key ${key} is in use on ${masters.join(', ')}; rewriting what is older`);
  const { clock, delay } = session.context;
  const deadlineMs = clock.now() + flags.timeout;
  let last = await ask(session);
  while (last.stale > 0) {
    if (clock.now() > deadlineMs) {
      throw failure(
        `${last.stale} Secrets are still to be rewritten; the leader goes on: see \`raftsman secrets status\``,
      );
    }
    await delay(POLL_MS);
    last = await ask(session);
  }
  const count = Object.values(last.values).reduce((sum, each) => sum + each, 0);
  printChoice(line => session.print(line), flags, {
    value: { key, masters, secrets: count },
    forPeople: () => session.print(`all ${count} Secrets lie under the new key ${key}`),
  });
}

const ask = async (session: Session) =>
  encryptionStatusAnswerSchema.parse(await session.api.json('GET', PATHS.encryption));
