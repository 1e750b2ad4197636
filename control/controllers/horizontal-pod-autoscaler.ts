/** Gives the targets of HorizontalPodAutoscalers the size that their metrics ask for. */
import { horizontalpodautoscalers as autoscalersKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Pod, Scale } from '../api/generated/types.ts';
import type { Kind } from '../api/kind.ts';
import { type LabelRequirements, matchesLabels, parseLabelSelector } from '../api/selectors.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { keyOf } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import type { DiscoveredKinds } from './discovered-kinds.ts';
import { isEqual } from './equal.ts';
import { AutoscalerApi } from './horizontal-pod-autoscaler-api.ts';
import {
  type Autoscaler,
  type AutoscalerPlan,
  type AutoscalerState,
  asksForMetrics,
  planAutoscaler,
  planWithoutTarget,
  type TargetScale,
  withRescale,
} from './horizontal-pod-autoscaler-plan.ts';
import type { Reading } from './horizontal-pod-autoscaler-proposals.ts';
import { EMPTY_HISTORY, type ScaleHistory } from './horizontal-pod-autoscaler-rates.ts';
import { AUTOSCALER_PERIOD_MS } from './limits.ts';
import { byNamespace, NAMESPACE_INDEX } from './owners.ts';
import { messageOf } from './pod-control.ts';

/** What is found under the target's reference. */
interface Target {
  readonly kind: Kind;
  readonly scale: Scale;
}

