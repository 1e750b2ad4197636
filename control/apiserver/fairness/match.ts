/** Which flow schema a request falls under (flowcontrol v1). Pure: schemas are compiled once, then asked for every request. */
import type {
  FlowSchema,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  ResourcePolicyRule,
  Subject,
} from '../../api/generated/types.ts';
import type { Identity, RequestInfo } from '../types.ts';

export interface Asked {
  readonly identity: Identity;
  readonly info: RequestInfo;
}
type Test = (asked: Asked) => boolean;

export interface Matcher {
  readonly name: string;
  readonly uid: string;
  readonly level: string;
  readonly precedence: number;
  readonly matches: Test;
  /** What tells the flows of this schema apart: the user, the namespace, or nothing. */
  readonly distinguish: (asked: Asked) => string;
}

const ANY = '*';

/** Schemas in the order in which they are asked: by precedence, then by name. */
export function compileSchemas(schemas: readonly FlowSchema[]): readonly Matcher[] {
  return schemas
    .map(compileSchema)
    .sort((a, b) => a.precedence - b.precedence || (a.name < b.name ? -1 : Number(a.name > b.name)));
}

function compileSchema({ metadata, spec }: FlowSchema): Matcher {
  const rules = (spec?.rules ?? []).map(compileRules);
  const by = spec?.distinguisherMethod?.type;
  return {
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    level: spec?.priorityLevelConfiguration.name ?? '',
    precedence: spec?.matchingPrecedence ?? 0,
    matches: asked => rules.some(rule => rule(asked)),
    distinguish:
      by === 'ByUser'
        ? ({ identity }) => identity.user
        : by === 'ByNamespace'
          ? ({ info }) => info.namespace
          : () => '',
  };
}

function compileRules({ subjects, resourceRules = [], nonResourceRules = [] }: PolicyRulesWithSubjects): Test {
  const isSubject = compileSubjects(subjects);
  const resources = resourceRules.map(compileResourceRule);
  const paths = nonResourceRules.map(compilePathRule);
  return asked => {
    const tests = asked.info.isResource ? resources : paths;
    return tests.length > 0 && isSubject(asked) && tests.some(test => test(asked));
  };
}

function compileSubjects(subjects: readonly Subject[]): Test {
  const users = new Set<string>();
  const groups = new Set<string>();
  const accounts: string[] = [];
  for (const { kind, user, group, serviceAccount } of subjects) {
    if (kind === 'User' && user) users.add(user.name);
    if (kind === 'Group' && group) groups.add(group.name);
    if (kind !== 'ServiceAccount' || !serviceAccount) continue;
    const prefix = `system:serviceaccount:${serviceAccount.namespace}:`;
    if (serviceAccount.name === ANY) accounts.push(prefix);
    else users.add(prefix + serviceAccount.name);
  }
  if (users.has(ANY) || groups.has(ANY)) return () => true;
  return ({ identity }) =>
    users.has(identity.user) ||
    identity.groups.some(group => groups.has(group)) ||
    accounts.some(prefix => identity.user.startsWith(prefix));
}

/** True for what the list names; everything if it names `*`. */
function compileNames(names: readonly string[] = []): (name: string) => boolean {
  if (names.includes(ANY)) return () => true;
  const set = new Set(names);
  return name => set.has(name);
}

function compileResourceRule(rule: ResourcePolicyRule): Test {
  const isVerb = compileNames(rule.verbs);
  const isGroup = compileNames(rule.apiGroups);
  const isResource = compileNames(rule.resources);
  const isNamespace = compileNames(rule.namespaces);
  return ({ info }) =>
    isVerb(info.verb) &&
    isGroup(info.group) &&
    isResource(info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`) &&
    // A request over all namespaces is one of the cluster.
    (info.namespace === '' ? rule.clusterScope === true : isNamespace(info.namespace));
}

function compilePathRule({ verbs, nonResourceURLs }: NonResourcePolicyRule): Test {
  const isVerb = compileNames(verbs);
  const exact = new Set(nonResourceURLs);
  const prefixes = nonResourceURLs.filter(url => url.endsWith('*')).map(url => url.slice(0, -1));
  return ({ info }) =>
    isVerb(info.verb) && (exact.has(info.path) || prefixes.some(prefix => info.path.startsWith(prefix)));
}
