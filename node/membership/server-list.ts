/** PURE: the masters that a node may ask. */

/**
 * The masters that the cluster told of, and then those that the node was started with: a cluster that is just being made may
 * have told of its first master only, and if that one dies nobody tells of the others any more.
 */
export function serverList(learned: readonly string[], given: readonly string[]): readonly string[] {
  return [...new Set([...learned, ...given])];
}
