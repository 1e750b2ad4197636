/** `raftsman drain`: takes all pods off nodes, within what their disruption budgets allow. */
import type { Command } from 'commander';
import type { Node, Pod } from '../../control/api/generated/types.ts';
import { parseLabelSelector } from '../../control/api/selectors.ts';
import { ApiError } from '../../control/api/status.ts';
import { pathOf, type Resource } from '../client/discovery.ts';
import { CommandError, failure } from '../client/errors.ts';
import { listObjects } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { dryRunOf, dryRunQuery } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, durationMs, integer, withGlobalFlags } from './cluster-command.ts';
import { findNodes, type NodeFlags, printNode, setUnschedulable } from './cordon.ts';
import { waitUntilGone } from './delete.ts';
import { type DrainPlan, drainPlan } from './drain-filters.ts';

interface Flags extends NodeFlags {
  readonly podSelector?: string;
  readonly ignoreDaemonsets?: boolean;
  readonly deleteEmptydirData?: boolean;
  readonly disableEviction?: boolean;
  readonly force?: boolean;
  readonly gracePeriod: number;
  readonly chunkSize: number;
  readonly skipWaitForDeleteTimeout: number;
  readonly timeout?: number;
}

/** How long to wait before a pod is asked to go again whose budget forbids it now. */
const EVICTION_RETRY_MS = 5000;
/** Evictions under way at once. */
const EVICTIONS_MAX = 32;

export function registerDrain(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('drain')
    .argument('[nodes...]')
    .usage('NODE [flags]')
    .summary('move all pods off a node')
    .description('Lets no new pods onto a node, and evicts those that are there.')
    .option('-l, --selector <labels>', 'nodes with these labels')
    .option('--pod-selector <labels>', 'only the pods with these labels')
    .option('--ignore-daemonsets', 'leave the pods of daemon sets')
    .option('--delete-emptydir-data', 'evict pods although their emptyDir volumes will be lost')
    .option('--disable-eviction', 'delete pods instead of evicting them: disruption budgets are passed over')
    .option('--force', 'evict pods that nothing will bring back')
    .option('--grace-period <seconds>', 'how long pods have to stop', integer, -1)
    .option('--skip-wait-for-delete-timeout <seconds>', 'do not wait for pods that are going for longer', integer, 0)
    .option('--timeout <duration>', 'how long to wait', durationMs)
    .option('--chunk-size <count>', 'ask for at most so many pods at once', integer, 500)
    .option('--dry-run [mode]', 'none, client or server: only say what would be done')
    .addHelpText('after', '\nExamples:\n  raftsman drain node-1 --ignore-daemonsets')
    .action(
      withSession<Flags>(context, async (session, words, flags, self) => {
        checkPodSelector(flags.podSelector);
        const nodes = await findNodes(session, words, flags, self);
        for (const node of nodes) await setUnschedulable(session, { node, isUnschedulable: true, flags });
        await drainAll(session, nodes, flags);
      }),
    );
  program.addCommand(withGlobalFlags(command));
}

/** @throws CommandError before anything is changed. */
function checkPodSelector(text: string | undefined): void {
  try {
    if (text !== undefined) parseLabelSelector(text);
  } catch (error) {
    throw failure('--pod-selector=<pod_selector> must be a valid label selector', error);
  }
}

/** One node after the other; one that cannot be drained does not keep the others. */
async function drainAll(session: Session, nodes: readonly Node[], flags: Flags): Promise<void> {
  const pods = await session.discovery.find('pods');
  const fatal: string[] = [];
  const remaining: string[] = [];
  for (const node of nodes) {
    const name = node.metadata?.name ?? '';
    const problems = await new Drain(session, { node: name, pods, flags }).run();
    if (problems.length === 0) await printNode(session, { node, done: 'drained', flags });
    else {
      session.error(
        `error: unable to drain node "${name}" due to error: ${aggregated(problems)}, continuing command...`,
      );
      remaining.push(name);
      fatal.push(...problems);
    }
  }
  if (remaining.length === 0) return;
  session.error('There are pending nodes to be drained:');
  for (const name of remaining) session.error(` ${name}`);
  throw new CommandError(fatal.join('\n'));
}

/** Several errors as Go tells them in one line. */
const aggregated = (problems: readonly string[]) =>
  problems.length === 1 ? String(problems[0]) : `[${problems.join(', ')}]`;

/** One node's drain. */
class Drain {
  readonly #session: Session;
  readonly #node: string;
  readonly #pods: Resource;
  readonly #flags: Flags;
  readonly #deadline: number | undefined;

  constructor(
    session: Session,
    { node, pods, flags }: { readonly node: string; readonly pods: Resource; readonly flags: Flags },
  ) {
    this.#session = session;
    this.#node = node;
    this.#pods = pods;
    this.#flags = flags;
    this.#deadline = flags.timeout ? session.context.clock.now() + flags.timeout : undefined;
  }

  /** Gives what went wrong; nothing: the node is empty. */
  async run(): Promise<readonly string[]> {
    const session = this.#session;
    const plan = await this.#plan();
    if (plan.problems.length > 0) return plan.problems;
    if (plan.warning !== undefined) session.error(`Warning: ${plan.warning}`);
    if (dryRunOf(this.#flags) === 'client') {
      for (const pod of plan.taken) session.print(`evicting pod ${fullName(pod)} (dry run)`);
      return [];
    }
    const problems = await this.#takeAll(plan.taken);
    if (problems.length > 0) await this.#tellPending(problems);
    return problems;
  }

  async #plan(): Promise<DrainPlan> {
    const flags = this.#flags;
    const pods = await listObjects<Pod>(this.#session, this.#pods, {
      fieldSelector: `spec.nodeName=${this.#node}`,
      ...(flags.podSelector !== undefined && { selector: flags.podSelector }),
      allNamespaces: true,
      chunkSize: flags.chunkSize,
    });
    const rules = {
      force: flags.force ?? false,
      ignoreDaemonsets: flags.ignoreDaemonsets ?? false,
      deleteEmptydirData: flags.deleteEmptydirData ?? false,
      skipWaitSeconds: flags.skipWaitForDeleteTimeout,
    };
    return drainPlan(pods, rules, this.#session.context.clock.now());
  }

