/** Nodes that hold a pod's images already start it sooner (k/k imagelocality: thresholds of 23 MB and 1 GB). */
import { SCORE_MAX } from '../limits.ts';
import type { SchedulerPlugin } from '../plugin.ts';

const BYTES_MIN = 23 * 1024 * 1024;
const BYTES_MAX_PER_CONTAINER = 1000 * 1024 * 1024;

export const imageLocality: SchedulerPlugin = {
  name: 'ImageLocality',
  score({ pod }, snapshot) {
    const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    const images = containers.map(({ image = '' }) => withTag(image)).filter(name => snapshot.imageNodes(name) > 0);
    // No node has any of them: they are all alike.
    if (images.length === 0) return undefined;
    const most = BYTES_MAX_PER_CONTAINER * containers.length;
    // An image that few nodes have counts less, or all its pods would heap up there.
    const shares = images.map(name => snapshot.imageNodes(name) / snapshot.nodes.length);
    return {
      score(node) {
        let sizeBytes = 0;
        for (const [index, name] of images.entries()) {
          sizeBytes += Math.floor((node.images.get(name) ?? 0) * (shares[index] ?? 0));
        }
        const counted = Math.min(Math.max(sizeBytes, BYTES_MIN), most);
        return Math.floor((SCORE_MAX * (counted - BYTES_MIN)) / (most - BYTES_MIN));
      },
    };
  },
};

/** A colon before the last slash belongs to a registry's port. */
const withTag = (image: string) => (image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image);
