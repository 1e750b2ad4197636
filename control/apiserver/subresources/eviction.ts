/**
 * POST of an Eviction: a deletion that first asks the pod's disruption budget, and leaves word of why (k/k
 * pkg/registry/core/pod/storage/eviction.go). The budget is taken from by an optimistic transaction of its own, before the
 * pod goes: however many evict at once, through whichever masters, no more get through than it allows.
 */
import { DISRUPTION_ALLOWED, SYNC_FAILED, withDisruptionCondition } from '../../api/disruption.ts';
import { poddisruptionbudgets } from '../../api/generated/kinds.ts';
import type { DeleteOptions, Eviction, Pod, PodCondition, PodDisruptionBudget } from '../../api/generated/types.ts';
import type { KindDeclaration } from '../../api/kind.ts';
import { declarationOf } from '../../api/registry.ts';
import { decodeAs } from '../../api/schema/decode.ts';
import { matchesLabelSelector } from '../../api/selectors.ts';
import { ApiError, badRequest, conflict, forbidden, hasReason } from '../../api/status.ts';
import { listInNamespace } from '../admission/lookup.ts';
import { refuseForeignEviction } from '../admission/node-restriction.ts';
import { type Core, type ResourceRequest, timestamp } from '../core.ts';
import { jsonReply } from '../http/replies.ts';
import { resourceName } from '../keys.ts';
import type { Reply } from '../types.ts';
import { readValue } from '../verbs/body.ts';
import { deleteObject } from '../verbs/delete.ts';
import { readConsistent } from '../verbs/get.ts';
import { type DeletionOptions, readDeletionOptions, readWriteOptions } from '../verbs/options.ts';
import { changeObject } from '../verbs/update.ts';

const EVICTION = 'io.k8s.api.policy.v1.Eviction';
const VERSIONS = new Set(['policy/v1', 'policy/v1beta1']);
// Declared under its own type; what handles it needs no more than an object.
const BUDGET = declarationOf(poddisruptionbudgets) as unknown as KindDeclaration;
/** Evictions that the controller has not noticed yet (k/k MaxDisruptedPodSize). */
const DISRUPTED_PODS_MAX = 2_000;
/** A client that met a budget still being counted asks again after this. */
const UNCOUNTED_RETRY_SECONDS = 10;
const REFUSED = "Cannot evict pod as it would violate the pod's disruption budget.";
const SEVERAL = 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.';

export async function evict(core: Core, request: ResourceRequest): Promise<Reply> {
  const { exchange, info } = request;
  const eviction = readEviction(await readValue(exchange));
  if (eviction.metadata?.name !== info.name) throw badRequest('name in URL does not match name in Eviction object');
  const write = readWriteOptions(exchange.query, 'CreateOptions');
  const part = { group: 'policy', version: 'v1', kind: 'Eviction' };
  await core.admission.admitPart({ ...request, operation: 'CREATE', isDryRun: write.isDryRun, part }, eviction);
  const body: DeleteOptions = { ...eviction.deleteOptions };
  if (write.isDryRun) body.dryRun = ['All'];
  const options = readDeletionOptions(body, exchange.query);
  await evictPod(core, request, options);
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

async function evictPod(core: Core, request: ResourceRequest, options: DeletionOptions): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const pod = (await readConsistent(core, request.kind, request.info)).parse<Pod>();
    refuseForeignEviction(request, pod);
    const plan = await askBudget(core, request, { pod, options });
    // What was decided of a pod without a look at the budget holds for the pod as it was then.
    const pinned = plan.isPinned && options.resourceVersion === undefined;
    const resourceVersion = pod.metadata?.resourceVersion;
    try {
      return await remove(core, request, pinned && resourceVersion ? { ...options, resourceVersion } : options);
    } catch (error) {
      if (!pinned || !hasReason(error, 'Conflict')) throw error;
      if (plan.budget !== undefined) throw stillCounted(plan.budget);
      if (attempt >= core.limits.transactionAttemptsMax) throw error;
    }
  }
}

interface Permission {
  /** True if the pod must be the very one that was looked at. */
  readonly isPinned: boolean;
  /** The budget that was looked at. */
  readonly budget?: string;
}

/** Takes one disruption from the pod's budget if it needs one. Throws 429 where there is none, 500 for several budgets. */
async function askBudget(
  core: Core,
  request: ResourceRequest,
  { pod, options }: { readonly pod: Pod; readonly options: DeletionOptions },
): Promise<Permission> {
  const phase = pod.status?.phase ?? '';
  if (pod.metadata?.deletionTimestamp || phase === 'Succeeded' || phase === 'Failed') return { isPinned: false };
  if (phase === 'Pending') return { isPinned: true };
  const budgets = listInNamespace(core.cache, poddisruptionbudgets, request.info.namespace).filter(({ spec }) =>
    matchesLabelSelector(spec?.selector, pod.metadata?.labels),
  );
  const [budget] = budgets;
  if (!budget) return { isPinned: false };
  if (budgets.length > 1) throw new ApiError('', SEVERAL, { code: 500 });
  const name = budget.metadata?.name ?? '';
  if (!isReady(pod) && mayGoUnready(budget)) return { isPinned: true, budget: name };
  await takeDisruption(core, request, { name, podName: request.info.name, isDryRun: options.isDryRun });
  return { isPinned: false, budget: name };
}

