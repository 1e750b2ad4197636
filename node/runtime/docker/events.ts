/**
 * The engine's events of one node's containers, kept open over failures. Whoever listens hears "anything may have
 * changed" after each gap, so nothing is missed.
 */
import type Dockerode from 'dockerode';
import { type Clock, delay } from '../clock.ts';
import { type Owner, ownerFilter, podUidLabel } from './labels.ts';
import { eventRetryMsMax, eventRetryMsMin } from './limits.ts';

export interface EngineChange {
  readonly containerId: string;
  readonly podUid: string | undefined;
  /** The engine's word: `start`, `die`, `oom` … */
  readonly action: string;
}
export interface EventListener {
  /** A container of ours changed. */
  changed(change: EngineChange): void;
  /** The stream opened (again): what happened before is unknown. */
  opened(): void;
  /** The stream broke: from now on changes go unseen. */
  closed(): void;
}

/** Changes of state only: exec events would come with every probe. */
const actions = ['create', 'start', 'restart', 'die', 'oom', 'pause', 'unpause', 'destroy', 'rename'];

/** Runs until the signal aborts. Never throws: a broken stream is opened again, more slowly each time. */
export async function watchEngine(
  docker: Dockerode,
  options: { readonly owner: Owner; readonly clock: Clock; readonly signal: AbortSignal },
  listener: EventListener,
): Promise<void> {
  const { owner, clock, signal } = options;
  let retryMs = eventRetryMsMin;
  while (!signal.aborted) {
    try {
      const stream = await docker.getEvents({
        filters: { type: ['container'], label: ownerFilter(owner), event: actions },
        abortSignal: signal,
      });
      retryMs = eventRetryMsMin;
      listener.opened();
      await readEvents(stream, listener);
    } catch {
      // Whatever broke it, the answer is the same: tell and try again.
    }
    listener.closed();
    if (signal.aborted) return;
    await delay(clock, retryMs, signal);
    retryMs = Math.min(retryMs * 2, eventRetryMsMax);
  }
}

const lineBytesMax = 1024 * 1024;

async function readEvents(stream: NodeJS.ReadableStream, listener: EventListener): Promise<void> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > lineBytesMax) throw new Error('an event of the Docker Engine is too long');
    for (const line of lines) if (line.trim() !== '') tell(line, listener);
  }
}

interface EngineEvent {
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
}

function tell(line: string, listener: EventListener): void {
  // The engine is trusted with the form of its events; each part may still be missing.
  const { Action: action = '', Actor: actor } = JSON.parse(line) as EngineEvent;
  if (actor?.ID === undefined) return;
  listener.changed({ containerId: actor.ID, podUid: actor.Attributes?.[podUidLabel], action });
}
