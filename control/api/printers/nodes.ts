/** Namespaces and nodes. */
import type { Namespace, Node } from '../generated/types.ts';
import { age, columns, NAME, nameOf, type Printer, printer, wide } from './printer.ts';

export const namespace: Printer = printer<Namespace>(columns(NAME, 'Status', 'Age'), (object, now) => [
  nameOf(object),
  object.status?.phase ?? '',
  age(object, now),
]);

const NODE_WIDE = ['Internal-IP', 'External-IP', 'OS-Image', 'Kernel-Version', 'Container-Runtime'].map(name =>
  wide(name),
);

export const node: Printer = printer<Node>(
  columns(NAME, 'Status', 'Roles', 'Age', 'Version', ...NODE_WIDE),
  (object, now) => {
    const info = object.status?.nodeInfo;
    return [
      nameOf(object),
      nodeStatus(object),
      nodeRoles(object).join(',') || '<none>',
      age(object, now),
      info?.kubeletVersion ?? '',
      addressOf(object, 'InternalIP'),
      addressOf(object, 'ExternalIP'),
      info?.osImage || '<unknown>',
      info?.kernelVersion || '<unknown>',
      info?.containerRuntimeVersion || '<unknown>',
    ];
  },
);

function nodeStatus(node: Node): string {
  const ready = (node.status?.conditions ?? []).find(condition => condition.type === 'Ready');
  const status = ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown';
  return node.spec?.unschedulable ? `${status},SchedulingDisabled` : status;
}

const ROLE_PREFIX = 'node-role.kubernetes.io/';

/** The roles that a node's labels give it, sorted. */
export function nodeRoles(node: Node): string[] {
  const roles = Object.entries(node.metadata?.labels ?? {}).map(([key, value]) => {
    if (key.startsWith(ROLE_PREFIX)) return key.slice(ROLE_PREFIX.length);
    return key === 'kubernetes.io/role' ? value : '';
  });
  return [...new Set(roles)].filter(role => role !== '').sort();
}

function addressOf(node: Node, type: string): string {
  return (node.status?.addresses ?? []).find(address => address.type === type)?.address ?? '<none>';
}
