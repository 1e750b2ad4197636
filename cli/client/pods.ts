/** Which pod, and which container in it, a command such as `logs` or `exec` means. */
import type { Command } from 'commander';
import type { Pod } from '../../control/api/generated/types.ts';
import { resolveTargets } from './arguments.ts';
import { pathOf } from './discovery.ts';
import { failure } from './errors.ts';
import { listObjects } from './objects.ts';
import type { Session } from './session.ts';
import { podSelectorOf } from './templates.ts';
import { usageFailure } from './usage.ts';

const POLL_MS = 200;

/** @throws CommandError if no pod could be waited for */
export function checkPodTimeout(command: Command, timeoutMs: number): void {
  if (timeoutMs <= 0) throw usageFailure(command, '--pod-running-timeout must be higher than zero');
}

/** `web-1`, `pod/web-1`, `deploy/web`: of several pods the one that is ready and running, else the oldest. */
export async function findPod(
  session: Session,
  word: string,
  options: { readonly tellsChoice?: boolean /** For a pod to be there. */; readonly timeoutMs?: number } = {},
): Promise<Pod> {
  const pods = await session.discovery.find('pods');
  const { targets } = await resolveTargets(word.includes('/') ? [word] : ['pods', word], session.discovery);
  const [target] = targets;
  if (target?.name === undefined) throw failure(`a pod, or TYPE/NAME, must be named`);
  const object = await session.api.json('GET', pathOf(target.resource, session.namespace, target.name));
  if (target.resource.kind === 'Pod') return object as Pod;
  const selector = podSelectorOf({ ...object, kind: target.resource.kind });
  if (selector === undefined)
    throw failure(
      `cannot get the logs from ${goType(target.resource)}: selector for ${goType(target.resource)} not implemented`,
    );
  const deadline = session.context.clock.now() + (options.timeoutMs ?? 0);
  let found = await listObjects<Pod>(session, pods, { selector });
  while (found.length === 0 && session.context.clock.now() < deadline) {
    await session.context.delay(POLL_MS);
    found = await listObjects<Pod>(session, pods, { selector });
  }
  const [first] = found.sort((a, b) => rank(a) - rank(b) || age(a) - age(b));
  if (!first) throw failure('timed out waiting for the condition');
  if (options.tellsChoice && found.length > 1) {
    session.error(`Found ${found.length} pods, using pod/${first.metadata?.name}`);
  }
  return first;
}

/** How kubectl names a kind here. */
const goType = ({ version, kind }: { readonly version: string; readonly kind: string }) => `*${version}.${kind}`;

function rank({ status, metadata }: Pod): number {
  if (metadata?.deletionTimestamp) return 3;
  if (status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')) return 0;
  return status?.phase === 'Running' ? 1 : 2;
}
const age = ({ metadata }: Pod) => Date.parse(metadata?.creationTimestamp ?? '') || 0;

const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

/**
 * The container: the one named, the annotated default, else the first; a note tells which was chosen of several.
 * @throws CommandError if there is none of that name.
 */
export function findContainer(session: Session, pod: Pod, name: string | undefined): string {
  const containers = [
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.initContainers ?? []),
    ...(pod.spec?.ephemeralContainers ?? []),
  ];
  const podName = pod.metadata?.name ?? '';
  if (name !== undefined) {
    if (containers.some(container => container.name === name)) return name;
    throw failure(`container ${name} is not valid for pod ${podName}`);
  }
  const annotated = pod.metadata?.annotations?.[DEFAULT_CONTAINER];
  if (annotated && containers.some(container => container.name === annotated)) return annotated;
  const [first] = containers;
  if (!first) throw failure(`pod ${podName} has no containers`);
  if (containers.length > 1) {
    session.error(
      `Defaulted container "${first.name}" out of: ${containers.map(container => describeContainer(pod, container.name)).join(', ')}`,
    );
  }
  return first.name;
}

function describeContainer(pod: Pod, name: string): string {
  const isIn = (list: readonly { name: string }[] | undefined) =>
    (list ?? []).some(container => container.name === name);
  return `${name}${isIn(pod.spec?.initContainers) ? ' (init)' : isIn(pod.spec?.ephemeralContainers) ? ' (ephem)' : ''}`;
}
