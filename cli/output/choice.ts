/** Answers that are a table for people, or JSON or YAML for programs. */
import { Option } from 'commander';
import type { Session } from '../client/session.ts';
import { jsonText, yamlText } from './documents.ts';
import { TableWriter } from './tables.ts';

export interface OutputFlag {
  readonly output?: 'json' | 'yaml';
}

export const outputOption = () => new Option('-o, --output <format>', 'json or yaml').choices(['json', 'yaml']);

/** Prints the value, or what `forPeople` prints. */
export function printChoice(
  print: (line: string) => void,
  { output }: OutputFlag,
  answer: { readonly value: unknown; readonly forPeople: () => void },
): void {
  if (output === 'json') print(jsonText(answer.value));
  else if (output === 'yaml') print(yamlText(answer.value));
  else answer.forPeople();
}

export function printTable(session: Pick<Session, 'print'>, rows: readonly (readonly string[])[]): void {
  new TableWriter(line => session.print(line.trimEnd())).print(rows);
}

/** `1234567` as `1.2 MB`. */
export function sizeText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** A duration as kubectl writes ages: `45s`, `12m`, `3h`, `5d`. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
