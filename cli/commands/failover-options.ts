/** Flags that say how soon a silent node counts as dead, and its pods run elsewhere. */
import { type Command, InvalidArgumentError } from 'commander';
import { FAST_FAILOVER, type FailoverSettings } from '../../control/master/failover.ts';
import { wholeNumber } from './options.ts';

export interface FailoverFlags {
  readonly fastFailover?: boolean;
  readonly nodeMonitorGracePeriod?: number;
  readonly nodeStartupGracePeriod?: number;
  readonly nodeEvictionRate?: number;
  readonly secondaryNodeEvictionRate?: number;
  readonly unhealthyZoneThreshold?: number;
  readonly largeClusterSizeThreshold?: number;
  readonly defaultNotReadyTolerationSeconds?: number;
  readonly defaultUnreachableTolerationSeconds?: number;
}

/** The flags of a master; named as kube-controller-manager and kube-apiserver name them. All masters need the same ones. */
export function addFailoverOptions(command: Command): Command {
  return command
    .option('--fast-failover', 'a dead node’s pods run elsewhere within 30 s; nodes need the flag too')
    .option('--node-monitor-grace-period <time>', 'silence after which a node is NotReady (default 50s)', duration)
    .option('--node-startup-grace-period <time>', 'the same for a node that is new (default 1m)', duration)
    .option('--node-eviction-rate <n>', 'nodes of a zone that may lose their pods, a second (default 0.1)', positive)
    .option('--secondary-node-eviction-rate <n>', 'the same in a large zone that is disrupted (default 0.01)', positive)
    .option('--unhealthy-zone-threshold <share>', 'share of silent nodes that disrupts a zone (default 0.55)', positive)
    .option('--large-cluster-size-threshold <n>', 'a zone with more nodes is large (default 50)', wholeNumber)
    .option(
      '--default-not-ready-toleration-seconds <n>',
      'how long pods stay on a node that is not ready (default 300)',
      wholeNumber,
    )
    .option(
      '--default-unreachable-toleration-seconds <n>',
      'how long pods stay on a node that is silent (default 300)',
      wholeNumber,
    );
}

/** What the flags ask for; nothing where they are silent. */
export function failoverOf(flags: FailoverFlags): FailoverSettings {
  const profile: FailoverSettings = flags.fastFailover ? FAST_FAILOVER : { nodeHealth: {}, tolerations: {} };
  return {
    ...profile,
    nodeHealth: {
      ...profile.nodeHealth,
      ...given('gracePeriodMs', flags.nodeMonitorGracePeriod),
      ...given('startupGracePeriodMs', flags.nodeStartupGracePeriod),
      ...given('evictionRate', flags.nodeEvictionRate),
      ...given('secondaryEvictionRate', flags.secondaryNodeEvictionRate),
      ...given('unhealthyZoneThreshold', flags.unhealthyZoneThreshold),
      ...given('largeZoneNodes', flags.largeClusterSizeThreshold),
    },
    tolerations: {
      ...profile.tolerations,
      ...given('notReadySeconds', flags.defaultNotReadyTolerationSeconds),
      ...given('unreachableSeconds', flags.defaultUnreachableTolerationSeconds),
    },
  };
}

const given = <Name extends string>(name: Name, value: number | undefined) =>
  value === undefined ? {} : ({ [name]: value } as Record<Name, number>);

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Reads a time such as `40s` or `1m30s`, as Kubernetes' flags have it; milliseconds. */
export function duration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text) {
    throw new InvalidArgumentError('it must be a time such as 40s or 1m30s.');
  }
  return parts.reduce((sum, [, count = '0', unit = 's']) => sum + Number(count) * (UNITS[unit] ?? 0), 0);
}

function positive(text: string): number {
  const value = Number(text);
  if (text === '' || !(value >= 0)) throw new InvalidArgumentError('it must be a number of 0 or more.');
  return value;
}
