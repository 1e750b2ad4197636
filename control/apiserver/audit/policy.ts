/** An audit policy (audit.k8s.io/v1): which requests are written down, and how much of them. The first rule that fits decides. */
import { parse } from 'yaml';
import { z } from 'zod';
import type { Identity, RequestInfo } from '../types.ts';

export type AuditLevel = 'None' | 'Metadata' | 'Request' | 'RequestResponse';
export type Stage = 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete' | 'Panic';

/** The file cannot be used; `message` says where and why. */
export class AuditPolicyError extends Error {
  override readonly name = 'AuditPolicyError';
  readonly code = 'AUDIT_POLICY';
  /** A master must not be started again with it. */
  readonly exitCode = 3;
}

const level = z.enum(['None', 'Metadata', 'Request', 'RequestResponse']);
const stage = z.enum(['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic']);
const names = z.array(z.string()).nullish();
const ruleSchema = z.strictObject({
  level,
  users: names,
  userGroups: names,
  verbs: names,
  resources: z.array(z.strictObject({ group: z.string().nullish(), resources: names, resourceNames: names })).nullish(),
  namespaces: names,
  nonResourceURLs: names,
  omitStages: z.array(stage).nullish(),
  omitManagedFields: z.boolean().nullish(),
});
const policySchema = z.strictObject({
  apiVersion: z.literal('audit.k8s.io/v1'),
  kind: z.literal('Policy'),
  metadata: z.unknown().optional(),
  rules: z.array(ruleSchema).min(1, 'must have at least one rule'),
  omitStages: z.array(stage).nullish(),
  omitManagedFields: z.boolean().nullish(),
});
type Rule = z.infer<typeof ruleSchema>;
export type AuditPolicy = z.infer<typeof policySchema>;

export interface Decision {
  readonly level: AuditLevel;
  readonly omitStages: ReadonlySet<Stage>;
  readonly omitManagedFields: boolean;
}

/** Reads a policy file. @throws AuditPolicyError */
export function readAuditPolicy(text: string): AuditPolicy {
  let document: unknown;
  try {
    document = parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw new AuditPolicyError(`it is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = policySchema.safeParse(document);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'file'}: ${message}`);
    throw new AuditPolicyError(issues.join('; '));
  }
  for (const [index, rule] of parsed.data.rules.entries()) {
    const isAboutResources = has(rule.resources) || has(rule.namespaces);
    if (isAboutResources && has(rule.nonResourceURLs)) {
      throw new AuditPolicyError(`rules.${index}: cannot be about resources and about nonResourceURLs`);
    }
  }
  return parsed.data;
}

const has = (list: readonly unknown[] | null | undefined): boolean => (list?.length ?? 0) > 0;

/** What a policy says of a request. Pure. */
export function decide(
  policy: AuditPolicy,
  asked: { readonly identity: Identity; readonly info: RequestInfo },
): Decision {
  const rule = policy.rules.find(candidate => matches(candidate, asked));
  return {
    level: rule?.level ?? 'None',
    omitStages: new Set([...(policy.omitStages ?? []), ...(rule?.omitStages ?? [])]),
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields ?? false,
  };
}

function matches(rule: Rule, { identity, info }: { readonly identity: Identity; readonly info: RequestInfo }): boolean {
  const names = (list: readonly string[] | null | undefined, ...wanted: readonly string[]) =>
    !has(list) || wanted.some(name => list?.includes(name));
  if (!names(rule.users, identity.user)) return false;
  if (!names(rule.userGroups, ...identity.groups)) return false;
  if (!names(rule.verbs, info.verb)) return false;
  if (has(rule.namespaces) || has(rule.resources)) {
    if (!info.isResource || !names(rule.namespaces, info.namespace)) return false;
    return !has(rule.resources) || (rule.resources ?? []).some(each => matchesResource(each, info));
  }
  if (!has(rule.nonResourceURLs)) return true;
  if (info.isResource) return false;
  return (rule.nonResourceURLs ?? []).some(url =>
    url.endsWith('*') ? info.path.startsWith(url.slice(0, -1)) : info.path === url,
  );
}

function matchesResource(rule: NonNullable<Rule['resources']>[number], info: RequestInfo): boolean {
  const group = rule.group ?? '';
  if (group !== info.group && group !== '*') return false;
  if (!has(rule.resources)) return true;
  if (has(rule.resourceNames) && !rule.resourceNames?.includes(info.name)) return false;
  const combined = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
  return (rule.resources ?? []).some(
    name =>
      name === '*' ||
      name === combined ||
      (name.startsWith('*/') && info.subresource === name.slice(2)) ||
      (name.endsWith('/*') && info.resource === name.slice(0, -2)),
  );
}
