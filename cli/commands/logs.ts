/** `raftsman logs`: what containers wrote. */
import { once } from 'node:events';
import type { Command } from 'commander';
import type { Pod } from '../../control/api/generated/types.ts';
import { ApiError } from '../../control/api/status.ts';
import { pathOf } from '../client/discovery.ts';
import { describeApiError, failure } from '../client/errors.ts';
import { listObjects } from '../client/objects.ts';
import { findContainer, findPod } from '../client/pods.ts';
import { type Session, withSession } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, durationMs, integer, withGlobalFlags } from './cluster-command.ts';

interface Flags {
  readonly podRunningTimeout: number;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly container?: string;
  readonly allContainers?: boolean;
  readonly allPods?: boolean;
  readonly tail?: number;
  readonly timestamps?: boolean;
  readonly since?: number;
  readonly sinceTime?: string;
  readonly limitBytes?: number;
  readonly selector?: string;
  readonly prefix?: boolean;
  readonly maxLogRequests: number;
  readonly ignoreErrors?: boolean;
}

/** With a selector there may be many pods: kubectl shows the end of each only. */
const SELECTED_TAIL_LINES = 10;
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[-+]\d\d:\d\d)$/;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('logs')
    .argument('[words...]')
    .usage('[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]')
    .summary('show what a container wrote')
    .description('Shows what the containers of a pod wrote.')
    .option('-f, --follow', 'go on as more is written')
    .option('-p, --previous', 'of the container’s run before this one')
    .option('-c, --container <name>', 'which container')
    .option('--all-containers', 'all containers of the pod')
    .option('--tail <lines>', 'only so many lines from the end', integer)
    .option('--timestamps', 'tell when each line was written')
    .option('--since <duration>', 'only what was written since then: 5s, 2m, 3h', durationMs)
    .option('--since-time <time>', 'only what was written after this time (RFC 3339)')
    .option('--limit-bytes <bytes>', 'only so many bytes', integer)
    .option('-l, --selector <labels>', 'of the pods with these labels')
    .option('--prefix', 'say before each line which pod and container wrote it')
    .option('--max-log-requests <number>', 'how many may be followed at once', integer, 5)
    .option('--ignore-errors', 'go on when one cannot be read')
    .option('--pod-running-timeout <duration>', 'how long to wait for a pod of what is named', durationMs, 20_000)
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman logs web-1\n  raftsman logs -f deploy/web --tail=20\n  raftsman logs web-1 -c sidecar --previous',
    )
    .action(withSession<Flags>(context, logs));
  program.addCommand(withGlobalFlags(command));
}

interface Source {
  readonly pod: Pod;
  readonly container: string;
}

async function logs(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  checkWords(words, flags, self);
  if (flags.podRunningTimeout <= 0) throw failure('--pod-running-timeout must be higher than zero');
  if (flags.sinceTime !== undefined && !RFC_3339.test(flags.sinceTime)) {
    const text = JSON.stringify(flags.sinceTime);
    throw failure(`parsing time ${text} as "2006-01-02T15:04:05Z07:00": cannot parse ${text} as "2006"`);
  }
  const sources = await findSources(session, words, flags);
  if (flags.since !== undefined && flags.sinceTime !== undefined) {
    throw failure('at most one of `sinceTime` or `sinceSeconds` may be specified');
  }
  if (flags.tail !== undefined && flags.tail < -1) throw failure('--tail must be greater than or equal to -1');
  if (flags.follow && sources.length > flags.maxLogRequests) {
    throw failure(
      `you are attempting to follow ${sources.length} log streams, but maximum allowed concurrency is ${flags.maxLogRequests}, use --max-log-requests to increase the limit`,
    );
  }
  const show = async (source: Source) => {
    try {
      await showOne(session, source, flags);
    } catch (error) {
      if (!(error instanceof ApiError && flags.ignoreErrors)) throw error;
      session.error(describeApiError(error));
    }
  };
  if (flags.follow) await Promise.all(sources.map(show));
  else for (const source of sources) await show(source);
}

function checkWords(words: readonly string[], flags: Flags, self: Command): void {
  if (flags.selector !== undefined) {
    if (words.length > 0) throw usageFailure(self, 'only a selector (-l) or a POD name is allowed');
  } else if (words.length === 0 || words.length > 2) {
    throw usageFailure(
      self,
      "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command",
    );
  }
}

async function findSources(session: Session, words: readonly string[], flags: Flags): Promise<Source[]> {
  const [word = '', second] = words;
  if (flags.selector !== undefined) {
    const pods = await listObjects<Pod>(session, await session.discovery.find('pods'), { selector: flags.selector });
    if (pods.length === 0) session.error(`No resources found in ${session.namespace} namespace.`);
    return pods.flatMap(pod => containersOf(session, pod, flags));
  }
  return containersOf(
    session,
    await findLoggedPod(session, word, flags.podRunningTimeout),
    second === undefined ? flags : { ...flags, container: second },
  );
}

/** What does not exist is told here in words of its own, as kubectl does. */
async function findLoggedPod(session: Session, word: string, timeoutMs: number): Promise<Pod> {
  try {
    return await findPod(session, word, { tellsChoice: true, timeoutMs });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw failure(
      `error from server (${error.reason}): ${error.message} in namespace ${JSON.stringify(session.namespace)}`,
      error,
    );
  }
}

function containersOf(session: Session, pod: Pod, flags: Flags): Source[] {
  if (!flags.allContainers) return [{ pod, container: findContainer(session, pod, flags.container) }];
  const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  return all.map(({ name }) => ({ pod, container: name }));
}

async function showOne(session: Session, { pod, container }: Source, flags: Flags): Promise<void> {
  const { name = '', namespace = '' } = pod.metadata ?? {};
  const tail = flags.tail ?? (flags.selector === undefined ? -1 : SELECTED_TAIL_LINES);
  const body = await session.api.stream('GET', pathOf(await session.discovery.find('pods'), namespace, name, 'log'), {
    accept: 'application/json, */*',
    query: {
      container,
      follow: flags.follow,
      previous: flags.previous,
      timestamps: flags.timestamps,
      sinceSeconds: flags.since === undefined ? undefined : Math.max(1, Math.ceil(flags.since / 1000)),
      sinceTime: flags.sinceTime,
      limitBytes: flags.limitBytes,
      tailLines: tail < 0 ? undefined : tail,
    },
  });
  const prefix = flags.prefix ? `[pod/${name}/${container}] ` : '';
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    if (prefix === '') {
      if (!session.context.stdout.write(chunk)) await once(session.context.stdout, 'drain');
      continue;
    }
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) session.print(prefix + line);
  }
  if (rest !== '') session.print(prefix + rest);
}
