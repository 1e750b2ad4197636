/** What a state tells watches of one revision, as a list. */
import type { WatchEvent } from '../client/client.ts';
import type { RevisionSource } from '../watch/watcher.ts';

export function eventsAt(source: Pick<RevisionSource, 'visitEvents'>, revision: number): readonly WatchEvent[] {
  const events: WatchEvent[] = [];
  source.visitEvents(revision, (_key, event) => events.push(event()));
  return events;
}
