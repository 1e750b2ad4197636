/**
 * Hands changes to whoever listens to a runtime's `events`. A listener that is slow loses nothing but detail: changes
 * of one pod fall together, and beyond a bound they become "anything may have changed".
 */
import type { RuntimeEvent } from './runtime.ts';

/** Pods remembered for one slow listener. */
const pendingPodsMax = 1024;

interface Listener {
  readonly pending: Set<string>;
  everything: boolean;
  wake: () => void;
}

export class ChangeHub {
  readonly #listeners = new Set<Listener>();
  #closed = false;

  /** Undefined says that anything may have changed. */
  publish(podUid: string | undefined): void {
    for (const listener of this.#listeners) {
      if (podUid === undefined || listener.pending.size >= pendingPodsMax) listener.everything = true;
      else listener.pending.add(podUid);
      listener.wake();
    }
  }

  /** Ends with the signal or with the hub. Changes from the call on are told, also before the first `next`. */
  subscribe(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const listener: Listener = { pending: new Set(), everything: false, wake: () => undefined };
    const finished = () => signal.aborted || this.#closed;
    if (!finished()) this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#drop(listener), { once: true });
    return this.#read(listener, finished);
  }

  close(): void {
    this.#closed = true;
    for (const listener of [...this.#listeners]) this.#drop(listener);
  }

  #drop(listener: Listener): void {
    this.#listeners.delete(listener);
    listener.wake();
  }

  async *#read(listener: Listener, finished: () => boolean): AsyncGenerator<RuntimeEvent> {
    try {
      while (!finished()) {
        const event = take(listener);
        if (event !== undefined) yield event;
        else await new Promise<void>(resolve => (listener.wake = resolve));
      }
    } finally {
      this.#listeners.delete(listener);
    }
  }
}

function take(listener: Listener): RuntimeEvent | undefined {
  if (listener.everything) {
    listener.everything = false;
    listener.pending.clear();
    return { podUid: undefined };
  }
  const [podUid] = listener.pending;
  if (podUid === undefined) return undefined;
  listener.pending.delete(podUid);
  return { podUid };
}
