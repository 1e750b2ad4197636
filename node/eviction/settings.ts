/** When pods are evicted, as operators write it (kubelet `--eviction-hard`, `--eviction-soft` and their like). Pure. */
import type { Pod } from '../api.ts';
import { EVICTION_GRACE_SECONDS, GRACE_SECONDS_DEFAULT } from '../limits.ts';
import { quantityValue } from '../pods/quantity.ts';
import { DEFAULT_THRESHOLDS, type Shortage, SIGNALS, type Signal, type Threshold } from './signals.ts';

export interface EvictionSettings {
  /** Those of memory first, hard ones before soft ones. */
  readonly thresholds: readonly Threshold[];
  /** What a pod gets at most to end when a soft threshold evicts it; a negative number leaves it the pod's own time. */
  readonly softGraceSecondsMax: number;
}

/** What is not said is a kubelet's default. */
export interface EvictionOptions {
  /** `memory.available<100Mi,nodefs.available<10%`: takes the place of all defaults. */
  readonly hard?: string | undefined;
  readonly soft?: string | undefined;
  /** By signal, how long a soft threshold has to be crossed; each of them needs one. */
  readonly softGraceMs?: Readonly<Record<string, number>> | undefined;
  readonly softGraceSecondsMax?: number | undefined;
}

/** The settings make no sense. The process must not be started again with them. */
export class EvictionSettingsError extends Error {
  override readonly name = 'EvictionSettingsError';
  readonly code = 'NODE_EVICTION_SETTINGS';
  readonly exitCode = 3;
}

/** Throws {@link EvictionSettingsError}. */
export function evictionSettings(options: EvictionOptions): EvictionSettings {
  const { hard, soft = '', softGraceMs = {}, softGraceSecondsMax = 0 } = options;
  for (const signal of Object.keys(softGraceMs)) knownSignal(signal);
  const softThresholds = parseThresholds(soft).map(threshold => {
    const graceMs = softGraceMs[threshold.signal];
    if (graceMs !== undefined) return { ...threshold, graceMs };
    throw new EvictionSettingsError(
      `grace period must be specified for the soft eviction threshold ${threshold.signal}`,
    );
  });
  const all = [...(hard === undefined ? DEFAULT_THRESHOLDS : parseThresholds(hard)), ...softThresholds];
  const rank = ({ signal }: Threshold) => (signal === 'memory.available' ? 0 : 1);
  return { thresholds: all.toSorted((a, b) => rank(a) - rank(b)), softGraceSecondsMax };
}

export const DEFAULT_EVICTION: EvictionSettings = evictionSettings({});

/** What a pod gets to end. */
export function graceSecondsFor({ threshold }: Shortage, { spec }: Pod, settings: EvictionSettings): number {
  if (threshold.graceMs === undefined) return EVICTION_GRACE_SECONDS;
  const own = spec?.terminationGracePeriodSeconds ?? GRACE_SECONDS_DEFAULT;
  const { softGraceSecondsMax: most } = settings;
  return most < 0 ? own : Math.max(EVICTION_GRACE_SECONDS, Math.min(own, most));
}

/** The settings as a kubelet's configuration has them. */
export function describeEviction({ thresholds, softGraceSecondsMax }: EvictionSettings): object {
  const soft = thresholds.filter(({ graceMs }) => graceMs !== undefined);
  const texts = (list: readonly Threshold[]) => Object.fromEntries(list.map(({ signal, text }) => [signal, text]));
  return {
    evictionHard: texts(thresholds.filter(one => !soft.includes(one))),
    ...(soft.length > 0 && {
      evictionSoft: texts(soft),
      evictionSoftGracePeriod: Object.fromEntries(
        soft.map(({ signal, graceMs = 0 }) => [signal, `${graceMs / 1000}s`]),
      ),
      evictionMaxPodGracePeriod: softGraceSecondsMax,
    }),
  };
}

function parseThresholds(text: string): Threshold[] {
  const thresholds = text === '' ? [] : text.split(',').flatMap(parseThreshold);
  const twice = thresholds.find(({ signal }, index) => thresholds.findIndex(one => one.signal === signal) !== index);
  if (twice) throw new EvictionSettingsError(`found duplicate eviction threshold for signal ${twice.signal}`);
  return thresholds;
}

/** None for 0 and 100 percent, which say that the signal is not looked at. */
function parseThreshold(text: string): Threshold[] {
  const [name = '', value, ...more] = text.split('<');
  if (value === undefined || more.length > 0)
    throw new EvictionSettingsError(
      `invalid eviction threshold syntax ${text}, expected <signal><operator><value>, as in memory.available<100Mi`,
    );
  const signal = knownSignal(name);
  if (/^(?:0|100)%$/.test(value)) return [];
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(value);
  const amount = percent ? Number(percent[1]) / 100 : quantityValue(value);
  if (amount === undefined || amount <= 0 || (percent && amount >= 1))
    throw new EvictionSettingsError(`eviction threshold ${signal} must be positive, and a percentage below 100%`);
  return [{ signal, atLeast: percent ? { share: amount } : { amount }, text: value }];
}

function knownSignal(name: string): Signal {
  const signal = SIGNALS.find(known => known === name);
  if (signal) return signal;
  throw new EvictionSettingsError(`unknown eviction signal ${name}: there are ${SIGNALS.join(', ')}`);
}
