/** `raftsman cordon`, `uncordon`, `drain`: take nodes out of use and back. */
import type { Command } from 'commander';
import type { Node, Pod } from '../../control/api/generated/types.ts';
import { ApiError } from '../../control/api/status.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { listObjects } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, durationMs, integer, withGlobalFlags } from './cluster-command.ts';
import { waitUntilGone } from './delete.ts';

interface Flags {
  readonly selector?: string;
  readonly ignoreDaemonsets?: boolean;
  readonly deleteEmptydirData?: boolean;
  readonly force?: boolean;
  readonly gracePeriod: number;
  readonly timeout?: number;
}

/** How long to wait before a pod is asked to go again whose budget forbids it now. */
const EVICTION_RETRY_MS = 5000;

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
    .addHelpText('after', `\nExamples:\n  raftsman ${name} node-1`)
    .action(
      withSession<Flags>(context, async (session, words, flags) => {
        for (const node of await findNodes(session, words, flags))
          await setUnschedulable(session, node, isUnschedulable);
      }),
    );
  program.addCommand(withGlobalFlags(command));
}

export function registerDrain(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('drain')
    .argument('[nodes...]')
    .usage('NODE [flags]')
    .summary('move all pods off a node')
    .description('Lets no new pods onto a node, and evicts those that are there.')
    .option('-l, --selector <labels>', 'nodes with these labels')
    .option('--ignore-daemonsets', 'leave the pods of daemon sets')
    .option('--delete-emptydir-data', 'evict pods although their emptyDir volumes will be lost')
    .option('--force', 'evict pods that nothing will bring back')
    .option('--grace-period <seconds>', 'how long pods have to stop', integer, -1)
    .option('--timeout <duration>', 'how long to wait', durationMs)
    .addHelpText('after', '\nExamples:\n  raftsman drain node-1 --ignore-daemonsets')
    .action(
      withSession<Flags>(context, async (session, words, flags) => {
        for (const node of await findNodes(session, words, flags)) await drain(session, node, flags);
      }),
    );
  program.addCommand(withGlobalFlags(command));
}

async function findNodes(session: Session, words: readonly string[], flags: Flags): Promise<Node[]> {
  const nodes = await session.discovery.find('nodes');
  if (flags.selector !== undefined) return listObjects<Node>(session, nodes, { selector: flags.selector });
  if (words.length === 0) throw failure('USAGE: NODE [flags]: at least one node must be named');
  return Promise.all(
    words.map(name => session.api.json<Node>('GET', pathOf(nodes, undefined, name.replace(/^nodes?\//, '')))),
  );
}

async function setUnschedulable(session: Session, node: Node, isUnschedulable: boolean): Promise<void> {
  const name = node.metadata?.name ?? '';
  const done = isUnschedulable ? 'cordoned' : 'uncordoned';
  if (Boolean(node.spec?.unschedulable) === isUnschedulable) {
    session.print(`node/${name} already ${done}`);
    return;
  }
  await session.api.json('PATCH', pathOf(await session.discovery.find('nodes'), undefined, name), {
    contentType: 'application/strategic-merge-patch+json',
    body: { spec: { unschedulable: isUnschedulable ? true : null } },
    query: { fieldManager: `kubectl-${isUnschedulable ? 'cordon' : 'uncordon'}` },
  });
  session.print(`node/${name} ${done}`);
}

async function drain(session: Session, node: Node, flags: Flags): Promise<void> {
  const name = node.metadata?.name ?? '';
  await setUnschedulable(session, node, true);
  const pods = await listObjects<Pod>(session, await session.discovery.find('pods'), {
    fieldSelector: `spec.nodeName=${name}`,
    allNamespaces: true,
  });
  const evicted = pods.filter(pod => !isMirror(pod) && !(flags.ignoreDaemonsets && isDaemon(pod)));
  const problems = evicted.flatMap(pod => problemsOf(pod, flags));
  if (problems.length > 0) {
    throw failure(
      `unable to drain node "${name}" due to error: [${problems.join(', ')}], continuing command...\nThere are pending nodes to be drained:\n ${name}`,
    );
  }
  const deadline = flags.timeout ? session.context.clock.now() + flags.timeout : undefined;
  for (const pod of evicted) await evict(session, pod, flags, deadline);
  const resource = await session.discovery.find('pods');
  for (const { metadata } of evicted) {
    const reference = { resource, namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' };
    await waitUntilGone(session, reference, { uid: metadata?.uid, deadline });
    session.print(`pod/${reference.name} evicted`);
  }
  session.print(`node/${name} drained`);
}

const isDaemon = (pod: Pod) =>
  Boolean(pod.metadata?.ownerReferences?.some(({ kind, controller }) => controller && kind === 'DaemonSet'));
const isMirror = (pod: Pod) => pod.metadata?.annotations?.['kubernetes.io/config.mirror'] !== undefined;

function problemsOf(pod: Pod, flags: Flags): string[] {
  const name = `${pod.metadata?.namespace}/${pod.metadata?.name}`;
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return [];
  if (isDaemon(pod)) return [`cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): ${name}`];
  const isOwned = pod.metadata?.ownerReferences?.some(({ controller }) => controller);
  return [
    ...(isOwned || flags.force
      ? []
      : [`cannot delete Pods that declare no controller (use --force to override): ${name}`]),
    ...(flags.deleteEmptydirData || !pod.spec?.volumes?.some(({ emptyDir }) => emptyDir)
      ? []
      : [`cannot delete Pods with local storage (use --delete-emptydir-data to override): ${name}`]),
  ];
}

async function evict(session: Session, pod: Pod, flags: Flags, deadline: number | undefined): Promise<void> {
  const { name = '', namespace = '' } = pod.metadata ?? {};
  const resource = await session.discovery.find('pods');
  session.print(`evicting pod ${namespace}/${name}`);
  for (;;) {
    try {
      await session.api.json('POST', pathOf(resource, namespace, name, 'eviction'), {
        body: {
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { name, namespace },
          ...(flags.gracePeriod >= 0 && { deleteOptions: { gracePeriodSeconds: flags.gracePeriod } }),
        },
      });
      return;
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'NotFound') return;
      const mayRetry = error instanceof ApiError && error.reason === 'TooManyRequests';
      if (!mayRetry || (deadline !== undefined && session.context.clock.now() >= deadline)) throw error;
      session.error(`error when evicting pods/"${name}" -n "${namespace}" (will retry after 5s): ${error.message}`);
      await session.context.delay(EVICTION_RETRY_MS);
    }
  }
}
