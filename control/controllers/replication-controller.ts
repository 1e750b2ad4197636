/** ReplicationControllers, the ancestors of ReplicaSets: the same loop with a plain map as selector. */
import { replicationcontrollers } from '../api/generated/kinds.ts';
import type { ReplicationController } from '../api/generated/types.ts';
import type { Controller, ControllerContext } from './context.ts';
import { replicaController } from './replica-set.ts';

export function replicationController(context: ControllerContext): Controller {
  return replicaController<ReplicationController>(context, {
    name: 'replication-controller',
    kind: replicationcontrollers,
    selectorOf: ({ spec }) => (spec?.selector ? { matchLabels: spec.selector } : undefined),
  });
}
