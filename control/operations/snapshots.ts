/** A master's snapshots, put together: its folder, its schedule and its routes. */
import { resolve } from 'node:path';
import type { OpenStore } from '../../store/index.ts';
import type { Clock } from '../client/clock.ts';
import type { JoinRoute } from '../join/handlers.ts';
import { paths } from './layout.ts';
import type { Schedule, Turn } from './schedule.ts';
import { SnapshotFolder } from './snapshot-folder.ts';
import { keepSnapshots, type SnapshotKeeperOptions } from './snapshot-keeper.ts';
import { snapshotRoutes } from './snapshot-routes.ts';

export interface MasterSnapshotOptions {
  readonly dataDir: string;
  readonly name: string;
  readonly schedule: Schedule;
  readonly retention: number;
  readonly folder: string | undefined;
  readonly store: OpenStore;
  readonly clock: Clock;
  readonly logger: SnapshotKeeperOptions['logger'];
}

export function startSnapshots(options: MasterSnapshotOptions): {
  readonly routes: readonly JoinRoute[];
  readonly stop: () => void;
} {
  const { dataDir, name, schedule, retention, store, clock, logger } = options;
  const folder = new SnapshotFolder({
    folder: options.folder === undefined ? paths.snapshots(dataDir) : resolve(options.folder),
    master: name,
    store: store.client,
    now: () => new Date(clock.now()),
  });
  const stop = keepSnapshots({ folder, schedule, retention, turn: () => turnOf(store), clock, logger });
  return { routes: snapshotRoutes({ store: store.client, folder }), stop };
}

/** By id, which never changes. */
function turnOf(store: OpenStore): Turn {
  const { id, membership } = store.raft.status();
  const ids = membership.members.map(member => member.id).sort();
  return { rank: Math.max(0, ids.indexOf(id)), count: Math.max(1, ids.length) };
}
