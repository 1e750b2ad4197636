/**
 * Conditional defaults of pod specs, alone and inside templates (Kubernetes' pkg/apis/core/v1/defaults.go as seen in the
 * recorded facts). Everything here runs before validation, on objects that may lack required fields.
 */
import type {
  Container,
  ContainerPort,
  EphemeralContainer,
  HTTPGetAction,
  LifecycleHandler,
  ObjectFieldSelector,
  PodSpec,
  PodTemplateSpec,
  Probe,
  ResourceRequirements,
  Volume,
} from '../generated/types.ts';
import { canonicalResource } from '../schema/quantity.ts';

type AnyContainer = Container | EphemeralContainer;

/** Defaults of a pod's own spec: those of a template, and what only real pods get. */
export function defaultPodSpec(spec: PodSpec): void {
  defaultTemplateSpec(spec);
  spec.enableServiceLinks ??= true;
  if (spec.hostNetwork) defaultHostPorts(spec);
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    defaultRequests(container.resources);
  }
}

/** Defaults of the template in a workload. */
export function defaultPodTemplate(template: PodTemplateSpec | undefined): void {
  if (template?.spec) defaultTemplateSpec(template.spec);
}

function defaultTemplateSpec(spec: PodSpec): void {
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.restartPolicy ||= 'Always';
  spec.schedulerName ||= 'default-scheduler';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  // The old name of the field is kept equal to the new one; the new one wins.
  const account = spec.serviceAccountName || spec.serviceAccount;
  if (account) {
    spec.serviceAccountName = account;
    spec.serviceAccount = account;
  }
  roundResources(spec.overhead);
  roundRequirements(spec.resources);
  for (const container of spec.initContainers ?? []) defaultContainer(container);
  for (const container of spec.containers ?? []) defaultContainer(container);
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
}

/** With the host's network a port of the container is one of the host. */
function defaultHostPorts(spec: PodSpec): void {
  const ports: ContainerPort[] = [...(spec.containers ?? []), ...(spec.initContainers ?? [])].flatMap(
    container => container.ports ?? [],
  );
  for (const port of ports) if (!port.hostPort && port.containerPort) port.hostPort = port.containerPort;
}

function defaultRequests(resources: ResourceRequirements | undefined): void {
  if (!resources?.limits) return;
  resources.requests = { ...resources.limits, ...resources.requests };
}

function defaultContainer(container: AnyContainer): void {
  container.imagePullPolicy ||= pullPolicyOf(container.image);
  container.terminationMessagePath ||= '/dev/termination-log';
  container.terminationMessagePolicy ||= 'File';
  roundRequirements(container.resources);
  defaultProbe(container.livenessProbe);
  defaultProbe(container.readinessProbe);
  defaultProbe(container.startupProbe);
  defaultHandler(container.lifecycle?.postStart);
  defaultHandler(container.lifecycle?.preStop);
  for (const { valueFrom } of container.env ?? []) defaultFieldRef(valueFrom?.fieldRef);
}

/** `Always` for what may move: no tag and no digest, or the tag `latest`. */
function pullPolicyOf(image: string | undefined): string {
  const [name = '', digest] = (image ?? '').split('@');
  const lastPart = name.slice(name.lastIndexOf('/') + 1);
  const colon = lastPart.lastIndexOf(':');
  const tag = colon === -1 ? undefined : lastPart.slice(colon + 1);
  if (tag === 'latest' || (tag === undefined && digest === undefined)) return 'Always';
  return 'IfNotPresent';
}

function defaultProbe(probe: Probe | undefined): void {
  if (!probe) return;
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  defaultHttpGet(probe.httpGet);
  if (probe.grpc) probe.grpc.service ??= '';
}

function defaultHandler(handler: LifecycleHandler | undefined): void {
  defaultHttpGet(handler?.httpGet);
}

function defaultHttpGet(action: HTTPGetAction | undefined): void {
  if (!action) return;
  action.path ||= '/';
  action.scheme ||= 'HTTP';
}

function defaultFieldRef(reference: ObjectFieldSelector | undefined): void {
  if (reference) reference.apiVersion ||= 'v1';
}

const DEFAULT_MODE = 0o644;
const TOKEN_EXPIRATION_SECONDS = 3_600;

function defaultVolume(volume: Volume): void {
  if (!Object.entries(volume).some(([key, source]) => key !== 'name' && source !== undefined)) volume.emptyDir = {};
  if (volume.hostPath) volume.hostPath.type ??= '';
  if (volume.configMap) volume.configMap.defaultMode ??= DEFAULT_MODE;
  if (volume.secret) volume.secret.defaultMode ??= DEFAULT_MODE;
  if (volume.azureDisk) volume.azureDisk.readOnly ??= false;
  if (volume.ephemeral?.volumeClaimTemplate?.spec) {
    volume.ephemeral.volumeClaimTemplate.spec.volumeMode ??= 'Filesystem';
  }
  if (volume.downwardAPI) {
    volume.downwardAPI.defaultMode ??= DEFAULT_MODE;
    for (const { fieldRef } of volume.downwardAPI.items ?? []) defaultFieldRef(fieldRef);
  }
  if (volume.projected) {
    volume.projected.defaultMode ??= DEFAULT_MODE;
    for (const source of volume.projected.sources ?? []) {
      if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= TOKEN_EXPIRATION_SECONDS;
      for (const { fieldRef } of source.downwardAPI?.items ?? []) defaultFieldRef(fieldRef);
    }
  }
  if (volume.image) volume.image.pullPolicy ||= pullPolicyOf(volume.image.reference);
}

/** Resource lists are stored in thousandths at the finest. */
export function roundResources(list: Record<string, string | number> | undefined): void {
  for (const [name, quantity] of Object.entries(list ?? {})) {
    if (list) list[name] = canonicalResource(String(quantity));
  }
}

function roundRequirements(requirements: ResourceRequirements | undefined): void {
  roundResources(requirements?.limits);
  roundResources(requirements?.requests);
}
