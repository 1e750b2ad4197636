/** What the descriptions of all kinds share. Lines hold tabs, which are turned into columns at the end. */

import type { Event, LabelSelector, ObjectMeta } from '../../control/api/generated/types.ts';
import { ageOf } from '../../control/api/printers/human-duration.ts';
import { selectorOrNone } from '../../control/api/printers/printer.ts';

const byText = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : a > b ? 1 : 0);

/** `Labels:` and one entry a line. */
export function mapLines(
  title: string,
  map: Readonly<Record<string, string>> | undefined,
  separator: string,
): string[] {
  const entries = Object.entries(map ?? {}).sort(byText);
  if (entries.length === 0) return [`${title}:\t<none>`];
  return entries.map(([key, value], index) => `${index === 0 ? `${title}:` : ''}\t${key}${separator}${value}`);
}

export const labelLines = (labels: Readonly<Record<string, string>> | undefined): string[] =>
  mapLines('Labels', labels, '=');

/** Annotations, without the long one that `apply` keeps. */
export function annotationLines(metadata: ObjectMeta | undefined): string[] {
  const { 'kubectl.kubernetes.io/last-applied-configuration': _hidden, ...annotations } = metadata?.annotations ?? {};
  const entries = Object.entries(annotations).sort(byText);
  if (entries.length === 0) return ['Annotations:\t<none>'];
  return entries.flatMap(([key, text], index) => {
    const title = index === 0 ? 'Annotations:' : '';
    const value = text.replace(/\n$/, '');
    if (value.length + key.length + 2 <= ANNOTATION_LENGTH_MAX && !value.includes('\n')) {
      return [`${title}\t${key}: ${value}`];
    }
    return [`${title}\t${key}:`, ...value.split('\n').map(line => `\t  ${shortened(line, ANNOTATION_LENGTH_MAX - 2)}`)];
  });
}

/** Longer ones have lines of their own, and are cut. */
const ANNOTATION_LENGTH_MAX = 140;
const shortened = (text: string, length: number) => (text.length > length ? `${text.slice(0, length)}...` : text);

/** `Tue, 24 Nov 2026 10:11:12 +0000`; `<unset>` without a time. */
export function timeText(time: string | null | undefined): string {
  if (!time) return '<unset>';
  return new Date(time).toUTCString().replace('GMT', '+0000');
}

export const selectorLine = (selector: LabelSelector | undefined): string => `Selector:\t${selectorOrNone(selector)}`;

/** `Controlled By:  ReplicaSet/web-123`, if anything does. */
export function controllerLines(metadata: ObjectMeta | undefined): string[] {
  const owner = metadata?.ownerReferences?.find(reference => reference.controller);
  return owner ? [`Controlled By:\t${owner.kind}/${owner.name}`] : [];
}

/** The table at the end. */
export function eventLines(events: readonly Event[], now: number): string[] {
  if (events.length === 0) return ['Events:\t<none>'];
  const lastSeen = (event: Event) =>
    event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? '';
  const rows = [...events]
    .sort((a, b) => (lastSeen(a) < lastSeen(b) ? -1 : 1))
    .map(event => {
      const first = event.firstTimestamp || event.eventTime;
      const count = event.series?.count ?? event.count ?? 1;
      const last = ageOf(lastSeen(event), now);
      const interval =
        count > 1 ? `${last} (x${count} over ${ageOf(first, now)})` : ageOf(first || lastSeen(event), now);
      const source = event.source?.component || event.reportingComponent || '';
      return `  ${event.type ?? ''}\t${event.reason ?? ''}\t${interval}\t${source}\t${(event.message ?? '').trim()}`;
    });
  return ['Events:', '  Type\tReason\tAge\tFrom\tMessage', '  ----\t------\t----\t----\t-------', ...rows];
}

/** Moves lines to the right, but for those that begin with an empty cell. */
export const indent = (lines: readonly string[], by: string): string[] =>
  lines.map(line => (line === '' || line.startsWith('\t') ? line : by + line));
