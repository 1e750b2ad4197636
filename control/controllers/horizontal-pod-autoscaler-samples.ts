/**
 * How many replicas bring measured use to its target: which pods' measurements count, and what is assumed of pods that have
 * none (k/k replica_calculator.go). All amounts are thousandths. Pure.
 */

import type { Container, Pod } from '../api/generated/types.ts';
import { milliValue, parseQuantity } from '../api/schema/quantity.ts';
import { parseTime } from '../client/clock.ts';
import { CPU_INITIALIZATION_MS, READINESS_DELAY_MS } from './limits.ts';
import { isPodReady, podCondition } from './pods.ts';

/** What was measured of one pod. */
export interface Sample {
  readonly milliValue: number;
  /** The end of the window that was measured. */
  readonly atMs: number;
  readonly windowMs: number;
}
export type Samples = ReadonlyMap<string, Sample>;

/** By how much use may differ from its target before anything is done. */
export interface Tolerances {
  readonly up: number;
  readonly down: number;
}

export interface SampledPods {
  readonly samples: Samples;
  /** All that the target's selector selects. */
  readonly pods: readonly Pod[];
  /** `cpu`, `memory`; undefined for metrics that pods tell of themselves. */
  readonly resource: string | undefined;
  readonly currentReplicas: number;
  readonly tolerances: Tolerances;
  readonly nowMs: number;
}

export interface Proposal {
  readonly replicas: number;
  /** Percent of what was requested. */
  readonly utilization?: number;
  /** Per pod. */
  readonly averageMilliValue: number;
}

/** A count cannot be worked out; the message is Kubernetes'. */
export class SampleError extends Error {
  override readonly name = 'SampleError';
  readonly code = 'METRIC_UNUSABLE';
}

/** Replicas for a share of the requests, in percent. `container`: of this one alone. Throws {@link SampleError}. */
export function proposeForUtilization(
  sampled: SampledPods,
  { targetPercent, container }: { readonly targetPercent: number; readonly container: string | undefined },
): Proposal {
  const groups = usableSamples(sampled);
  const requests = new Map(
    sampled.pods.map(pod => [nameOf(pod), requestOf(pod, { container, resource: sampled.resource ?? '' })]),
  );
  const ratioOf = (values: ReadonlyMap<string, number>) => utilizationRatio(values, requests, targetPercent);
  const first = ratioOf(groups.values);
  const fallback = Math.max(100, targetPercent);
  const replicas = settle(sampled, groups, {
    ratioOf: values => ratioOf(values).ratio,
    // For going down, who is not heard of is taken to use all that it may.
    assumedDown: name => Math.trunc(((requests.get(name) ?? 0) * fallback) / 100),
    assumesBelowOnly: true,
  });
  return { replicas, utilization: first.percent, averageMilliValue: first.averageMilliValue };
}

/** Replicas for an average amount a pod. Throws {@link SampleError}. */
export function proposeForAverage(sampled: SampledPods, targetMilliValue: number): Proposal {
  const groups = usableSamples(sampled);
  const averageOf = (values: ReadonlyMap<string, number>) =>
    Math.trunc(sum(values.values()) / Math.max(1, values.size));
  const replicas = settle(sampled, groups, {
    ratioOf: values => averageOf(values) / targetMilliValue,
    assumedDown: () => targetMilliValue,
    assumesBelowOnly: false,
  });
  return { replicas, averageMilliValue: averageOf(groups.values) };
}

/** Replicas for an amount of which every replica does its part. Throws {@link SampleError}. */
export function proposeForRatio(
  ratio: number,
  { currentReplicas, pods, tolerances }: Pick<SampledPods, 'currentReplicas' | 'pods' | 'tolerances'>,
): number {
  if (currentReplicas === 0) return Math.ceil(ratio);
  if (isWithin(tolerances, ratio)) return currentReplicas;
  if (pods.length === 0) throw new SampleError(`unable to calculate ready pods: ${NO_PODS}`);
  const ready = pods.filter(pod => pod.status?.phase === 'Running' && isPodReady(pod)).length;
  return Math.ceil(ratio * ready);
}

export const isWithin = ({ up, down }: Tolerances, ratio: number): boolean => 1 - down <= ratio && ratio <= 1 + up;

const NO_PODS = 'no pods returned by selector while calculating replica count';
const nameOf = (pod: Pod) => pod.metadata?.name ?? '';
const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

interface Groups {
  readonly values: ReadonlyMap<string, number>;
  readonly ready: number;
  readonly unready: readonly string[];
  readonly missing: readonly string[];
}

