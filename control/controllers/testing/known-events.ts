/** The events that controllers of Kubernetes v1.33 were seen to write (`shared/api/events.json`), where that file is at hand. */
import { existsSync, readFileSync } from 'node:fs';
import type { RecordedEvent } from './bench.ts';

interface KnownEvent {
  readonly component: string;
  readonly kind: string;
  readonly type: string;
  readonly reason: string;
  readonly messages: readonly string[];
}

const FACTS = new URL('../../../../shared/api/events.json', import.meta.url);

/** Undefined without the file. */
export const knownEvents: readonly KnownEvent[] | undefined = existsSync(FACTS)
  ? (JSON.parse(readFileSync(FACTS, 'utf8')) as { catalog: KnownEvent[] }).catalog
  : undefined;

/** Whether the very event was seen; words in angle brackets stand for anything. */
export function isKnownEvent(event: RecordedEvent): boolean {
  return (knownEvents ?? []).some(
    known =>
      known.component === event.component &&
      known.kind === event.kind &&
      known.type === event.type &&
      known.reason === event.reason &&
      known.messages.some(message => patternOf(message).test(event.message)),
  );
}

function patternOf(message: string): RegExp {
  const parts = message.split(/<[a-z]+>|\bNS\b/).map(part => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('\\S*')}$`);
}
