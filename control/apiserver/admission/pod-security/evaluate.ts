/** Holds a pod against a level of the Pod Security Standards. Pure. */
import { BASELINE } from './baseline.ts';
import type { Check, Finding, Subject } from './check.ts';
import type { LevelVersion } from './policy.ts';
import { RESTRICTED } from './restricted.ts';

/** What offends against the level, in the order in which it is told; empty if nothing does. */
export function evaluate({ level, minor }: LevelVersion, subject: Subject): Finding[] {
  if (level === 'privileged') return [];
  return checksOf(level, minor).flatMap(check => formAt(check, minor)?.look(subject) ?? []);
}

/** `host namespaces (hostPID=true), privileged (…)`. */
export const showFindings = (findings: readonly Finding[]): string =>
  findings.map(({ reason, detail }) => `${reason} (${detail})`).join(', ');
/** The reasons alone. */
export const showReasons = (findings: readonly Finding[]): string => findings.map(({ reason }) => reason).join(', ');

function checksOf(level: 'baseline' | 'restricted', minor: number): readonly Check[] {
  if (level === 'baseline') return BASELINE;
  const stricter = RESTRICTED.filter(check => formAt(check, minor));
  const included = new Set(stricter.flatMap(({ includes = [] }) => includes));
  return [...BASELINE.filter(({ id }) => !included.has(id)), ...stricter];
}

const formAt = ({ versions }: Check, minor: number) => versions.findLast(({ since }) => since <= minor);
