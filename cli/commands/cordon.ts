/** `raftsman cordon` and `uncordon`: let no new pods onto nodes, and let them on again. */
import type { Command } from 'commander';
import type { Node } from '../../control/api/generated/types.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { listObjects } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { MUST_NAME_OBJECTS, usageFailure } from '../client/usage.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, withGlobalFlags } from './cluster-command.ts';

/** How nodes are chosen. */
export interface NodeFlags extends WriteFlags {
  readonly selector?: string;
}

export function registerCordon(program: Command, context: CommandContext): void {
  registerMark(program, context, ['cordon', true, 'Lets no new pods onto nodes.']);
}

export function registerUncordon(program: Command, context: CommandContext): void {
  registerMark(program, context, ['uncordon', false, 'Lets new pods onto nodes again.']);
}

function registerMark(
  program: Command,
  context: CommandContext,
  [name, isUnschedulable, what]: readonly [string, boolean, string],
): void {
  const command = new ClusterCommand(name)
    .argument('[nodes...]')
    .usage('NODE [flags]')
    .summary(isUnschedulable ? 'let no new pods onto a node' : 'let pods onto a node again')
    .description(what)
    .option('-l, --selector <labels>', 'nodes with these labels')
    .option('--dry-run [mode]', 'none, client or server: only say what would be done')
    .addHelpText('after', `\nExamples:\n  raftsman ${name} node-1`)
    .action(
      withSession<NodeFlags>(context, async (session, words, flags, self) => {
        for (const node of await findNodes(session, words, flags, self))
          await setUnschedulable(session, { node, isUnschedulable, flags });
      }),
    );
  program.addCommand(withGlobalFlags(command));
}

/** The nodes that are meant, by name or by label. Throws the usage where none is named. */
export async function findNodes(
  session: Session,
  words: readonly string[],
  flags: NodeFlags,
  self: Command,
): Promise<Node[]> {
  if (words.length > 0 && flags.selector !== undefined) {
    throw usageFailure(self, 'cannot specify both a node name and a --selector option');
  }
  const nodes = await session.discovery.find('nodes');
  // An empty selector would mean every node.
  if (flags.selector === '') throw failure(MUST_NAME_OBJECTS);
  if (flags.selector !== undefined) return listObjects<Node>(session, nodes, { selector: flags.selector });
  if (words.length === 0) throw usageFailure(self, `USAGE: ${self.name()} NODE [flags]`);
  return Promise.all(
    words.map(name => session.api.json<Node>('GET', pathOf(nodes, undefined, name.replace(/^nodes?\//, '')))),
  );
}

/** Writes `spec.unschedulable`, and tells whether that changed anything. */
export async function setUnschedulable(
  session: Session,
  {
    node,
    isUnschedulable,
    flags,
  }: { readonly node: Node; readonly isUnschedulable: boolean; readonly flags: NodeFlags },
): Promise<void> {
  const name = node.metadata?.name ?? '';
  const done = isUnschedulable ? 'cordoned' : 'uncordoned';
  const isAlready = Boolean(node.spec?.unschedulable) === isUnschedulable;
  if (!isAlready && dryRunOf(flags) !== 'client') {
    await session.api.json('PATCH', pathOf(await session.discovery.find('nodes'), undefined, name), {
      contentType: 'application/strategic-merge-patch+json',
      body: { spec: { unschedulable: isUnschedulable ? true : null } },
      query: { fieldManager: `kubectl-${isUnschedulable ? 'cordon' : 'uncordon'}`, dryRun: dryRunQuery(flags) },
    });
  }
  await printNode(session, { node, done: isAlready ? `already ${done}` : done, flags });
}

/** `node/n cordoned`. */
export async function printNode(
  session: Session,
  { node, done, flags }: { readonly node: Node; readonly done: string; readonly flags: NodeFlags },
): Promise<void> {
  const resource = await session.discovery.find('nodes');
  printWritten(session, { resource, name: node.metadata?.name ?? '', object: { ...node } }, done, flags);
}
