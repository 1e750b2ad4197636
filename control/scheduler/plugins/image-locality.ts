/** Nodes that hold a pod's images already start it sooner (k/k imagelocality: thresholds of 23 MB and 1 GB). */
import { SCORE_MAX } from '../limits.ts';
import type { SchedulerPlugin } from '../plugin.ts';
import type { Snapshot } from '../snapshot.ts';

const BYTES_MIN = 23 * 1024 * 1024;
const BYTES_MAX_PER_CONTAINER = 1000 * 1024 * 1024;

export const imageLocality: SchedulerPlugin = {
  name: 'ImageLocality',
  wakesOn: [],
  prepare: (_pod, snapshot) => snapshot,
  score({ pod }, node, prepared) {
    const snapshot = prepared as Snapshot;
    const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    // An image that few nodes have counts less, or all its pods would heap up there.
    const sizeBytes = containers.reduce((sum, { image = '' }) => {
      const name = image.includes(':') ? image : `${image}:latest`;
      const spread = snapshot.imageNodes(name) / Math.max(1, snapshot.nodes.length);
      return sum + (node.images.get(name) ?? 0) * spread;
    }, 0);
    const most = Math.max(BYTES_MAX_PER_CONTAINER * containers.length, BYTES_MIN + 1);
    return (SCORE_MAX * (Math.min(Math.max(sizeBytes, BYTES_MIN), most) - BYTES_MIN)) / (most - BYTES_MIN);
  },
  ranks: 'plain',
  weight: 1,
};
