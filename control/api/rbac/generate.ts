/**
 * Makes `generated/rbac-policy.ts`, the roles and bindings that every cluster has, from the recorded objects of a fresh
 * Kubernetes v1.33 cluster (`node control/api/rbac/generate.ts`, with the facts' folder as the argument). A development
 * script: nothing at run time imports it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Recorded {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly rules?: unknown;
  readonly aggregationRule?: unknown;
  readonly roleRef?: unknown;
  readonly subjects?: unknown;
}
type Section = Readonly<Record<string, Recorded>>;

const facts = JSON.parse(
  readFileSync(join(process.argv[2] ?? '../shared/api', 'namespace-bootstrap.json'), 'utf8'),
) as {
  readonly rbacObjectMetadata: Required<Pick<Recorded, 'labels' | 'annotations'>>;
} & Readonly<Record<'clusterRoles' | 'clusterRoleBindings' | 'roles' | 'roleBindings', Section>>;

/** `NAMESPACE/NAME` or `NAME`, with the metadata that most of them share where none other was recorded. */
function objectOf([key, recorded]: [string, Recorded], isNamespaced: boolean): object {
  const slash = isNamespaced ? key.indexOf('/') : -1;
  const { labels, annotations, aggregationRule, rules, ...rest } = recorded;
  return {
    metadata: {
      name: key.slice(slash + 1),
      ...(isNamespaced && { namespace: key.slice(0, slash) }),
      labels: labels ?? facts.rbacObjectMetadata.labels,
      annotations: annotations ?? facts.rbacObjectMetadata.annotations,
    },
    // The rules of an aggregated role are recorded as they became; the controller makes them again.
    ...(aggregationRule ? { aggregationRule } : rules ? { rules } : {}),
    ...rest,
  };
}

function render(name: string, type: string, section: Section, isNamespaced: boolean): string {
  const lines = Object.entries(section).map(entry => `  ${JSON.stringify(objectOf(entry, isNamespaced))},`);
  return `export const ${name}: readonly ${type}[] = [\n${lines.join('\n')}\n];\n`;
}

writeFileSync(
  new URL('../generated/rbac-policy.ts', import.meta.url),
  [
    '// Made by control/api/rbac/generate.ts from the facts of Kubernetes v1.33. Do not edit.',
    "import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from './types.ts';",
    '',
    render('CLUSTER_ROLES', 'ClusterRole', facts.clusterRoles, false),
    render('CLUSTER_ROLE_BINDINGS', 'ClusterRoleBinding', facts.clusterRoleBindings, false),
    render('ROLES', 'Role', facts.roles, true),
    render('ROLE_BINDINGS', 'RoleBinding', facts.roleBindings, true),
  ].join('\n'),
);
