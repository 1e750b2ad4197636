/**
 * Which requests a policy rule allows (k/k pkg/apis/rbac/v1/evaluation_helpers.go). A rule is compiled once: a request
 * then costs a few look-ups in sets.
 */
import type { PolicyRule } from '../../../api/generated/types.ts';
import type { Attributes } from '../attributes.ts';

const ALL = '*';

/** A rule ready to be asked. */
export interface CompiledRule {
  readonly rule: PolicyRule;
  readonly verbs: Words;
  readonly groups: Words;
  readonly resources: Words;
  /** Undefined allows every name. */
  readonly names: ReadonlySet<string> | undefined;
  readonly paths: readonly string[];
}

interface Words {
  readonly isAll: boolean;
  readonly words: ReadonlySet<string>;
}

const wordsOf = (list: readonly string[] | null | undefined): Words => {
  const words = new Set(list ?? []);
  return { isAll: words.has(ALL), words };
};

/** Go's nil slices are null in stored objects. */
export function compileRules(rules: readonly PolicyRule[] | null | undefined): readonly CompiledRule[] {
  return (rules ?? []).map(rule => ({
    rule,
    verbs: wordsOf(rule.verbs),
    groups: wordsOf(rule.apiGroups),
    resources: wordsOf(rule.resources),
    names: rule.resourceNames && rule.resourceNames.length > 0 ? new Set(rule.resourceNames) : undefined,
    paths: rule.nonResourceURLs ?? [],
  }));
}

/** True if the rule allows what is asked. */
export function allows(rule: CompiledRule, asked: Attributes): boolean {
  if (!rule.verbs.isAll && !rule.verbs.words.has(asked.verb)) return false;
  if (!asked.isResource) return rule.paths.some(path => coversPath(path, asked.path));
  if (!rule.groups.isAll && !rule.groups.words.has(asked.group)) return false;
  return namesResource(rule.resources, asked) && (!rule.names || rule.names.has(asked.name));
}

/** `pods` is not `pods/log`; `pods/log` and `*` followed by `/log` are. */
function namesResource({ isAll, words }: Words, { resource, subresource }: Attributes): boolean {
  if (isAll) return true;
  if (subresource === '') return words.has(resource);
  return words.has(`${resource}/${subresource}`) || words.has(`*/${subresource}`);
}

/** A path of a rule may end in `*`. */
export function coversPath(pattern: string, path: string): boolean {
  if (pattern === ALL || pattern === path) return true;
  return pattern.endsWith(ALL) && path.startsWith(pattern.replace(/\*+$/, ''));
}
