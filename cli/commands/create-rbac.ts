/** `raftsman create role`, `clusterrole`, `rolebinding`, `clusterrolebinding`. */
import type { JsonObject } from '../client/api.ts';
import { CommandError, failure } from '../client/errors.ts';
import type { Session } from '../client/session.ts';
import { RBAC, type SubjectFlags, subjectsOf } from '../client/subjects.ts';
import { list, ownOption } from './cluster-command.ts';
import { kind, onlyName, type RegisterKind } from './create-kind.ts';

interface RoleFlags {
  readonly verb?: readonly string[];
  readonly resource?: readonly string[];
  readonly resourceName?: readonly string[];
  readonly nonResourceUrl?: readonly string[];
  readonly aggregationRule?: string;
}

const STANDARD_VERBS: ReadonlySet<string> = new Set(
  '* get list watch create update patch delete deletecollection use bind escalate impersonate approve sign attest'.split(
    ' ',
  ),
);

/** What may be done with paths of the server. */
const PATH_VERBS: ReadonlySet<string> = new Set('* get post put delete patch head options'.split(' '));

/** Rules: one an API group, with all resources of that group. */
async function rulesOf(session: Session, flags: RoleFlags): Promise<JsonObject[]> {
  const verbs = (flags.verb ?? []).includes('*') ? ['*'] : [...new Set(flags.verb)];
  for (const verb of verbs) {
    if (!STANDARD_VERBS.has(verb)) session.error(`Warning: '${verb}' is not a standard resource verb`);
  }
  const groups = new Map<string, string[]>();
  for (const word of new Set(flags.resource)) {
    const [type = '', subresource] = word.split('/');
    const found = type === '*' ? undefined : await session.discovery.find(type).catch(() => undefined);
    if (type !== '*' && !found) {
      const [name = '', ...group] = type.split('.');
      const where = group.length > 0 ? ` in group ${JSON.stringify(group.join('.'))}` : '';
      throw new CommandError(`the server doesn't have a resource type ${JSON.stringify(name)}${where}`);
    }
    const [group, name] = found ? [found.group, found.name] : ['*', '*'];
    groups.set(group, [...(groups.get(group) ?? []), subresource ? `${name}/${subresource}` : name]);
  }
  const resources = [...groups].map(([group, names]) => ({
    apiGroups: [group],
    ...(flags.resourceName && { resourceNames: [...flags.resourceName] }),
    resources: names,
    verbs,
  }));
  return flags.nonResourceUrl ? [...resources, { nonResourceURLs: [...flags.nonResourceUrl], verbs }] : resources;
}

const role = kind<RoleFlags>({
  name: 'role',
  usage: 'NAME --verb=verb --resource=resource.group/subresource [--resource-name=resourcename]',
  description: 'Creates a role: what may be done in a namespace.',
  example: 'raftsman create role reader --verb=get,list,watch --resource=pods,services',
  flags: command =>
    command
      .option('--verb <verbs>', 'what may be done', list)
      .option('--resource <resources>', 'with what', list)
      .option('--resource-name <names>', 'only with those of these names', list),
  build: async (words, flags, session) => {
    const name = onlyName(words);
    if (!flags.verb?.length) throw failure('at least one verb must be specified');
    if (!flags.resource?.length) throw failure('at least one resource must be specified');
    return { apiVersion: `${RBAC}/v1`, kind: 'Role', metadata: { name }, rules: await rulesOf(session, flags) };
  },
});

const clusterRole = kind<RoleFlags>({
  name: 'clusterrole',
  usage: 'NAME --verb=verb --resource=resource.group [--resource-name=resourcename] [--non-resource-url=path]',
  description: 'Creates a cluster role: what may be done in all namespaces.',
  example: 'raftsman create clusterrole reader --verb=get,list,watch --resource=nodes',
  flags: command =>
    command
      .option('--verb <verbs>', 'what may be done', list)
      .option('--resource <resources>', 'with what', list)
      .option('--resource-name <names>', 'only with those of these names', list)
      .option('--non-resource-url <paths>', 'with these paths of the server', list)
      .option('--aggregation-rule <labels>', 'all that cluster roles with these labels allow'),
  build: async (words, flags, session) => {
    const name = onlyName(words);
    const head = { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name } };
    if (flags.aggregationRule) {
      if (flags.verb || flags.resource || flags.nonResourceUrl || flags.resourceName) {
        throw failure('aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames');
      }
      const matchLabels = Object.fromEntries(flags.aggregationRule.split(',').map(pair => pair.split('=')));
      return { ...head, aggregationRule: { clusterRoleSelectors: [{ matchLabels }] }, rules: null };
    }
    if (!flags.verb?.length) throw failure('at least one verb must be specified');
    if (!flags.resource?.length && !flags.nonResourceUrl?.length) {
      throw failure('one of resource or nonResourceURL must be specified');
    }
    const stray = flags.nonResourceUrl?.length ? flags.verb.find(verb => !PATH_VERBS.has(verb)) : undefined;
    if (stray !== undefined) throw failure(`invalid verb: '${stray}' for nonResourceURL`);
    return { ...head, rules: await rulesOf(session, flags) };
  },
});

interface BindingFlags extends SubjectFlags {
  readonly role?: string;
  readonly clusterrole?: string;
}

function binding(kindName: 'RoleBinding' | 'ClusterRoleBinding'): RegisterKind {
  const isCluster = kindName === 'ClusterRoleBinding';
  return kind<BindingFlags>({
    name: kindName.toLowerCase(),
    usage: isCluster
      ? 'NAME --clusterrole=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:name]'
      : 'NAME --clusterrole=NAME|--role=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:name]',
    description: `Creates a ${isCluster ? 'cluster role' : 'role'} binding: who has a role.`,
    example: `raftsman create ${kindName.toLowerCase()} readers --clusterrole=view --user=ann --group=team-a`,
    required: isCluster ? ['clusterrole'] : [],
    flags: command => {
      if (!isCluster) command.option('--role <name>', 'the role');
      command
        .option('--clusterrole <name>', 'the cluster role')
        .addOption(ownOption('--user <names>', 'users who have it', { attribute: 'subjectUsers', parse: list }))
        .option('--group <names>', 'groups that have it', list)
        .option('--serviceaccount <namespace:name>', 'service accounts that have it', list);
    },
    build: (words, flags) => {
      const name = onlyName(words);
      if (!flags.clusterrole === !flags.role) {
        throw failure(
          isCluster ? 'clusterrole must be specified' : 'exactly one of clusterrole or role must be specified',
        );
      }
      return {
        apiVersion: `${RBAC}/v1`,
        kind: kindName,
        metadata: { name },
        roleRef: {
          apiGroup: RBAC,
          kind: flags.clusterrole ? 'ClusterRole' : 'Role',
          name: flags.clusterrole ?? flags.role,
        },
        subjects: subjectsOf(flags),
      };
    },
  });
}

export const rbacKinds: readonly RegisterKind[] = [
  role,
  clusterRole,
  binding('RoleBinding'),
  binding('ClusterRoleBinding'),
];
