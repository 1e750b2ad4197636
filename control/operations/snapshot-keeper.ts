/** Takes snapshots when they are due, and deletes the oldest. One that was due while the master was down is made up for. */
import type { Clock } from '../client/clock.ts';
import { nextTime, type Schedule, type Turn } from './schedule.ts';
import type { SnapshotFolder } from './snapshot-folder.ts';

export interface SnapshotKeeperOptions {
  readonly folder: Pick<SnapshotFolder, 'take' | 'thinOut' | 'lastScheduled'>;
  readonly schedule: Schedule;
  /** How many of those that the schedule took are kept. */
  readonly retention: number;
  /** This master's place among all, as of now. */
  readonly turn: () => Turn;
  readonly clock: Clock;
  readonly logger: {
    info(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

/** How often it looks whether one is due; also how long it waits after a failure. */
const CHECK_MS = 30_000;

/** Starts at once; the answer ends it. */
export function keepSnapshots(options: SnapshotKeeperOptions): () => void {
  const { folder, schedule, retention, turn, clock, logger } = options;
  if (schedule.type === 'off') return () => {};
  const startedAtMs = clock.now();
  let isStopped = false;
  let cancel = () => {};
  const check = async () => {
    const lastMs = (await folder.lastScheduled())?.getTime() ?? startedAtMs;
    const dueMs = nextTime(schedule, lastMs, turn());
    if (dueMs === undefined || clock.now() < dueMs) return;
    const { name, sizeBytes, revision } = await folder.take('scheduled');
    const deleted = await folder.thinOut(retention);
    logger.info({ name, sizeBytes, revision, deleted }, 'a snapshot was taken');
  };
  const again = () => {
    if (isStopped) return;
    const failed = (error: unknown) =>
      logger.error({ err: error }, 'a snapshot that was due could not be taken; it is tried again');
    cancel = clock.setTimeout(() => void check().catch(failed).then(again), CHECK_MS);
  };
  again();
  return () => {
    isStopped = true;
    cancel();
  };
}
