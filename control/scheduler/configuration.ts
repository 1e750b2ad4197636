/** What a scheduler runs by, and how it is read from a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1). */
import { parse } from 'yaml';
import { z } from 'zod';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN } from './limits.ts';
import { DEFAULT_SCHEDULER_NAME, type Profile } from './profile.ts';
import { DEFAULT_PROFILE, type PluginSets, ProfileError, profileOf } from './profile-configuration.ts';

export interface SchedulerConfiguration {
  /** At least one; their names differ. */
  readonly profiles: readonly Profile[];
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** What the file asks for that makes no difference here. */
  readonly remarks: readonly string[];
}

export const DEFAULT_CONFIGURATION: SchedulerConfiguration = {
  profiles: [DEFAULT_PROFILE],
  backoffMsMin: BACKOFF_MS_MIN,
  backoffMsMax: BACKOFF_MS_MAX,
  remarks: [],
};

/** The file cannot be followed; the message says where and why. */
export class SchedulerConfigurationError extends Error {
  override readonly name = 'SchedulerConfigurationError';
  readonly code = 'SCHEDULER_CONFIGURATION';
  /** A master must not be started again with it. */
  readonly exitCode = 3;
}

const choices = z.strictObject({
  enabled: z.array(z.strictObject({ name: z.string(), weight: z.int().min(0).optional() })).optional(),
  disabled: z.array(z.strictObject({ name: z.string(), weight: z.int().optional() })).optional(),
});
const POINTS = [
  'multiPoint',
  'preEnqueue',
  'queueSort',
  'preFilter',
  'filter',
  'postFilter',
  'preScore',
  'score',
  'reserve',
  'permit',
  'preBind',
  'bind',
  'postBind',
] as const;
const plugins = z.strictObject(
  Object.fromEntries(POINTS.map(point => [point, choices.optional()])) as Record<
    (typeof POINTS)[number],
    z.ZodOptional<typeof choices>
  >,
);
const percentage = z.int().min(0).max(100);
const profile = z.strictObject({
  schedulerName: z.string().min(1).default(DEFAULT_SCHEDULER_NAME),
  percentageOfNodesToScore: percentage.optional(),
  plugins: plugins.optional(),
  pluginConfig: z.array(z.strictObject({ name: z.string(), args: z.unknown().optional() })).default([]),
});
/** Settings of a program of its own, which this scheduler is not. */
const IGNORED = {
  parallelism: 'every decision is made by one thread',
  leaderElection: 'the scheduler runs on the master that leads the store',
  clientConnection: 'the scheduler speaks to the API server of its own master',
  enableProfiling: 'there is no profiling endpoint',
  enableContentionProfiling: 'there is no profiling endpoint',
  healthzBindAddress: 'the API server tells the health of its master',
  metricsBindAddress: 'the API server has the metrics of its master',
  delayCacheUntilActive: 'the caches are filled when the scheduler begins to lead',
} as const;
const file = z.strictObject({
  apiVersion: z.literal('kubescheduler.config.k8s.io/v1'),
  kind: z.literal('KubeSchedulerConfiguration'),
  percentageOfNodesToScore: percentage.optional(),
  podInitialBackoffSeconds: z
    .int()
    .min(1)
    .default(BACKOFF_MS_MIN / 1000),
  podMaxBackoffSeconds: z
    .int()
    .min(1)
    .default(BACKOFF_MS_MAX / 1000),
  profiles: z.array(profile).min(1).optional(),
  extenders: z.array(z.unknown()).max(0, 'scheduler extenders are not supported: write a plugin').optional(),
  ...(Object.fromEntries(Object.keys(IGNORED).map(name => [name, z.unknown().optional()])) as Record<
    keyof typeof IGNORED,
    z.ZodOptional<z.ZodUnknown>
  >),
});

/** Reads the YAML or JSON of a KubeSchedulerConfiguration; throws {@link SchedulerConfigurationError}. */
export function parseSchedulerConfiguration(text: string): SchedulerConfiguration {
  const { success, data, error } = file.safeParse(parseYaml(text));
  if (!success) {
    const problems = error.issues.map(({ path, message }) => `${z.core.toDotPath(path) || 'the file'}: ${message}`);
    throw new SchedulerConfigurationError(problems.join('; '));
  }
  if (data.podMaxBackoffSeconds < data.podInitialBackoffSeconds) {
    throw new SchedulerConfigurationError('podMaxBackoffSeconds: must be at least podInitialBackoffSeconds');
  }
  const given = data.profiles ?? [profile.parse({})];
  const names = given.map(({ schedulerName }) => schedulerName);
  const repeated = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (repeated >= 0) {
    throw new SchedulerConfigurationError(`profiles[${repeated}].schedulerName: ${names[repeated]} is there already`);
  }
  const percentageOfNodesToScore = data.percentageOfNodesToScore ?? 0;
  return {
    profiles: given.map((each, index) => readProfile(each, index, percentageOfNodesToScore)),
    backoffMsMin: data.podInitialBackoffSeconds * 1000,
    backoffMsMax: data.podMaxBackoffSeconds * 1000,
    remarks: Object.entries(IGNORED).flatMap(([name, why]) =>
      data[name as keyof typeof IGNORED] === undefined ? [] : [`${name} makes no difference: ${why}`],
    ),
  };
}

function parseYaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw new SchedulerConfigurationError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function readProfile(given: z.infer<typeof profile>, index: number, percentageOfNodesToScore: number): Profile {
  try {
    return profileOf({
      schedulerName: given.schedulerName,
      percentageOfNodesToScore: given.percentageOfNodesToScore ?? percentageOfNodesToScore,
      sets: (given.plugins ?? {}) as PluginSets,
      args: given.pluginConfig,
    });
  } catch (error) {
    if (!(error instanceof ProfileError)) throw error;
    throw new SchedulerConfigurationError(`profiles[${index}].${error.message}`, { cause: error });
  }
}