const isReady = ({ status }: Pod): boolean =>
  (status?.conditions ?? []).some(({ type, status: value }) => type === 'Ready' && value === 'True');

/** A pod that is not ready counts for nothing: without it the budget has as many as before. */
function mayGoUnready({ spec, status }: PodDisruptionBudget): boolean {
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

async function takeDisruption(
  core: Core,
  request: ResourceRequest,
  { name, podName, isDryRun }: { readonly name: string; readonly podName: string; readonly isDryRun: boolean },
): Promise<void> {
  const info = { ...request.info, group: BUDGET.group, version: BUDGET.version, resource: BUDGET.plural };
  const own = { ...request, kind: BUDGET, info: { ...info, name, subresource: 'status', verb: 'update' } };
  await changeObject(core, own, {
    isDryRun,
    isInternal: true,
    change: (budget: PodDisruptionBudget) => decremented(budget, podName, timestamp(core.clock)),
  });
}

/** The budget with one disruption less, and the pod that took it. Throws why there is none to take. */
export function decremented(budget: PodDisruptionBudget, podName: string, now: string): PodDisruptionBudget {
  const { metadata, status } = budget;
  const name = metadata?.name ?? '';
  if (!status || (status.observedGeneration ?? 0) < (metadata?.generation ?? 0)) throw stillCounted(name);
  const refuse = (why: string) => forbidden({ group: 'policy', resource: 'poddisruptionbudget' }, name, why);
  if (status.disruptionsAllowed < 0) throw refuse('pdb disruptions allowed is negative');
  if (Object.keys(status.disruptedPods ?? {}).length > DISRUPTED_PODS_MAX) {
    throw refuse('DisruptedPods map too big - too many evictions not confirmed by PDB controller');
  }
  if (status.disruptionsAllowed === 0) throw tooManyRequests(whyNone(budget));
  const left = { ...status, disruptionsAllowed: status.disruptionsAllowed - 1 };
  return {
    ...budget,
    status: {
      ...left,
      ...(left.disruptionsAllowed === 0 && { conditions: withDisruptionCondition(left, now) }),
      disruptedPods: { ...status.disruptedPods, [podName]: now },
    },
  };
}

function whyNone({ metadata, status }: PodDisruptionBudget): string {
  const failed = status?.conditions?.find(({ type, reason }) => type === DISRUPTION_ALLOWED && reason === SYNC_FAILED);
  const subject = `The disruption budget ${metadata?.name}`;
  if (failed) return `${subject} does not allow evicting pods currently because it failed sync: ${failed.message}`;
  return `${subject} needs ${status?.desiredHealthy ?? 0} healthy pods and has ${status?.currentHealthy ?? 0} currently`;
}

const stillCounted = (name: string) =>
  tooManyRequests(`The disruption budget ${name} is still being processed by the server.`, UNCOUNTED_RETRY_SECONDS);

const tooManyRequests = (message: string, retryAfterSeconds?: number) =>
  new ApiError('TooManyRequests', REFUSED, {
    details: {
      causes: [{ reason: 'DisruptionBudget', message }],
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    },
  });

/** Tells the pod why it goes, then deletes it. Throws 409 where the preconditions do not hold. */
async function remove(core: Core, request: ResourceRequest, options: DeletionOptions): Promise<void> {
  if (options.isDryRun) {
    await deleteObject(core, request, { ...options, isInternal: true });
    return;
  }
  const told = await tellWhy(core, request, options);
  const resourceVersion = options.resourceVersion && told;
  await deleteObject(core, request, { ...options, resourceVersion, isInternal: true });
}

/** Gives the pod's version after it was told. */
async function tellWhy(core: Core, request: ResourceRequest, { uid, resourceVersion }: DeletionOptions) {
  const { kind, info } = request;
  const refuse = (what: string, wanted: string, has: string | undefined, end: string) =>
    conflict(
      resourceName(kind),
      info.name,
      `the ${what} in the precondition (${wanted}) does not match the ${what} in record (${has}). The object might have been ${end}`,
    );
  const changed = await changeObject(core, request, {
    isDryRun: false,
    isInternal: true,
    change(pod: Pod): Pod {
      const { metadata, status } = pod;
      if (uid !== undefined && uid !== metadata?.uid) {
        throw refuse('UID', uid, metadata?.uid, 'deleted and then recreated');
      }
      if (resourceVersion !== undefined && resourceVersion !== metadata?.resourceVersion) {
        throw refuse('ResourceVersion', resourceVersion, metadata?.resourceVersion, 'modified');
      }
      return { ...pod, status: { ...status, conditions: withDisruptionTarget(pod, timestamp(core.clock)) } };
    },
  });
  return String(changed.revision);
}

function withDisruptionTarget({ status }: Pod, now: string): PodCondition[] {
  const conditions = status?.conditions ?? [];
  const present = conditions.find(({ type }) => type === 'DisruptionTarget');
  const condition: PodCondition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastTransitionTime: present?.status === 'True' ? (present.lastTransitionTime ?? now) : now,
  };
  return [...conditions.filter(each => each !== present), condition];
}
