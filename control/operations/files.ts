/** Snapshot files for who may not reach into the store: the CLI. */
export {
  inspectSnapshotFile,
  REVISION_BUMP,
  type SnapshotHeader,
  type SnapshotSummary,
  writeSnapshotFile,
} from '../../store/index.ts';