  async #takeAll(pods: readonly Pod[]): Promise<string[]> {
    const problems: string[] = [];
    const waiting = [...pods];
    const work = async () => {
      for (let pod = waiting.shift(); pod; pod = waiting.shift()) {
        const problem = await this.#take(pod);
        if (problem !== undefined) problems.push(problem);
      }
    };
    await Promise.all(Array.from({ length: EVICTIONS_MAX }, work));
    return problems;
  }

  async #tellPending(problems: readonly string[]): Promise<void> {
    const { taken } = await this.#plan();
    if (taken.length === 0) return;
    this.#session.error(
      `There are pending pods in node "${this.#node}" when an error occurred: ${aggregated(problems)}`,
    );
    for (const { metadata } of taken) this.#session.error(`pod/${metadata?.name}`);
  }

  /** Asks for one pod to go and waits for that; gives what went wrong. */
  async #take(pod: Pod): Promise<string | undefined> {
    const isDryRun = dryRunOf(this.#flags) === 'server';
    const { name = '', namespace = '', uid } = pod.metadata ?? {};
    const problem = await (this.#flags.disableEviction ? this.#delete(pod) : this.#evict(pod));
    if (problem !== undefined || isDryRun) return problem;
    try {
      let isPassedOver = false;
      const isEnough = (object: object) => {
        isPassedOver = this.#isGoingForLong(object);
        return isPassedOver;
      };
      const limits = { uid, deadline: this.#deadline, isEnough };
      await waitUntilGone(this.#session, { resource: this.#pods, namespace, name }, limits);
      if (isPassedOver) {
        const { skipWaitForDeleteTimeout } = this.#flags;
        this.#session.print(
          `pod ${JSON.stringify(name)} has DeletionTimestamp older than ${skipWaitForDeleteTimeout} seconds, skipping`,
        );
        return undefined;
      }
    } catch (error) {
      if (!(error instanceof CommandError || error instanceof ApiError)) throw error;
      const said = error instanceof CommandError ? 'context deadline exceeded' : error.message;
      return `error when waiting for pod "${name}" in namespace "${namespace}" to terminate: ${said}`;
    }
    this.#session.print(`pod/${name} ${this.#flags.disableEviction ? 'deleted' : 'evicted'}`);
    return undefined;
  }

  /** Whether a pod should have been gone for longer than it is to be waited for: its node may be dead. */
  #isGoingForLong({ metadata }: Pod): boolean {
    const { skipWaitForDeleteTimeout } = this.#flags;
    if (skipWaitForDeleteTimeout <= 0 || !metadata?.deletionTimestamp) return false;
    const lateMs = this.#session.context.clock.now() - Date.parse(metadata.deletionTimestamp);
    return Math.floor(lateMs / 1000) > skipWaitForDeleteTimeout;
  }

  async #delete(pod: Pod): Promise<string | undefined> {
    const { name = '', namespace = '' } = pod.metadata ?? {};
    try {
      await this.#session.api.json('DELETE', pathOf(this.#pods, namespace, name), {
        body: this.#deleteOptions(pod),
        query: { dryRun: dryRunQuery(this.#flags) },
      });
      return undefined;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return error.reason === 'NotFound' ? undefined : error.message;
    }
  }

  async #evict(pod: Pod): Promise<string | undefined> {
    const { context } = this.#session;
    const { name = '', namespace = '' } = pod.metadata ?? {};
    const failed = `error when evicting pods/"${name}" -n "${namespace}"`;
    for (;;) {
      const suffix = dryRunOf(this.#flags) === 'server' ? ' (server dry run)' : '';
      this.#session.print(`evicting pod ${fullName(pod)}${suffix}`);
      if (this.#deadline !== undefined && context.clock.now() >= this.#deadline) {
        return `${failed}: global timeout reached: ${(this.#flags.timeout ?? 0) / 1000}s`;
      }
      try {
        await this.#session.api.json('POST', pathOf(this.#pods, namespace, name, 'eviction'), {
          body: {
            apiVersion: 'policy/v1',
            kind: 'Eviction',
            metadata: { name, namespace },
            deleteOptions: this.#deleteOptions(pod),
          },
          query: { dryRun: dryRunQuery(this.#flags) },
        });
        return undefined;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.reason === 'NotFound') return undefined;
        if (error.reason !== 'TooManyRequests') return `${failed}: ${error.message}`;
        this.#session.error(`${failed} (will retry after 5s): ${error.message}`);
        await context.delay(EVICTION_RETRY_MS);
      }
    }
  }

  /** A pod of the same name that came in between is another one: it stays. */
  #deleteOptions({ metadata }: Pod) {
    const { gracePeriod } = this.#flags;
    return {
      ...(gracePeriod >= 0 && { gracePeriodSeconds: gracePeriod }),
      ...(metadata?.uid !== undefined && { preconditions: { uid: metadata.uid } }),
    };
  }
}

const fullName = ({ metadata }: Pod) => `${metadata?.namespace}/${metadata?.name}`;
