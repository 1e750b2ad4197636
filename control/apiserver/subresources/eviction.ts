/** POST of an Eviction: a deletion that leaves word of why. Disruption budgets are not asked yet. */
import type { DeleteOptions, Eviction, Pod, PodCondition } from '../../api/generated/types.ts';
import { decodeAs } from '../../api/schema/decode.ts';
import { badRequest } from '../../api/status.ts';
import { type Core, type ResourceRequest, timestamp } from '../core.ts';
import { jsonReply } from '../http/replies.ts';
import type { Reply } from '../types.ts';
import { readValue } from '../verbs/body.ts';
import { deleteObject } from '../verbs/delete.ts';
import { readConsistent } from '../verbs/get.ts';
import { readDeletionOptions, readWriteOptions } from '../verbs/options.ts';
import { changeObject } from '../verbs/update.ts';

const EVICTION = 'io.k8s.api.policy.v1.Eviction';
const VERSIONS = new Set(['policy/v1', 'policy/v1beta1']);

export async function evict(core: Core, request: ResourceRequest): Promise<Reply> {
  const { exchange, info, kind } = request;
  const eviction = readEviction(await readValue(exchange));
  if (eviction.metadata?.name !== info.name) throw badRequest('name in URL does not match name in Eviction object');
  const write = readWriteOptions(exchange.query, 'CreateOptions');
  const part = { group: 'policy', version: 'v1', kind: 'Eviction' };
  await core.admission.admitPart({ ...request, operation: 'CREATE', isDryRun: write.isDryRun, part }, eviction);
  const body: DeleteOptions = { ...eviction.deleteOptions };
  if (write.isDryRun) body.dryRun = ['All'];
  const options = readDeletionOptions(body, exchange.query);
  const pod = (await readConsistent(core, kind, { namespace: info.namespace, name: info.name })).parse<Pod>();
  const isEnding = pod.metadata?.deletionTimestamp || ['Succeeded', 'Failed'].includes(pod.status?.phase ?? '');
  if (!options.isDryRun && !isEnding && options.uid === undefined) await tellWhy(core, request);
  await deleteObject(core, request, { ...options, isInternal: true });
  return jsonReply(201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
}

function readEviction(value: unknown): Eviction {
  const sent = (value ?? {}) as Eviction;
  const [apiVersion, kind] = [String(sent.apiVersion ?? 'policy/v1'), String(sent.kind ?? 'Eviction')];
  if (kind !== 'Eviction' || !VERSIONS.has(apiVersion)) {
    const version = apiVersion.split('/').at(-1);
    throw badRequest(
      `${kind} in version "${version}" cannot be handled as a Eviction: no kind "${kind}" is registered for version "${apiVersion}" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"`,
    );
  }
  return decodeAs<Eviction>(EVICTION, value, 'Eviction');
}

async function tellWhy(core: Core, request: ResourceRequest): Promise<void> {
  await changeObject(core, request, {
    isDryRun: false,
    isInternal: true,
    change(pod: Pod): Pod {
      const condition: PodCondition = {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'EvictionByEvictionAPI',
        message: 'Eviction API: evicting',
        lastTransitionTime: timestamp(core.clock),
      };
      const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== condition.type);
      return { ...pod, status: { ...pod.status, conditions: [...others, condition] } };
    },
  });
}