export function horizontalPodAutoscalerController(context: ControllerContext, kinds: DiscoveredKinds): Controller {
  const { client, clock, informers, logger, signal } = context;
  const queue = newQueue(context);
  const recorder = context.recorder('horizontal-pod-autoscaler');
  const autoscalers = informers.for<Autoscaler>(autoscalersKind);
  const pods = informers.for<Pod>(podsKind);
  pods.addIndex(NAMESPACE_INDEX, byNamespace);
  const api = new AutoscalerApi(client.transport, signal);
  /** By key; each bounded by its longest window. */
  const histories = new Map<string, ScaleHistory>();
  const selectors = new Map<string, LabelRequirements>();
  // As in Kubernetes each is looked at once a period, a new one too: what it needs may only just be on its way.
  const enqueue = (autoscaler: Autoscaler) => queue.addAfter(keyOf(autoscaler), AUTOSCALER_PERIOD_MS);
  autoscalers.addHandler({
    added: enqueue,
    updated: enqueue,
    deleted: autoscaler => {
      histories.delete(keyOf(autoscaler));
      selectors.delete(keyOf(autoscaler));
    },
  });

  const groupOf = (apiVersion = '') => (apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '');
  /** Throws with Kubernetes' sentence. */
  const findTarget = async ({ metadata, spec }: Autoscaler): Promise<Target> => {
    const { apiVersion, kind = '', name = '' } = spec?.scaleTargetRef ?? {};
    if ((apiVersion ?? '').split('/').length > 2) throw new Error(`unexpected GroupVersion string: ${apiVersion}`);
    const group = groupOf(apiVersion);
    await kinds.refresh();
    let failure: unknown;
    for (const candidate of kinds.versionsOf(group, kind)) {
      try {
        return {
          kind: candidate,
          scale: await api.getScale(candidate, { namespace: metadata?.namespace ?? '', name }),
        };
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure ?? new Error(`no matches for kind ${JSON.stringify(kind)} in group ${JSON.stringify(group)}`);
  };
  const resourceOf = (reference: { readonly apiVersion?: string; readonly kind: string }) => {
    const [found] = kinds.versionsOf(groupOf(reference.apiVersion), reference.kind);
    return found && (found.group ? `${found.plural}.${found.group}` : found.plural);
  };

  /** All that the plan looks at; the metrics only if they decide. */
  const look = async (autoscaler: Autoscaler, { specReplicas, statusReplicas, selector }: TargetScale) => {
    const key = keyOf(autoscaler);
    const namespace = autoscaler.metadata?.namespace ?? '';
    const target = { specReplicas, statusReplicas, selector };
    const nowMs = clock.now();
    const history = histories.get(key) ?? {
      ...EMPTY_HISTORY,
      recommendations: [{ replicas: specReplicas, atMs: nowMs }],
    };
    const parsed = parseSelector(selector);
    const found = { autoscaler, target, history, nowMs, selectorError: parsed.error };
    if (!asksForMetrics(autoscaler, target) || selector === '' || !parsed.requirements) {
      return { ...found, pods: [], rivals: [], readings: [] };
    }
    const { requirements } = parsed;
    selectors.set(key, requirements);
    const selected = pods
      .byIndex(NAMESPACE_INDEX, namespace)
      .filter(({ metadata }) => matchesLabels(requirements, metadata?.labels));
    const rivals = [...selectors]
      .filter(([other]) => other.startsWith(`${namespace}/`))
      .filter(([, theirs]) => selected.some(({ metadata }) => matchesLabels(theirs, metadata?.labels)))
      .map(([other]) => other)
      .toSorted();
    const readings: readonly Reading[] =
      rivals.length > 1
        ? []
        : await Promise.all(
            (autoscaler.spec?.metrics ?? []).map(spec => api.read({ spec, namespace, selector, resourceOf })),
          );
    return { ...found, pods: selected, rivals, readings };
  };

  const rescale = async (state: AutoscalerState, plan: AutoscalerPlan, target: Target): Promise<AutoscalerPlan> => {
    const { rescale: wanted } = plan;
    if (!wanted) return plan;
    let failure: string | undefined;
    try {
      await api.setReplicas(target.kind, target.scale, wanted.replicas);
    } catch (error) {
      failure = messageOf(error);
    }
    const { status, history, event } = withRescale(state, { ...plan, rescale: wanted }, failure);
    return { ...plan, status, history, events: [...plan.events, event] };
  };

  const decide = async (autoscaler: Autoscaler): Promise<AutoscalerPlan> => {
    let target: Target;
    try {
      target = await findTarget(autoscaler);
    } catch (error) {
      if (signal.aborted) throw error;
      const history = histories.get(keyOf(autoscaler)) ?? EMPTY_HISTORY;
      return { ...planWithoutTarget(autoscaler, messageOf(error), clock.now()), history };
    }
    const { spec, status } = target.scale;
    const state = await look(autoscaler, {
      specReplicas: spec?.replicas ?? 0,
      statusReplicas: status?.replicas ?? 0,
      selector: status?.selector ?? '',
    });
    return rescale(state, planAutoscaler(state), target);
  };

  const reconcile = async (key: string): Promise<ReconcileResult | undefined> => {
    const autoscaler = autoscalers.get(key);
    if (!autoscaler || autoscaler.metadata?.deletionTimestamp) return undefined;
    const plan = await decide(autoscaler);
    histories.set(key, plan.history);
    for (const event of plan.events) recorder.record(autoscaler, event);
    try {
      if (!isEqual(plan.status, autoscaler.status)) {
        await client.update(autoscalersKind, { ...autoscaler, status: plan.status }, { subresource: 'status' });
      }
    } catch (error) {
      if (signal.aborted) throw error;
      recorder.record(autoscaler, { type: 'Warning', reason: 'FailedUpdateStatus', message: messageOf(error) });
      logger.debug({ key, err: error }, 'the status of an autoscaler was not written');
    }
    // Whatever came of it, a period later it is looked at again; sooner would only ask for the same measurements.
    return { afterMs: AUTOSCALER_PERIOD_MS };
  };
  return queueController(context, { name: 'horizontal-pod-autoscaler-controller', queue, reconcile });
}

function parseSelector(text: string): {
  readonly requirements?: LabelRequirements;
  readonly error: string | undefined;
} {
  if (text === '') return { error: undefined };
  try {
    return { requirements: parseLabelSelector(text), error: undefined };
  } catch (error) {
    return { error: messageOf(error) };
  }
}
