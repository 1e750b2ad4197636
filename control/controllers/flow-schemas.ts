/**
 * Says in the status of each FlowSchema whether the PriorityLevelConfiguration that it names is there (k8s.io/apiserver
 * pkg/util/flowcontrol/apf_controller.go). `kubectl get flowschemas` shows it as MISSINGPL.
 */
import { prioritylevelconfigurations as levelsKind, flowschemas as schemasKind } from '../api/generated/kinds.ts';
import type { FlowSchema, FlowSchemaCondition, PriorityLevelConfiguration } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { timestamp } from '../client/clock.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';

const DANGLING = 'Dangling';

export function flowSchemaController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const queue = newQueue(context);
  const schemas = informers.for<FlowSchema>(schemasKind);
  const levels = informers.for<PriorityLevelConfiguration>(levelsKind);
  const enqueue = ({ metadata }: FlowSchema) => queue.add(metadata?.name ?? '');
  schemas.addHandler({ added: enqueue, updated: enqueue, deleted() {} });
  const enqueueOf = ({ metadata }: PriorityLevelConfiguration) => {
    for (const schema of schemas.list()) {
      if (schema.spec?.priorityLevelConfiguration.name === metadata?.name) enqueue(schema);
    }
  };
  levels.addHandler({ added: enqueueOf, updated() {}, deleted: enqueueOf });

  const reconcile = async (name: string) => {
    const schema = schemas.get(name);
    if (!schema) return undefined;
    const level = schema.spec?.priorityLevelConfiguration.name ?? '';
    const condition = danglingCondition(schema, levels.get(level) !== undefined, timestamp(clock.now()));
    if (!condition) return undefined;
    const others = (schema.status?.conditions ?? []).filter(({ type }) => type !== DANGLING);
    const { resourceVersion } = schema.metadata ?? {};
    const body = { metadata: { resourceVersion }, status: { conditions: [...others, condition] } };
    try {
      const patch = { type: 'application/merge-patch+json' as const, body };
      await client.patch(schemasKind, { name }, patch, { subresource: 'status' });
    } catch (error) {
      // Gone or changed meanwhile: its news brings it here again.
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
    }
    return undefined;
  };
  return queueController(context, { name: 'flow-schema-controller', queue, reconcile });
}

/** What the schema's condition has to be, at the time `now`; undefined if it is so. Pure. */
export function danglingCondition(
  { spec, status }: FlowSchema,
  hasLevel: boolean,
  now: string,
): FlowSchemaCondition | undefined {
  const old = status?.conditions?.find(({ type }) => type === DANGLING);
  const named = JSON.stringify(spec?.priorityLevelConfiguration.name ?? '');
  const wanted = {
    type: DANGLING,
    status: hasLevel ? 'False' : 'True',
    reason: hasLevel ? 'Found' : 'NotFound',
    message: `This FlowSchema references the PriorityLevelConfiguration object named ${named} ${
      hasLevel ? 'and it exists' : 'but there is no such object'
    }`,
  };
  const isSame = old?.status === wanted.status && old.reason === wanted.reason && old.message === wanted.message;
  if (isSame) return undefined;
  const lastTransitionTime = (old?.status === wanted.status && old.lastTransitionTime) || now;
  return { ...wanted, lastTransitionTime };
}
