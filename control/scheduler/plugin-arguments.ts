/** The arguments of each plugin as a KubeSchedulerConfiguration has them, and the plugin made with them. */
import { z } from 'zod';
import type { NodeAffinity } from '../api/generated/types.ts';
import { qualifiedName } from '../api/validation/names.ts';
import { validateAffinity } from '../api/validation/scheduling.ts';
import type { SchedulerPlugin } from './plugin.ts';
import { imageLocality } from './plugins/image-locality.ts';
import { interPodAffinity } from './plugins/inter-pod-affinity.ts';
import { nodeAffinity } from './plugins/node-affinity.ts';
import { nodeName } from './plugins/node-name.ts';
import { nodePorts } from './plugins/node-ports.ts';
import { nodeResourcesFit } from './plugins/node-resources.ts';
import { nodeUnschedulable } from './plugins/node-unschedulable.ts';
import { type FitStrategy, LEAST_ALLOCATED, nodeResourcesBalanced } from './plugins/resource-strategies.ts';
import { taintToleration } from './plugins/taint-toleration.ts';
import { topologySpread } from './plugins/topology-spread.ts';
import { volumeBinding } from './plugins/volume-binding.ts';
import { nodeVolumeLimits } from './plugins/volume-limits.ts';
import { volumeRestrictions } from './plugins/volume-restrictions.ts';
import { volumeZone } from './plugins/volume-zone.ts';

/** What every arguments' object may say of itself. */
const header = (kind: string) => ({
  apiVersion: z.literal('kubescheduler.config.k8s.io/v1').optional(),
  kind: z.literal(kind).optional(),
});
/** 0 stands for the default, and so does an empty list. */
const resource = z.strictObject({
  name: z.string().min(1),
  weight: z
    .int()
    .min(0)
    .max(100)
    .default(1)
    .transform(weight => weight || 1),
});
const orDefault = <T>(list: readonly T[]) => (list.length > 0 ? list : undefined);
const resources = z.array(resource).transform(orDefault);
const point = z.strictObject({
  utilization: z.int().min(0).max(100),
  score: z.int().min(0).max(10),
});
const shape = z
  .array(point)
  .min(1)
  .refine(points => points.every(({ utilization }, index) => utilization > (points[index - 1]?.utilization ?? -1)), {
    message: 'utilization values must be sorted in increasing order',
  });
const qualified = z.string().superRefine((name, { addIssue }) => {
  for (const problem of qualifiedName(name)) addIssue(problem);
});
/** Says of each that is equal to an earlier one where it is. */
function noneTwice<T>(keyOf: (each: T) => string, problem: (each: T) => string, ...within: string[]) {
  return (list: readonly T[], context: z.RefinementCtx) => {
    const seen = new Set<string>();
    for (const [index, each] of list.entries()) {
      const key = keyOf(each);
      if (seen.has(key)) context.addIssue({ code: 'custom', path: [index, ...within], message: problem(each) });
      seen.add(key);
    }
  };
}
const fit = z.strictObject({
  ...header('NodeResourcesFitArgs'),
  ignoredResources: z.array(qualified).default([]),
  ignoredResourceGroups: z
    .array(
      z
        .string()
        .regex(/^[^/]*$/, 'resource group name must not contain "/"')
        .pipe(qualified),
    )
    .default([]),
  scoringStrategy: z
    .strictObject({
      type: z.enum(['LeastAllocated', 'MostAllocated', 'RequestedToCapacityRatio']),
      resources: resources.optional(),
      requestedToCapacityRatio: z.strictObject({ shape }).optional(),
    })
    .refine(({ type, requestedToCapacityRatio }) => type !== 'RequestedToCapacityRatio' || requestedToCapacityRatio, {
      message: 'RequestedToCapacityRatio needs requestedToCapacityRatio.shape',
    })
    .optional(),
});
const requirement = z.strictObject({ key: z.string(), operator: z.string(), values: z.array(z.string()).optional() });
const nodeSelectorTerm = z.strictObject({
  matchExpressions: z.array(requirement).optional(),
  matchFields: z.array(requirement).optional(),
});
const constraint = z.strictObject({
  maxSkew: z.int().min(1),
  topologyKey: z.string().min(1),
  whenUnsatisfiable: z.enum(['DoNotSchedule', 'ScheduleAnyway']),
  minDomains: z.int().min(1).optional(),
  nodeAffinityPolicy: z.enum(['Honor', 'Ignore']).optional(),
  nodeTaintsPolicy: z.enum(['Honor', 'Ignore']).optional(),
});

