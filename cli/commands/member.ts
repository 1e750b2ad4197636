/** `raftsman member`: the masters as members of the store. */
import type { Command } from 'commander';
import { hasReason } from '../../control/api/status.ts';
import { RestClient } from '../../control/client/rest.ts';
import { type MembersAnswer, membersAnswerSchema, PATHS } from '../../control/join/protocol.ts';
import { ensureToken } from '../../control/join/tokens.ts';
import { fingerprint } from '../../control/pki/authority.ts';
import { formatToken, randomToken } from '../../control/pki/token.ts';
import { failure } from '../client/errors.ts';
import { findMember, listMembers, type Member, probeMember, requireMember } from '../client/masters.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { type OutputFlag, outputOption, printChoice, printTable } from '../output/choice.ts';
import { durationMs, withGlobalFlags } from './cluster-command.ts';

const TOKEN_LIFE_MS = 3_600_000;
const DEFAULT_PATIENCE_MS = 600_000;
const RETRY_MS = 1_000;
const SIGN_OF_LIFE_MS = 5_000;

interface PatienceFlags extends OutputFlag {
  readonly timeout: number;
  readonly force?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  const member = program
    .command('member')
    .summary('list, add, remove and replace masters')
    .description('The masters as members of the store that holds the cluster.')
    .addHelpText(
      'after',
      `
Examples:
  raftsman member list
  raftsman member add master-4                    (prints what to run on the new machine)
  raftsman member replace master-3 master-4       (master-3 is lost, master-4 takes its place)
  raftsman member remove master-3
  raftsman member transfer master-2               (master-2 leads from now on)`,
    );
  registerList(member, context);
  registerAdd(member, context);
  registerRemove(member, context);
  registerPromote(member, context);
  registerReplace(member, context);
  registerUpdate(member, context);
  registerTransfer(member, context);
}

function registerList(member: Command, context: CommandContext): void {
  withGlobalFlags(
    member
      .command('list')
      .alias('ls')
      .summary('list the members')
      .description('Lists the members of the store, who leads, and whether each answers.')
      .argument('[args...]')
      .addOption(outputOption())
      .addHelpText('after', '\nExamples:\n  raftsman member list\n  raftsman member list -o json'),
  ).action(
    withSession<OutputFlag>(context, async (session, _args, flags) => {
      const answer = await listMembers(session);
      const states = await Promise.all(answer.members.map(each => probeMember(session, each)));
      const value = { ...answer, members: answer.members.map((each, i) => ({ ...each, state: states[i] })) };
      printChoice(line => session.print(line), flags, {
        value,
        forPeople: () =>
          printTable(session, [
            ['NAME', 'ID', 'ROLE', 'STATE', 'PEERS', 'API'],
            ...answer.members.map((each, i) => [
              each.name,
              each.id,
              roleOf(each, answer.leader),
              states[i] ?? '',
              each.peerAddress,
              each.clientUrl,
            ]),
          ]),
      });
    }),
  );
}

function registerAdd(member: Command, context: CommandContext): void {
  withGlobalFlags(
    member
      .command('add')
      .summary('print what to run on a machine that is to be a master')
      .description(
        'Makes a join token, valid for an hour, and prints the command that makes a machine a master. A new master receives all data first and takes part in decisions only then.',
      )
      .argument('<name>')
      .argument('[args...]')
      .option('--learner', 'it only receives data until `raftsman member promote`')
      .option('--wait', 'wait until it is a member')
      .option('--timeout <duration>', 'how long to wait', durationMs, DEFAULT_PATIENCE_MS)
      .addHelpText(
        'after',
        '\nExamples:\n  raftsman member add master-4\n  raftsman member add master-4 --learner\n  raftsman member add master-4 --wait --timeout 30m',
      ),
  ).action((name: string, _rest: readonly string[], flags: unknown, command: Command) =>
    withSession<{ readonly learner?: boolean; readonly wait?: boolean; readonly timeout: number }>(
      context,
      async (session, _args, { learner, wait, timeout }) => {
        const { members } = await listMembers(session);
        if (findMember(members, name) !== undefined) {
          throw failure(
            `${name} is a member already: choose another name, or put a new machine in its place with \`raftsman member replace ${name} NEW\``,
          );
        }
        await printInvitation(session, members, { name, flags: learner ? ['--learner'] : [] });
        if (wait) await waitForMember(session, name, { role: learner ? 'learner' : 'voter', timeoutMs: timeout });
      },
    )([], flags, command),
  );
}

