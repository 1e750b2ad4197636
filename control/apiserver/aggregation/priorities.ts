/**
 * The order of groups and versions: what a short name means where several groups have it. Built-in groups have the numbers
 * of Kubernetes (k/k:pkg/controlplane/apiserver/aggregator.go), custom resources stand behind them all.
 */

export interface Priority {
  readonly group: number;
  readonly version: number;
}

const GROUPS: Readonly<Record<string, number>> = {
  '': 18_000,
  'apiregistration.k8s.io': 18_000,
  apps: 17_800,
  'events.k8s.io': 17_750,
  'authentication.k8s.io': 17_700,
  'authorization.k8s.io': 17_600,
  autoscaling: 17_500,
  batch: 17_400,
  'certificates.k8s.io': 17_300,
  'networking.k8s.io': 17_200,
  policy: 17_100,
  'rbac.authorization.k8s.io': 17_000,
  'storage.k8s.io': 16_800,
  'admissionregistration.k8s.io': 16_700,
  'apiextensions.k8s.io': 16_700,
  'scheduling.k8s.io': 16_600,
  'coordination.k8s.io': 16_500,
  'node.k8s.io': 16_300,
  'discovery.k8s.io': 16_200,
  'flowcontrol.apiserver.k8s.io': 16_100,
  // Gone from Kubernetes; listed so that old manifests find it, and last.
  extensions: 100,
};
/** What differs from {@link VERSION}, by `group/version`. */
const VERSIONS: Readonly<Record<string, number>> = {
  '/v1': 1,
  'autoscaling/v2': 30,
  'flowcontrol.apiserver.k8s.io/v1': 21,
};
const VERSION = 15;
const BETA_VERSION = 9;
/** Custom resources (k/k: crdRegistrationController). */
export const CUSTOM_PRIORITY: Priority = { group: 1_000, version: 100 };

/** The priority of a group and version of the program itself. */
export function builtInPriority(group: string, version: string): Priority {
  const versionPriority = VERSIONS[`${group}/${version}`] ?? (/^v\d+$/.test(version) ? VERSION : BETA_VERSION);
  return { group: groupPriority(group), version: versionPriority };
}

/** The priority of a group that this server serves. */
export const groupPriority = (group: string): number => GROUPS[group] ?? CUSTOM_PRIORITY.group;
