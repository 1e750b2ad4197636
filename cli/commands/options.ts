/** Flags that several commands share, and how their values are read. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { parseSchedule, type Schedule } from '../../control/operations/schedule.ts';
import type { CommandContext } from '../context.ts';

/** Where `raftsman up` keeps its cluster unless told otherwise. */
function defaultDataDir(env: CommandContext['env']): string {
  return env.RAFTSMAN_DATA_DIR ?? join(env.HOME ?? homedir(), '.raftsman');
}

export function dataDirOption(context: CommandContext): Option {
  return new Option('--data-dir <dir>', 'where the cluster keeps its data').default(defaultDataDir(context.env));
}

/** Reads a whole number. */
export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('it must be a whole number.');
  return Number(text);
}

/** Reads seconds, with fractions. */
export function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 3600) || text === '')
    throw new InvalidArgumentError('it must be seconds, from 0 to 3600.');
  return value;
}

/** Reads `HOST:PORT`; the host may be an IPv6 address in brackets. */
export function hostAndPort(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) throw new InvalidArgumentError('it must be HOST:PORT, such as 0.0.0.0:6443.');
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port };
}

/** Reads a comma-separated list of URLs. */
export function urls(text: string): readonly string[] {
  return text.split(',').map(part => {
    const url = URL.parse(part);
    if (url?.protocol !== 'https:')
      throw new InvalidArgumentError(`${part || 'it'} must be a URL that begins with https://.`);
    return url.origin;
  });
}

/** Reads a port, or `off`. */
export function portOrOff(text: string): number | 'off' {
  if (text === 'off') return text;
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError('it must be a port, or off.');
  return Number(text);
}

/** Collects `NAME=HOST:PORT`, one a flag. */
export function namedAddress(
  text: string,
  before: ReadonlyMap<string, string> = new Map(),
): ReadonlyMap<string, string> {
  const match = /^([^=]+)=(.+:\d{1,5})$/.exec(text);
  if (!match) throw new InvalidArgumentError('it must be NAME=HOST:PORT, such as master-2=10.0.0.2:6463.');
  return new Map([...before, [match[1] ?? '', match[2] ?? '']]);
}

/** Reads how often snapshots are taken. */
export function snapshotSchedule(text: string): Schedule {
  try {
    return parseSchedule(text);
  } catch (error) {
    throw new InvalidArgumentError(`${error instanceof Error ? error.message : String(error)}.`);
  }
}

/** Reads a whole number that is at least 1. */
export function positiveNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('it must be a whole number from 1 on.');
  return Number(text);
}