function registerRemove(member: Command, context: CommandContext): void {
  withGlobalFlags(
    member
      .command('remove')
      .alias('rm')
      .summary('take a member out')
      .description(
        'Takes a member out of the store. Refused where the others could not go on without it. A master that runs notices, sets its data aside and ends with exit code 3.',
      )
      .argument('<member>', 'its name or its id')
      .argument('[args...]')
      .option('--force', 'also if the others are not all well; never beyond what is safe')
      .option('--timeout <duration>', 'how long to try', durationMs, DEFAULT_PATIENCE_MS)
      .addOption(outputOption())
      .addHelpText('after', '\nExamples:\n  raftsman member remove master-3'),
  ).action((name: string, _rest: readonly string[], flags: unknown, command: Command) =>
    withSession<PatienceFlags>(context, async (session, _args, given) => {
      const { members } = await listMembers(session);
      const { id } = requireMember(members, name);
      const answer = await change(session, PATHS.removeMember, { member: id, force: given.force }, given.timeout);
      report(session, given, answer, `member ${name} removed`);
    })([], flags, command),
  );
}

function registerPromote(member: Command, context: CommandContext): void {
  withGlobalFlags(
    member
      .command('promote')
      .summary('make a learner a full member')
      .description('Makes a learner a full member. Refused until it has all data.')
      .argument('<member>', 'its name or its id')
      .argument('[args...]')
      .option('--timeout <duration>', 'how long to try', durationMs, DEFAULT_PATIENCE_MS)
      .addOption(outputOption())
      .addHelpText('after', '\nExamples:\n  raftsman member promote master-4'),
  ).action((name: string, _rest: readonly string[], flags: unknown, command: Command) =>
    withSession<PatienceFlags>(context, async (session, _args, given) => {
      const { members } = await listMembers(session);
      const { id } = requireMember(members, name);
      const answer = await change(session, PATHS.promoteMember, { member: id }, given.timeout);
      report(session, given, answer, `member ${name} promoted`);
    })([], flags, command),
  );
}

function registerReplace(member: Command, context: CommandContext): void {
  withGlobalFlags(
    member
      .command('replace')
      .summary('put a new master in the place of another')
      .description(
        'Puts a new master in the place of one that is lost, or is to go. The new one receives all data first; then both change in one step, so that the cluster never has one master more or less. If the new one is a learner already, that happens at once; else the command to run on the new machine is printed.',
      )
      .argument('<member>', 'who is to go, by name or id')
      .argument('<new>', 'who takes its place')
      .argument('[args...]')
      .option('--wait', 'wait until it has happened')
      .option('--timeout <duration>', 'how long to wait or to try', durationMs, DEFAULT_PATIENCE_MS)
      .addOption(outputOption())
      .addHelpText(
        'after',
        '\nExamples:\n  raftsman member replace master-3 master-4\n  raftsman member replace master-3 master-4 --wait',
      ),
  ).action((old: string, by: string, _rest: readonly string[], flags: unknown, command: Command) =>
    withSession<PatienceFlags & { readonly wait?: boolean }>(context, async (session, _args, given) => {
      const { members } = await listMembers(session);
      const { id } = requireMember(members, old);
      const learner = members.find(each => each.id !== id && (each.id === by || each.name === by));
      if (learner === undefined) {
        await printInvitation(session, members, { name: by, flags: ['--replace', old] });
        if (given.wait) await waitForMember(session, by, { role: 'voter', timeoutMs: given.timeout, gone: id });
        return;
      }
      const answer = await change(session, PATHS.replaceMember, { member: id, by: learner.id }, given.timeout);
      report(session, given, answer, `member ${old} replaced by ${by}`);
    })([], flags, command),
  );
}

function registerUpdate(member: Command, context: CommandContext): void {
  withGlobalFlags(
    member
      .command('update')
      .summary('tell the cluster where a member is')
      .description(
        'Changes the addresses that the others know of a member. A master that starts under other addresses does this by itself.',
      )
      .argument('<member>', 'its name or its id')
      .argument('[args...]')
      .option('--peer-address <host:port>', 'where other masters reach its store')
      .option('--client-url <url>', 'where its API is served')
      .addOption(outputOption())
      .addHelpText('after', '\nExamples:\n  raftsman member update master-2 --peer-address 10.0.0.7:6463'),
  ).action((name: string, _rest: readonly string[], flags: unknown, command: Command) =>
    withSession<OutputFlag & { readonly peerAddress?: string; readonly clientUrl?: string }>(
      context,
      async (session, _args, given) => {
        const { peerAddress, clientUrl } = given;
        if (peerAddress === undefined && clientUrl === undefined) {
          throw failure('say what is to change, with --peer-address or --client-url');
        }
        const { members } = await listMembers(session);
        const { id } = requireMember(members, name);
        const answer = await change(session, PATHS.updateMember, { member: id, peerAddress, clientUrl }, RETRY_MS);
        report(session, given, answer, `member ${name} updated`);
      },
    )([], flags, command),
  );
}

