/**
 * What a node may do: read what its pods need, and write its own Node, its own Lease, the status of pods, and events.
 * Which pods are its own is seen where the object is at hand (admission/node-restriction.ts).
 */
import type { Attributes, Verdict } from './attributes.ts';

/** Resources that agents list and watch (pods, services and slices for networking; the rest for volumes and environment). */
const READABLE = new Set([
  '/services',
  '/endpoints',
  '/pods',
  '/nodes',
  '/namespaces',
  '/configmaps',
  '/secrets',
  '/serviceaccounts',
  '/persistentvolumes',
  '/persistentvolumeclaims',
  'discovery.k8s.io/endpointslices',
  'coordination.k8s.io/leases',
  'storage.k8s.io/csidrivers',
  'storage.k8s.io/storageclasses',
  'node.k8s.io/runtimeclasses',
  'networking.k8s.io/networkpolicies',
  'networking.k8s.io/ingresses',
  'networking.k8s.io/ingressclasses',
]);
const READ_VERBS = new Set(['get', 'list', 'watch']);
const CSI_NODES = 'storage.k8s.io/csinodes';
/** Read one by one, for pods that name them: no node may look at all of them at once. */
const GET_ONLY = new Set(['/secrets', '/configmaps', '/serviceaccounts']);
const WRITE_VERBS = new Set(['create', 'update', 'patch', 'delete']);

/** Decides for the node `nodeName`. */
export function authorizeNode(nodeName: string, info: Attributes): Verdict {
  const resource = `${info.group}/${info.resource}`;
  if (READ_VERBS.has(info.verb) && (info.subresource === '' || info.subresource === 'status')) {
    return readVerdict(nodeName, resource, info);
  }
  if (!WRITE_VERBS.has(info.verb)) return { allowed: false };
  switch (resource) {
    case '/nodes':
      return ownOnly(nodeName, info, `node '${nodeName}' cannot modify '${info.name}', only its own Node object`);
    case 'coordination.k8s.io/leases':
      if (info.namespace !== 'kube-node-lease') return { allowed: false };
      return ownOnly(nodeName, info, `can only access node lease with the same name as the requesting node`);
    case CSI_NODES:
      return ownOnly(nodeName, info, 'can only access CSINode with the same name as the requesting node');
    case '/pods':
      return verdict(['', 'status', 'eviction'].includes(info.subresource));
    case '/events':
    case 'events.k8s.io/events':
      return verdict(info.verb !== 'delete');
    case '/persistentvolumes':
      // To let its own go when their directories are removed: admission/node-restriction.ts.
      return verdict(info.verb === 'update' && info.subresource === '');
    case '/persistentvolumeclaims':
      // What was enlarged on the node; which are its own: node-references.ts.
      return verdict(info.subresource === 'status' && (info.verb === 'update' || info.verb === 'patch'));
    case '/serviceaccounts':
      return verdict(info.subresource === 'token' && info.verb === 'create');
    case 'certificates.k8s.io/certificatesigningrequests':
      return verdict(info.subresource === '' && info.verb === 'create');
    case 'authentication.k8s.io/tokenreviews':
    case 'authorization.k8s.io/subjectaccessreviews':
      return verdict(info.verb === 'create');
    default:
      return { allowed: false };
  }
}

function readVerdict(nodeName: string, resource: string, info: Attributes): Verdict {
  if (resource === 'certificates.k8s.io/certificatesigningrequests') return verdict(info.verb === 'get');
  if (resource === CSI_NODES && info.verb === 'get')
    return ownOnly(nodeName, info, 'can only access CSINode with the same name as the requesting node');
  // Which are its own is seen where the object is at hand: node-references.ts.
  if (resource === 'storage.k8s.io/volumeattachments') return verdict(info.verb === 'get');
  if (!READABLE.has(resource)) return { allowed: false };
  if (resource === '/nodes' && info.name !== '' && info.name !== nodeName) {
    return { allowed: false, reason: `node '${nodeName}' cannot read '${info.name}', only its own Node object` };
  }
  if (GET_ONLY.has(resource) && info.verb !== 'get') return namedOnly(nodeName, info);
  return { allowed: true };
}

/** A list or watch of exactly one object by its name counts as getting it. */
function namedOnly(nodeName: string, { name }: Attributes): Verdict {
  if (name !== '') return { allowed: true };
  return { allowed: false, reason: `node '${nodeName}' may only read single objects of this kind, by name` };
}

function ownOnly(nodeName: string, info: Attributes, reason: string): Verdict {
  if (info.verb === 'create' || info.name === nodeName) return { allowed: true };
  return { allowed: false, reason };
}

const verdict = (allowed: boolean): Verdict => (allowed ? { allowed } : { allowed });
