/** Which container of a pod a request means. Pure. */
import type { Pod } from '../../api/generated/types.ts';
import { badRequest } from '../../api/status.ts';

const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

/** The container to use; '' asks for the only one. Throws 400 in the words of k/k:pkg/registry/core/pod/strategy.go. */
export function chooseContainer(pod: Pod, asked: string): string {
  const names = (list: readonly { readonly name: string }[] | undefined) => (list ?? []).map(({ name }) => name);
  const containers = names(pod.spec?.containers);
  const initContainers = names(pod.spec?.initContainers);
  const ephemeral = names(pod.spec?.ephemeralContainers);
  const podName = pod.metadata?.name ?? '';
  if (asked !== '') {
    if ([...containers, ...initContainers, ...ephemeral].includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${podName}`);
  }
  const [first = ''] = containers;
  if (containers.length === 1) return first;
  const preferred = pod.metadata?.annotations?.[DEFAULT_CONTAINER];
  if (preferred && containers.includes(preferred)) return preferred;
  const init = initContainers.length > 0 ? ` or one of the init containers: [${initContainers.join(' ')}]` : '';
  throw badRequest(
    `a container name must be specified for pod ${podName}, choose one of: [${containers.join(' ')}]${init}`,
  );
}
