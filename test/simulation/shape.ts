/**
 * What kind of run a seed is: drawn once, so that seeds differ from each other as much as runs of one kind do (swarm testing,
 * Groce et al. 2012). A run in which everything happens at once seldom gets far; one without partitions finds what only
 * crashes can find.
 */
import { integerBetween, pick, type Random } from './random.ts';

/** Kinds of misfortune that a seed may or may not know. */
const MISFORTUNES = [
  'crash',
  'crashAll',
  'strike',
  'crashPoint',
  'pause',
  'partition',
  'oneWay',
  'clog',
  'loss',
  'duplication',
  'late',
  'slowDisk',
  'hangingDisk',
  'failingDisk',
  'damage',
  'transfer',
  'membership',
  'seesaw',
  'duel',
  'deposed',
  'overtaken',
  'rush',
  'rollback',
  'divergence',
  'fullDisk',
] as const;
export type Misfortune = (typeof MISFORTUNES)[number];

/**
 * What takes a member out of the game for long, or has the cluster leave it alone. Half of the seeds know none of these: the
 * other misfortunes would meet each other too seldom.
 */
const HEAVY: ReadonlySet<Misfortune> = new Set(['rollback', 'divergence', 'fullDisk']);

export interface Shape {
  readonly workload: 'list' | 'store';
  readonly size: number;
  readonly heartbeatMs: number;
  readonly electionTimeoutMs: number;
  readonly tickMs: number;
  /** The pause between two misfortunes, and how long one lasts. */
  readonly betweenMsMax: number;
  readonly lastingMsMax: number;
  readonly misfortunes: ReadonlySet<Misfortune>;
  /** How far the clocks of members differ from true time, as a part of it. */
  readonly drift: number;
  /** The clients' pauses between operations; in between they are busy for a while. */
  readonly pauseMsMax: number;
  readonly compactEntries: number;
  readonly tailEntries: number;
  readonly historyKeepMs: number;
  /** A link's usual delay. */
  readonly delayMsMax: number;
  /** What the store may hold; so little that clients meet it, or more than they ever put. */
  readonly quotaBytes: number;
}

/** Short and coarse, so that candidates meet and elections come often; as in production; and with long quiet times. */
const TEMPOS = [
  { heartbeatMs: 100, electionTimeoutMs: 300, tickMs: 100 },
  { heartbeatMs: 100, electionTimeoutMs: 300, tickMs: 100 },
  { heartbeatMs: 100, electionTimeoutMs: 400, tickMs: 50 },
  { heartbeatMs: 200, electionTimeoutMs: 1_000, tickMs: 200 },
];

const QUOTA_BYTES_AMPLE = 1_000_000;

export function drawShape(random: Random, workload: 'list' | 'store' | undefined): Shape {
  const tempo = pick(random, TEMPOS) ?? { heartbeatMs: 50, electionTimeoutMs: 500, tickMs: 10 };
  const { electionTimeoutMs } = tempo;
  // Each kind is in two of three seeds; some seeds know one or two kinds only.
  const share = pick(random, [0.15, 0.5, 0.7, 0.7]) ?? 0.7;
  const isHeavy = random() < 0.5;
  return {
    ...tempo,
    workload: workload ?? (random() < 0.45 ? 'store' : 'list'),
    size: pick(random, [3, 3, 3, 3, 5, 5, 4, 2, 2, 1]) ?? 3,
    betweenMsMax: electionTimeoutMs * (pick(random, [1, 3, 8]) ?? 3),
    lastingMsMax: electionTimeoutMs * (pick(random, [1, 4, 12]) ?? 4),
    misfortunes: new Set(MISFORTUNES.filter(name => random() < share && (isHeavy || !HEAVY.has(name)))),
    drift: random() < 0.5 ? 0 : 0.1 * random(),
    pauseMsMax: pick(random, [600, 2_000, 6_000]) ?? 2_000,
    compactEntries: integerBetween(random, 5, 60),
    tailEntries: integerBetween(random, 0, 20),
    historyKeepMs: pick(random, [500, 2_000, 10_000, 60_000]) ?? 2_000,
    delayMsMax: integerBetween(random, 0, 10),
    quotaBytes: isHeavy ? integerBetween(random, 180, 330) : QUOTA_BYTES_AMPLE,
  };
}
