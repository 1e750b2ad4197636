/**
 * What a run has met, by name. A simulation in which a fault never strikes, or a rare branch is never taken, proves nothing
 * about it: over many seeds every name here has to have been met, and `main.ts` fails if one was not.
 */

export const EVENTS = {
  // Leaders.
  'leader died': 'a leader stopped in the middle of whatever it did',
  'leader stood still': 'a leader was frozen, another took over, and it woke up',
  'leader handed over': 'a leader stopped in good order',
  'leader deposed unawares': 'a leader went on working after the next one had begun',
  'deposed write refused': 'a write of a past leadership was refused',
  // The way to the API server.
  'write refused by chance': 'a write failed and was not done',
  'write with a lost answer': 'a write was done, and its answer lost',
  'creation with a lost answer': 'the same for a pod of a controller',
  'read failed': '',
  'watch ended': 'a watch ended in good order',
  'watch broke': 'a watch broke with an error',
  'watch fell silent': 'a watch told nothing for a while, and then broke',
  'watch expired': 'a watch was told that its version is too old, so that all was listed again',
  'event late': 'a cache was stale for seconds or longer',
  'event doubled': '',
  // Nodes.
  'node died': '',
  'node cut off': 'a node worked on, but could not be reached',
  'node came back': '',
  'node lost for ever': '',
  'node added': '',
  'node drained': '',
  'container died': '',
  'readiness lost': '',
  'pod moved from a dead node': '',
  'pod removed with its node': 'the pod of a node that is gone was removed',
  // Users.
  'deployment rolled': '',
  'deployment with a broken image': '',
  'deployment undone': '',
  'deployment scaled while rolling': '',
  'deployment paused': '',
  'deployment recreated': 'a deployment of type Recreate got a new template',
  'owner deleted in the foreground': '',
  'owner orphaned its dependents': '',
  'dependents adopted': 'a new owner took over what another had left behind',
  'daemon set rolled': '',
  'job finished': '',
  'job failed': '',
  'indexed job finished': '',
  'job suspended': '',
  'stateful set rolled': '',
  'namespace deleted': '',
  'namespace made again': '',
  'quota full': 'a pod was refused by a quota',
  'eviction granted': '',
  'eviction refused by a budget': '',
  'budget spent by evictions at once': 'of several evictions at once a budget granted some, and refused the others',
  'service changed': '',
  'pod unschedulable': '',
  'pod killed by a user': '',
} as const satisfies Readonly<Record<string, string>>;

export type EventName = keyof typeof EVENTS;

export const EVENT_NAMES = Object.keys(EVENTS).filter(isEventName);

function isEventName(name: string): name is EventName {
  return Object.hasOwn(EVENTS, name);
}

export type Counts = Readonly<Partial<Record<EventName, number>>>;

export class Coverage {
  readonly #counts: Partial<Record<EventName, number>> = {};

  note(name: EventName): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + 1;
  }

  get counts(): Counts {
    return this.#counts;
  }
}

export function addCounts(one: Counts, other: Counts): Counts {
  const sum: Partial<Record<EventName, number>> = { ...one };
  for (const name of EVENT_NAMES) if (other[name] !== undefined) sum[name] = (sum[name] ?? 0) + other[name];
  return sum;
}

/** What was never met. */
export function missing(counts: Counts): EventName[] {
  return EVENT_NAMES.filter(name => counts[name] === undefined);
}
