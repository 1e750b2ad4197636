/** Joins the terminal with a container: what `attach`, `run -it` and `debug -it` have in common. */
import type { Pod } from '../../control/api/generated/types.ts';
import { pathOf } from './discovery.ts';
import { failure } from './errors.ts';
import { execute } from './exec-stream.ts';
import type { Session } from './session.ts';

export interface AttachFlags {
  readonly container: string;
  readonly stdin?: boolean | undefined;
  readonly tty?: boolean | undefined;
  readonly quiet?: boolean | undefined;
}

const POLL_MS = 250;
/** kubectl waits as long for a pod to run. */
const RUNNING_TIMEOUT_MS = 60_000;

/** Waits until a container runs, or has ended. @throws CommandError if it does not within a minute. */
export async function waitForContainer(
  session: Session,
  pod: Pod,
  container: string,
  timeoutMs = RUNNING_TIMEOUT_MS,
): Promise<Pod> {
  const pods = await session.discovery.find('pods');
  const path = pathOf(pods, pod.metadata?.namespace ?? session.namespace, pod.metadata?.name ?? '');
  const deadline = session.context.clock.now() + timeoutMs;
  for (;;) {
    const current = await session.api.json<Pod>('GET', path);
    const state = stateOf(current, container);
    if (state?.running || state?.terminated) return current;
    const { phase } = current.status ?? {};
    if (phase === 'Succeeded' || phase === 'Failed') return current;
    if (session.context.clock.now() >= deadline) {
      const why = state?.waiting?.reason;
      throw failure(
        `timed out waiting for the condition: container ${container} does not run${why ? ` (${why})` : ''}; "raftsman describe pod ${pod.metadata?.name}" tells why`,
      );
    }
    await session.context.delay(POLL_MS);
  }
}

function stateOf({ status }: Pod, name: string) {
  const all = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ];
  return all.find(each => each.name === name)?.state;
}

/** Whether a container has ended, so that only its log is left. */
export function hasEnded(pod: Pod, container: string): boolean {
  return (
    stateOf(pod, container)?.terminated !== undefined ||
    pod.status?.phase === 'Succeeded' ||
    pod.status?.phase === 'Failed'
  );
}

/** Joins the streams until the container ends, or prints what one that has ended wrote. Gives its exit code. */
export async function attachTo(session: Session, pod: Pod, flags: AttachFlags): Promise<number> {
  const pods = await session.discovery.find('pods');
  const { namespace = session.namespace, name = '' } = pod.metadata ?? {};
  if (hasEnded(pod, flags.container)) {
    const log = await session.api.text('GET', pathOf(pods, namespace, name, 'log'), {
      accept: '*/*',
      query: { container: flags.container },
    });
    session.context.stdout.write(log);
    return 0;
  }
  const { stdin, stdout, stderr } = session.context;
  const isTerminal = 'isTTY' in stdin && stdin.isTTY === true;
  const query = new URLSearchParams({ container: flags.container, stdout: 'true' });
  if (flags.stdin) query.append('stdin', 'true');
  query.append(flags.tty ? 'tty' : 'stderr', 'true');
  if (flags.stdin && !flags.quiet) session.error("If you don't see a command prompt, try pressing enter.");
  return execute(session.connection, `${pathOf(pods, namespace, name, 'attach')}?${query}`, {
    stdin: flags.stdin ? stdin : undefined,
    stdout,
    stderr,
    isTty: Boolean(flags.tty && flags.stdin && isTerminal),
  });
}
