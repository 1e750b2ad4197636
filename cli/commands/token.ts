/** `raftsman token`: the tokens with which masters and nodes join. */
import { type Command, Option } from 'commander';
import { secrets } from '../../control/api/generated/kinds.ts';
import type { Secret } from '../../control/api/generated/types.ts';
import { hasReason } from '../../control/api/status.ts';
import { RestClient } from '../../control/client/rest.ts';
import { MASTER_JOINERS, NODE_JOINERS } from '../../control/join/protocol.ts';
import { ensureToken, TOKEN_NAMESPACE, TOKEN_PREFIX, TOKEN_TYPE, type TokenRole } from '../../control/join/tokens.ts';
import { fingerprint } from '../../control/pki/authority.ts';
import { formatToken, parseToken, randomToken } from '../../control/pki/token.ts';
import { type Session, withSession } from '../client/session.ts';
import { UsageError } from '../cluster/errors.ts';
import type { CommandContext } from '../context.ts';
import { durationMs, withGlobalFlags } from './cluster-command.ts';

const DEFAULT_LIFE_MS = 24 * 3_600_000;
const COLUMN_GAP = 3;

interface CreateFlags {
  readonly role: TokenRole;
  readonly ttl: number;
  readonly description: string;
}

export function register(program: Command, context: CommandContext): void {
  const token = program
    .command('token')
    .summary('make, list and delete join tokens')
    .description('The tokens with which masters and nodes join the cluster.')
    .addHelpText('after', '\nExamples:\n  raftsman token create --role master\n  raftsman token list');
  withGlobalFlags(
    token
      .command('create')
      .description(
        'Makes a token and prints it. It holds the fingerprint of the cluster’s authority, so that nobody joins the wrong cluster.',
      )
      .argument('[args...]')
      .addOption(new Option('--role <role>', 'what may join with it').choices(['node', 'master']).default('node'))
      .option('--ttl <duration>', 'how long it is valid; 0 for ever', durationMs, DEFAULT_LIFE_MS)
      .option('--description <text>', 'what it is for', '')
      .addHelpText(
        'after',
        '\nExamples:\n  raftsman token create                          for a node, valid for a day\n  raftsman token create --role master --ttl 1h',
      ),
  ).action(withSession<CreateFlags>(context, create));
  withGlobalFlags(
    token.command('list').description('Lists the tokens, without their secrets.').argument('[args...]'),
  ).action(withSession(context, list));
  withGlobalFlags(
    token
      .command('delete')
      .description('Deletes tokens: nobody joins with them any more. Who joined already stays.')
      .argument('[ids...]')
      .addHelpText('after', '\nExamples:\n  raftsman token delete abcdef'),
  ).action(withSession(context, remove));
}

async function create(
  session: Session,
  _args: readonly string[],
  { role, ttl, description }: CreateFlags,
): Promise<void> {
  const authority = session.connection.tls.ca;
  if (authority === undefined)
    throw new UsageError(
      'the kubeconfig names no authority (certificate-authority-data), so the token could not pin it: use the kubeconfig that the master wrote',
    );
  const token = randomToken();
  const expiresAt = ttl === 0 ? undefined : session.context.clock.now() + ttl;
  await ensureToken(clientOf(session), { token, roles: [role], description, expiresAt });
  session.print(formatToken(token, fingerprint(String(authority))));
}

async function list(session: Session): Promise<void> {
  const { items } = await clientOf(session).list(secrets, {
    namespace: TOKEN_NAMESPACE,
    fieldSelector: `type=${TOKEN_TYPE}`,
  });
  if (items.length === 0) {
    session.error('No tokens found.');
    return;
  }
  const rows = [['ID', 'ROLE', 'EXPIRES', 'DESCRIPTION'], ...items.map(describe)];
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => row[column]?.length ?? 0)) + COLUMN_GAP);
  for (const row of rows)
    session.print(
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('')
        .trimEnd(),
    );
}

function describe({ data = {} }: Secret): string[] {
  const text = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
  const groups = text('auth-extra-groups').split(',');
  const roles = [groups.includes(MASTER_JOINERS) && 'master', groups.includes(NODE_JOINERS) && 'node'].filter(Boolean);
  return [text('token-id'), roles.join(',') || '-', text('expiration') || 'never', text('description')];
}

async function remove(session: Session, ids: readonly string[]): Promise<void> {
  if (ids.length === 0)
    throw new UsageError('name the tokens to delete by their ids: `raftsman token list` shows them');
  for (const text of ids) {
    const id = /^[a-z0-9]{6}$/.test(text) ? text : parseToken(text).id;
    try {
      await clientOf(session).delete(secrets, { namespace: TOKEN_NAMESPACE, name: `${TOKEN_PREFIX}${id}` });
      session.print(`token "${id}" deleted`);
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
      throw new UsageError(`there is no token "${id}": \`raftsman token list\` shows those that are`);
    }
  }
}

const clientOf = ({ transport, context }: Session) =>
  new RestClient({ transport, clock: context.clock, userAgent: 'raftsman-token' });
