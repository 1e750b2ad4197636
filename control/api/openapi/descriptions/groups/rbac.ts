/** The group rbac.authorization.k8s.io: roles, and who has them. */
import type { TextTable } from '../texts.ts';

export const RBAC: TextTable = {
  prefix: 'io.k8s.api.rbac.v1.',
  texts: {
    Role: {
      itself: 'Role is a set of rights within a namespace. A RoleBinding gives it to somebody.',
      rules: 'The rights. They add up; none takes anything away.',
    },
    ClusterRole: {
      itself:
        'ClusterRole is a set of rights. A ClusterRoleBinding gives them to somebody everywhere, a RoleBinding within its namespace.',
      aggregationRule:
        'Which other ClusterRoles this one is put together from. Then the controller writes the rules, and replaces what others write there.',
      rules: 'The rights. They add up; none takes anything away.',
    },
    AggregationRule: {
      itself: 'AggregationRule says from which ClusterRoles another one is put together.',
      clusterRoleSelectors: 'Labels of the ClusterRoles; the rules of each that one of the selectors fits are taken.',
    },
    PolicyRule: {
      itself:
        'PolicyRule is a right: some verbs on some resources, or on some paths that are no resources. Who writes it into a role needs the right too, or the verb escalate on roles.',
      apiGroups: 'API groups of the resources; "" is the core group, "*" all.',
      nonResourceURLs:
        'Paths that are no resources, such as /metrics; "*" is all, and at the end of one all below it. Only in ClusterRoles that are given by a ClusterRoleBinding, and not beside resources.',
      resourceNames:
        'Names of the only objects that the right is about; empty: all. It cannot bound create and deletecollection, and list and watch only where they ask for that one name.',
      resources:
        'Resources in the plural, such as pods; "pods/log" is a subresource, "*/scale" that of all resources, "*" all resources and subresources.',
      verbs:
        'What is allowed: get, list, watch, create, update, patch, delete, deletecollection and others; "*" is all.',
    },
    RoleBinding: {
      itself: 'RoleBinding gives somebody the rights of a Role, or of a ClusterRole, within its namespace.',
      roleRef:
        'The role: a Role of the same namespace, or a ClusterRole. It cannot be changed; make another binding instead.',
      subjects: 'Who gets the rights.',
    },
    ClusterRoleBinding: {
      itself: 'ClusterRoleBinding gives somebody the rights of a ClusterRole, in all namespaces and outside of them.',
      roleRef: 'The ClusterRole. It cannot be changed; make another binding instead.',
      subjects: 'Who gets the rights.',
    },
    RoleRef: {
      itself: 'RoleRef names a role.',
      apiGroup: 'Group of the role: rbac.authorization.k8s.io.',
      kind: '"Role" or "ClusterRole".',
      name: 'Name of the role. Who has the verb bind on it may name one that is not there yet.',
    },
    Subject: {
      itself: 'Subject is somebody who gets rights: a user, a group or a service account.',
      apiGroup:
        'Empty for a service account, which is the default there; rbac.authorization.k8s.io for users and groups, which is the default there.',
      kind: '"User", "Group" or "ServiceAccount".',
      name: 'Name of the user, the group or the service account.',
      namespace: 'Namespace of the service account. Not for users and groups.',
    },
  },
};
