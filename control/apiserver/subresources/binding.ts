/** POST of a Binding: the scheduler's decision. A pod is bound once; a second binding is a conflict. */
import { bindings, pods } from '../../api/generated/kinds.ts';
import type { Binding, Pod, PodCondition } from '../../api/generated/types.ts';
import { declarationOf } from '../../api/registry.ts';
import { decode } from '../../api/schema/decode.ts';
import { ApiError, badRequest, conflict } from '../../api/status.ts';
import { type Core, type ResourceRequest, timestamp } from '../core.ts';
import type { VirtualResource } from '../discovery.ts';
import { identityOf } from '../exchange.ts';
import { jsonReply } from '../http/replies.ts';
import type { Exchange, Reply } from '../types.ts';
import { readValue } from '../verbs/body.ts';
import { readWriteOptions } from '../verbs/options.ts';
import { changeObject } from '../verbs/update.ts';

const POD = declarationOf(pods);

export async function bind(core: Core, request: ResourceRequest): Promise<Reply> {
  const binding = await readBinding(request.exchange);
  if (binding.metadata?.name && binding.metadata.name !== request.info.name) {
    throw badRequest('name in URL does not match name in Binding object');
  }
  return bindPod(core, request, binding);
}

/** The pod is named in the body, not in the path. */
export async function bindByBody(core: Core, exchange: Exchange): Promise<Reply> {
  const binding = await readBinding(exchange);
  const name = binding.metadata?.name ?? '';
  const info = { ...exchange.info, resource: 'pods', subresource: 'binding', name };
  return bindPod(core, { exchange, info, identity: identityOf(exchange), kind: POD }, binding);
}

async function readBinding(exchange: Exchange): Promise<Binding> {
  return decode(bindings, { value: await readValue(exchange) }).object;
}

async function bindPod(core: Core, request: ResourceRequest, binding: Binding): Promise<Reply> {
  const { exchange, info } = request;
  const { isDryRun } = readWriteOptions(exchange.query, 'CreateOptions');
  const part = { group: '', version: 'v1', kind: 'Binding' };
  await core.admission.admitPart({ ...request, operation: 'CREATE', isDryRun, part }, binding);
  const target = binding.target ?? {};
  if (target.kind && target.kind !== 'Node') {
    const message = `target.kind: Unsupported value: ${JSON.stringify(target.kind)}: supported values: "Node", "<empty>"`;
    throw new ApiError('', message, { code: 500 });
  }
  const nodeName = target.name;
  if (!nodeName) throw new ApiError('', 'target.name: Required value', { code: 500 });
  const refuse = (why: string) => conflict({ group: '', resource: 'pods/binding' }, info.name, why);
  await changeObject(core, request, {
    isDryRun,
    isInternal: true,
    change(pod: Pod): Pod {
      if (pod.metadata?.deletionTimestamp) {
        throw refuse(`pod ${info.name} is being deleted, cannot be assigned to a host`);
      }
      if (pod.spec?.nodeName) {
        throw refuse(`pod ${info.name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
      }
      if (pod.spec?.schedulingGates?.length) {
        throw refuse(`pod ${info.name} has non-empty .spec.schedulingGates`);
      }
      const wanted = binding.metadata?.uid;
      if (wanted && wanted !== pod.metadata?.uid) {
        throw refuse(`Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${pod.metadata?.uid}`);
      }
      return bound(pod, { nodeName, binding, now: timestamp(core.clock) });
    },
  });
  return jsonReply(201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
}

function bound(
  pod: Pod,
  { nodeName, binding, now }: { readonly nodeName: string; readonly binding: Binding; readonly now: string },
): Pod {
  const annotations = { ...pod.metadata?.annotations, ...binding.metadata?.annotations };
  const scheduled: PodCondition = { type: 'PodScheduled', status: 'True', lastTransitionTime: now };
  const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled');
  return {
    ...pod,
    metadata: { ...pod.metadata, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { containers: [], ...pod.spec, nodeName },
    status: { ...pod.status, conditions: [...others, scheduled] },
  };
}

/** Bindings can be posted without naming the pod in the path; they are listed, though never stored. */
export const BINDINGS: VirtualResource = {
  group: '',
  version: 'v1',
  kind: 'Binding',
  plural: 'bindings',
  singular: 'binding',
  namespaced: true,
};