function registerTransfer(member: Command, context: CommandContext): void {
  withGlobalFlags(
    member
      .command('transfer')
      .summary('hand leadership to another member')
      .description(
        'Hands leadership to this member, or to the one that has the most data. Nothing is interrupted for longer than an election.',
      )
      .argument('[member]', 'its name or its id')
      .argument('[args...]')
      .addOption(outputOption())
      .addHelpText('after', '\nExamples:\n  raftsman member transfer\n  raftsman member transfer master-2'),
  ).action((name: string | undefined, _rest: readonly string[], flags: unknown, command: Command) =>
    withSession<OutputFlag>(context, async (session, _args, given) => {
      const { members } = await listMembers(session);
      const to = name === undefined ? undefined : requireMember(members, name).id;
      const answer = await change(session, PATHS.transferLeadership, { to }, RETRY_MS);
      const leader = answer.members.find(({ id }) => id === answer.leader)?.name ?? 'nobody yet';
      report(session, given, answer, `leader is now ${leader}`);
    })([], flags, command),
  );
}

/** What to run on the new machine: commands on stdout, what they are on stderr. */
async function printInvitation(
  session: Session,
  members: readonly Member[],
  invitation: { readonly name: string; readonly flags: readonly string[] },
): Promise<void> {
  const authority = session.connection.tls.ca;
  if (authority === undefined) {
    throw failure('the kubeconfig names no authority (certificate-authority-data): use the one that a master wrote');
  }
  const { transport, context } = session;
  const token = randomToken();
  await ensureToken(new RestClient({ transport, clock: context.clock, userAgent: 'raftsman-member' }), {
    token,
    roles: ['master'],
    description: `for the master ${invitation.name}`,
    expiresAt: context.clock.now() + TOKEN_LIFE_MS,
  });
  const servers = members.filter(({ role }) => role === 'voter').map(({ clientUrl }) => clientUrl);
  session.error(`Run this on the new machine, within the hour:`);
  session.print(
    [
      `raftsman server --name ${invitation.name} --data-dir /var/lib/raftsman`,
      `--join ${servers.join(',')}`,
      `--token ${formatToken(token, fingerprint(String(authority)))}`,
      ...invitation.flags,
    ].join(' '),
  );
}

/** Asks for a change; one that only needs more time is asked for again, because that goes on where it stopped. */
async function change(session: Session, path: string, body: unknown, patienceMs: number): Promise<MembersAnswer> {
  const { clock, delay } = session.context;
  const startedMs = clock.now();
  using _signs = signsOfLife(session, 'still at it');
  for (;;) {
    try {
      return membersAnswerSchema.parse(await session.api.json('POST', path, { body }));
    } catch (error) {
      const isPassing = hasReason(error, 'Timeout') || hasReason(error, 'ServiceUnavailable');
      if (!isPassing || clock.now() - startedMs > patienceMs) throw error;
      await delay(RETRY_MS);
    }
  }
}

async function waitForMember(
  session: Session,
  name: string,
  wanted: { readonly role: Member['role']; readonly timeoutMs: number; readonly gone?: string },
): Promise<void> {
  const { clock, delay } = session.context;
  const deadlineMs = clock.now() + wanted.timeoutMs;
  using _signs = signsOfLife(session, `waiting for ${name}`);
  for (;;) {
    const { members } = await listMembers(session);
    const isGone = wanted.gone === undefined || !members.some(({ id }) => id === wanted.gone);
    if (isGone && findMember(members, name)?.role === wanted.role) break;
    if (clock.now() > deadlineMs)
      throw failure(`${name} is no member yet: look at its log, then at \`raftsman member list\``);
    await delay(RETRY_MS);
  }
  session.error(`${name} is a member.`);
}

/** Says from time to time, on stderr, that work goes on. */
function signsOfLife(session: Session, what: string): Disposable {
  const startedMs = session.context.clock.now();
  return session.context.every(SIGN_OF_LIFE_MS, () => {
    session.error(`${what} (${Math.round((session.context.clock.now() - startedMs) / 1000)} s)`);
  });
}

function report(session: Session, flags: OutputFlag, answer: MembersAnswer, sentence: string): void {
  printChoice(line => session.print(line), flags, { value: answer, forPeople: () => session.print(sentence) });
}

function roleOf({ id, role }: Member, leader: string | null): string {
  return id === leader ? 'leader' : role;
}
