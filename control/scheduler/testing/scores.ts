/** For tests: the numbers that a plugin gives nodes. */
import type { Node, Pod, PodSpec } from '../../api/generated/types.ts';
import { parseSchedulerConfiguration } from '../configuration.ts';
import { describePod } from '../pod-info.ts';
import { DEFAULT_PROFILE } from '../profile-configuration.ts';
import { ClusterSnapshot } from '../snapshot.ts';

export type Amounts = Readonly<Record<string, string>>;
export type Placed = readonly (readonly [Partial<PodSpec>, string, Amounts?])[];

export const node = (name: string, allocatable: Amounts, labels: Amounts = {}): Node => ({
  metadata: { name, labels },
  status: { allocatable: { pods: '110', ...allocatable } },
});
export const asking = (...requests: readonly Amounts[]): Partial<PodSpec> => ({
  containers: requests.map((each, index) => ({ name: `c${index}`, resources: { requests: each } })),
});
export const pod = (uid: string, spec: Partial<PodSpec> = {}, labels: Amounts = {}): Pod => ({
  metadata: { name: uid, uid, namespace: 'n', labels },
  spec: { containers: [{ name: 'c' }], ...spec },
});

export interface Cluster {
  readonly nodes: readonly Node[];
  readonly placed?: Placed;
  readonly args?: string;
  /** How many of the nodes are scored; the others are only there. */
  readonly feasible?: number;
}

/** What the plugin gives each node; undefined if it has nothing to say about the pod. */
export function scores(
  plugin: string,
  wanted: Pod,
  { nodes, placed = [], args, feasible: count = nodes.length }: Cluster,
): readonly number[] | undefined {
  const snapshot = new ClusterSnapshot();
  for (const each of nodes) snapshot.setNode(each);
  for (const [index, [spec, on, labels]] of placed.entries()) snapshot.setPod(pod(`x${index}`, spec, labels), on);
  const profile = args
    ? parseSchedulerConfiguration(
        `{apiVersion: kubescheduler.config.k8s.io/v1, kind: KubeSchedulerConfiguration, profiles: [{pluginConfig: [{name: ${plugin}, args: ${args}}]}]}`,
      ).profiles[0]
    : DEFAULT_PROFILE;
  const feasible = nodes.slice(0, count).flatMap(({ metadata }) => snapshot.node(metadata?.name ?? '') ?? []);
  const found = profile?.scorePlugins.find(each => each.plugin.name === plugin)?.plugin;
  const scorer = found?.score?.(describePod(wanted), snapshot, feasible);
  if (!scorer) return undefined;
  const given = Float64Array.from(feasible, (each, index) => scorer.score(each, index));
  scorer.normalize?.(given);
  return [...given];
}
