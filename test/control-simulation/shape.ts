/** What kind of day a seed is: how large the cluster, how busy its users, how bad its luck. */
import { integerBetween, pick, type Random } from '../simulation/random.ts';
import { FAIR, type Weather } from './faults.ts';

export interface Shape {
  readonly nodes: number;
  readonly hours: number;
  /** Busy times of the day; between them nothing happens but heartbeats. */
  readonly spells: number;
  readonly operations: readonly [number, number];
  /** Between two operations of a busy time, on average. */
  readonly paceMs: number;
  /** Of all that happens, how much is misfortune. */
  readonly misfortunes: number;
  readonly weather: Weather;
  readonly heartbeatMs: number;
  readonly graceMs: number;
}

export function shapeOf(random: Random): Shape {
  // Heartbeats are most of a day's writes: few of them, and silence that counts as long.
  const heartbeatMs = pick(random, [300_000, 600_000, 900_000]) ?? 600_000;
  return {
    nodes: integerBetween(random, 2, 4),
    // Quiet hours cost almost as much as busy ones, and find little.
    hours: random() < 1 / 16 ? 24 : 3,
    spells: integerBetween(random, 2, 4),
    operations: [6, 14],
    paceMs: pick(random, [2_000, 10_000, 40_000]) ?? 10_000,
    misfortunes: pick(random, [0.05, 0.2, 0.4]) ?? 0.2,
    weather: random() < 0.1 ? { ...FAIR } : weatherOf(random),
    heartbeatMs,
    graceMs: 4 * heartbeatMs,
  };
}

function weatherOf(random: Random): Weather {
  return {
    writeFailures: 0.1,
    readFailures: 0.03,
    watchRefusals: 0.05,
    watchExpiries: random() < 0.5 ? 0.05 : 0,
    watchLifeMs: pick(random, [120_000, 900_000, 3_600_000]) ?? 900_000,
    lateness: pick(random, [0, 0.02, 0.2]) ?? 0,
    latenessMsMax: pick(random, [2_000, 30_000]) ?? 2_000,
    doubling: 0.01,
  };
}
