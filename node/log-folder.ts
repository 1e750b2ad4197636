/**
 * The folder of logs that the node shows under `/logs/`, where a kubelet shows its machine's `/var/log`: the logs of all
 * containers that the runtime still has, by pod and by container, named as Kubernetes names them. Paths are looked up among
 * these names and never opened, so none leads anywhere else. Pure.
 */
import type { ContainerStatus, SandboxStatus } from './runtime/runtime.ts';

export type LogEntry =
  /** Names of folders end in a slash. */
  | { readonly type: 'folder'; readonly names: readonly string[] }
  | { readonly type: 'log'; readonly containerId: string };

interface Log {
  readonly sandbox: SandboxStatus;
  readonly container: ContainerStatus;
}

/** What stands at a path below the folder, given by its parts; undefined if there is nothing. */
export function findLogEntry(sandboxes: readonly SandboxStatus[], parts: readonly string[]): LogEntry | undefined {
  const logs = sandboxes.flatMap(sandbox => sandbox.containers.map(container => ({ sandbox, container })));
  const [section, ...rest] = parts;
  if (section === undefined) return folder(['containers/', 'pods/']);
  if (section === 'containers')
    return below(logs, rest, [
      ({ sandbox: { pod }, container }) => `${pod.name}_${pod.namespace}_${container.name}-${container.id}.log`,
    ]);
  if (section === 'pods') return below(logs, rest, POD_LEVELS);
  return undefined;
}

type Level = (log: Log) => string;
const POD_LEVELS: readonly Level[] = [
  ({ sandbox: { pod } }) => `${pod.namespace}_${pod.name}_${pod.uid}`,
  ({ container }) => container.name,
  ({ container }) => `${container.attempt}.log`,
];

function below(
  logs: readonly Log[],
  parts: readonly string[],
  [level, ...levels]: readonly Level[],
): LogEntry | undefined {
  const [name, ...rest] = parts;
  if (level === undefined) return undefined;
  const isLast = levels.length === 0;
  if (name === undefined) return folder(logs.map(log => `${level(log)}${isLast ? '' : '/'}`));
  const found = logs.filter(log => level(log) === name);
  if (!isLast) return found.length > 0 ? below(found, rest, levels) : undefined;
  // Sandboxes that were made anew may have had the same container before: the last one counts.
  const container = found.at(-1)?.container;
  return container && rest.length === 0 ? { type: 'log', containerId: container.id } : undefined;
}

function folder(names: readonly string[]): LogEntry {
  return { type: 'folder', names: [...new Set(names)].sort() };
}
