/**
 * Gives memory back to the machine once work is over. V8 grows its heap in a burst (pods that start, a restart's first lists) and
 * keeps it for as long as little new is made, which on a small machine is memory that pods could have. So a process that has
 * become quiet and has grown since the last time goes through its heap once.
 */

/** How often a process is looked at. */
export const READING_INTERVAL_MS = 10_000;
/** Busier than this share of a core, it has better to do. */
const QUIET_SHARE = 0.1;
/** So many quiet readings in a row, and the burst is over. */
export const QUIET_READINGS = 3;
/** What the heap must have grown by since the last time for it to be worth the pause. */
export const GROWN_BYTES_MIN = 8 * 2 ** 20;
/** A larger heap is left alone: going through it would hold up everything else for more than about a fifth of a second. */
export const HEAP_BYTES_MAX = 256 * 2 ** 20;
/** Between two collections lie at least so many readings. */
export const REST_READINGS = 30;

export interface Reading {
  /** Processor time since the reading before, as a share of one core. */
  readonly share: number;
  /** What V8 has taken from the machine for its heap. */
  readonly heapBytes: number;
}

export interface IdleState {
  readonly quietReadings: number;
  /** Readings until the next collection may be. */
  readonly rest: number;
  /** The heap after the last collection; 0 before the first. */
  readonly collectedBytes: number;
}

export const INITIAL_IDLE_STATE: IdleState = { quietReadings: 0, rest: 0, collectedBytes: 0 };

/** Whether the heap should be gone through now, and what to remember; pure. After a collection see {@link collected}. */
export function judge(state: IdleState, { share, heapBytes }: Reading): { state: IdleState; collect: boolean } {
  const quietReadings = share < QUIET_SHARE ? Math.min(state.quietReadings + 1, QUIET_READINGS) : 0;
  const rest = Math.max(0, state.rest - 1);
  const collect =
    quietReadings === QUIET_READINGS &&
    rest === 0 &&
    heapBytes <= HEAP_BYTES_MAX &&
    heapBytes >= state.collectedBytes + GROWN_BYTES_MIN;
  return { state: { ...state, quietReadings, rest }, collect };
}

/** The state after a collection that left a heap of so many bytes. */
function collected(heapBytes: number): IdleState {
  return { quietReadings: 0, rest: REST_READINGS, collectedBytes: heapBytes };
}

export interface IdleMachine {
  readonly every: (intervalMs: number, callback: () => void) => Disposable;
  /** Processor time of this process so far, in milliseconds. */
  readonly processorMs: () => number;
  readonly heapBytes: () => number;
  /** Goes through the whole heap, at once. */
  readonly collect: () => void;
}

/** Looks at this process until it is disposed of. */
export function collectWhenIdle({ every, processorMs, heapBytes, collect }: IdleMachine): Disposable {
  let state = INITIAL_IDLE_STATE;
  let before = processorMs();
  return every(READING_INTERVAL_MS, () => {
    const now = processorMs();
    const share = (now - before) / READING_INTERVAL_MS;
    before = now;
    const judged = judge(state, { share, heapBytes: heapBytes() });
    state = judged.state;
    if (!judged.collect) return;
    collect();
    state = collected(heapBytes());
    before = processorMs();
  });
}
