/**
 * Decides what becomes of an event: a new object, one more count on an old one, or nothing. The rules and figures are those of
 * client-go's tools/record/events_cache.go, so that an object in trouble looks the same as under Kubernetes.
 */
import type { ObjectReference } from '../api/generated/types.ts';
import type { EventToRecord } from './events.ts';
import {
  EVENT_BURST_MAX,
  EVENT_CACHE_MAX,
  EVENT_REFILL_MS,
  EVENT_SIMILAR_INTERVAL_MS,
  EVENT_SIMILAR_MAX,
} from './limits.ts';

/** An event object that exists or is being written. */
export interface EventEntry {
  count: number;
  /** The object's name once it is written; undefined if that failed. */
  written: Promise<string | undefined>;
}

export type EventDecision =
  | { readonly kind: 'create' | 'repeat'; readonly entry: EventEntry; readonly message: string }
  | { readonly kind: 'drop' };

export interface Observation {
  readonly object: ObjectReference;
  readonly event: EventToRecord;
  readonly component: string;
  readonly atMs: number;
}

export class EventCorrelator {
  readonly #similar = new RecentMap<{ readonly messages: Set<string>; lastMs: number }>(EVENT_CACHE_MAX);
  readonly #entries = new RecentMap<EventEntry>(EVENT_CACHE_MAX);
  readonly #buckets = new RecentMap<{ tokens: number; refilledMs: number }>(EVENT_CACHE_MAX);

  correlate({ object, event, component, atMs }: Observation): EventDecision {
    const source = [component, object.kind, object.namespace, object.name, object.uid, object.apiVersion].join('\0');
    const alike = [source, object.fieldPath, event.type, event.reason, event.action].join('\0');
    const isMerged = this.#countSimilar(alike, event.message, atMs);
    const message = isMerged ? `(combined from similar events): ${event.message}` : event.message;
    // Merged events share one object whatever they say.
    const identity = isMerged ? alike : `${alike}\0${event.message}`;
    const known = this.#entries.get(identity);
    const entry = known ?? { count: 0, written: Promise.resolve(undefined) };
    entry.count++;
    if (!known) this.#entries.set(identity, entry);
    if (!this.#takeToken(source, atMs)) return { kind: 'drop' };
    return { kind: known ? 'repeat' : 'create', entry, message };
  }

  /** True once more than the allowed number of different messages came within the interval. */
  #countSimilar(alike: string, message: string, atMs: number): boolean {
    const known = this.#similar.get(alike);
    const group =
      known && atMs - known.lastMs < EVENT_SIMILAR_INTERVAL_MS ? known : { messages: new Set<string>(), lastMs: atMs };
    group.lastMs = atMs;
    group.messages.add(message);
    this.#similar.set(alike, group);
    if (group.messages.size < EVENT_SIMILAR_MAX) return false;
    // Bounded: the group stays full, the newest message leaves.
    group.messages.delete(message);
    while (group.messages.size < EVENT_SIMILAR_MAX - 1) group.messages.add(`\0${group.messages.size}`);
    return true;
  }

  #takeToken(source: string, atMs: number): boolean {
    const bucket = this.#buckets.get(source) ?? { tokens: EVENT_BURST_MAX, refilledMs: atMs };
    const refill = Math.floor((atMs - bucket.refilledMs) / EVENT_REFILL_MS);
    if (refill > 0) {
      bucket.tokens = Math.min(EVENT_BURST_MAX, bucket.tokens + refill);
      bucket.refilledMs += refill * EVENT_REFILL_MS;
    }
    this.#buckets.set(source, bucket);
    if (bucket.tokens === 0) return false;
    bucket.tokens--;
    return true;
  }
}

/** A map that forgets what was not used for longest. */
class RecentMap<V> {
  readonly #map = new Map<string, V>();
  readonly #sizeMax: number;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get(key: string): V | undefined {
    const value = this.#map.get(key);
    if (value === undefined) return undefined;
    this.#map.delete(key);
    this.#map.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.#map.delete(key);
    this.#map.set(key, value);
    for (const oldest of this.#map.keys()) {
      if (this.#map.size <= this.#sizeMax) break;
      this.#map.delete(oldest);
    }
  }
}