/** Sorts the pods by what their measurements are worth. */
function usableSamples(sampled: SampledPods): Groups {
  const { samples, pods } = sampled;
  if (pods.length === 0) throw new SampleError(NO_PODS);
  const values = new Map([...samples].map(([name, sample]) => [name, sample.milliValue]));
  const unready: string[] = [];
  const missing: string[] = [];
  let ready = 0;
  for (const pod of pods) {
    const name = nameOf(pod);
    const sample = samples.get(name);
    if (pod.metadata?.deletionTimestamp || pod.status?.phase === 'Failed') values.delete(name);
    else if ((pod.status?.phase ?? 'Pending') === 'Pending') unready.push(name);
    else if (!sample) missing.push(name);
    else if (sampled.resource === 'cpu' && isStarting(pod, sample, sampled.nowMs)) unready.push(name);
    else ready++;
  }
  for (const name of unready) values.delete(name);
  if (values.size === 0) throw new SampleError('did not receive metrics for targeted pods (pods might be unready)');
  return { values, ready, unready, missing };
}

/** What a pod uses of the CPU while it starts says nothing of what it will use. */
function isStarting(pod: Pod, sample: Sample, nowMs: number): boolean {
  const ready = podCondition(pod, 'Ready');
  const startedMs = parseTime(pod.status?.startTime);
  if (!ready || startedMs === undefined) return true;
  const changedMs = parseTime(ready.lastTransitionTime) ?? 0;
  if (startedMs + CPU_INITIALIZATION_MS > nowMs) {
    // Not ready, or not for as long as was measured.
    return ready.status === 'False' || sample.atMs < changedMs + sample.windowMs;
  }
  // Not ready, and never was.
  return ready.status === 'False' && startedMs + READINESS_DELAY_MS > changedMs;
}

interface Assumptions {
  ratioOf(values: ReadonlyMap<string, number>): number;
  assumedDown(name: string): number;
  /** Nothing is assumed of the missing at the very target. */
  readonly assumesBelowOnly: boolean;
}

/**
 * Pods without a measurement are taken to use what speaks against the change: on the way up nothing, on the way down their
 * target. What they are assumed to use may make the change smaller, but never turn it round.
 */
function settle(sampled: SampledPods, groups: Groups, { ratioOf, assumedDown, assumesBelowOnly }: Assumptions): number {
  const { currentReplicas, tolerances } = sampled;
  const ratio = ratioOf(groups.values);
  const countsUnready = groups.unready.length > 0 && ratio > 1;
  if (!countsUnready && groups.missing.length === 0) {
    return isWithin(tolerances, ratio) ? currentReplicas : Math.ceil(ratio * groups.ready);
  }
  const values = new Map(groups.values);
  if (ratio < 1) for (const name of groups.missing) values.set(name, assumedDown(name));
  else if (ratio > 1 || !assumesBelowOnly) for (const name of groups.missing) values.set(name, 0);
  if (countsUnready) for (const name of groups.unready) values.set(name, 0);
  const next = ratioOf(values);
  const isTurned = (ratio < 1 && next > 1) || (ratio > 1 && next < 1);
  if (isWithin(tolerances, next) || isTurned) return currentReplicas;
  const replicas = Math.ceil(next * values.size);
  const isAgainst = (next < 1 && replicas > currentReplicas) || (next > 1 && replicas < currentReplicas);
  return isAgainst ? currentReplicas : replicas;
}

function utilizationRatio(
  values: ReadonlyMap<string, number>,
  requests: ReadonlyMap<string, number>,
  targetPercent: number,
): { readonly ratio: number; readonly percent: number; readonly averageMilliValue: number } {
  const known = [...values].filter(([name]) => requests.has(name));
  const requested = sum(known.map(([name]) => requests.get(name) ?? 0));
  if (requested === 0) throw new SampleError('no metrics returned matched known pods');
  const used = sum(known.map(([, value]) => value));
  const percent = Math.trunc((used * 100) / requested);
  return { percent, ratio: percent / targetPercent, averageMilliValue: Math.trunc(used / known.length) };
}

/** What a pod's containers request; all of them must say. */
function requestOf(
  pod: Pod,
  { container, resource }: { readonly container: string | undefined; readonly resource: string },
): number {
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const own = pod.spec?.resources?.requests?.[resource];
  if (container === undefined && own !== undefined) return milliValue(parseQuantity(String(own)));
  const containers: readonly Container[] = [...(pod.spec?.containers ?? []), ...sidecars];
  return sum(
    containers
      .filter(({ name }) => container === undefined || container === name)
      .map(({ name, resources }) => {
        const request = resources?.requests?.[resource];
        if (request !== undefined) return milliValue(parseQuantity(String(request)));
        throw new SampleError(`missing request for ${resource} in container ${name} of Pod ${nameOf(pod)}`);
      }),
  );
}
