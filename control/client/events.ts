/**
 * Writes Events for people to read. Recording never blocks and never fails: what the queue cannot hold is dropped and
 * counted. Repeated events become one object with a count; many alike ones are merged (client-go tools/record).
 */
import { events as eventsKind } from '../api/generated/kinds.ts';
import type { Event, ObjectReference } from '../api/generated/types.ts';
import type { KubernetesObject } from '../api/kind.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from './client.ts';
import { type Clock, microTimestamp, timestamp } from './clock.ts';
import { EventCorrelator } from './event-correlator.ts';
import { EVENT_QUEUE_MAX, EVENT_WRITES_CONCURRENT_MAX } from './limits.ts';
import type { Logger } from './logger.ts';

export interface EventToRecord {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** Only events in the newer style have one, and a related object: the scheduler's. */
  readonly action?: string;
  readonly related?: ObjectReference;
  /** Which part of the object: `spec.containers{name}`. */
  readonly fieldPath?: string;
}

export interface EventRecorder {
  record(object: KubernetesObject, event: EventToRecord): void;
}

export interface ApiEventRecorderOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Shown as the source: `replicaset-controller`. */
  readonly component: string;
  /** Shown as the source's host by agents. */
  readonly host?: string;
  /** Given by components that write the newer style (events.k8s.io): their instance's name. */
  readonly instance?: string;
}

export class ApiEventRecorder implements EventRecorder {
  readonly #options: ApiEventRecorderOptions;
  readonly #correlator: EventCorrelator;
  readonly #waiting: { readonly object: ObjectReference; readonly event: EventToRecord; readonly atMs: number }[] = [];
  #writing = 0;
  #sequence = 0;
  #idle: PromiseWithResolvers<void> | undefined;
  /** Events that were never written because the queue was full. */
  dropped = 0;

  constructor(options: ApiEventRecorderOptions) {
    this.#options = options;
    this.#correlator = new EventCorrelator();
  }

  record(object: KubernetesObject, event: EventToRecord): void {
    if (this.#waiting.length >= EVENT_QUEUE_MAX) {
      this.dropped++;
      return;
    }
    const atMs = this.#options.clock.now();
    this.#waiting.push({ object: referenceTo(object, event.fieldPath), event, atMs });
    if (this.#writing < EVENT_WRITES_CONCURRENT_MAX) {
      this.#writing++;
      void this.#drain();
    }
  }

  /** Resolves when everything recorded so far has been written or given up. */
  async flushed(): Promise<void> {
    if (this.#writing === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  async #drain(): Promise<void> {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      try {
        await this.#write(next.object, next.event, next.atMs);
      } catch (error) {
        this.#options.logger.debug({ err: error, reason: next.event.reason }, 'event not written');
      }
    }
    this.#writing--;
    if (this.#writing > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  async #write(object: ObjectReference, event: EventToRecord, atMs: number): Promise<void> {
    const { client, component } = this.#options;
    const decision = this.#correlator.correlate({ object, event, component, atMs });
    if (decision.kind === 'drop') return;
    if (decision.kind === 'repeat') {
      const { entry } = decision;
      const name = await entry.written;
      if (name !== undefined) {
        const patch = this.#repetition(entry.count, decision.message, atMs);
        try {
          await client.patch(
            eventsKind,
            { namespace: namespaceOf(object), name },
            { type: 'application/strategic-merge-patch+json', body: patch },
          );
          return;
        } catch (error) {
          // The event has run out of its time to live, or with its namespace: it begins again.
          if (!hasReason(error, 'NotFound')) throw error;
        }
      }
    }
    const body = this.#newEvent(object, { ...event, message: decision.message }, decision.entry.count, atMs);
    const creation = client.create(eventsKind, body).then(created => created.metadata.name);
    decision.entry.written = creation.catch(() => undefined);
    await creation;
  }

  #repetition(count: number, message: string, atMs: number): object {
    return this.#options.instance === undefined
      ? { count, lastTimestamp: timestamp(atMs), message }
      : { series: { count, lastObservedTime: microTimestamp(atMs) } };
  }

  #newEvent(object: ObjectReference, event: EventToRecord, count: number, atMs: number): Event {
    const { component, host, instance } = this.#options;
    const namespace = namespaceOf(object);
    const common = {
      metadata: { name: this.#name(object.name ?? '', atMs), namespace },
      involvedObject: object,
      reason: event.reason,
      message: event.message,
      type: event.type,
      reportingComponent: component,
      ...(event.related && { related: event.related }),
    };
    if (instance !== undefined) {
      return {
        ...common,
        action: event.action ?? event.reason,
        eventTime: microTimestamp(atMs),
        reportingInstance: instance,
        source: {},
      };
    }
    const source = { component, ...(host && { host }) };
    const at = timestamp(atMs);
    return { ...common, source, reportingInstance: host ?? '', count, firstTimestamp: at, lastTimestamp: at };
  }

  /** Kubernetes' form: the object's name and a time in hexadecimal nanoseconds; ours never repeats in one process. */
  #name(objectName: string, atMs: number): string {
    this.#sequence = (this.#sequence + 1) % 1_000_000;
    return `${objectName}.${(BigInt(Math.floor(atMs)) * 1_000_000n + BigInt(this.#sequence)).toString(16)}`;
  }
}

/** Events of objects without a namespace live in `default`. */
const namespaceOf = (object: ObjectReference) => object.namespace || 'default';

/** How an event or another object points at this one. */
export function referenceTo(object: KubernetesObject, fieldPath?: string): ObjectReference {
  const { apiVersion, kind, metadata } = object;
  return {
    ...(apiVersion && { apiVersion }),
    ...(kind && { kind }),
    ...(metadata?.name && { name: metadata.name }),
    ...(metadata?.namespace && { namespace: metadata.namespace }),
    ...(metadata?.resourceVersion && { resourceVersion: metadata.resourceVersion }),
    ...(metadata?.uid && { uid: metadata.uid }),
    ...(fieldPath && { fieldPath }),
  };
}
