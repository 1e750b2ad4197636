/**
 * When pods were ready and had not been told to go, over the last minutes. A cache that lags shows the pods as they were
 * together at some moment: whoever reads it may believe in as many as there were at once, also of those that are gone since.
 */
import type { Pod } from '../../control/api/generated/types.ts';
import { isActive, isReady, uidOf } from './facts.ts';
import type { Change } from './view.ts';

/** From one revision to before another a pod was ready. */
interface Span {
  readonly pod: Pod;
  readonly fromRevision: number;
}

interface EndedSpan extends Span {
  readonly untilRevision: number;
  readonly untilMs: number;
}

export class Readiness {
  readonly #lagMs: number;
  /** Of pods that are ready now, by UID. */
  readonly #open = new Map<string, Span>();
  /** When pods were last seen ready, by UID. */
  readonly #readyMs = new Map<string, number>();
  /** In the order in which they ended, and none that ended longer ago than anybody's cache lags. */
  #ended: EndedSpan[] = [];

  constructor(lagMs: number) {
    this.#lagMs = lagMs;
  }

  /** Takes in a change of a pod. */
  take({ before, after, revision }: Change, nowMs: number): void {
    const [old, pod] = [before as Pod | undefined, after as Pod | undefined];
    const open = this.#open.get(uidOf(old ?? pod ?? {}));
    if ((old && isReady(old)) || (pod && isReady(pod))) this.#readyMs.set(uidOf(pod ?? old ?? {}), nowMs);
    if (pod && isActive(pod) && isReady(pod)) {
      this.#open.set(uidOf(pod), { pod, fromRevision: open?.fromRevision ?? revision });
    } else if (open) {
      this.#open.delete(uidOf(open.pod));
      this.#ended = this.#ended.filter(({ untilMs }) => nowMs - untilMs < this.#lagMs);
      this.#ended.push({ ...open, untilRevision: revision, untilMs: nowMs });
    }
  }

  /** Whether the pod is ready, or was at some moment of the last minutes. */
  was(pod: Pod, nowMs: number): boolean {
    return isReady(pod) || nowMs - (this.#readyMs.get(uidOf(pod)) ?? Number.NEGATIVE_INFINITY) < this.#lagMs;
  }

  /** The most of these pods that were ready at one moment of the last minutes. */
  mostAtOnce(isMeant: (pod: Pod) => boolean, nowMs: number): number {
    const open = [...this.#open.values()].map(span => ({ ...span, untilRevision: Number.POSITIVE_INFINITY }));
    const ended = this.#ended.filter(({ untilMs }) => nowMs - untilMs < this.#lagMs);
    const spans = [...open, ...ended].filter(({ pod }) => isMeant(pod));
    // The most are there at a moment when one of them begins.
    const counts = spans.map(
      ({ fromRevision: at }) => spans.filter(span => span.fromRevision <= at && at < span.untilRevision).length,
    );
    return Math.max(0, ...counts);
  }
}