const SCHEMAS = {
  NodeResourcesFit: fit,
  NodeResourcesBalancedAllocation: z.strictObject({
    ...header('NodeResourcesBalancedAllocationArgs'),
    resources: z
      .array(resource.refine(({ weight }) => weight === 1, { path: ['weight'], message: 'resource weight must be 1' }))
      .superRefine(
        noneTwice(
          ({ name }) => name,
          ({ name }) => `${name} is there already`,
          'name',
        ),
      )
      .transform(orDefault)
      .optional(),
  }),
  InterPodAffinity: z.strictObject({
    ...header('InterPodAffinityArgs'),
    hardPodAffinityWeight: z.int().min(0).max(100).default(1),
    ignorePreferredTermsOfExistingPods: z.boolean().default(false),
  }),
  PodTopologySpread: z
    .strictObject({
      ...header('PodTopologySpreadArgs'),
      defaultConstraints: z
        .array(constraint)
        .superRefine(
          noneTwice(
            ({ topologyKey, whenUnsatisfiable }) => JSON.stringify([topologyKey, whenUnsatisfiable]),
            each => `there is one for ${each.topologyKey} and ${each.whenUnsatisfiable} already`,
          ),
        )
        .default([]),
      defaultingType: z.enum(['System', 'List']).default('System'),
    })
    .refine(({ defaultConstraints, defaultingType }) => defaultingType === 'List' || defaultConstraints.length === 0, {
      message: 'when .defaultingType is System, .defaultConstraints must be empty',
      path: ['defaultingType'],
    }),
  NodeAffinity: z.strictObject({
    ...header('NodeAffinityArgs'),
    addedAffinity: z
      .strictObject({
        requiredDuringSchedulingIgnoredDuringExecution: z
          .strictObject({ nodeSelectorTerms: z.array(nodeSelectorTerm) })
          .optional(),
        preferredDuringSchedulingIgnoredDuringExecution: z
          .array(z.strictObject({ weight: z.int().min(1).max(100), preference: nodeSelectorTerm }))
          .optional(),
      })
      .superRefine((nodeAffinity, { addIssue }) => {
        // The same rules as for pods; the type says more strictly which operators there are.
        for (const { field, message } of validateAffinity({ nodeAffinity: nodeAffinity as NodeAffinity }, '')) {
          addIssue({ code: 'custom', path: pathOf(field), message });
        }
      })
      .optional(),
  }),
  VolumeBinding: z.strictObject({
    ...header('VolumeBindingArgs'),
    bindTimeoutSeconds: z.int().min(0).optional(),
  }),
  DefaultPreemption: z
    .strictObject({
      ...header('DefaultPreemptionArgs'),
      minCandidateNodesPercentage: z.int().min(0).max(100).optional(),
      minCandidateNodesAbsolute: z.int().min(0).optional(),
    })
    .refine(args => args.minCandidateNodesPercentage !== 0 || args.minCandidateNodesAbsolute !== 0, {
      message: 'cannot be 0 together with minCandidateNodesAbsolute',
      path: ['minCandidateNodesPercentage'],
    }),
} as const;

export type PluginArguments = { readonly [Name in keyof typeof SCHEMAS]?: z.infer<(typeof SCHEMAS)[Name]> };

/** Each plugin is made out of the arguments; undefined stands for what is part of the scheduler itself. */
const MAKERS = {
  SchedulingGates: () => undefined,
  PrioritySort: () => undefined,
  NodeUnschedulable: () => nodeUnschedulable,
  NodeName: () => nodeName,
  TaintToleration: () => taintToleration,
  // The schema has the facts' shape; operators are validated where they are used.
  NodeAffinity: ({ NodeAffinity: args }) => nodeAffinity(args?.addedAffinity as NodeAffinity | undefined),
  NodePorts: () => nodePorts,
  NodeResourcesFit: ({ NodeResourcesFit: args }) =>
    nodeResourcesFit({
      strategy: strategyOf(args?.scoringStrategy),
      ignoredResources: new Set(args?.ignoredResources),
      ignoredResourceGroups: new Set(args?.ignoredResourceGroups),
    }),
  VolumeRestrictions: () => volumeRestrictions,
  NodeVolumeLimits: () => nodeVolumeLimits,
  VolumeBinding: () => volumeBinding,
  VolumeZone: () => volumeZone,
  PodTopologySpread: ({ PodTopologySpread: args }) =>
    topologySpread(
      args?.defaultingType === 'List' ? { type: 'List', constraints: args.defaultConstraints } : { type: 'System' },
    ),
  InterPodAffinity: ({ InterPodAffinity: args }) => interPodAffinity(args),
  DefaultPreemption: () => undefined,
  NodeResourcesBalancedAllocation: ({ NodeResourcesBalancedAllocation: args }) =>
    nodeResourcesBalanced(args?.resources),
  ImageLocality: () => imageLocality,
  DefaultBinder: () => undefined,
} as const satisfies Record<string, (args: PluginArguments) => SchedulerPlugin | undefined>;

export type PluginName = keyof typeof MAKERS;
export const PLUGIN_NAMES = Object.keys(MAKERS) as readonly PluginName[];

export function makePlugin(name: PluginName, args: PluginArguments): SchedulerPlugin | undefined {
  return MAKERS[name](args);
}

/** The arguments of a plugin, or what is wrong with them: begins with the place, such as `.resources[0]: …`. */
export function readArguments(
  name: PluginName,
  args: unknown,
): { readonly args: unknown } | { readonly problem: string } {
  const schema = Object.hasOwn(SCHEMAS, name) ? SCHEMAS[name as keyof typeof SCHEMAS] : undefined;
  if (!schema) return (args ?? undefined) === undefined ? { args } : { problem: `: ${name} takes no arguments` };
  const { success, data, error } = schema.safeParse(args ?? {});
  if (success) return { args: data };
  const [first] = error.issues;
  const place = first ? z.core.toDotPath(first.path) : '';
  return { problem: `${place && !place.startsWith('[') ? '.' : ''}${place}: ${first?.message ?? 'not valid'}` };
}

/** Of a field within an affinity: `.nodeAffinity.x[0].y` is x, 0, y. */
const pathOf = (field: string) =>
  field
    .split(/[.[\]]+/)
    .slice(2)
    .map(part => (/^\d+$/.test(part) ? Number(part) : part));

function strategyOf(given: z.infer<typeof fit>['scoringStrategy']): FitStrategy {
  if (!given) return LEAST_ALLOCATED;
  const { type, resources: weighed = LEAST_ALLOCATED.resources, requestedToCapacityRatio } = given;
  if (type !== 'RequestedToCapacityRatio') return { type, resources: weighed };
  return { type, resources: weighed, shape: requestedToCapacityRatio?.shape ?? [] };
}
