/**
 * A profile out of what a KubeSchedulerConfiguration says of it: which plugins, in which order, with which weights and
 * arguments. What is enabled or disabled at `multiPoint` holds wherever a plugin acts; what is said at a single point comes
 * before it.
 */
import { makePlugin, PLUGIN_NAMES, type PluginArguments, type PluginName, readArguments } from './plugin-arguments.ts';
import { DEFAULT_PREEMPTION, DEFAULT_SCHEDULER_NAME, type Profile, type WeightedPlugin } from './profile.ts';

interface Choices {
  readonly enabled?: readonly { readonly name: string; readonly weight?: number }[];
  readonly disabled?: readonly { readonly name: string }[];
}
export type PluginSets = Readonly<Record<string, Choices | undefined>>;

export interface ProfileInput {
  readonly schedulerName: string;
  readonly percentageOfNodesToScore: number;
  readonly sets: PluginSets;
  readonly args: readonly { readonly name: string; readonly args?: unknown }[];
}

/** A profile that cannot be; the message begins with the field. */
export class ProfileError extends Error {
  readonly code = 'SCHEDULER_PROFILE';
}

/** Plugins in the order in which they are asked, cheap and final ones first, with what their scores count. */
const DEFAULTS: readonly Choice[] = [
  { name: 'SchedulingGates', weight: 0 },
  { name: 'PrioritySort', weight: 0 },
  { name: 'NodeUnschedulable', weight: 0 },
  { name: 'NodeName', weight: 0 },
  { name: 'TaintToleration', weight: 3 },
  { name: 'NodeAffinity', weight: 2 },
  { name: 'NodePorts', weight: 0 },
  { name: 'NodeResourcesFit', weight: 1 },
  { name: 'VolumeRestrictions', weight: 0 },
  { name: 'NodeVolumeLimits', weight: 0 },
  { name: 'VolumeBinding', weight: 0 },
  { name: 'VolumeZone', weight: 0 },
  { name: 'PodTopologySpread', weight: 2 },
  { name: 'InterPodAffinity', weight: 2 },
  { name: 'DefaultPreemption', weight: 0 },
  { name: 'NodeResourcesBalancedAllocation', weight: 1 },
  { name: 'ImageLocality', weight: 1 },
  { name: 'DefaultBinder', weight: 0 },
];

interface Choice {
  readonly name: PluginName;
  readonly weight: number;
}

/** What must be there, and where: there is one of each. */
const ESSENTIAL = { queueSort: 'PrioritySort', bind: 'DefaultBinder' } as const;
/** Points at which no plugin can be chosen by itself. */
const FIXED_POINTS = ['reserve', 'permit', 'preBind', 'postBind'] as const;

export function profileOf({ schedulerName, percentageOfNodesToScore, sets, args }: ProfileInput): Profile {
  for (const [point, choices] of Object.entries(sets)) checkNames(point, choices);
  for (const point of FIXED_POINTS) {
    if (sets[point]?.enabled?.length || sets[point]?.disabled?.length) {
      throw new ProfileError(
        `plugins.${point}: plugins cannot be chosen for this point alone: use multiPoint or filter`,
      );
    }
  }
  const everywhere = merged(sets.multiPoint);
  for (const [point, name] of Object.entries(ESSENTIAL)) {
    if (!at(everywhere, sets[point]).some(each => each.name === name)) {
      throw new ProfileError(`plugins.${point}: ${name} is the only plugin that can do this, and cannot be disabled`);
    }
  }
  const options = argumentsByName(args);
  const made = new Map<PluginName, WeightedPlugin['plugin']>();
  const pluginsAt = (points: readonly string[]) =>
    points
      .reduce((choices, point) => at(choices, sets[point]), everywhere)
      .flatMap(({ name, weight }) => {
        const plugin = made.get(name) ?? makePlugin(name, options);
        if (!plugin) return [];
        made.set(name, plugin);
        return [{ plugin, weight: weight || 1 }];
      });
  const isOn = (point: string, name: PluginName) => at(everywhere, sets[point]).some(each => each.name === name);
  const timeoutMs = options.VolumeBinding?.bindTimeoutSeconds;
  return {
    schedulerName,
    percentageOfNodesToScore,
    filterPlugins: pluginsAt(['preFilter', 'filter']).flatMap(({ plugin }) => (plugin.filter ? [plugin] : [])),
    scorePlugins: pluginsAt(['preScore', 'score']).filter(({ plugin }) => plugin.score),
    preemption: isOn('postFilter', 'DefaultPreemption') ? preemptionOf(options) : undefined,
    hasGates: isOn('preEnqueue', 'SchedulingGates'),
    ...(timeoutMs !== undefined && { volumeBindingTimeoutMs: timeoutMs * 1000 }),
  };
}

