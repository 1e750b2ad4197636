/** A master's snapshots, put together: its folder, its schedule and its routes. */
import { resolve } from 'node:path';
import type { StoreClient } from '../../store/index.ts';
import type { Clock } from '../client/clock.ts';
import type { JoinRoute } from '../join/handlers.ts';
import { paths } from './layout.ts';
import type { Schedule, Turn } from './schedule.ts';
import { SnapshotFolder } from './snapshot-folder.ts';
import { keepSnapshots, type SnapshotKeeperOptions } from './snapshot-keeper.ts';
import { snapshotRoutes } from './snapshot-routes.ts';

export interface SnapshotSettings {
  readonly schedule: Schedule;
  /** How many of those that the schedule took are kept. */
  readonly retention: number;
  /** Undefined for `snapshots` in the data directory. */
  readonly folder: string | undefined;
}

export interface MasterSnapshotOptions extends SnapshotSettings {
  readonly dataDir: string;
  readonly name: string;
  readonly store: StoreClient;
  /** The names of all masters, as far as this one knows. */
  readonly masters: () => readonly string[];
  readonly clock: Clock;
  readonly logger: SnapshotKeeperOptions['logger'];
}

export function startSnapshots(options: MasterSnapshotOptions): {
  readonly routes: readonly JoinRoute[];
  readonly stop: () => void;
} {
  const { dataDir, name, schedule, retention, store, masters, clock, logger } = options;
  const folder = new SnapshotFolder({
    folder: options.folder === undefined ? paths.snapshots(dataDir) : resolve(options.folder),
    master: name,
    store,
    now: () => new Date(clock.now()),
  });
  const stop = keepSnapshots({ folder, schedule, retention, turn: () => turnOf(name, masters()), clock, logger });
  return { routes: snapshotRoutes({ store, folder }), stop };
}

function turnOf(name: string, masters: readonly string[]): Turn {
  return { rank: Math.max(0, [...masters].sort().indexOf(name)), count: Math.max(1, masters.length) };
}
