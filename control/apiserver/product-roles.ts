/**
 * What this product grants besides the roles of Kubernetes, as kubeadm and others do: nodes that join with a token of ours
 * may ask for a certificate, and those that have one may have it renewed, without anybody approving it by hand.
 */
import type { ClusterRole, ClusterRoleBinding, PolicyRule } from '../api/generated/types.ts';
import { RBAC_GROUP } from '../api/validation/rbac.ts';

/** The group that a node's join token puts its bearer in (control/join/protocol.ts). */
const NODE_JOINERS = 'system:bootstrappers:raftsman:nodes';
const REQUESTS = 'system:certificates.k8s.io:certificatesigningrequests';

const AUTO_UPDATE = { 'rbac.authorization.kubernetes.io/autoupdate': 'true' };

const bindGroup = (name: string, role: string, group: string): ClusterRoleBinding => ({
  metadata: { name: `raftsman:${name}`, annotations: AUTO_UPDATE },
  roleRef: { apiGroup: RBAC_GROUP, kind: 'ClusterRole', name: role },
  subjects: [{ apiGroup: RBAC_GROUP, kind: 'Group', name: group }],
});

const roleOf = (account: string) => `raftsman:controller:${account}`;

/** What controllers of ours do that those of Kubernetes do not, or do there as the API server itself. */
const ACCOUNT_RULES: Readonly<Record<string, readonly PolicyRule[]>> = {
  'custom-resource-definition-controller': [
    {
      apiGroups: ['apiextensions.k8s.io'],
      resources: [
        'customresourcedefinitions',
        'customresourcedefinitions/status',
        'customresourcedefinitions/finalizers',
      ],
      verbs: ['get', 'list', 'watch', 'update', 'patch'],
    },
    { apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list', 'delete', 'deletecollection'] },
  ],
  'flow-schema-controller': [
    {
      apiGroups: ['flowcontrol.apiserver.k8s.io'],
      resources: ['flowschemas/status'],
      verbs: ['patch'],
    },
  ],
  'ingress-controller': [
    { apiGroups: ['networking.k8s.io'], resources: ['ingresses/status'], verbs: ['patch'] },
    { apiGroups: ['networking.k8s.io'], resources: ['ingressclasses'], verbs: ['create'] },
  ],
  'local-volume-provisioner': [
    { apiGroups: [''], resources: ['persistentvolumes'], verbs: ['create', 'delete', 'update'] },
    { apiGroups: [''], resources: ['persistentvolumeclaims', 'persistentvolumeclaims/status'], verbs: ['update'] },
    { apiGroups: ['storage.k8s.io'], resources: ['storageclasses'], verbs: ['create'] },
  ],
  'service-address-repair-controller': [
    { apiGroups: ['networking.k8s.io'], resources: ['ipaddresses'], verbs: ['get', 'create', 'delete'] },
    { apiGroups: [''], resources: ['services'], verbs: ['get'] },
    { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch', 'update'] },
  ],
};

export const PRODUCT_ROLES: readonly ClusterRole[] = Object.entries(ACCOUNT_RULES).map(([account, rules]) => ({
  metadata: { name: roleOf(account), annotations: AUTO_UPDATE },
  rules: [...rules],
}));

const bindAccount = (account: string): ClusterRoleBinding => ({
  metadata: { name: roleOf(account), annotations: AUTO_UPDATE },
  roleRef: { apiGroup: RBAC_GROUP, kind: 'ClusterRole', name: roleOf(account) },
  subjects: [{ kind: 'ServiceAccount', name: account, namespace: 'kube-system' }],
});

export const PRODUCT_BINDINGS: readonly ClusterRoleBinding[] = [
  bindGroup('kubelet-bootstrap', 'system:node-bootstrapper', NODE_JOINERS),
  bindGroup('node-autoapprove-bootstrap', `${REQUESTS}:nodeclient`, NODE_JOINERS),
  bindGroup('node-autoapprove-certificate-rotation', `${REQUESTS}:selfnodeclient`, 'system:nodes'),
  ...Object.keys(ACCOUNT_RULES).map(bindAccount),
];
