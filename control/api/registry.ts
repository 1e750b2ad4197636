/**
 * All kinds that this server knows, each declared once in `kinds/`. Routes, discovery, OpenAPI and tables follow from this
 * list: a new kind is one file and one line here.
 */
import type { Kind, KindDeclaration, KubernetesObject } from './kind.ts';
import { validatingAdmissionPolicy, validatingAdmissionPolicyBinding } from './kinds/admission-policies.ts';
import { apiService } from './kinds/api-services.ts';
import { horizontalPodAutoscaler, horizontalPodAutoscalerV1 } from './kinds/autoscaling.ts';
import { certificateSigningRequest } from './kinds/certificates.ts';
import { componentStatus, configMap, endpoints, namespace, secret, serviceAccount } from './kinds/core.ts';
import { cronJob } from './kinds/cron-jobs.ts';
import { customResourceDefinition } from './kinds/custom-resource-definitions.ts';
import { event, eventsV1Event } from './kinds/events.ts';
import { flowSchema, priorityLevel } from './kinds/flow-control.ts';
import { job } from './kinds/jobs.ts';
import { LEGACY_KINDS } from './kinds/legacy.ts';
import { endpointSlice, service } from './kinds/network.ts';
import { ingress, ingressClass, ipAddress, networkPolicy, serviceCidr } from './kinds/networking.ts';
import { lease, node } from './kinds/nodes.ts';
import { pod } from './kinds/pods.ts';
import { podDisruptionBudget, priorityClass, runtimeClass } from './kinds/policy.ts';
import { limitRange, resourceQuota } from './kinds/quota.ts';
import { clusterRole, clusterRoleBinding, role, roleBinding } from './kinds/rbac.ts';
import { statefulSet } from './kinds/stateful-sets.ts';
import {
  csiDriver,
  csiNode,
  csiStorageCapacity,
  persistentVolume,
  persistentVolumeClaim,
  storageClass,
  volumeAttachment,
} from './kinds/storage.ts';
import { controllerRevision, podTemplate } from './kinds/templates.ts';
import { mutatingWebhookConfiguration, validatingWebhookConfiguration } from './kinds/webhooks.ts';
import { daemonSet, deployment, replicaSet, replicationController } from './kinds/workloads.ts';

/** A declaration whose object type is not known to the caller. */
export type AnyDeclaration = KindDeclaration;

/** Declarations differ in T only; whoever finds one by name handles plain objects of exactly that kind. */
const erase = <T extends KubernetesObject>(declaration: KindDeclaration<T>): AnyDeclaration =>
  declaration as unknown as AnyDeclaration;

/** In the order in which discovery lists them. */
export const ALL_KINDS: readonly AnyDeclaration[] = [
  erase(componentStatus),
  erase(configMap),
  erase(endpoints),
  erase(event),
  erase(limitRange),
  erase(namespace),
  erase(node),
  erase(persistentVolumeClaim),
  erase(persistentVolume),
  erase(pod),
  erase(podTemplate),
  erase(replicationController),
  erase(resourceQuota),
  erase(secret),
  erase(serviceAccount),
  erase(service),
  erase(apiService),
  erase(controllerRevision),
  erase(daemonSet),
  erase(deployment),
  erase(replicaSet),
  erase(statefulSet),
  erase(eventsV1Event),
  erase(horizontalPodAutoscaler),
  erase(horizontalPodAutoscalerV1),
  erase(cronJob),
  erase(job),
  erase(certificateSigningRequest),
  erase(ingressClass),
  erase(ingress),
  erase(ipAddress),
  erase(networkPolicy),
  erase(serviceCidr),
  erase(podDisruptionBudget),
  erase(clusterRoleBinding),
  erase(clusterRole),
  erase(roleBinding),
  erase(role),
  erase(customResourceDefinition),
  erase(csiDriver),
  erase(csiNode),
  erase(csiStorageCapacity),
  erase(storageClass),
  erase(volumeAttachment),
  erase(mutatingWebhookConfiguration),
  erase(validatingAdmissionPolicy),
  erase(validatingAdmissionPolicyBinding),
  erase(validatingWebhookConfiguration),
  erase(priorityClass),
  erase(lease),
  erase(runtimeClass),
  erase(endpointSlice),
  erase(flowSchema),
  erase(priorityLevel),
  ...LEGACY_KINDS.map(erase),
];

const byResource = new Map(ALL_KINDS.map(kind => [`${kind.group}/${kind.version}/${kind.plural}`, kind]));
const byKind = new Map(ALL_KINDS.map(kind => [`${kind.group}/${kind.version}/${kind.kind}`, kind]));

/** The kind behind a URL's group, version and resource. */
export function findResource(group: string, version: string, plural: string): AnyDeclaration | undefined {
  return byResource.get(`${group}/${version}/${plural}`);
}

/** The kind that an object names. `apiVersion` is `v1` or `group/version`. */
export function findKind(apiVersion: string, kind: string): AnyDeclaration | undefined {
  const slash = apiVersion.indexOf('/');
  return slash === -1
    ? byKind.get(`/${apiVersion}/${kind}`)
    : byKind.get(`${apiVersion.slice(0, slash)}/${apiVersion.slice(slash + 1)}/${kind}`);
}

/** The declaration of a kind constant. Throws if the kind is not declared: a mistake of the program. */
export function declarationOf<T extends KubernetesObject>(kind: Kind<T>): KindDeclaration<T> {
  const found = byKind.get(`${kind.group}/${kind.version}/${kind.kind}`);
  if (!found) throw new Error(`kind ${kind.kind} of ${kind.group || 'core'}/${kind.version} is not declared`);
  return found as unknown as KindDeclaration<T>;
}

/** The declaration in whose form objects of this kind are stored: itself, or the one it converts to. */
export function storedDeclaration(declaration: AnyDeclaration): AnyDeclaration {
  return declaration.storedAs ? declarationOf(declaration.storedAs.kind) : declaration;
}

/** Groups and their versions, the preferred version first. */
export function groupVersions(): { readonly group: string; readonly versions: readonly string[] }[] {
  const groups = new Map<string, Set<string>>();
  for (const { group, version } of ALL_KINDS) {
    const versions = groups.get(group) ?? new Set<string>();
    groups.set(group, versions.add(version));
  }
  return [...groups].map(([group, versions]) => ({ group, versions: [...versions].sort(comparePriority) }));
}

/** Stable before beta before alpha, newer before older. */
function comparePriority(a: string, b: string): number {
  const rank = (version: string): number => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (!match) return 0;
    const stage = match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0;
    return stage * 1_000_000 + Number(match[1]) * 1_000 + Number(match[3] ?? 0);
  };
  return rank(b) - rank(a);
}
