/** What a printer is, and what most of them share. */

import type { LabelSelector, PodSpec } from '../generated/types.ts';
import type { Cell, Column, KubernetesObject } from '../kind.ts';
import { ageOf } from './human-duration.ts';

/** One row of a table. */
export interface Row {
  readonly cells: readonly Cell[];
  /** Told of pods that have finished. */
  readonly conditions?: readonly unknown[];
}

/** How objects of one kind are shown by `kubectl get`. */
export interface Printer {
  readonly columns: readonly Column[];
  /** @param now Milliseconds since the epoch, for ages. */
  row(object: KubernetesObject, now: number): Row;
}

/** A printer of objects of type T. Whoever calls it has looked it up by the object's kind, so the type holds. */
export function printer<T extends KubernetesObject>(
  columns: readonly Column[],
  row: (object: T, now: number) => readonly Cell[] | Row,
): Printer {
  return {
    columns,
    row: (object, now) => {
      const made = row(object as T, now);
      return 'cells' in made ? made : { cells: made };
    },
  };
}

/** A column; text unless another type is named. */
export function column(name: string, type: Column['type'] = 'string'): Column {
  return { name, type, format: '', description: '', priority: 0 };
}
/** A column that only `-o wide` shows. */
export function wide(name: string, type: Column['type'] = 'string'): Column {
  return { ...column(name, type), priority: 1 };
}
/** Columns of which most are plain: names, and whole columns where there is more to say. */
export function columns(...parts: readonly (string | Column)[]): readonly Column[] {
  return parts.map(part => (typeof part === 'string' ? column(part) : part));
}

export const NAME: Column = { name: 'Name', type: 'string', format: 'name', description: '', priority: 0 };
export const CONTAINERS_AND_IMAGES = [wide('Containers'), wide('Images')] as const;

export const nameOf = (object: KubernetesObject): string => object.metadata?.name ?? '';
export const age = (object: KubernetesObject, now: number): string => ageOf(object.metadata?.creationTimestamp, now);

export function containersAndImages(spec: PodSpec | undefined): [names: string, images: string] {
  const containers = spec?.containers ?? [];
  return [
    containers.map(container => container.name).join(','),
    containers.map(container => container.image ?? '').join(','),
  ];
}

const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** `a=b,c=d`, sorted; `<none>` if there are none. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? '<none>' : pairs.sort(byText).join(',');
}

/** A label selector as one writes it for `-l`; '' if it is empty. */
export function selectorText(selector: LabelSelector | undefined): string {
  const requirements: [key: string, text: string][] = Object.entries(selector?.matchLabels ?? {}).map(
    ([key, value]) => [key, `${key}=${value}`],
  );
  for (const { key, operator, values } of selector?.matchExpressions ?? []) {
    const list = [...(values ?? [])].sort(byText).join(',');
    if (operator === 'In') requirements.push([key, `${key} in (${list})`]);
    if (operator === 'NotIn') requirements.push([key, `${key} notin (${list})`]);
    if (operator === 'Exists') requirements.push([key, key]);
    if (operator === 'DoesNotExist') requirements.push([key, `!${key}`]);
  }
  return requirements
    .sort(([a], [b]) => byText(a, b))
    .map(([, text]) => text)
    .join(',');
}

/** As {@link selectorText}, but `<none>` if it is empty. */
export const selectorOrNone = (selector: LabelSelector | undefined): string => selectorText(selector) || '<none>';

/** At most `max` of the texts, and how many more there are; `none` if there are none at all. */
export function someOf(texts: readonly string[], max: number, none: string): string {
  if (texts.length === 0) return none;
  const shown = texts.slice(0, max).join(',');
  return texts.length > max ? `${shown} + ${texts.length - max} more...` : shown;
}

/** An address and port in one, as URLs have it. */
export const hostPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
