/** Flags of a node for what it clears away: pods when it is short, images when its disk is full. */
import { InvalidArgumentError, Option } from 'commander';
import type { HousekeepingOptions } from '../../node/main.ts';
import { durationMs } from './cluster-command.ts';

export interface HousekeepingFlags {
  readonly evictionHard?: string;
  readonly evictionSoft?: string;
  readonly evictionSoftGracePeriod?: Readonly<Record<string, number>>;
  readonly evictionMaxPodGracePeriod?: number;
  readonly imageGcHighThreshold?: number;
  readonly imageGcLowThreshold?: number;
  readonly imageMaximumGcAge?: number;
}

export function housekeepingOptions(): readonly Option[] {
  return [
    new Option(
      '--eviction-hard <thresholds>',
      'when pods are evicted at once, such as memory.available<100Mi,nodefs.available<10%',
    ),
    new Option('--eviction-soft <thresholds>', 'when pods are evicted after a while'),
    new Option('--eviction-soft-grace-period <times>', 'that while, such as memory.available=1m30s').argParser(graceMs),
    new Option(
      '--eviction-max-pod-grace-period <seconds>',
      'what a pod gets to end at most when a soft threshold evicts it; negative: its own time (default 0)',
    ).argParser(integer),
    new Option(
      '--image-gc-high-threshold <percent>',
      'how full the disk is when unused images go (default 85)',
    ).argParser(percent),
    new Option('--image-gc-low-threshold <percent>', 'how full it may be when they have gone (default 80)').argParser(
      percent,
    ),
    new Option('--image-maximum-gc-age <duration>', 'images that nobody used for so long go in any case').argParser(
      durationMs,
    ),
  ];
}

export function housekeepingOf(flags: HousekeepingFlags): HousekeepingOptions {
  const { imageGcHighThreshold: highPercent, imageGcLowThreshold: lowPercent, imageMaximumGcAge: unusedMsMax } = flags;
  return {
    eviction: {
      hard: flags.evictionHard,
      soft: flags.evictionSoft,
      softGraceMs: flags.evictionSoftGracePeriod,
      softGraceSecondsMax: flags.evictionMaxPodGracePeriod,
    },
    images: {
      ...(highPercent !== undefined && { highPercent }),
      ...(lowPercent !== undefined && { lowPercent }),
      ...(unusedMsMax && { unusedMsMax }),
    },
  };
}

function graceMs(text: string): Readonly<Record<string, number>> {
  const pairs = text.split(',').map(part => {
    const [signal = '', time = ''] = part.split('=');
    return [signal, durationMs(time)] as const;
  });
  return Object.fromEntries(pairs);
}

function integer(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError('it must be a whole number.');
  return Number(text);
}

function percent(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) > 100)
    throw new InvalidArgumentError('it must be a number from 0 to 100.');
  return Number(text);
}
