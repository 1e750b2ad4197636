/**
 * What a run has met, by name. A simulation in which a fault never strikes, or a rare branch is never taken, proves nothing
 * about it: over many seeds every name here has to have been met, and `main.ts` fails if one was not.
 */

export const EVENTS = {
  // Faults of processes.
  crash: 'a process died',
  'crash of all': 'all processes died at once',
  'crash after a vote': 'a member died just after it said whom it votes for',
  'crash of a new leader': 'a leader died soon after its first append',
  'crash of a voter between two candidates': 'the same, while disks were slow and leaders died',
  'crash at beforeSave': 'a member died before a write to its log',
  'crash at afterSave': 'a member died between a write and what it promises',
  'crash at beforeApply': 'a member died before it applied',
  'crash at afterApply': 'a member died after it applied',
  'crash at beforeFlush': 'a member died before it made its state durable',
  'crash at beforeCompact': 'a member died before it cut its log',
  'crash at afterCompact': 'a member died after it cut its log',
  'crash at beforeRestore': 'a member died before it took a snapshot over',
  'crash at beforeReset': 'a member died between a snapshot and its log',
  'crash at afterReset': 'a member died with the log of a snapshot, but the state before it',
  'crash at afterRestore': 'a member died after it took a snapshot over',
  'crash at state append': 'a member died while it wrote changes of its state',
  'crash at state flush': 'a member died while it made its state durable',
  'crash at state checkpoint': 'a member died while it replaced its checkpoint',
  'pause of a leader': 'a leader stood still for longer than an election takes',
  'pause of a follower': 'a follower stood still',
  'clock drift': 'the clocks of members run at different speeds',
  // Faults of the network.
  partition: 'the members were parted in two',
  'one-way cut': 'a link worked in one direction only',
  clog: 'a link held everything back for a while',
  'leader parted before its first word': 'one leader was parted from all; another, the moment it was elected',
  'unwritten entries of a deposed leader': 'a write was under way when the next leader was heard',
  'leader parted with a membership of its own': 'and asked for a second one at the same time',
  'message lost': '',
  'message doubled': '',
  'message late': 'a message came long after those sent behind it',
  'message clogged': '',
  // Faults of disks.
  'slow disk': '',
  'hanging write': 'a write never came back',
  'stalled write': 'a disk stood still for a while, and then went on',
  'failed write': 'a write failed, and with it the process',
  'failed state write': '',
  'write lost by a crash': 'what was on its way to the log was not there after a crash',
  'write kept by a crash': 'a write that was never acknowledged was there after a crash',
  'state lost by a crash': 'what was not flushed was not there after a crash',
  'log bit flipped': '',
  'log record lost': '',
  'log tail lost': 'acknowledged writes at the end of a log were gone',
  'log record misdirected': 'a record lay where another belongs',
  'state bit flipped': '',
  'disk wiped': '',
  'damage of a log found': 'a member refused to start on a damaged log',
  'damage of a state found': 'a member refused to start on a damaged state',
  'state built again': 'a member whose state was set aside had all of it again',
  'disk rolled back': 'a member was started on an older copy of its disk',
  'rollback found': 'the others knew of promises that a rolled-back disk did not',
  'rollback harmless': 'a member with a rolled-back disk had promised nothing that it lacked',
  // Membership.
  'member joined': '',
  'learner added': '',
  'learner promoted': '',
  'member updated': '',
  'removed member told': 'a member learned that it was removed, and stopped',
  'member removed': '',
  'leader removed': 'a leader was taken out of the cluster',
  'member replaced': 'a member with a lost disk was replaced by a new one',
  'membership refused': '',
  'leadership transferred': '',
  'transfer failed': '',
  'joint membership entered': '',
  'joint membership left by another leader': '',
  'uncommitted membership cut': 'a membership was appended, and cut by a new leader',
  // Elections.
  'leader elected': '',
  'candidates met': 'two members asked for votes in one term',
  'pre-vote refused': '',
  'vote refused': '',
  'vote refused for an older log': '',
  'leader stepped down': 'a leader gave up by itself',
  // The log.
  'old log recovered': 'a member started with entries on its disk',
  'conflicting suffix truncated': 'entries of a deposed leader were cut',
  'repeated append': 'entries came that were there already',
  'append refused': 'a follower lacked what goes before',
  'old-term entry not committed by counting': 'a majority held an entry of an older term, and it was not committed',
  'old-term entry committed': 'an entry was committed by a leader of a later term',
  'command dropped for certain': 'another entry was committed in the place of a command',
  'outcome unknown': 'a client never learned what became of its command',
  'command refused': 'a client was told that its command certainly was not done',
  'command forwarded': 'a follower handed a command to the leader',
  // Snapshots.
  'log compacted': '',
  'snapshot sent': '',
  'snapshot installed': '',
  'snapshot broken off': '',
  'state behind its log': 'a member started with a state older than the start of its log',
  // Reads.
  'read confirmed': '',
  'read on a follower': '',
  'read barrier refused': '',
  // The store.
  'write fenced': 'a write of a past leadership was refused',
  'exchange failed': 'a compare was not met',
  'lease granted': '',
  'lease renewed': '',
  'lease expired': '',
  'lease revoked': '',
  'expiry overtaken by a renewal': 'a renewal came between the decision to end a lease and the end',
  'expiry of a deposed leader': '',
  'lease extended by a new leader': 'a lease outlived its time because a leader began anew',
  'key gone with its lease': '',
  'history compacted': '',
  'read below the compacted revision': '',
  'read of the past': '',
  'restart from a checkpoint': '',
  'state diverged': 'a member came to hold something else than the others',
  'state right again': 'a crash or a snapshot gave a member back what the others hold, before anybody knew',
  'diverged leader died before its snapshot': '',
  'CORRUPT alarm raised': 'comparing hashes told who holds something else',
  'CORRUPT alarm without a name': 'members differed, and no majority agreed',
  'CORRUPT alarm ended': '',
  'diverged member sent away': 'a member that held something else stopped, to be built again',
  'answer refused under a CORRUPT alarm': '',
  'NOSPACE alarm raised by the quota': '',
  'NOSPACE alarm raised by a disk': '',
  'NOSPACE alarm ended': '',
  'alarm disarmed by a client': '',
  'put refused by the quota': '',
  'put refused by a full disk': '',
  'delete passed in a full store': '',
  'watch moved': 'a watcher went on at another member',
  'watch lost its place': 'a watcher fell behind the compacted revision',
  'watch started too late': 'a watch was refused because its start is compacted',
  'reader of a watch away': 'what came meanwhile had to wait for it',
  'watch told of progress': '',
  'watch of the future': 'a watch began at a revision that had not come yet',
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