function preemptionOf({ DefaultPreemption: args }: PluginArguments): Profile['preemption'] {
  return {
    candidatesPercent: args?.minCandidateNodesPercentage ?? DEFAULT_PREEMPTION.candidatesPercent,
    candidatesMin: args?.minCandidateNodesAbsolute ?? DEFAULT_PREEMPTION.candidatesMin,
  };
}

function checkNames(point: string, choices: Choices | undefined): void {
  const seen = new Set<string>();
  for (const [index, { name }] of (choices?.enabled ?? []).entries()) {
    if (!isKnown(name)) throw new ProfileError(`plugins.${point}.enabled[${index}].name: ${unknown(name)}`);
    if (seen.has(name)) throw new ProfileError(`plugins.${point}.enabled[${index}].name: ${name} is there already`);
    seen.add(name);
  }
  for (const [index, { name }] of (choices?.disabled ?? []).entries()) {
    if (name !== '*' && !isKnown(name)) {
      throw new ProfileError(`plugins.${point}.disabled[${index}].name: ${unknown(name)}`);
    }
  }
}

const isKnown = (name: string): name is PluginName => PLUGIN_NAMES.some(known => known === name);
const unknown = (name: string) => `plugin "${name}" does not exist; there are ${PLUGIN_NAMES.join(', ')}`;

/** The defaults without what is disabled; what is enabled keeps its place among them, or comes after them. */
function merged(choices: Choices | undefined): readonly Choice[] {
  const isDisabled = disabledBy(choices);
  const enabled = (choices?.enabled ?? []).map(({ name, weight = 0 }) => ({ name: name as PluginName, weight }));
  const kept = DEFAULTS.filter(({ name }) => !isDisabled(name));
  return [
    ...kept.map(each => enabled.find(({ name }) => name === each.name) ?? each),
    ...enabled.filter(({ name }) => !kept.some(each => each.name === name)),
  ];
}

/** What is enabled everywhere and at the point itself comes first, what is enabled at the point alone comes last. */
function at(everywhere: readonly Choice[], choices: Choices | undefined): readonly Choice[] {
  const isDisabled = disabledBy(choices);
  const enabled = (choices?.enabled ?? []).map(({ name, weight = 0 }) => ({ name: name as PluginName, weight }));
  const inherited = everywhere.filter(({ name }) => !isDisabled(name));
  const isInherited = (each: Choice) => inherited.some(({ name }) => name === each.name);
  return [
    ...enabled.filter(isInherited),
    ...inherited.filter(({ name }) => !enabled.some(each => each.name === name)),
    ...enabled.filter(each => !isInherited(each)),
  ];
}

function disabledBy(choices: Choices | undefined): (name: string) => boolean {
  const names = new Set((choices?.disabled ?? []).map(({ name }) => name));
  return name => names.has('*') || names.has(name);
}

function argumentsByName(given: ProfileInput['args']): PluginArguments {
  const args: Record<string, unknown> = {};
  for (const [index, { name, args: raw }] of given.entries()) {
    const at = `pluginConfig[${index}]`;
    if (!isKnown(name)) throw new ProfileError(`${at}.name: ${unknown(name)}`);
    if (name in args) throw new ProfileError(`${at}.name: ${name} is there already`);
    const outcome = readArguments(name, raw);
    if ('problem' in outcome) throw new ProfileError(`${at}.args${outcome.problem}`);
    args[name] = outcome.args;
  }
  // Each was read by the schema of its name.
  return args as PluginArguments;
}

/** As kube-scheduler has it without a configuration. */
export const DEFAULT_PROFILE = profileOf({
  schedulerName: DEFAULT_SCHEDULER_NAME,
  percentageOfNodesToScore: 0,
  sets: {},
  args: [],
});
