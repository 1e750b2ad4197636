/** What the scheduler writes about pods: bindings, conditions, nominations and evictions, with their events. */
import { pods as podsKind } from '../api/generated/kinds.ts';
import type { Pod } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import { type Clock, timestamp } from '../client/clock.ts';
import { ApiEventRecorder, type EventRecorder, referenceTo } from '../client/events.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import type { Logger } from '../client/logger.ts';
import { EVENT_NOTE_LENGTH_MAX, EVICTIONS_CONCURRENT_MAX } from './limits.ts';
import { DEFAULT_SCHEDULER_NAME } from './profile.ts';

export interface PodWriterOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly identity: string;
}

export interface Report {
  readonly reason?: 'Unschedulable' | 'SchedulerError';
  /** The node that the pod is to have; '' for none any more, undefined for no change. */
  readonly nomination?: string;
}

export class PodWriter {
  readonly #options: PodWriterOptions;
  /** By the scheduler's name that pods ask for: it is the events' source. */
  readonly #recorders = new Map<string, EventRecorder>();

  constructor(options: PodWriterOptions) {
    this.#options = options;
  }

  /** Rejects with an `ApiError` if the API refuses. */
  async bind(pod: Pod, nodeName: string): Promise<void> {
    const { name = '', namespace = '' } = pod.metadata ?? {};
    await this.#options.client.createSubresource(podsKind, objectKey(pod), 'binding', {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace, uid: uidOf(pod) },
      target: { kind: 'Node', name: nodeName },
    });
    this.#recorderOf(pod).record(pod, {
      type: 'Normal',
      reason: 'Scheduled',
      action: 'Binding',
      message: `Successfully assigned ${namespace}/${name} to ${nodeName}`,
    });
  }

  /** Tells that the pod has no node. Never rejects. */
  async report(pod: Pod, message: string, { reason = 'Unschedulable', nomination }: Report = {}): Promise<void> {
    const { clock } = this.#options;
    this.#recorderOf(pod).record(pod, {
      type: 'Warning',
      reason: 'FailedScheduling',
      action: 'Scheduling',
      message: shortened(message),
    });
    const known = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    const isTold = known?.status === 'False' && known.reason === reason && known.message === message;
    const isNominated = nomination === undefined || nomination === (pod.status?.nominatedNodeName ?? '');
    if (isTold && isNominated) return;
    const lastTransitionTime = known?.status === 'False' ? known.lastTransitionTime : timestamp(clock.now());
    const condition = { type: 'PodScheduled', status: 'False', reason, message, lastTransitionTime };
    await this.#patchStatus(pod, {
      ...(!isTold && { conditions: [condition] }),
      ...(!isNominated && { nominatedNodeName: nomination || null }),
    });
  }

  /** The pod is to have no node any more that it was nominated for. Never rejects. */
  async clearNomination(pod: Pod): Promise<void> {
    if (pod.status?.nominatedNodeName) await this.#patchStatus(pod, { nominatedNodeName: null });
  }

  /** Marks and deletes the victims; false if one of them could not be. Never rejects. */
  async evict(victims: readonly Pod[], preemptor: Pod, nodeName: string): Promise<boolean> {
    const waiting = [...victims];
    let isDone = true;
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        if (!(await this.#evictOne(next, preemptor, nodeName))) isDone = false;
      }
    };
    await Promise.all(Array.from({ length: Math.min(victims.length, EVICTIONS_CONCURRENT_MAX) }, work));
    return isDone;
  }

  async #evictOne(victim: Pod, preemptor: Pod, nodeName: string): Promise<boolean> {
    const { client, clock, logger, signal } = this.#options;
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'PreemptionByScheduler',
      message: `${preemptor.spec?.schedulerName ?? DEFAULT_SCHEDULER_NAME}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: timestamp(clock.now()),
    };
    try {
      const isMarked = victim.status?.conditions?.some(
        ({ type, status, reason }) => type === condition.type && status === 'True' && reason === condition.reason,
      );
      if (!isMarked) {
        await client.patch(
          podsKind,
          objectKey(victim),
          {
            type: 'application/strategic-merge-patch+json',
            body: { metadata: { uid: uidOf(victim) }, status: { conditions: [condition] } },
          },
          { subresource: 'status' },
        );
      }
      await client.delete(podsKind, objectKey(victim), { uid: uidOf(victim) });
    } catch (error) {
      // Whoever took it away did what was wanted; another pod under its name is none of ours.
      if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict')) return true;
      if (!signal.aborted) logger.warn({ pod: keyOf(victim), err: error }, 'eviction failed');
      return false;
    }
    this.#recorderOf(preemptor).record(victim, {
      type: 'Normal',
      reason: 'Preempted',
      action: 'Preempting',
      message: `Preempted by pod ${uidOf(preemptor)} on node ${nodeName}`,
      related: referenceTo(preemptor),
    });
    return true;
  }

  async #patchStatus(pod: Pod, status: object): Promise<void> {
    const { client, logger, signal } = this.#options;
    try {
      await client.patch(
        podsKind,
        objectKey(pod),
        { type: 'application/strategic-merge-patch+json', body: { metadata: { uid: uidOf(pod) }, status } },
        { subresource: 'status' },
      );
    } catch (error) {
      if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict') || signal.aborted) return;
      logger.warn({ pod: keyOf(pod), err: error }, 'pod status not written');
    }
  }

  #recorderOf(pod: Pod): EventRecorder {
    const component = pod.spec?.schedulerName ?? DEFAULT_SCHEDULER_NAME;
    const known = this.#recorders.get(component);
    if (known) return known;
    const { client, clock, logger, identity } = this.#options;
    const recorder = new ApiEventRecorder({ client, clock, logger, component, instance: `${component}-${identity}` });
    this.#recorders.set(component, recorder);
    return recorder;
  }
}

/** As much as an event has room for. */
function shortened(message: string): string {
  if (message.length <= EVENT_NOTE_LENGTH_MAX) return message;
  return `${message.slice(0, EVENT_NOTE_LENGTH_MAX - MORE.length)}${MORE}`;
}

const MORE = ' ...';
const uidOf = (pod: Pod) => pod.metadata?.uid ?? '';
