/**
 * The rules of a ClusterRole with an aggregation rule are those of all ClusterRoles that its selectors match (k/k
 * pkg/controller/clusterroleaggregation): `admin`, `edit` and `view` grow with what others label for them.
 */
import { clusterroles as clusterRolesKind } from '../api/generated/kinds.ts';
import type { ClusterRole, PolicyRule } from '../api/generated/types.ts';
import { matchesLabelSelector } from '../api/selectors.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isEqual } from './equal.ts';

export function clusterRoleAggregationController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const roles = informers.for<ClusterRole>(clusterRolesKind);
  // Any role may be part of any other; there are few that aggregate.
  const enqueueAggregated = () => {
    for (const role of roles.list()) if (role.aggregationRule) queue.add(role.metadata?.name ?? '');
  };
  roles.addHandler({ added: enqueueAggregated, updated: enqueueAggregated, deleted: enqueueAggregated });

  const reconcile = async (name: string) => {
    const role = roles.get(name);
    if (!role?.aggregationRule || role.metadata?.deletionTimestamp) return undefined;
    const rules = aggregatedRules(role, roles.list());
    if (!isEqual(rules, role.rules ?? [])) await client.update(clusterRolesKind, { ...role, rules });
    return undefined;
  };
  return queueController(context, { name: 'clusterrole-aggregation-controller', queue, reconcile });
}

/** What an aggregating role is to have: the rules of its parts, selector by selector, in the order of names, each once. Pure. */
export function aggregatedRules(role: ClusterRole, all: Iterable<ClusterRole>): PolicyRule[] {
  const selectors = role.aggregationRule?.clusterRoleSelectors ?? [];
  const nameOf = ({ metadata }: ClusterRole) => metadata?.name ?? '';
  const others = [...all]
    .filter(other => nameOf(other) !== nameOf(role))
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const parts = selectors.flatMap(selector =>
    others.filter(other => matchesLabelSelector(selector, other.metadata?.labels)),
  );
  const rules = new Map<string, PolicyRule>();
  for (const part of parts) {
    for (const rule of part.rules ?? []) {
      const key = JSON.stringify([
        rule.apiGroups,
        rule.resources,
        rule.resourceNames,
        rule.nonResourceURLs,
        rule.verbs,
      ]);
      if (!rules.has(key)) rules.set(key, rule);
    }
  }
  return [...rules.values()];
}
