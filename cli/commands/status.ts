/** `raftsman status`: the processes of a local cluster, the members of its store and its nodes. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { nodes as nodeKind } from '../../control/api/generated/kinds.ts';
import type { Node } from '../../control/api/generated/types.ts';
import { HttpsTransport } from '../../control/client/https.ts';
import { RestClient, readText } from '../../control/client/rest.ts';
import { PATHS, type StatusAnswer, statusAnswerSchema } from '../../control/join/protocol.ts';
import { readKubeconfigCredentials } from '../../control/pki/kubeconfig.ts';
import { UsageError } from '../cluster/errors.ts';
import { loadPlan, paths } from '../cluster/layout.ts';
import { isAlive, readPid } from '../cluster/supervisor.ts';
import type { CommandContext } from '../context.ts';
import { dataDirOption } from './options.ts';

const ANSWER_TIMEOUT_MS = 5_000;

export function register(program: Command, context: CommandContext): void {
  program
    .command('status')
    .summary('show the cluster on this machine')
    .description('Shows the processes that `raftsman up` runs, the members of the store and the nodes.')
    .addOption(dataDirOption(context))
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman status\n  raftsman status --data-dir ./lab\n\nThe exit code is 0 if all runs and the store has a leader, else 1.',
    )
    .action(async (flags: { readonly dataDir: string }) => {
      const directory = resolve(flags.dataDir);
      const plan = await loadPlan(directory);
      if (!plan)
        throw new UsageError(
          `there is no cluster in ${directory}: make one with \`raftsman up\`, or name it with --data-dir`,
        );
      const processes = await Promise.all(
        ['supervisor', ...plan.masters.map(({ name }) => name), ...plan.nodes.map(({ name }) => name)].map(
          async name => {
            const pid = await readPid(
              name === 'supervisor' ? paths.supervisorPid(directory) : paths.pid(directory, name),
            );
            const alive = pid !== undefined && isAlive(pid);
            return { name, alive, cells: [name, alive ? 'running' : 'stopped', alive ? String(pid) : '-'] };
          },
        ),
      );
      const allRun = processes.every(({ alive }) => alive);
      const store = processes.some(({ alive }) => alive)
        ? await askStore(directory, plan.port, context)
        : { problem: 'the cluster is stopped' };
      const tables = [
        `Cluster in ${directory}, at https://${plan.host}:${plan.port} (runtime ${plan.runtime})`,
        table(
          ['PROCESS', 'STATE', 'PID'],
          processes.map(({ cells }) => cells),
        ),
        ...('problem' in store ? [`Store and nodes: ${store.problem}`] : describe(store)),
      ];
      context.stdout.write(`${tables.join('\n\n')}\n`);
      if (!allRun || 'problem' in store || store.answer.leader === null) context.setExitCode(1);
    });
}

interface StoreView {
  readonly answer: StatusAnswer;
  readonly nodes: readonly Node[];
}

async function askStore(
  directory: string,
  port: number,
  context: CommandContext,
): Promise<StoreView | { readonly problem: string }> {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  try {
    const { authority, certificate, key } = await readKubeconfigCredentials(paths.kubeconfig(directory));
    const transport = new HttpsTransport({
      servers: [`https://127.0.0.1:${port}`],
      clock: context.clock,
      random: context.random,
      tls: { ca: authority, cert: certificate, key },
      responseTimeoutMs: ANSWER_TIMEOUT_MS,
    });
    try {
      const response = await transport.request({ method: 'GET', path: PATHS.status, signal });
      const answer = statusAnswerSchema.safeParse(JSON.parse(await readText(response.body)));
      if (!answer.success) return { problem: 'no master can tell: the store has no quorum' };
      const { items } = await new RestClient({ transport, clock: context.clock, userAgent: 'raftsman-status' }).list(
        nodeKind,
      );
      return { answer: answer.data, nodes: items };
    } finally {
      await transport.close();
    }
  } catch (error) {
    return { problem: `no master answers (${error instanceof Error ? error.message : String(error)})` };
  }
}

function describe({ answer, nodes }: StoreView): string[] {
  return [
    table(
      ['MEMBER', 'ID', 'ROLE', 'PEERS', 'API'],
      answer.members.map(({ name, id, role, peerAddress, clientUrl }) => [
        name,
        id,
        id === answer.leader ? 'leader' : role === 'voter' ? 'follower' : role,
        peerAddress,
        clientUrl,
      ]),
    ),
    `Revision ${answer.revision}, term ${answer.term}${answer.leader === null ? ', no leader' : ''}`,
    table(
      ['NODE', 'STATE', 'ADDRESS', 'RUNTIME'],
      nodes.map(node => [
        node.metadata?.name ?? '',
        node.status?.conditions?.find(condition => condition.type === 'Ready')?.status === 'True'
          ? 'Ready'
          : 'NotReady',
        node.status?.addresses?.find(address => address.type === 'InternalIP')?.address ?? '-',
        node.status?.nodeInfo?.containerRuntimeVersion ?? '-',
      ]),
    ),
  ];
}

/** Columns as wide as their widest cell, three spaces apart. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map(cells => cells[i]?.length ?? 0)));
  return [head, ...rows]
    .map(cells =>
      cells
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}
