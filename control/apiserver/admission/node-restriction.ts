/** A node's agent writes its own Node, its own pods and nothing of other nodes (NodeRestriction). */
import type { Pod } from '../../api/generated/types.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { forbidden } from '../../api/status.ts';
import { resourceName } from '../keys.ts';
import type { AdmissionPlugin, AdmissionRequest, States } from './admission.ts';

const NODE_USER = 'system:node:';

export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  mutate(request, states) {
    const { identity, kind } = request;
    if (!identity.user.startsWith(NODE_USER) || !identity.groups.includes('system:nodes')) return;
    const nodeName = identity.user.slice(NODE_USER.length);
    const refusal = refuse(request, states, nodeName);
    if (refusal) throw forbidden(resourceName(kind), request.info.name || nameOf(states), refusal);
  },
};

const nameOf = ({ object, old }: States) => (object ?? old)?.metadata?.name ?? '';
const nodeOf = (object: KubernetesObject | undefined) => (object as Pod | undefined)?.spec?.nodeName;

/** Why the write is refused; undefined if it is not. */
function refuse(request: AdmissionRequest, states: States, nodeName: string): string | undefined {
  const { kind, info, operation } = request;
  const { object, old } = states;
  if (kind.group === '' && kind.plural === 'nodes') {
    if (nameOf(states) !== nodeName) return `node "${nodeName}" is not allowed to modify node "${nameOf(states)}"`;
    return undefined;
  }
  if (kind.group === '' && kind.plural === 'pods') {
    switch (operation) {
      case 'CREATE':
        if (nodeOf(object) === nodeName) return undefined;
        return `node "${nodeName}" can only create pods with spec.nodeName set to itself`;
      case 'UPDATE':
        if (info.subresource === '') return `node "${nodeName}" can only update the status of pods`;
        if (nodeOf(old) === nodeName) return undefined;
        return `node "${nodeName}" can only update pod status for pods with spec.nodeName set to itself`;
      case 'DELETE':
        if (nodeOf(old) === nodeName) return undefined;
        return `node "${nodeName}" can only delete pods with spec.nodeName set to itself`;
    }
  }
  if (kind.group === 'coordination.k8s.io' && kind.plural === 'leases' && nameOf(states) !== nodeName) {
    return 'can only access node lease with the same name as the requesting node';
  }
  return undefined;
}
