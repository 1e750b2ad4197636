/**
 * Whether somebody holds all that a role grants (k/k component-helpers auth/rbac/validation/policy_comparator.go,
 * policy_compact.go), and how what he lacks is told.
 */
import type { PolicyRule } from '../../../api/generated/types.ts';
import { goQuote } from '../../../api/validation/errors.ts';
import { coversPath } from './rules.ts';

const ALL = '*';
type Rules = readonly PolicyRule[] | null | undefined;
const list = (values: readonly string[] | null | undefined): readonly string[] => values ?? [];

/** What of `wanted` the rules `held` do not cover: single rules, one verb on one resource. Empty if they cover all. */
export function missingRules(held: Rules, wanted: Rules): PolicyRule[] {
  const owned = held ?? [];
  return (wanted ?? []).flatMap(breakDown).filter(rule => !owned.some(owner => covers(owner, rule)));
}

/** One rule for each verb on each resource, by name where there are names; one for each verb on each path. */
function breakDown(rule: PolicyRule): PolicyRule[] {
  const parts: PolicyRule[] = [];
  for (const group of list(rule.apiGroups)) {
    for (const resource of list(rule.resources)) {
      for (const verb of list(rule.verbs)) {
        const part = { apiGroups: [group], resources: [resource], verbs: [verb] };
        const names = list(rule.resourceNames);
        if (names.length === 0) parts.push(part);
        else for (const name of names) parts.push({ ...part, resourceNames: [name] });
      }
    }
  }
  for (const path of list(rule.nonResourceURLs)) {
    for (const verb of list(rule.verbs)) parts.push({ nonResourceURLs: [path], verbs: [verb] });
  }
  return parts;
}

/** True if `owner` alone allows all that the single rule `part` does. */
function covers(owner: PolicyRule, part: PolicyRule): boolean {
  const hasAll = (held: readonly string[], wanted: readonly string[]) => wanted.every(word => held.includes(word));
  const coversWords = (held: readonly string[], wanted: readonly string[]) =>
    held.includes(ALL) || hasAll(held, wanted);
  const heldNames = list(owner.resourceNames);
  const wantedNames = list(part.resourceNames);
  const isNameCovered = heldNames.length === 0 || (wantedNames.length > 0 && hasAll(heldNames, wantedNames));
  return (
    coversWords(list(owner.verbs), list(part.verbs)) &&
    coversWords(list(owner.apiGroups), list(part.apiGroups)) &&
    list(part.resources).every(resource => coversResource(list(owner.resources), resource)) &&
    list(part.nonResourceURLs).every(path => list(owner.nonResourceURLs).some(pattern => coversPath(pattern, path))) &&
    isNameCovered
  );
}

function coversResource(held: readonly string[], wanted: string): boolean {
  if (held.includes(ALL) || held.includes(wanted)) return true;
  const slash = wanted.indexOf('/');
  return slash >= 0 && held.includes(`*/${wanted.slice(slash + 1)}`);
}

/** Rules on the same resource become one with all their verbs; the others stay as they are, in front. */
export function compactRules(rules: readonly PolicyRule[]): PolicyRule[] {
  const others: PolicyRule[] = [];
  const simple = new Map<string, PolicyRule>();
  for (const rule of rules) {
    const key = simpleKey(rule);
    if (key === undefined) {
      others.push(rule);
      continue;
    }
    const known = simple.get(key);
    if (known) known.verbs.push(...rule.verbs);
    else simple.set(key, { ...rule, verbs: [...rule.verbs] });
  }
  return [...others, ...simple.values()];
}

function simpleKey({ apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule): string | undefined {
  if (list(nonResourceURLs).length > 0 || list(resourceNames).length > 1) return undefined;
  if (apiGroups?.length !== 1 || resources?.length !== 1) return undefined;
  return JSON.stringify([apiGroups, resources, list(resourceNames)]);
}

/** A rule in one line, as refusals show it. */
export function ruleText(rule: PolicyRule): string {
  const parts = [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['ResourceNames', rule.resourceNames],
    ['Verbs', rule.verbs],
  ] as const;
  const texts = parts
    .filter(([, values]) => list(values).length > 0)
    .map(([name, values]) => `${name}:${goList(list(values))}`);
  return `{${texts.join(', ')}}`;
}

/** `["a" "b"]`. */
export const goList = (values: readonly string[]): string => `[${values.map(goQuote).join(' ')}]`;
