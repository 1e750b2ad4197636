/**
 * What this product grants besides the roles of Kubernetes, as kubeadm and others do: nodes that join with a token of ours
 * may ask for a certificate, and those that have one may have it renewed, without anybody approving it by hand.
 */
import type { ClusterRoleBinding } from '../api/generated/types.ts';
import { RBAC_GROUP } from '../api/validation/rbac.ts';

/** The group that a node's join token puts its bearer in (control/join/protocol.ts). */
const NODE_JOINERS = 'system:bootstrappers:raftsman:nodes';
const REQUESTS = 'system:certificates.k8s.io:certificatesigningrequests';

const bindGroup = (name: string, role: string, group: string): ClusterRoleBinding => ({
  metadata: { name: `raftsman:${name}`, annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' } },
  roleRef: { apiGroup: RBAC_GROUP, kind: 'ClusterRole', name: role },
  subjects: [{ apiGroup: RBAC_GROUP, kind: 'Group', name: group }],
});

export const PRODUCT_BINDINGS: readonly ClusterRoleBinding[] = [
  bindGroup('kubelet-bootstrap', 'system:node-bootstrapper', NODE_JOINERS),
  bindGroup('node-autoapprove-bootstrap', `${REQUESTS}:nodeclient`, NODE_JOINERS),
  bindGroup('node-autoapprove-certificate-rotation', `${REQUESTS}:selfnodeclient`, 'system:nodes'),
];
