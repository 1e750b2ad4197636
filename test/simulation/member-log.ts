/** What a member logs: its part of the story that a seed tells. Some of what happens is noted nowhere else. */
import type { Logger } from '../../raft/index.ts';
import type { Coverage, EventName } from './coverage.ts';

const EVENTS: Readonly<Record<string, EventName>> = {
  'sending a snapshot': 'snapshot sent',
  'a snapshot could not be sent': 'snapshot broken off',
  'a snapshot could not be installed': 'snapshot broken off',
};

export function memberLogger(
  name: string,
  to: { readonly coverage: Coverage; readonly trace: ((line: string) => void) | undefined },
): Logger {
  const write = (fields: object, message: string) => {
    const event = EVENTS[message];
    if (event !== undefined) to.coverage.note(event);
    if (to.trace === undefined) return;
    const details = Object.entries(fields).map(([key, value]) => ` ${key} ${value}`);
    to.trace(`${name}: ${message}${details.join('')}`);
  };
  return { debug: write, info: write, warn: write, error: write };
}
